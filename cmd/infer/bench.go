package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/infer-go/infer/engine"
	"github.com/infer-go/infer/kernels"
)

// benchSpread is the middle and the ends of several runs.
type benchSpread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// benchResult is one line of the report; its JSON form is what scripts read.
type benchResult struct {
	Model           string      `json:"model"`
	Type            string      `json:"type"`
	Arch            string      `json:"arch"`
	Parameters      int64       `json:"parameters"`
	Variant         string      `json:"variant"`
	Threads         int         `json:"threads"`
	Batch           int         `json:"batch"`
	Depth           int         `json:"depth"`
	Test            string      `json:"test"`
	TokensPerSecond benchSpread `json:"tokens_per_second"`
	GBPerSecond     float64     `json:"gb_per_second"`  // of weights read, generation only
	LimitShare      float64     `json:"share_of_limit"` // of the read bandwidth (generation) or integer peak (prompt)
	LimitGBs        float64     `json:"limit_gb_per_second"`
	LimitGMACs      float64     `json:"limit_gmac_per_second"`
	LoadSeconds     float64     `json:"load_seconds"`
	Runs            []float64   `json:"runs"` // tokens a second
}

// benchFlags are the tests asked for.
type benchFlags struct {
	prompt, generate, depth, sequences, runs int
	asJSON                                   bool
}

// newBench builds `infer bench`.
func newBench() *cobra.Command {
	var m modelFlags
	var b benchFlags
	var load trafficFlags
	cmd := &cobra.Command{
		Use:   "bench -m FILE",
		Short: "Measure prompt and generation speed",
		Long: "Times prompt reading (pp) and generation (tg) with random tokens, without tokenizing or sampling: one run to warm up,\n" +
			"then the median of several. The share of the limit is that of the machine's integer peak for prompts, and of its\n" +
			"read bandwidth for generation, both measured here first." + experimentHelp(),
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := load.misused(cmd); err != nil {
				return err
			}
			if load.on {
				load.asJSON = b.asJSON
				return runTraffic(cmd, &m, &load)
			}
			for name, n := range map[string]int{"--prompt": b.prompt, "--gen": b.generate, "--depth": b.depth} {
				if n < 0 {
					return usageError{fmt.Errorf("%s: found %d, expected 0 or more", name, n)}
				}
			}
			if b.sequences < 1 || b.runs < 1 {
				return usageError{fmt.Errorf("--sequences and --runs: found %d and %d, expected 1 or more", b.sequences, b.runs)}
			}
			results, err := runBench(cmd, &m, b)
			if err != nil {
				return err
			}
			if b.asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(results)
			}
			printBench(cmd, results)
			return nil
		},
	}
	m.add(cmd, true)
	load.add(cmd)
	cmd.Flags().IntVarP(&b.prompt, "prompt", "p", 512, "tokens of the prompt test; 0: none")
	cmd.Flags().IntVarP(&b.generate, "gen", "n", 128, "tokens of the generation test; 0: none")
	cmd.Flags().IntVarP(&b.depth, "depth", "d", 0, "tokens in the cache before a test starts")
	cmd.Flags().IntVarP(&b.sequences, "sequences", "b", 1, "sequences generated at once")
	cmd.Flags().IntVarP(&b.runs, "runs", "r", 5, "timed runs")
	cmd.Flags().BoolVar(&b.asJSON, "json", false, "print JSON")
	return cmd
}

func runBench(cmd *cobra.Command, m *modelFlags, b benchFlags) ([]benchResult, error) {
	var specs []engine.BenchSpec
	if b.prompt > 0 {
		specs = append(specs, engine.BenchSpec{Prompt: b.prompt, Depth: b.depth, Sequences: 1})
	}
	if b.generate > 0 {
		specs = append(specs, engine.BenchSpec{Generate: b.generate, Depth: b.depth, Sequences: b.sequences})
	}
	for _, s := range specs {
		m.options.Context = max(m.options.Context, s.BenchContext())
	}
	m.options.Sequences = b.sequences
	peaks := kernels.MeasurePeaks(m.options.Threads)
	e, err := m.open(cmd)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	results := []benchResult{}
	for _, s := range specs {
		r, err := benchOne(cmd.Context(), e, s, b.runs, peaks)
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, nil
}

// benchOne times one test.
func benchOne(ctx context.Context, e *engine.Engine, s engine.BenchSpec, runs int, peaks kernels.Peaks) (benchResult, error) {
	r := benchResult{Model: e.Path(), Type: e.Quantization(), Arch: e.Model().Arch, Parameters: e.Model().Parameters, Variant: e.Variant(),
		Threads: e.Threads(), Batch: s.Sequences, Depth: s.Depth, LoadSeconds: e.LoadTime().Seconds(),
		LimitGBs: peaks.ReadBytes / 1e9, LimitGMACs: peaks.MultiplyAdds / 1e9}
	tokens := s.Prompt + s.Generate*s.Sequences
	r.Test = fmt.Sprintf("pp%d", s.Prompt)
	warm := s
	if s.Generate > 0 {
		r.Test = fmt.Sprintf("tg%d", s.Generate)
		warm.Generate = min(s.Generate, 4)
	}
	if _, err := e.Bench(ctx, warm); err != nil {
		return r, err
	}
	for range runs {
		d, err := e.Bench(ctx, s)
		if err != nil {
			return r, err
		}
		r.Runs = append(r.Runs, float64(tokens)/d.Seconds())
	}
	sorted := slices.Sorted(slices.Values(r.Runs))
	r.TokensPerSecond = benchSpread{Median: (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2, Min: sorted[0], Max: sorted[len(sorted)-1]}
	if s.Generate > 0 {
		r.GBPerSecond = float64(e.BenchBytes()) * r.TokensPerSecond.Median / float64(s.Sequences) / 1e9
		r.LimitShare = r.GBPerSecond / r.LimitGBs
	} else if r.LimitGMACs > 0 {
		r.LimitShare = float64(e.Model().MultiplyAddsPerToken) * r.TokensPerSecond.Median / 1e9 / r.LimitGMACs
	}
	return r, nil
}

func printBench(cmd *cobra.Command, results []benchResult) {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "model\ttype\tvariant\tthreads\tbatch\tdepth\ttest\ttokens/s\tmin\tmax\tGB/s\tof limit\t")
	for _, r := range results {
		gb := "-"
		if r.GBPerSecond > 0 {
			gb = fmt.Sprintf("%.1f", r.GBPerSecond)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%s\t%.1f\t%.1f\t%.1f\t%s\t%.0f %%\t\n", r.Arch, r.Type, r.Variant, r.Threads, r.Batch, r.Depth, r.Test,
			r.TokensPerSecond.Median, r.TokensPerSecond.Min, r.TokensPerSecond.Max, gb, 100*r.LimitShare)
	}
	w.Flush()
	if len(results) > 0 {
		fmt.Fprintf(cmd.OutOrStdout(), "limits measured with %d threads: %.1f GB/s read, %.0f GMAC/s of 8-bit integers; loaded in %.2f s\n",
			results[0].Threads, results[0].LimitGBs, results[0].LimitGMACs, results[0].LoadSeconds)
	}
}
