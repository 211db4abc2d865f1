package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/infer-go/infer/engine/arch"
	"github.com/infer-go/infer/engine/schedule"
)

// Forecast is what can be said of a request before it is submitted.
type Forecast struct {
	PromptTokens int
	CachedTokens int           // of them, in the cache now
	FirstToken   time.Duration // until its first token; 0 while too few steps were seen to tell
}

// Predict estimates when a request's first token would come if it were submitted now. It waits for the step that is being computed,
// takes nothing and promises nothing: others may come in between. What [Engine.Submit] would refuse for its size is refused here too.
func (e *Engine) Predict(ctx context.Context, r Request) (Forecast, error) {
	if e.model.Pooling != arch.NoPooling {
		return Forecast{}, fmt.Errorf("%s: %w", e.path, ErrNotGenerating)
	}
	j, err := e.newJob(newStream(ctx, e, DefaultBuffer), 0, &r, time.Now())
	if err != nil {
		return Forecast{}, err
	}
	giveBack, err := e.loop.borrow(ctx)
	if err != nil {
		return Forecast{}, err
	}
	defer giveBack()
	f := Forecast{PromptTokens: len(j.prompt), CachedTokens: e.loop.cache.Explain(r.CacheKey, j.prompt).Tokens}
	e.loop.tell(func(s *schedule.Scheduler) { f.FirstToken = s.PredictTTFT(j.scheduled(), f.CachedTokens) })
	return f, nil
}

// scheduled is how the schedule sees a job.
func (j *job) scheduled() schedule.Job {
	r := j.request
	return schedule.Job{ID: j.id, Lane: r.Lane, Priority: r.Priority, Deadline: r.Deadline, Tenant: r.Tenant, Prompt: len(j.prompt), MaxNew: j.limit,
		Branches: len(j.branches)}
}
