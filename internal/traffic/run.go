package traffic

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/infer-go/infer/engine"
	"github.com/infer-go/infer/engine/schedule"
	"github.com/infer-go/infer/sampler"
)

// Options say how a load is given to an engine.
type Options struct {
	NoReuse bool // requests share nothing in the cache
	Drain   bool // wait for requests that are under way when the context ends, and count them; else they are cancelled
	// Started is called when a request's first token has come, from a goroutine of the request's own; nil: nobody.
	Started func(arrival int)
	// Await is called before an arrival is submitted, when its time has come, and holds it back until it returns; nil: none is held back.
	Await func(ctx context.Context, arrival int)
}

// Outcome is what became of an arrival. Times are since its submission; it has a first token where Gaps or Total are set.
type Outcome struct {
	Arrival   *Arrival
	Late      time.Duration // of the submission, by the load's clock: the generator's own fault
	Refused   string        // why the engine did not take it
	RetryIn   time.Duration // what a refusal advised
	Err       error         // what ended it early
	Cancelled bool
	Finished  bool
	First     time.Duration   // time to first token
	Gaps      []time.Duration // between tokens
	Total     time.Duration   // to the last token
	Ended     time.Duration   // since the load began
	Prompt    int             // tokens
	Cached    int             // of them, found in the cache
	Generated int             // tokens
	Preempted int             // times
	Host      time.Duration   // of Total, in which it was neither computed nor sampled: queue, lookup in the cache, between its steps
}

// Result is a load that was run.
type Result struct {
	Outcomes []Outcome // one an arrival
	Sent     int       // of them, submitted before the end
	Took     time.Duration
	Before   engine.Stats
	After    engine.Stats
}

// Run submits the arrivals by their clock and waits for the last answer. It never waits for an answer before it submits the next
// request. When the context ends, no more are sent and the result holds what there is; the error is then nil.
func Run(ctx context.Context, e *engine.Engine, arrivals []Arrival, o Options) (*Result, error) {
	r := &Result{Outcomes: make([]Outcome, len(arrivals)), Before: e.Stats()}
	vocabulary := e.Model().Vocab
	parent := ctx
	if o.Drain {
		parent = context.WithoutCancel(ctx)
	}
	work, stop := context.WithCancel(parent)
	defer stop()
	var readers sync.WaitGroup
	clock := time.NewTimer(0)
	defer clock.Stop()
	start := time.Now()
	for i := range arrivals {
		r.Outcomes[i].Arrival = &arrivals[i]
	}
	for i := range arrivals {
		a := &arrivals[i]
		request := request(a, vocabulary, o.NoReuse, i) // made ahead of its time
		if wait := a.At - time.Since(start); wait > 0 {
			clock.Reset(wait)
			select {
			case <-clock.C:
			case <-ctx.Done():
			}
		}
		if o.Await != nil {
			o.Await(ctx, i)
		}
		if ctx.Err() != nil {
			break
		}
		r.Sent++
		out := &r.Outcomes[i]
		out.Late = max(0, time.Since(start)-a.At)
		stream, err := e.Submit(work, request)
		if err != nil {
			out.refuse(err, time.Since(start))
			continue
		}
		readers.Go(func() {
			out.read(stream, func() {
				if o.Started != nil {
					o.Started(i)
				}
			})
			out.Ended = time.Since(start)
		})
	}
	readers.Wait()
	r.Took = time.Since(start)
	r.After = e.Stats()
	return r, nil
}

func request(a *Arrival, vocabulary int, noReuse bool, i int) engine.Request {
	greedy := sampler.NeutralParams()
	greedy.Temperature = 0
	r := engine.Request{Tokens: a.tokens(vocabulary), MaxTokens: max(1, a.Output), IgnoreEnd: true, Lane: a.Lane, Tenant: a.Tenant,
		Sampling: &greedy, NoSpeculation: true}
	if noReuse {
		r.CacheKey = "alone " + time.Duration(i).String()
	}
	return r
}

// refuse notes an error of Submit: a refusal of the schedule, or what can never be computed.
func (o *Outcome) refuse(err error, at time.Duration) {
	o.Ended = at
	var refused *schedule.Refused
	switch {
	case errors.As(err, &refused):
		o.Refused, o.RetryIn = refused.Reason.String(), refused.RetryAfter
	case errors.Is(err, engine.ErrTooLong):
		o.Refused = engine.ErrTooLong.Error()
	case errors.Is(err, engine.ErrCacheFull):
		o.Refused = engine.ErrCacheFull.Error()
	case errors.Is(err, context.Canceled):
		o.Cancelled = true
	default:
		o.Err = err
	}
}

func (o *Outcome) read(s *engine.Stream, first func()) {
	defer s.Close()
	for {
		event, err := s.Next()
		switch {
		case err == io.EOF:
			return
		case errors.Is(err, context.Canceled):
			o.Cancelled = true
			return
		case err != nil:
			o.Err = err
			return
		}
		if o.Generated == 0 {
			o.First = event.At
			first()
		} else {
			o.Gaps = append(o.Gaps, event.At-o.Total)
		}
		o.Generated++
		o.Total = event.At
		if u := event.Usage; u != nil {
			o.Prompt, o.Cached, o.Preempted, o.Finished = u.PromptTokens, u.CachedTokens, u.Timeline.Preempted, true
			t := &u.Timeline
			o.Host = u.Queue + t.Lookup + t.Waiting + t.Parked
		}
	}
}
