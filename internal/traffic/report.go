package traffic

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"gonum.org/v1/gonum/stat"

	"github.com/infer-go/infer/engine/schedule"
)

// Spread is a distribution of times, in seconds.
type Spread struct {
	Count int     `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

// spread sorts seconds. A quantile is the least value that so large a share of the values does not exceed.
func spread(seconds []float64) Spread {
	if len(seconds) == 0 {
		return Spread{}
	}
	slices.Sort(seconds)
	q := func(p float64) float64 { return stat.Quantile(p, stat.Empirical, seconds, nil) }
	return Spread{Count: len(seconds), Mean: stat.Mean(seconds, nil), P50: q(0.5), P95: q(0.95), P99: q(0.99), Max: seconds[len(seconds)-1]}
}

// Targets are what an answer must keep to count as good: times a user would accept. 0: any.
type Targets struct {
	First time.Duration // time to first token
	Gap   time.Duration // mean time between two tokens of the answer
}

func (t Targets) met(o *Outcome) bool {
	if !o.Finished || t.First > 0 && o.First > t.First {
		return false
	}
	n := time.Duration(len(o.Gaps))
	return t.Gap == 0 || n == 0 || (o.Total-o.First)/n <= t.Gap
}

// Summary is what was measured of all requests, or of a lane's.
type Summary struct {
	Lane      string         `json:"lane"` // "all", or the lane's name
	Requests  int            `json:"requests"`
	Finished  int            `json:"finished"`
	Cancelled int            `json:"cancelled"`
	Failed    int            `json:"failed"`
	Refused   map[string]int `json:"refused,omitempty"`          // by reason
	RetryIn   *Spread        `json:"retry_in_seconds,omitempty"` // what refusals advised
	Errors    map[string]int `json:"errors,omitempty"`           // of the failed ones
	Preempted int            `json:"preemptions"`                // of finished ones

	TTFT  Spread `json:"ttft_seconds"`
	ITL   Spread `json:"itl_seconds"`
	Total Spread `json:"total_seconds"`

	RequestsPerSecond  float64 `json:"requests_per_second"` // finished ones
	PromptPerSecond    float64 `json:"prompt_tokens_per_second"`
	GeneratedPerSecond float64 `json:"generated_tokens_per_second"`
	Good               int     `json:"good"` // finished within the targets
	Goodput            float64 `json:"goodput_requests_per_second"`

	PromptTokens    int     `json:"prompt_tokens"` // of finished requests
	CachedTokens    int     `json:"cached_tokens"`
	GeneratedTokens int     `json:"generated_tokens"`
	HitRate         float64 `json:"hit_rate"`
}

// Report is a load's measurement.
type Report struct {
	Seconds     float64   `json:"seconds"`
	Complete    bool      `json:"complete"` // false: it was ended before all had arrived
	TargetTTFT  float64   `json:"target_ttft_seconds"`
	TargetITL   float64   `json:"target_itl_seconds"`
	Late        Spread    `json:"late_seconds"` // submissions, by the load's clock
	Preemptions uint64    `json:"preemptions"`
	Steps       uint64    `json:"steps"`
	HostPerStep float64   `json:"host_seconds_per_step"`
	Lanes       []Summary `json:"lanes"` // all first
}

// Summarize reports a result.
func Summarize(r *Result, t Targets) *Report {
	out := &Report{Seconds: r.Took.Seconds(), Complete: r.Sent == len(r.Outcomes), TargetTTFT: t.First.Seconds(), TargetITL: t.Gap.Seconds(),
		Preemptions: r.After.Preemptions - r.Before.Preemptions, Steps: r.After.Steps - r.Before.Steps}
	if out.Steps > 0 {
		out.HostPerStep = (r.After.HostTime - r.Before.HostTime).Seconds() / float64(out.Steps)
	}
	sent := r.Outcomes[:r.Sent]
	var late []float64
	lanes := map[schedule.Lane]bool{}
	for i := range sent {
		late = append(late, sent[i].Late.Seconds())
		lanes[sent[i].Arrival.Lane] = true
	}
	out.Late = spread(late)
	out.Lanes = append(out.Lanes, summarize("all", sent, r.Took, t, func(*Outcome) bool { return true }))
	for lane := range schedule.Lane(3) {
		if lanes[lane] && len(lanes) > 1 {
			out.Lanes = append(out.Lanes, summarize(lane.String(), sent, r.Took, t, func(o *Outcome) bool { return o.Arrival.Lane == lane }))
		}
	}
	return out
}

func summarize(name string, outcomes []Outcome, took time.Duration, t Targets, want func(*Outcome) bool) Summary {
	s := Summary{Lane: name, Refused: map[string]int{}, Errors: map[string]int{}}
	var first, gaps, total, retry []float64
	for i := range outcomes {
		o := &outcomes[i]
		if !want(o) {
			continue
		}
		s.Requests++
		switch {
		case o.Refused != "":
			s.Refused[o.Refused]++
			if o.RetryIn > 0 {
				retry = append(retry, o.RetryIn.Seconds())
			}
		case o.Cancelled:
			s.Cancelled++
		case o.Err != nil || !o.Finished:
			s.Failed++
			s.Errors[fmt.Sprint(o.Err)]++
		default:
			s.Finished++
			s.PromptTokens += o.Prompt
			s.CachedTokens += o.Cached
			s.GeneratedTokens += o.Generated
			s.Preempted += o.Preempted
			total = append(total, o.Total.Seconds())
		}
		if o.Generated > 0 { // the waits of those that were cancelled later are no less true
			first = append(first, o.First.Seconds())
		}
		for _, g := range o.Gaps {
			gaps = append(gaps, g.Seconds())
		}
		if t.met(o) {
			s.Good++
		}
	}
	s.TTFT, s.ITL, s.Total = spread(first), spread(gaps), spread(total)
	if len(retry) > 0 {
		advised := spread(retry)
		s.RetryIn = &advised
	}
	if seconds := took.Seconds(); seconds > 0 {
		s.RequestsPerSecond, s.Goodput = float64(s.Finished)/seconds, float64(s.Good)/seconds
		s.PromptPerSecond, s.GeneratedPerSecond = float64(s.PromptTokens)/seconds, float64(s.GeneratedTokens)/seconds
	}
	if s.PromptTokens > 0 {
		s.HitRate = float64(s.CachedTokens) / float64(s.PromptTokens)
	}
	return s
}

// Print writes a report as tables.
func (r *Report) Print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	ms := func(seconds float64) string { return fmt.Sprintf("%.1f", 1e3*seconds) }
	fmt.Fprintln(w, "lane\trequests\tfinished\trefused\tcancelled\tfailed\trequests/s\tprompt tokens/s\ttokens/s\tcache hits\tpreempted\tgood\t")
	for _, s := range r.Lanes {
		refused := 0
		for _, n := range s.Refused {
			refused += n
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%.2f\t%.1f\t%.1f\t%.1f %%\t%d\t%d (%.2f/s)\t\n", s.Lane, s.Requests, s.Finished, refused, s.Cancelled, s.Failed,
			s.RequestsPerSecond, s.PromptPerSecond, s.GeneratedPerSecond, 100*s.HitRate, s.Preempted, s.Good, s.Goodput)
	}
	w.Flush()
	fmt.Fprintln(w, "\nlane\tms\tcount\tmean\tp50\tp95\tp99\tmax\t")
	for _, s := range r.Lanes {
		for _, row := range []struct {
			name string
			Spread
		}{{"first token", s.TTFT}, {"between tokens", s.ITL}, {"whole answer", s.Total}} {
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t\n", s.Lane, row.name, row.Count, ms(row.Mean), ms(row.P50), ms(row.P95), ms(row.P99), ms(row.Max))
		}
	}
	w.Flush()
	fmt.Fprintf(out, "\n%.1f s; %d steps, %.0f us of host work each; %d preemptions; requests were sent %.1f ms late at p99\n",
		r.Seconds, r.Steps, 1e6*r.HostPerStep, r.Preemptions, 1e3*r.Late.P99)
	if s := r.Lanes[0]; len(s.Refused)+len(s.Errors) > 0 {
		for _, reason := range slices.Sorted(maps.Keys(s.Refused)) {
			fmt.Fprintf(out, "refused: %d, %s\n", s.Refused[reason], reason)
		}
		if s.RetryIn != nil {
			fmt.Fprintf(out, "refusals advised to come again in %.1f s at p50, %.1f at most\n", s.RetryIn.P50, s.RetryIn.Max)
		}
		for _, err := range slices.Sorted(maps.Keys(s.Errors)) {
			fmt.Fprintf(out, "failed: %d, %s\n", s.Errors[err], err)
		}
	}
	if !r.Complete {
		fmt.Fprintln(out, "ended early: not all requests had arrived")
	}
}
