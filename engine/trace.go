package engine

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/infer-go/infer/kernels"
)

// Activation is what one op computed for the tokens of a step.
type Activation struct {
	Name   string // the op and its weight, or the name that llama.cpp gives it, without the layer
	Layer  int    // -1 outside of the layers
	Rows   int
	Cols   int
	Values []float32 // [Rows][Cols], valid during the call
}

// Trace computes tokens from position 0 in one step and calls use with what each op computed, in order. The engine must have been
// opened with Trace and AllLogits. Ops that change a value in place show the last of its values. Rope's angles, copied rows and
// what single experts compute are not shown.
func (e *Engine) Trace(ctx context.Context, tokens []int32, use func(Activation) error) error {
	if err := e.checkTokens(tokens); err != nil {
		return err
	}
	if !e.options.Trace || !e.options.AllLogits {
		return fmt.Errorf("trace: the model was opened without Trace and AllLogits")
	}
	if len(tokens) > e.options.StepRows {
		return fmt.Errorf("trace: %w: %d tokens, a step takes %d", ErrTooLong, len(tokens), e.options.StepRows)
	}
	d, err := e.newDirect(ctx)
	if err != nil {
		return err
	}
	defer d.close()
	s, err := d.sequence(ctx, directKey, nil)
	if err != nil {
		return err
	}
	all := []part{{sequence: s, ids: tokens, wanted: len(tokens)}}
	if e.observer != nil {
		e.observer.start(use)
		err := d.step(ctx, all, nil)
		return firstError(err, e.observer.stop())
	}
	return d.step(ctx, all, func([]float32, int) error { return e.readPlan(len(tokens), use) })
}

// readPlan reads every activation of the step that has just run. The device is borrowed.
func (e *Engine) readPlan(rows int, use func(Activation) error) error {
	d, p := e.device.(*kernels.Device), e.model.Plan
	last := map[kernels.Ref]int{}
	for i, o := range p.Ops {
		last[o.Out] = i
	}
	for i, o := range p.Ops {
		if o.Out == kernels.None || last[o.Out] != i || o.Kind == kernels.OpAngles || o.Kind == kernels.OpGather {
			continue
		}
		t := p.Tensors[o.Out]
		if t.DType != kernels.F32 || t.RowsKind != kernels.RowsBatch && t.RowsKind != kernels.RowsWanted {
			continue
		}
		a := Activation{Name: opLabel(p, o), Layer: int(o.Layer), Rows: rows, Cols: int(t.Cols)}
		for row := range rows {
			a.Values = append(a.Values, d.ReadActivation(o.Out, row)...)
		}
		if err := use(a); err != nil {
			return err
		}
	}
	return nil
}

// opLabel names an op by its kind and the weights it reads, as "matmul attn_q.weight".
func opLabel(p *kernels.Plan, o kernels.Op) string {
	label := o.Kind.String()
	for _, r := range o.In {
		if r == kernels.None || p.Tensors[r].RowsKind != kernels.RowsFixed || o.Kind == kernels.OpAngles {
			continue
		}
		label += " " + strings.TrimPrefix(p.Names[r], "blk."+strconv.Itoa(int(o.Layer))+".")
	}
	return label
}

// observer turns what a foreign device computes into activations.
type observer struct {
	use func(Activation) error // nil: nobody looks
	err error
}

func (o *observer) start(use func(Activation) error) { o.use, o.err = use, nil }

func (o *observer) stop() error {
	o.use = nil
	return o.err
}

// Wants leaves out what has no name of its own: numbered nodes, views and copies.
func (o *observer) Wants(name string) bool {
	return o.use != nil && o.err == nil && name != "" && !strings.HasPrefix(name, "node_") && !strings.HasPrefix(name, "leaf_") && !strings.Contains(name, " (")
}

// See passes a tensor on. Names end in the layer's number where they have one, as "attn_norm-3".
func (o *observer) See(name string, rows, cols int, values []float32) {
	if o.use == nil || o.err != nil {
		return
	}
	a := Activation{Name: name, Layer: -1, Rows: rows, Cols: cols, Values: values}
	if cut := strings.LastIndexByte(name, '-'); cut > 0 {
		if layer, err := strconv.Atoi(name[cut+1:]); err == nil && layer >= 0 {
			a.Name, a.Layer = name[:cut], layer
		}
	}
	o.err = o.use(a)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
