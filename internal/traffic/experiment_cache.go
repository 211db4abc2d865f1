package traffic

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/infer-go/infer/engine"
	"github.com/infer-go/infer/engine/schedule"
)

// cached: prompts of which nine tenths are there from a request that ended, or from one that still runs, against cold ones; and what of a
// cold prompt's time passes outside of its steps, which is what looking it up costs, and more.
func cached(ctx context.Context, b *Bench) ([]Figure, error) {
	const common, rest = 900, 100
	var ended, busy, bare, cold, host []float64
	err := b.with(engine.Options{Sequences: 4, Context: 2048}, func(e *engine.Engine) error {
		one := func(prompt []Block, output int) Arrival { return Arrival{Prompt: prompt, Output: output} }
		for k := range b.Repeats + 1 {
			base := uint64(100 * (k + 1))
			prefix := Block{ID: sharedBlock | base, Tokens: common}
			with := func(i uint64) []Block { return []Block{prefix, {ID: ownBlock | base + i, Tokens: rest}} }
			r, err := run(ctx, e, []Arrival{one(with(1), 2)}, Options{})
			if err != nil {
				return err
			}
			first, between := r.Outcomes[0].First, r.Outcomes[0].Host
			if r, err = run(ctx, e, []Arrival{one(with(2), 2)}, Options{}); err != nil {
				return err
			}
			hit := r.Outcomes[0].First
			beside, err := whileDecoding(ctx, e, base, one)
			if err != nil {
				return err
			}
			steps, err := e.Bench(ctx, engine.BenchSpec{Prompt: common + rest, Sequences: 1})
			if err != nil {
				return err
			}
			b.log("first token: cold %.0f ms, bare steps %.0f ms, cached %.0f ms; outside of steps %.2f ms; the prefix of a running request saves %.0f %%",
				ms(first), ms(steps), ms(hit), ms(between), 100*beside)
			if k > 0 {
				cold, ended, busy, bare = append(cold, ms(first)), append(ended, float64(hit)/float64(first)), append(busy, beside), append(bare, float64(first)/float64(steps))
				host = append(host, float64(between)/float64(first))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return []Figure{
		{Name: fmt.Sprintf("first token of %d tokens, cold", common+rest), Value: median(cold), Unit: "ms"},
		{Name: "  with 900 of them cached, of cold", Value: median(ended), Bound: 0.15, AtMost: true},
		{Name: "  found while the other request runs", Value: median(busy), Bound: 0.85, Note: "share of the prompt's tokens"},
		{Name: "cold, time outside of steps", Value: median(host), Bound: 0.01, AtMost: true, Note: "share: looking up what is not there, and all else of the scheduler"},
		{Name: "cold, of bare steps", Value: median(bare), Note: "has the machine's noise"},
	}, nil
}

func ms(d time.Duration) float64 { return 1e3 * d.Seconds() }

// whileDecoding starts a request, and when its first token has come another one with the same prefix: what share of it was found.
func whileDecoding(ctx context.Context, e *engine.Engine, base uint64, one func([]Block, int) Arrival) (float64, error) {
	prefix := Block{ID: sharedBlock | base | 1<<40, Tokens: 900}
	with := func(i uint64) []Block { return []Block{prefix, {ID: ownBlock | base + i, Tokens: 100}} }
	started := make(chan struct{}, 1)
	done := make(chan error, 1)
	go func() {
		_, err := run(ctx, e, []Arrival{one(with(3), 200)}, Options{Started: func(int) { started <- struct{}{} }})
		done <- err
	}()
	select {
	case <-started:
	case err := <-done:
		if err == nil {
			err = errors.New("the request ended without a token")
		}
		return 0, err
	}
	r, err := run(ctx, e, []Arrival{one(with(4), 2)}, Options{})
	if err := errors.Join(err, <-done); err != nil {
		return 0, err
	}
	o := &r.Outcomes[0]
	return float64(o.Cached) / float64(o.Prompt), nil
}

// reuse replays a trace that is faster than the machine, once with the prefix tree and once with a key of its own for each request.
func reuse(ctx context.Context, b *Bench) ([]Figure, error) {
	if b.Trace == "" {
		return nil, errors.New("reuse: expected a trace with shared prefixes (--trace FILE.jsonl)")
	}
	scale := b.Scale
	if scale == (Scale{Skip: scale.Skip}) {
		scale = Scale{Lengths: 1.0 / 16, Time: 0.02, Requests: 60, Skip: b.Scale.Skip} // a block is a page of 32 tokens; arrivals in a few seconds
	}
	arrivals, err := ReadTraceFile(b.Trace, scale)
	if err != nil {
		return nil, err
	}
	longest, sum := 0, 0
	for i := range arrivals {
		arrivals[i].Output = min(arrivals[i].Output, 64)
		n := arrivals[i].PromptTokens() + arrivals[i].Output
		longest, sum = max(longest, n), sum+n
	}
	hits, all := UnboundedHits(arrivals, 32)
	best := float64(hits) / float64(all)
	b.log("%d requests, %d prompt tokens, %.1f %% of them could be found by a cache that forgets nothing", len(arrivals), all, 100*best)
	var with, without, rates []float64
	options := engine.Options{Sequences: 8, Context: longest + 32, Queue: len(arrivals) + 1}
	if err := b.with(options, func(e *engine.Engine) error { // memory for all of it: what is asked is how much is found, not what is forgotten
		full, windowed := e.CacheBytesPerToken()
		options.Cache = fmt.Sprint(2*(full+windowed)*int64(sum+8*longest), "B")
		return nil
	}); err != nil {
		return nil, err
	}
	measure := func(noReuse bool, speed *[]float64) error {
		return b.with(options, func(e *engine.Engine) error { // an empty cache each time
			r, err := run(ctx, e, arrivals, Options{NoReuse: noReuse})
			if err != nil {
				return err
			}
			s := Summarize(r, Targets{}).Lanes[0]
			b.log("reuse %v: %.1f requests/s, %.1f %% found, first token %.0f ms at p50", !noReuse, s.RequestsPerSecond, 100*s.HitRate, 1e3*s.TTFT.P50)
			*speed = append(*speed, s.RequestsPerSecond)
			if !noReuse {
				rates = append(rates, s.HitRate)
			}
			return nil
		})
	}
	for range b.Repeats {
		if err := errors.Join(measure(false, &with), measure(true, &without)); err != nil {
			return nil, err
		}
	}
	return []Figure{
		{Name: "requests with reuse", Value: median(with), Unit: "/s"},
		{Name: "  without", Value: median(without), Unit: "/s"},
		{Name: "  gain", Value: median(with) / median(without)},
		{Name: "prompt tokens found", Value: median(rates), Note: fmt.Sprintf("a cache that forgets nothing: %.3f", best)},
		{Name: "  of such a cache's", Value: median(rates) / best, Bound: 0.95},
	}, nil
}

// lanes: online requests by a Poisson process at about half of what the machine takes, alone and with a batch lane that never runs dry.
func lanes(ctx context.Context, b *Bench) ([]Figure, error) {
	const prompt, output, online, sequences = 64, 48, 24, 8
	options := engine.Options{Sequences: sequences, Context: 512, Queue: 4096}
	var gap time.Duration // of one request alone
	if err := b.with(options, func(e *engine.Engine) error {
		r, err := run(ctx, e, []Arrival{{Prompt: own(1, prompt), Output: output}, {At: time.Nanosecond, Prompt: own(2, prompt), Output: output}}, Options{})
		if err == nil {
			o := &r.Outcomes[0]
			gap = (o.Total - o.First) / time.Duration(len(o.Gaps))
		}
		return err
	}); err != nil {
		return nil, err
	}
	rate := 0.5 / (gap * output).Seconds()
	b.log("%.1f ms a token; %.2f online requests a second", ms(gap), rate)
	var first, between, total []float64
	for k := range b.Repeats {
		arrivals, err := Poisson(Load{Rate: rate, Requests: online, Prompt: Range{prompt, prompt}, Output: Range{output, output}, Seed: uint64(k + 1)})
		if err != nil {
			return nil, err
		}
		alone, err := lanesRun(ctx, b, options, arrivals, 0)
		if err != nil {
			return nil, err
		}
		both, err := lanesRun(ctx, b, options, arrivals, sequences)
		if err != nil {
			return nil, err
		}
		b.log("online alone: first token %.0f ms, between tokens %.1f ms at p99, %.1f tokens/s; with a full batch lane %.0f ms, %.1f ms, %.1f tokens/s",
			1e3*alone.first, 1e3*alone.between, alone.speed, 1e3*both.first, 1e3*both.between, both.speed)
		first, between, total = append(first, both.first/alone.first), append(between, both.between/alone.between), append(total, both.speed/alone.speed)
	}
	return []Figure{
		{Name: "online p99 first token, with a full batch lane, of alone", Value: median(first), Bound: 1.25, AtMost: true},
		{Name: "online p99 between tokens, likewise", Value: median(between), Bound: 1.25, AtMost: true},
		{Name: "all tokens a second, of online alone", Value: median(total), Bound: 1.5},
	}, nil
}

type lanesResult struct{ first, between, speed float64 }

// lanesRun runs online arrivals, beside as many endless batch requests as are given; tokens are counted until the last online one has ended.
func lanesRun(ctx context.Context, b *Bench, o engine.Options, online []Arrival, batch int) (lanesResult, error) {
	var out lanesResult
	err := b.with(o, func(e *engine.Engine) error {
		behind, stop := context.WithCancel(ctx)
		defer stop()
		filled := make(chan error, 1)
		if batch > 0 {
			work := make([]Arrival, 50*batch)
			for i := range work {
				work[i] = Arrival{Prompt: own(1<<30+uint64(i), 64), Output: 192, Lane: schedule.Batch}
			}
			started := make(chan struct{}, len(work))
			go func() {
				r, err := Run(behind, e, work, Options{Started: func(int) { started <- struct{}{} }})
				for i := range work {
					if o := &r.Outcomes[i]; err == nil && (o.Refused != "" || o.Err != nil) {
						err = fmt.Errorf("batch request %d: %s %v", i, o.Refused, o.Err)
					}
				}
				filled <- err
			}()
			select {
			case <-started:
			case err := <-filled:
				return errors.Join(errors.New("the batch lane ended before a token of it had come"), err)
			}
		} else {
			filled <- nil
		}
		before, start := e.Stats().GeneratedTokens, time.Now()
		r, err := run(ctx, e, online, Options{})
		took, made := time.Since(start), e.Stats().GeneratedTokens-before
		stop()
		if err := errors.Join(err, <-filled); err != nil {
			return err
		}
		s := Summarize(r, Targets{}).Lanes[0]
		out = lanesResult{first: s.TTFT.P99, between: s.ITL.P99, speed: float64(made) / took.Seconds()}
		return nil
	})
	return out, err
}

// host: 64 sequences decode; what planning, page tables and handing out logits take of each step once all have begun.
func host(ctx context.Context, b *Bench) ([]Figure, error) {
	const n = 64
	var work []float64
	err := b.with(engine.Options{Sequences: n, Context: 256}, func(e *engine.Engine) error {
		for k := range b.Repeats {
			arrivals := make([]Arrival, n)
			for i := range arrivals {
				arrivals[i] = Arrival{Prompt: own(uint64(k*n+i), 8), Output: 48}
			}
			var begun atomic.Int32
			var all engine.Stats
			r, err := run(ctx, e, arrivals, Options{Started: func(int) {
				if begun.Add(1) == n {
					all = e.Stats()
				}
			}})
			if err != nil {
				return err
			}
			steps := r.After.Steps - all.Steps
			each := (r.After.HostTime - all.HostTime).Seconds() / float64(max(1, steps))
			b.log("%d steps, %.0f us of host work each", steps, 1e6*each)
			work = append(work, 1e6*each)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return []Figure{{Name: "host work of a step, 64 sequences", Value: median(work), Unit: "us", Bound: 200, AtMost: true}}, nil
}
