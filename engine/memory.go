package engine

import (
	"github.com/infer-go/infer/engine/arch"
	"github.com/infer-go/infer/engine/cache"
	"github.com/infer-go/infer/engine/schedule"
	"github.com/infer-go/infer/kernels"
)

// sizeCache divides the cache's memory between the plan's kinds of pages.
func (e *Engine) sizeCache(t kernels.DType) ([]cache.Kind, error) {
	o, p := &e.options, e.model.Plan
	d := cache.Demand{Sequences: o.Sequences, Context: e.context, StepRows: o.StepRows}
	if o.Cache != "" {
		var err error
		if d.Budget, err = cache.ParseBudget(o.Cache, e.availableMemory); err != nil {
			return nil, err
		}
	}
	footprints, kinds := make([]cache.Footprint, len(p.PageKinds)), make([]cache.Kind, len(p.PageKinds))
	for i, k := range p.PageKinds {
		footprints[i] = cache.Footprint{Window: k.Window, State: k.State, PageBytes: p.PageBytes(i, t)}
		kinds[i] = cache.Kind{Window: k.Window, State: k.State}
	}
	pages, err := cache.Size(footprints, d)
	if err != nil {
		return nil, err
	}
	for i := range kinds {
		kinds[i].Pages = pages[i]
	}
	return kinds, nil
}

// prepare makes the cache and the schedule of a model that generates.
func (l *loop) prepare() error {
	e := l.engine
	if e.model.Pooling != arch.NoPooling {
		return nil
	}
	l.kinds, l.further = e.kinds, newFurther(e)
	for _, k := range l.kinds {
		l.stateful = l.stateful || k.State
	}
	var err error
	if l.cache, err = cache.New(e.kinds, e.device, cache.Options{Context: e.context, ParkDir: e.options.ParkDir, ParkBytes: e.options.ParkBytes}); err != nil {
		return err
	}
	l.heldScratch = make([]int, len(e.kinds))
	o := &e.options
	c := schedule.Config{StepTokens: max(o.StepRows, o.Sequences), Sequences: o.Sequences, Pools: max(1, len(e.kinds)), TargetITL: o.TargetITL,
		MicroBatchWindow: o.MicroBatchWindow, MicroBatchJobs: o.MicroBatchJobs, BatchSlowdown: o.BatchSlowdown, BatchStep: o.BatchStep, MaxWait: o.MaxWait,
		Aging: o.Aging, QueueJobs: o.Queue, QueueTokens: o.QueueTokens, Tenants: o.Tenants, Draft: maxDraft}
	for _, k := range e.kinds {
		if tokens := k.Pages * kernels.PageTokens; !k.State && k.Window == 0 && (c.CacheTokens == 0 || tokens < c.CacheTokens) {
			c.CacheTokens = tokens
		}
	}
	l.schedule, err = schedule.New(c)
	return err
}
