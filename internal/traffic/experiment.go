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
	aggregatePrompt = 64  // whole pages: bare steps copy none
	aggregateOutput = 900 // longer than all turns of a real model take
	aggregateBare   = 6   // bare steps in a turn
	aggregateTurns  = 21
	aggregateTries  = 50 // a tiny model's answers can end before its first turn has
)

func aggregateOf(ctx context.Context, b *Bench, n int) ([]Figure, error) {
	var through, ratios, shares []float64
	options := engine.Options{Sequences: 2 * n, Context: aggregatePrompt + aggregateOutput + 32} // half of the memory is for bare steps
	err := b.with(options, func(e *engine.Engine) error {
		for k, tries := 0, 0; k < b.Repeats+1; tries++ {
			arrivals := make([]Arrival, n)
			for i := range arrivals {
				arrivals[i] = Arrival{Prompt: own(uint64(tries*n+i), aggregatePrompt), Output: aggregateOutput}
			}
			r, turns, err := alternate(ctx, e, arrivals, engine.BenchSpec{Generate: aggregateBare, Depth: 2 * aggregatePrompt, Sequences: n})
			if err != nil {
				return err
			}
			steps, ratio := compareTurns(r, turns)
			switch {
			case len(ratio) == 0 && tries < aggregateTries:
				continue
			case len(ratio) == 0:
				return fmt.Errorf("the answers of %d requests ended before bare steps could be held against them", n)
			}
			speed, of := float64(n)/median(steps), median(ratio)
			device := 1.0
			if all := r.After.StepTime - r.Before.StepTime; all > 0 { // counters may be a twentieth of a second old: all of a tiny model's work
				device = (r.After.DeviceTime - r.Before.DeviceTime).Seconds() / all.Seconds()
			}
			b.log("%d requests: %.1f tokens/s, %.3f of bare steps (median of %d turns, half of them from %.3f to %.3f), the device computed %.1f %% of the steps' time",
				n, speed, of, len(ratio), quantile(ratio, 0.25), quantile(ratio, 0.75), 100*device)
			if k > 0 { // the first one warms up
				through, ratios, shares = append(through, speed), append(ratios, ratio...), append(shares, 100*device)
			}
			k++
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

// alternate runs equal requests, and bare steps in turn with them from when all have begun; after some turns it cancels what still runs.
func alternate(ctx context.Context, e *engine.Engine, arrivals []Arrival, spec engine.BenchSpec) (*Result, []turn, error) {
	work, stop := context.WithCancel(ctx)
	defer stop()
	started, ended := make(chan struct{}, len(arrivals)), make(chan struct{})
	var r *Result
	var failed error
	var start time.Time
	begin := func() error {
		start = time.Now()
		go func() {
			defer close(ended)
			r, failed = Run(work, e, arrivals, Options{Started: func(int) { started <- struct{}{} }})
		}()
		for range arrivals {
			select {
			case <-started:
			case <-ended:
				return errors.Join(errors.New("the requests ended before all had begun"), failed, ctx.Err())
			}
		}
		return nil
	}
	var turns []turn
	for took, err := range e.BenchRounds(ctx, spec) {
		switch until := time.Since(start); {
		case err != nil:
			stop()
			if !start.IsZero() {
				<-ended
			}
			return nil, nil, err
		case start.IsZero(): // the first round: what lies before the bare steps has been computed by now
			if err := begin(); err != nil {
				return nil, nil, err
			}
			continue
		default:
			turns = append(turns, turn{until - took, until, took / time.Duration(spec.Generate)})
		}
		if len(turns) == aggregateTurns {
			break
		}
		select { // as long a time is the requests'
		case <-time.After(took):
			continue
		case <-ended:
		}
		break
	}
	stop()
	<-ended
	for i := range r.Outcomes {
		if o := &r.Outcomes[i]; o.Err != nil || o.Refused != "" {
			return nil, nil, errors.Join(fmt.Errorf("request %d: %s", i, o.Refused), o.Err)
		}
	}
	return r, turns, errors.Join(failed, ctx.Err())
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

// arrival: four requests decode; when all have begun, a long prompt comes. Their gaps while it is read are held against those of the same
// tokens of four requests without it: the longer answers are, the longer their steps take anyway.
func arrival(ctx context.Context, b *Bench) ([]Figure, error) {
	var ratios, firsts, before, during []float64
	err := b.with(engine.Options{Sequences: arrivalDecoding + 1, Context: ArrivalPrompt + 256}, func(e *engine.Engine) error {
		if _, err := run(ctx, e, arrivalShort(0, 50), Options{}); err != nil { // warms up, and shows the schedule what a step takes
			return err
		}
		for k := range b.Repeats {
			busy, made, first, err := arrivalBusy(ctx, e, uint64(1000*(k+1)))
			if err != nil {
				return err
			}
			quiet, err := run(ctx, e, arrivalShort(uint64(1000*(k+1)+100), made), Options{})
			if err != nil {
				return err
			}
			a, d := spread(gapsWithin(quiet, 0, arrivalDecoding, 0, math.MaxInt64)), spread(busy)
			b.log("between tokens: p50 %.1f ms, p99 %.1f ms while %d tokens are read, which took %.1f s and %d steps; %.1f and %.1f ms without them",
				1e3*d.P50, 1e3*d.P99, ArrivalPrompt, first.Seconds(), made, 1e3*a.P50, 1e3*a.P99)
			before, during, ratios, firsts = append(before, 1e3*a.P99), append(during, 1e3*d.P99), append(ratios, d.P99/a.P99), append(firsts, first.Seconds())
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

const arrivalDecoding = 4

func arrivalShort(first uint64, output int) []Arrival {
	out := make([]Arrival, arrivalDecoding)
	for i := range out {
		out[i] = Arrival{Prompt: own(first+uint64(i), 64), Output: output}
	}
	return out
}

// arrivalBusy returns the gaps of the decoding requests while the long prompt was read, how many tokens the furthest of them then had, and when
// the long prompt's first token came; then everything is cancelled.
func arrivalBusy(ctx context.Context, e *engine.Engine, base uint64) (gaps []float64, made int, first time.Duration, err error) {
	const outlasting = ArrivalPrompt + 128 // tokens: of the prompt one is read a step at least
	arrivals := append(arrivalShort(base, outlasting), Arrival{Prompt: own(base+10, ArrivalPrompt), Output: 1})
	until, stop := context.WithCancel(ctx)
	defer stop()
	o := afterFirst(arrivalDecoding)
	begun := o.Started
	o.Started = func(i int) {
		if begun(i); i == arrivalDecoding {
			stop()
		}
	}
	r, err := Run(until, e, arrivals, o)
	if err != nil {
		return nil, 0, 0, err
	}
	if err := ctx.Err(); err != nil {
		return nil, 0, 0, err
	}
	long := &r.Outcomes[arrivalDecoding]
	from := arrivals[arrivalDecoding].At + long.Late
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		switch {
		case o.Err != nil:
			return nil, 0, 0, o.Err
		case o.Refused != "":
			return nil, 0, 0, fmt.Errorf("request %d of %d prompt tokens was refused: %s", i, o.Arrival.PromptTokens(), o.Refused)
		case i < arrivalDecoding && (o.Late+o.First > from || o.Finished):
			return nil, 0, 0, fmt.Errorf("request %d did not decode all the time from %v to %v while the long prompt was read", i, from, from+long.First)
		}
		made = max(made, o.Generated)
	}
	return gapsWithin(r, 0, arrivalDecoding, from, from+long.First), made, long.First, nil
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
