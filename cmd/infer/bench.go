package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/infer-go/infer/engine"
	"github.com/infer-go/infer/internal/bench"
	"github.com/infer-go/infer/internal/topology"
	"github.com/infer-go/infer/kernels"
)

// benchFlags are the tests asked for.
type benchFlags struct {
	models                                             []string
	prompt, generate, depth, sequences, threads, pairs string
	runs                                               int
	format, against                                    string
	asJSON, progress                                   bool
}

const benchHelp = `Times prompt reading (pp) and generation (tg) with random tokens, without tokenizing or sampling: one run to warm up, then several.
Every number can be a list (512,1024) or a range (128-512+128 in steps, 512-8192*2 by factors); every combination is measured, for
every model and number of threads, and printed as soon as it is there. Test names are llama-bench's: pp512, tg128 @ d4096 (with so
many tokens in the cache before), pp512+tg128; x8 stands for eight sequences at once. The share of the limit is that of the machine's
peak of multiply-adds, or of its read bandwidth, both measured here first.`

// newBench builds `infer bench`.
func newBench() *cobra.Command {
	var m modelFlags
	var b benchFlags
	var load trafficFlags
	cmd := &cobra.Command{
		Use:   "bench -m FILE",
		Short: "Measure prompt and generation speed, alone and under load",
		Long:  benchHelp + experimentHelp(),
		Example: "  infer bench -m model.gguf\n" +
			"  infer bench -m a.gguf,b.gguf -p 512 -n 64 -d 0,4096 -t 1,2 -o md\n" +
			"  llama-bench -m model.gguf -o json >theirs.json; infer bench -m model.gguf --against theirs.json\n" +
			"  infer bench --traffic -m model.gguf --rate 2 --good-ttft 500ms",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if b.asJSON {
				b.format = "json"
			}
			if err := load.misused(cmd); err != nil {
				return err
			}
			if load.on {
				return load.run(cmd, &m, &b)
			}
			return b.run(cmd, &m)
		},
	}
	f := cmd.Flags()
	f.StringSliceVarP(&b.models, "model", "m", nil, "GGUF file, or a model's name (see infer pull); several separated by commas")
	if err := cmd.MarkFlagRequired("model"); err != nil {
		panic(err) // a flag that was just defined
	}
	m.addCompute(cmd)
	load.add(cmd)
	f.StringVarP(&b.threads, "threads", "t", "0", "threads; 0: one a core")
	f.StringVarP(&b.prompt, "prompt", "p", "512", "tokens of the prompt tests; 0: none")
	f.StringVarP(&b.generate, "gen", "n", "128", "tokens of the generation tests; 0: none")
	f.StringVar(&b.pairs, "pg", "", "prompt and generated tokens of tests that do both: 512,128;1024,64")
	f.StringVarP(&b.depth, "depth", "d", "0", "tokens in the cache before a test starts")
	f.StringVarP(&b.sequences, "sequences", "b", "1", "sequences generated at once")
	f.IntVarP(&b.runs, "runs", "r", 5, "timed runs")
	f.StringVarP(&b.format, "output", "o", "table", "format: "+strings.Join(bench.Formats, ", "))
	f.StringVar(&b.against, "against", "", "hold the results against those in a file: llama-bench's JSON or JSON lines, or ours")
	f.BoolVar(&b.asJSON, "json", false, "the same as -o json")
	f.BoolVar(&b.progress, "progress", false, "say on standard error what is being measured")
	return cmd
}

// benchPlan is what the flags ask for, parsed.
type benchPlan struct {
	tests   []bench.Test
	threads []int
	peers   []bench.Peer
}

func (b *benchFlags) plan() (benchPlan, error) {
	var p benchPlan
	var m bench.Matrix
	for _, l := range []struct {
		flag, text string
		least      int
		out        *[]int
	}{{"--prompt", b.prompt, 0, &m.Prompts}, {"--gen", b.generate, 0, &m.Generates}, {"--depth", b.depth, 0, &m.Depths},
		{"--sequences", b.sequences, 1, &m.Sequences}, {"--threads", b.threads, 0, &p.threads}} {
		var err error
		if *l.out, err = bench.ParseCounts(l.text, l.least); err != nil {
			return p, usageError{fmt.Errorf("%s: %w", l.flag, err)}
		}
	}
	var err error
	if m.Pairs, err = bench.ParsePairs(b.pairs); err != nil {
		return p, usageError{fmt.Errorf("--pg: %w", err)}
	}
	if p.tests = m.Tests(); len(p.tests) == 0 {
		return p, usageError{errors.New("nothing to measure: --prompt and --gen are 0")}
	}
	if b.runs < 1 {
		return p, usageError{fmt.Errorf("--runs: found %d, expected 1 or more", b.runs)}
	}
	if b.against != "" {
		p.peers, err = bench.ReadPeer(b.against)
	}
	return p, err
}

func (b *benchFlags) run(cmd *cobra.Command, m *modelFlags) error {
	plan, err := b.plan()
	if err != nil {
		return err
	}
	out, err := bench.NewWriter(b.format, cmd.OutOrStdout())
	if err != nil {
		return usageError{fmt.Errorf("--output: %w", err)}
	}
	forPeople := b.format == "table" || b.format == "md"
	var results []bench.Result
	var notes []string
	for _, threads := range plan.threads {
		if threads == 0 {
			threads = topology.Threads()
		}
		limits := benchLimits(threads)
		if forPeople {
			notes = append(notes, limits.note(threads))
		}
		for _, model := range b.models {
			own := *m
			own.path, own.options.Threads = model, threads
			err := b.measureModel(cmd, &own, plan.tests, limits, func(r *bench.Result) error {
				results = append(results, *r)
				return out.Write(r)
			})
			if err != nil {
				return errors.Join(err, out.Close())
			}
			last := &results[len(results)-1]
			notes = append(notes, fmt.Sprintf("%s, %d threads: open in %.2f s; %s resident then, %s at most", last.Base(), threads, last.LoadSeconds,
				bench.Bytes(last.OpenBytes), bench.Bytes(last.PeakBytes)))
		}
	}
	if err := out.Close(); err != nil {
		return err
	}
	if forPeople {
		fmt.Fprintf(cmd.OutOrStdout(), "\ninfer %s, %s\n%s\n", bench.Version(), bench.CPUName(), strings.Join(notes, "\n"))
	}
	if plan.peers != nil {
		where := cmd.OutOrStdout()
		if !forPeople {
			where = cmd.ErrOrStderr() // the results stay readable for programs
		}
		compared, alone := bench.Compare(results, plan.peers)
		fmt.Fprintf(where, "\nagainst %s:\n", b.against)
		bench.PrintCompared(where, compared, alone)
		if len(compared) == 0 {
			return fmt.Errorf("%s: no test in common with it", b.against)
		}
	}
	return nil
}

// machineLimits are the measured limits with a number of threads.
type machineLimits struct{ kernels.Peaks }

func benchLimits(threads int) machineLimits { return machineLimits{kernels.MeasurePeaks(threads)} }

// of returns the limits of a CPU variant.
func (l machineLimits) of(variant string) bench.Limits {
	limits := bench.Limits{Int8: l.MultiplyAdds, BF16: l.BF16, F32: l.F32, Read: l.ReadBytes}
	if strings.HasPrefix(variant, "amx") {
		limits.Int8, limits.BF16 = l.MatrixInt8, l.MatrixBF16
	}
	return limits
}

func (l machineLimits) note(threads int) string {
	parts := []string{fmt.Sprintf("%.1f GB/s read", l.ReadBytes/1e9)}
	for _, p := range []struct {
		name  string
		value float64
	}{{"8-bit integers", l.MultiplyAdds}, {"bf16", l.BF16}, {"f32", l.F32}, {"8-bit integers by the matrix unit", l.MatrixInt8}, {"bf16 by it", l.MatrixBF16}} {
		if p.value > 0 {
			parts = append(parts, fmt.Sprintf("%.0f G multiply-adds/s of %s", p.value/1e9, p.name))
		}
	}
	return fmt.Sprintf("limits with %d threads: %s", threads, strings.Join(parts, ", "))
}

// measureModel opens a model for all tests and hands the results out one by one.
func (b *benchFlags) measureModel(cmd *cobra.Command, m *modelFlags, tests []bench.Test, limits machineLimits, each func(*bench.Result) error) error {
	for _, t := range tests {
		m.options.Context = max(m.options.Context, t.Depth+t.Prompt+t.Generate+kernels.PageTokens) // each run copies the page in which the depth ends
		m.options.Sequences = max(m.options.Sequences, t.Sequences)
	}
	runtime.GC()
	bench.ResetPeak()
	e, err := m.open(cmd)
	if err != nil {
		return err
	}
	defer e.Close()
	opened, _ := bench.Memory()
	for _, t := range tests {
		if b.progress {
			fmt.Fprintf(cmd.ErrOrStderr(), "infer: %s, %d threads: %s\n", m.path, m.options.Threads, t.Name())
		}
		times, err := benchTimes(cmd.Context(), e, t, b.runs)
		if err != nil {
			return fmt.Errorf("%s: %w", t.Name(), err)
		}
		r := describeEngine(e, m)
		r.OpenBytes = opened
		_, r.PeakBytes = bench.Memory()
		r.Measure(t, times)
		if e.OnCPU() { // whose limits were measured
			r.Hold(limits.of(e.Variant()), multiplyKind(e, m))
		}
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}

// benchTimes warms up and times a test.
func benchTimes(ctx context.Context, e *engine.Engine, t bench.Test, runs int) ([]time.Duration, error) {
	spec := engine.BenchSpec{Prompt: t.Prompt, Generate: t.Generate, Depth: t.Depth, Sequences: t.Sequences}
	warm := spec
	warm.Depth, warm.Generate = 0, min(t.Generate, 4)
	if _, err := e.Bench(ctx, warm); err != nil {
		return nil, err
	}
	var times []time.Duration
	for d, err := range e.BenchRounds(ctx, spec) {
		if err != nil {
			return nil, err
		}
		if times = append(times, d); len(times) == runs {
			break
		}
	}
	return times, nil
}

func describeEngine(e *engine.Engine, m *modelFlags) *bench.Result {
	model := e.Model()
	cacheType := m.options.CacheType
	if cacheType == "" {
		cacheType = "f16"
	}
	return &bench.Result{Engine: "infer", Version: bench.Version(), CPU: bench.CPUName(), Variant: e.Variant(), Filename: e.Path(),
		Model: strings.TrimSpace(model.Arch + " " + e.Quantization()), Size: e.WeightBytes(), Params: model.Parameters, Threads: e.Threads(),
		TypeK: cacheType, TypeV: cacheType, UseMmap: m.options.NoRepack, Time: time.Now().UTC().Format(time.RFC3339),
		MultiplyAdd: float64(model.MultiplyAddsPerToken), ReadBytes: float64(e.BenchBytes()), LoadSeconds: e.LoadTime().Seconds()}
}

// multiplyKind is the kind of multiply-adds that most of a model's weights take.
func multiplyKind(e *engine.Engine, m *modelFlags) string {
	switch t := e.Quantization(); {
	case (t == "BF16" || t == "F16" && m.options.RoundF16) && (strings.HasSuffix(e.Variant(), "bf16") || strings.HasPrefix(e.Variant(), "amx")):
		return "bf16"
	case slices.Contains([]string{"BF16", "F16", "F32"}, t):
		return "f32"
	}
	return "int8"
}

// onlyFormat refuses formats that a report does not have.
func onlyFormat(format string, known ...string) error {
	if slices.Contains(known, format) {
		return nil
	}
	return usageError{fmt.Errorf("--output: found %q, expected one of %s here", format, strings.Join(known, ", "))}
}
