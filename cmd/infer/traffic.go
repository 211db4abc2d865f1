package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/infer-go/infer/engine"
	"github.com/infer-go/infer/engine/schedule"
	"github.com/infer-go/infer/internal/bench"
	"github.com/infer-go/infer/internal/traffic"
)

// trafficFlags are bench's flags for load in place of single tests.
type trafficFlags struct {
	on         bool
	rate       float64
	requests   int
	prompt     string
	output     string
	prefix     int
	groups     int
	lanes      string
	seed       uint64
	trace      string
	scale      traffic.Scale
	noReuse    bool
	running    int
	cache      string
	targetITL  time.Duration
	targets    traffic.Targets
	experiment string
	repeats    int
	names      []string // of these flags
}

func (t *trafficFlags) add(cmd *cobra.Command) {
	f := pflag.NewFlagSet("traffic", pflag.ContinueOnError)
	f.Float64Var(&t.rate, "rate", 1, "requests a second, in the mean, at random times")
	f.IntVar(&t.requests, "requests", 0, "requests in all (default 50; of a trace: all)")
	f.StringVar(&t.prompt, "prompt-tokens", "128-512", "prompt length, or LOW-HIGH")
	f.StringVar(&t.output, "output-tokens", "32-128", "answer length, or LOW-HIGH")
	f.IntVar(&t.prefix, "prefix", 0, "tokens of a prompt that others share")
	f.IntVar(&t.groups, "prefix-groups", 1, "different shared prefixes")
	f.StringVar(&t.lanes, "lanes", "", "shares of the lanes, as online=7,micro-batch=1,batch=2 (default: all online)")
	f.Uint64Var(&t.seed, "seed", 1, "of the random load")
	f.StringVar(&t.trace, "trace", "", "replay a trace instead: Mooncake's .jsonl or Azure's .csv")
	f.IntVar(&t.scale.Skip, "skip", 0, "requests of the trace to leave out at its beginning")
	f.Float64Var(&t.scale.Lengths, "scale-lengths", 0, "multiply the trace's lengths by this (default 1)")
	f.Float64Var(&t.scale.Time, "scale-time", 0, "multiply the times between its requests by this (default 1)")
	f.BoolVar(&t.noReuse, "no-reuse", false, "let requests share nothing in the cache")
	f.IntVar(&t.running, "running", 8, "answers generated at the same time at most")
	f.StringVar(&t.cache, "cache", "", "memory of the cache, as 2GiB or 40% (default: room for --running answers of full length)")
	f.DurationVar(&t.targetITL, "target-itl", 0, "the schedule's target for the time between tokens of online answers; 0: none")
	f.DurationVar(&t.targets.First, "good-ttft", 0, "goodput: time to first token that is accepted; 0: any")
	f.DurationVar(&t.targets.Gap, "good-itl", 0, "goodput: mean time between an answer's tokens that is accepted; 0: any")
	f.StringVar(&t.experiment, "experiment", "", "measure one question about the scheduler: "+strings.Join(experimentNames(), ", ")+" or all")
	f.IntVar(&t.repeats, "repeats", 3, "measurements of an experiment, whose median counts")
	f.VisitAll(func(flag *pflag.Flag) { t.names = append(t.names, flag.Name) })
	cmd.Flags().BoolVar(&t.on, "traffic", false, "measure under load: requests that arrive by a clock of their own")
	cmd.Flags().AddFlagSet(f)
}

// misused names a flag that means nothing without --traffic.
func (t *trafficFlags) misused(cmd *cobra.Command) error {
	for _, name := range t.names {
		if cmd.Flags().Changed(name) && !t.on {
			return usageError{fmt.Errorf("--%s: only with --traffic", name)}
		}
	}
	return nil
}

func experimentNames() []string {
	var names []string
	for _, e := range traffic.Experiments {
		names = append(names, e.Name)
	}
	return names
}

const trafficHelp = `

With --traffic requests arrive by a clock of their own (Poisson, or a trace), whether earlier ones have ended or not. Reported are
time to first token, time between tokens and total time in quantiles, throughput, goodput under --good-ttft and --good-itl, cache
hits, refusals and preemptions, a lane. The clock stops with Ctrl-C, and what was measured is printed. --experiment answers one
question about the scheduler with the bound beside the figure:
`

func experimentHelp() string {
	var b strings.Builder
	b.WriteString(trafficHelp)
	for _, e := range traffic.Experiments {
		fmt.Fprintf(&b, "  %-10s %s\n", e.Name, e.What)
	}
	return b.String()
}

// run measures under load. Of bench's other flags the model, the threads and the format count.
func (t *trafficFlags) run(cmd *cobra.Command, m *modelFlags, b *benchFlags) error {
	if err := onlyFormat(b.format, "table", "json"); err != nil {
		return err
	}
	threads, err := bench.ParseCounts(b.threads, 0)
	if err != nil || len(threads) != 1 || len(b.models) != 1 {
		return usageError{fmt.Errorf("--traffic: found models %v and threads %q, expected one of each", b.models, b.threads)}
	}
	m.path, m.options.Threads = b.models[0], threads[0]
	asJSON := b.format == "json"
	if t.running < 1 || t.repeats < 1 || t.requests < 0 {
		return usageError{fmt.Errorf("--running, --repeats and --requests: found %d, %d and %d, expected 1, 1 and 0 or more", t.running, t.repeats, t.requests)}
	}
	if t.experiment != "" {
		return runExperiments(cmd, m, t, asJSON)
	}
	arrivals, err := t.arrivals()
	if err != nil {
		return err
	}
	for i := range arrivals {
		m.options.Context = max(m.options.Context, arrivals[i].PromptTokens()+arrivals[i].Output)
	}
	m.options.Sequences, m.options.Cache, m.options.TargetITL = t.running, t.cache, t.targetITL
	m.options.Queue = max(engine.DefaultQueue, len(arrivals))
	e, err := m.open(cmd)
	if err != nil {
		return err
	}
	defer e.Close()
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	fmt.Fprintf(cmd.ErrOrStderr(), "infer: %d requests over %.1f s\n", len(arrivals), arrivals[len(arrivals)-1].At.Seconds())
	result, err := traffic.Run(ctx, e, arrivals, traffic.Options{NoReuse: t.noReuse})
	if err != nil {
		return err
	}
	report := traffic.Summarize(result, t.targets)
	if asJSON {
		return writeJSON(cmd.OutOrStdout(), report)
	}
	report.Print(cmd.OutOrStdout())
	return nil
}

func writeJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", " ")
	return enc.Encode(v)
}

// arrivals makes the load that the flags describe.
func (t *trafficFlags) arrivals() ([]traffic.Arrival, error) {
	if t.trace != "" {
		t.scale.Requests = t.requests
		return traffic.ReadTraceFile(t.trace, t.scale)
	}
	load := traffic.Load{Rate: t.rate, Requests: t.requests, Prefix: t.prefix, Groups: t.groups, Seed: t.seed}
	if load.Requests == 0 {
		load.Requests = 50
	}
	var err error
	if load.Prompt, err = parseRange("--prompt-tokens", t.prompt); err != nil {
		return nil, err
	}
	if load.Output, err = parseRange("--output-tokens", t.output); err != nil {
		return nil, err
	}
	if load.Lanes, err = parseLanes(t.lanes); err != nil {
		return nil, err
	}
	arrivals, err := traffic.Poisson(load)
	if err != nil {
		return nil, usageError{err}
	}
	return arrivals, nil
}

func parseRange(flag, s string) (traffic.Range, error) {
	low, high, both := strings.Cut(s, "-")
	if !both {
		high = low
	}
	a, err1 := strconv.Atoi(low)
	b, err2 := strconv.Atoi(high)
	if err1 != nil || err2 != nil || a < 1 || b < a {
		return traffic.Range{}, usageError{fmt.Errorf("%s: found %q, expected a number of tokens, or LOW-HIGH", flag, s)}
	}
	return traffic.Range{Low: a, High: b}, nil
}

func parseLanes(s string) ([]traffic.LaneShare, error) {
	if s == "" {
		return nil, nil
	}
	var out []traffic.LaneShare
	all := []schedule.Lane{schedule.Online, schedule.MicroBatch, schedule.Batch}
	for _, part := range strings.Split(s, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		share, err := strconv.ParseFloat(value, 64)
		at := slices.IndexFunc(all, func(l schedule.Lane) bool { return l.String() == name })
		if err != nil || share < 0 || at < 0 {
			return nil, usageError{fmt.Errorf("--lanes: found %q, expected LANE=SHARE with a lane of %v", part, all)}
		}
		out = append(out, traffic.LaneShare{Lane: all[at], Share: share})
	}
	return out, nil
}

// experimentResult is an experiment's JSON form.
type experimentResult struct {
	Experiment string           `json:"experiment"`
	What       string           `json:"what"`
	Model      string           `json:"model"`
	Figures    []traffic.Figure `json:"figures"`
}

func runExperiments(cmd *cobra.Command, m *modelFlags, t *trafficFlags, asJSON bool) error {
	chosen := slices.Clone(traffic.Experiments)
	if t.experiment != "all" {
		chosen = slices.DeleteFunc(chosen, func(e traffic.Experiment) bool { return e.Name != t.experiment })
	}
	if len(chosen) == 0 {
		return usageError{fmt.Errorf("--experiment: found %q, expected %s or all", t.experiment, strings.Join(experimentNames(), ", "))}
	}
	path, err := modelPath(cmd, m.path)
	if err != nil {
		return err
	}
	setup := &traffic.Bench{Repeats: t.repeats, Trace: t.trace, Scale: t.scale, Log: cmd.ErrOrStderr(),
		Open: func(o engine.Options) (*engine.Engine, error) {
			opened := *m
			own := opened.options
			o.Device, o.Threads, o.Variant, o.CacheType, o.NoRepack, o.Backend, o.PreTokenizer = own.Device, own.Threads, own.Variant, own.CacheType, own.NoRepack, own.Backend, own.PreTokenizer
			opened.options = o
			return opened.openPath(cmd, path)
		}}
	if t.requests > 0 {
		setup.Scale.Requests = t.requests
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	results := []experimentResult{}
	for _, e := range chosen {
		if e.Name == "reuse" && setup.Trace == "" && t.experiment == "all" {
			fmt.Fprintln(cmd.ErrOrStderr(), "infer: reuse is left out: it needs --trace")
			continue
		}
		if err := runExperiment(ctx, cmd, setup, e, path, asJSON, &results); err != nil {
			return err
		}
	}
	if asJSON {
		return writeJSON(cmd.OutOrStdout(), results)
	}
	return nil
}

func runExperiment(ctx context.Context, cmd *cobra.Command, b *traffic.Bench, e traffic.Experiment, path string, asJSON bool, results *[]experimentResult) error {
	fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", e.Name, e.What)
	figures, err := e.Run(ctx, b)
	if err != nil {
		return fmt.Errorf("experiment %s: %w", e.Name, err)
	}
	*results = append(*results, experimentResult{e.Name, e.What, path, figures})
	if !asJSON {
		fmt.Fprintf(cmd.OutOrStdout(), "%s\n", e.Name)
		traffic.PrintFigures(cmd.OutOrStdout(), figures)
	}
	return nil
}
