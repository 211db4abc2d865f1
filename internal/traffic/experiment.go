package traffic

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"gonum.org/v1/gonum/stat"

	"github.com/infer-go/infer/engine"
)

// Figure is one measured number beside the bound it is meant to keep.
type Figure struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit,omitempty"`
	Bound  float64 `json:"bound,omitempty"`
	AtMost bool    `json:"at_most,omitempty"` // the bound is an upper one; else a lower
	Note   string  `json:"note,omitempty"`
}

// Kept tells whether a figure keeps its bound; those without one do.
func (f Figure) Kept() bool {
	switch {
	case f.Bound == 0:
		return true
	case f.AtMost:
		return f.Value <= f.Bound
	}
	return f.Value >= f.Bound
}

// Bench is what an experiment works with.
type Bench struct {
	// Open opens the model under test with options of the experiment's own. The experiment closes it.
	Open    func(engine.Options) (*engine.Engine, error)
	Repeats int    // measurements, whose median counts
	Trace   string // file for the experiments that replay one
	Scale   Scale
	Log     io.Writer // progress
}

func (b *Bench) log(format string, a ...any) { fmt.Fprintf(b.Log, format+"\n", a...) }

// Experiment is a question about the scheduler that a run answers in figures.
type Experiment struct {
	Name, What string
	Run        func(context.Context, *Bench) ([]Figure, error)
}

// Experiments are all there are, in the order in which they are listed.
var Experiments = []Experiment{
	{"aggregate", "8 and 16 equal requests at once, against bare steps of the same size", aggregate},
	{"arrival", "a long prompt arrives while four requests decode: what happens to their time between tokens", arrival},
	{"cached", "time to first token of a prompt that is 90 % cached, against a cold one; what the tree costs where nothing is found", cached},
	{"reuse", "a trace with shared prefixes, with reuse and without: hits, and what they are worth", reuse},
	{"lanes", "online requests with and without a full batch lane behind them", lanes},
	{"host", "host work of a step with 64 sequences", host},
}

// PrintFigures writes figures as a table.
func PrintFigures(out io.Writer, figures []Figure) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range figures {
		bound := ""
		if f.Bound != 0 {
			sign, verdict := ">=", "kept"
			if f.AtMost {
				sign = "<="
			}
			if !f.Kept() {
				verdict = "MISSED"
			}
			bound = fmt.Sprintf("%s %s %s", sign, short(f.Bound), verdict)
		}
		fmt.Fprintf(w, "%s\t%s %s\t%s\t%s\n", f.Name, short(f.Value), f.Unit, bound, f.Note)
	}
	w.Flush()
}

func short(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e6 {
		return fmt.Sprintf("%.0f", v)
	}
	return strconv.FormatFloat(v, 'f', max(0, 2-int(math.Floor(math.Log10(math.Abs(v))))), 64)
}

func median(v []float64) float64 { return quantile(v, 0.5) }

// quantile sorts the values.
func quantile(v []float64, p float64) float64 {
	slices.Sort(v)
	return stat.Quantile(p, stat.LinInterp, v, nil)
}

// with opens an engine for the time of a function.
func (b *Bench) with(o engine.Options, f func(*engine.Engine) error) error {
	e, err := b.Open(o)
	if err != nil {
		return err
	}
	return closing(e, f(e))
}

func closing(e *engine.Engine, err error) error {
	if closeErr := e.Close(); err == nil {
		err = closeErr
	}
	return err
}

// run runs arrivals, all of which must be answered whole.
func run(ctx context.Context, e *engine.Engine, arrivals []Arrival, o Options) (*Result, error) {
	r, err := Run(ctx, e, arrivals, o)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		switch {
		case o.Err != nil:
			return nil, o.Err
		case o.Refused != "":
			return nil, fmt.Errorf("request %d of %d prompt tokens was refused: %s", i, o.Arrival.PromptTokens(), o.Refused)
		case !o.Finished:
			return nil, fmt.Errorf("request %d did not end", i)
		}
	}
	return r, nil
}

// own makes a prompt that nothing else shares.
func own(id uint64, tokens int) []Block {
	return []Block{{ID: ownBlock | id, Tokens: tokens}}
}

// aggregate: the engine computes n requests in one step each time. Meanwhile it is taken from them again and again for a few bare steps of
// n sequences at a like depth, which is what the kernels alone give: the two alternate within a fraction of a second, and what else the
// machine does meets both alike.
func aggregate(ctx context.Context, b *Bench) ([]Figure, error) {
	var out []Figure
	for _, n := range []int{8, 16} {
		figures, err := aggregateOf(ctx, b, n)
		if err != nil {
			return nil, err
		}
		out = append(out, figures...)
	}
	return out, nil
}

const (
	aggregatePrompt = 64 // whole pages: bare steps copy none
	aggregateOutput = 160
	aggregateBare   = 6 // bare steps in a turn
)

func aggregateOf(ctx context.Context, b *Bench, n int) ([]Figure, error) {
	var through, ratios, shares []float64
	options := engine.Options{Sequences: 2 * n, Context: aggregatePrompt + aggregateOutput + 32} // half of the memory is for bare steps
	err := b.with(options, func(e *engine.Engine) error {
		for k := range b.Repeats + 1 {
			arrivals := make([]Arrival, n)
			for i := range arrivals {
				arrivals[i] = Arrival{Prompt: own(uint64(k*n+i), aggregatePrompt), Output: aggregateOutput}
			}
			r, turns, err := alternate(ctx, e, arrivals, engine.BenchSpec{Generate: aggregateBare, Depth: 2 * aggregatePrompt, Sequences: n})
			if err != nil {
				return err
			}
			steps, ratio := compareTurns(r, turns)
			if len(ratio) == 0 {
				return fmt.Errorf("the answers of %d requests ended before bare steps could be held against them", n)
			}
			speed, of := float64(n)/median(steps), median(ratio)
			device := (r.After.DeviceTime - r.Before.DeviceTime).Seconds() / (r.After.StepTime - r.Before.StepTime).Seconds()
			b.log("%d requests: %.1f tokens/s, %.3f of bare steps (median of %d turns, half of them from %.3f to %.3f), the device computed %.1f %% of the steps' time",
				n, speed, of, len(ratio), quantile(ratio, 0.25), quantile(ratio, 0.75), 100*device)
			if k > 0 { // the first one warms up
				through, ratios, shares = append(through, speed), append(ratios, ratio...), append(shares, 100*device)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	of := median(ratios)
	return []Figure{
		{Name: fmt.Sprintf("%d equal requests", n), Value: median(through), Unit: "tokens/s"},
		{Name: "  of bare steps", Value: of, Bound: 0.97,
			Note: fmt.Sprintf("%d turns, half of them from %.3f to %.3f", len(ratios), quantile(ratios, 0.25), quantile(ratios, 0.75))},
		{Name: "  share of steps that is the device's", Value: median(shares), Unit: "%"},
	}, nil
}

// turn is a time in which an engine computed bare steps.
type turn struct {
	from, until time.Duration // since the load began
	step        time.Duration // one step
}

// alternate runs equal requests, and bare steps in turn with them from when all have begun until the first one ends.
func alternate(ctx context.Context, e *engine.Engine, arrivals []Arrival, spec engine.BenchSpec) (*Result, []turn, error) {
	started := make(chan struct{}, len(arrivals))
	ended := make(chan struct{})
	var r *Result
	var failed error
	start := time.Now()
	go func() {
		defer close(ended)
		r, failed = run(ctx, e, arrivals, Options{Started: func(int) { started <- struct{}{} }})
	}()
	for range arrivals {
		select {
		case <-started:
		case <-ended:
			return nil, nil, errors.Join(errors.New("the requests ended before all had begun"), failed)
		}
	}
	var turns []turn
	var err error
	for took, roundErr := range e.BenchRounds(ctx, spec) {
		if err = roundErr; err != nil {
			break
		}
		until := time.Since(start)
		turns = append(turns, turn{until - took, until, took / time.Duration(spec.Generate)})
		select { // as long a time is the requests'
		case <-time.After(took):
			continue
		case <-ended:
		}
		break
	}
	<-ended
	return r, turns, errors.Join(err, failed)
}

// compareTurns returns the time of a step with requests in each stretch between two turns of bare steps, and the ratio of theirs to it.
func compareTurns(r *Result, turns []turn) (steps, ratios []float64) {
	for i := range len(turns) - 1 {
		gaps := stretch(r, turns[i].until, turns[i+1].from)
		if len(gaps) < 2*len(r.Outcomes) {
			continue
		}
		sum := 0.0
		for _, g := range gaps {
			sum += g
		}
		step := sum / float64(len(gaps))
		steps = append(steps, step)
		ratios = append(ratios, (turns[i].step+turns[i+1].step).Seconds()/2/step)
	}
	return steps, ratios
}

// stretch collects the gaps of all outcomes that lie within a stretch of the load's time; none where one of them was not decoding all the time.
func stretch(r *Result, from, until time.Duration) []float64 {
	var out []float64
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		at := o.Arrival.At + o.Late + o.First
		if at > from || o.Arrival.At+o.Late+o.Total < until {
			return nil
		}
		for _, g := range o.Gaps {
			if at += g; at-g >= from && at <= until {
				out = append(out, g.Seconds())
			}
		}
	}
	return out
}

// ArrivalPrompt is the length of the prompt that arrives in the experiment of that name.
const ArrivalPrompt = 4000

// arrival: four requests decode; when all have begun, a long prompt comes. The gaps while it is read are held against those without it. The
// engine's target is 1.6 times the usual gap.
func arrival(ctx context.Context, b *Bench) ([]Figure, error) {
	const decoding, usual = 4, 200
	const outlasting = 3000 // tokens: at the least chunk of a prompt a step, 1,000 steps, and those before it
	options := engine.Options{Sequences: decoding + 1, Context: ArrivalPrompt + 64}
	short := func(first uint64, output int) []Arrival {
		out := make([]Arrival, decoding)
		for i := range out {
			out[i] = Arrival{Prompt: own(first+uint64(i), 64), Output: output}
		}
		return out
	}
	var calm []float64
	err := b.with(options, func(e *engine.Engine) error {
		r, err := run(ctx, e, short(0, usual), Options{})
		if err == nil {
			calm = gapsWithin(r, 0, decoding, 0, math.MaxInt64)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	options.TargetITL = time.Duration(1.6 * spread(calm).P50 * float64(time.Second))
	b.log("four requests alone: %.1f ms between tokens at p50, %.1f at p99; target: %.1f ms", 1e3*spread(calm).P50, 1e3*spread(calm).P99, ms(options.TargetITL))
	var ratios, firsts, before, during []float64
	err = b.with(options, func(e *engine.Engine) error {
		if _, err := run(ctx, e, short(0, 50), Options{}); err != nil { // warms up, and shows the schedule what a step takes
			return err
		}
		for k := range b.Repeats {
			base := uint64(1000 * (k + 1))
			quiet, err := run(ctx, e, short(base, usual), Options{})
			if err != nil {
				return err
			}
			arrivals := append(short(base+10, outlasting), Arrival{Prompt: own(base+20, ArrivalPrompt), Output: 1})
			r, err := run(ctx, e, arrivals, afterFirst(decoding))
			if err != nil {
				return err
			}
			long := &r.Outcomes[decoding]
			from := arrivals[decoding].At + long.Late
			for i := range decoding {
				if o := &r.Outcomes[i]; o.Late+o.First > from || o.Late+o.Total < from+long.First {
					return fmt.Errorf("request %d decoded from %v to %v, not all the time from %v to %v while the long prompt was read", i, o.Late+o.First, o.Late+o.Total, from, from+long.First)
				}
			}
			a, d := spread(gapsWithin(quiet, 0, decoding, 0, math.MaxInt64)), spread(gapsWithin(r, 0, decoding, from, from+long.First))
			b.log("p99 between tokens: %.1f ms alone, %.1f ms while %d tokens are read, which took %.1f s", 1e3*a.P99, 1e3*d.P99, ArrivalPrompt, long.First.Seconds())
			before, during, ratios, firsts = append(before, 1e3*a.P99), append(during, 1e3*d.P99), append(ratios, d.P99/a.P99), append(firsts, long.First.Seconds())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return []Figure{
		{Name: "p99 between tokens, alone", Value: median(before), Unit: "ms"},
		{Name: fmt.Sprintf("p99 while %d tokens arrive", ArrivalPrompt), Value: median(during), Unit: "ms"},
		{Name: "  ratio", Value: median(ratios), Bound: 2, AtMost: true},
		{Name: "first token of the long prompt", Value: median(firsts), Unit: "s"},
	}, nil
}

// afterFirst holds back the arrivals after the first n until each of those has its first token.
func afterFirst(n int) Options {
	started := make(chan struct{}, n)
	return Options{
		Started: func(i int) {
			if i < n {
				started <- struct{}{}
			}
		},
		Await: func(ctx context.Context, i int) {
			if i != n {
				return
			}
			for range n {
				select {
				case <-started:
				case <-ctx.Done():
				}
			}
		},
	}
}

// gapsWithin collects the gaps of some outcomes that end within a stretch of the load's time. The requests were submitted when they
// arrived, but for what they were late.
func gapsWithin(r *Result, first, count int, from, until time.Duration) []float64 {
	var out []float64
	for i := first; i < first+count; i++ {
		o := &r.Outcomes[i]
		at := o.Arrival.At + o.Late + o.First
		for _, g := range o.Gaps {
			if at += g; at >= from && at <= until {
				out = append(out, g.Seconds())
			}
		}
	}
	return out
}
