package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/engine/quantize"
	"github.com/infer-go/infer/kernels"
)

// quantizeFlags are the flags of `infer quantize`.
type quantizeFlags struct {
	options           quantize.Options
	importance        string
	output, embedding string
	overrides         []string
	asJSON, dryRun    bool
}

// quantizeReport is the JSON form of a result.
type quantizeReport struct {
	Input   string  `json:"input"`
	Output  string  `json:"output"`
	Seconds float64 `json:"seconds"`
	quantize.Report
}

// newQuantize builds `infer quantize`.
func newQuantize() *cobra.Command {
	var q quantizeFlags
	var names []string
	for _, m := range quantize.Mixes() {
		names = append(names, m.Name)
	}
	cmd := &cobra.Command{
		Use:   "quantize IN OUT TYPE",
		Short: "Write a GGUF file with smaller weights",
		Long: "Writes the model IN (a GGUF file, or the first part of a split set) to OUT with the weights of TYPE: one of\n" +
			strings.Join(names, ", ") + ".\n" +
			"The types ending in _S, _M and _L spend more bits on the matrices that need them. OUT appears when it is complete.",
		Args: usageArgs(cobra.ExactArgs(3)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := q.parse(args[2]); err != nil {
				return usageError{err}
			}
			return q.run(cmd, args[0], args[1])
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&q.options.AllowRequantize, "allow-requantize", false, "convert weights that are quantized already; costs quality")
	flags.StringVar(&q.importance, "imatrix", "", "importance of the columns: a GGUF file as llama.cpp's imatrix tool writes")
	flags.BoolVar(&q.options.Pure, "pure", false, "TYPE's base for every matrix, without the mix's exceptions")
	flags.BoolVar(&q.options.KeepOutput, "leave-output-tensor", false, "keep output.weight as it is")
	flags.StringVar(&q.output, "output-tensor-type", "", "data type of output.weight")
	flags.StringVar(&q.embedding, "token-embedding-type", "", "data type of the token embeddings")
	flags.StringArrayVar(&q.overrides, "tensor-type", nil,
		"PATTERN=TYPE: data type of the tensors whose names match a regular expression; may be repeated")
	flags.IntVarP(&q.options.Threads, "threads", "t", 0, "threads; 0: one a core")
	flags.BoolVar(&q.dryRun, "dry-run", false, "print what would be written")
	flags.BoolVar(&q.asJSON, "json", false, "report each tensor's type, size and error as JSON")
	return cmd
}

func (q *quantizeFlags) parse(mix string) (err error) {
	if q.options.Mix, err = quantize.ParseMix(mix); err != nil {
		return err
	}
	if q.options.OutputType, err = optionalType("--output-tensor-type", q.output); err != nil {
		return err
	}
	if q.options.EmbeddingType, err = optionalType("--token-embedding-type", q.embedding); err != nil {
		return err
	}
	for _, text := range q.overrides {
		pattern, name, ok := strings.Cut(text, "=")
		if !ok {
			return fmt.Errorf("--tensor-type %q: expected PATTERN=TYPE", text)
		}
		expression, err := regexp.Compile(pattern)
		if err != nil {
			return fmt.Errorf("--tensor-type: %w", err)
		}
		t, err := optionalType("--tensor-type", name)
		if err != nil || t == nil {
			return errors.Join(err, fmt.Errorf("--tensor-type %q: expected PATTERN=TYPE", text))
		}
		q.options.Overrides = append(q.options.Overrides, quantize.Override{Pattern: expression, Type: *t})
	}
	return nil
}

// optionalType reads a data type that can be written; nil where the flag is not given.
func optionalType(flag, name string) (*kernels.DType, error) {
	if name == "" {
		return nil, nil
	}
	t, err := kernels.ParseDType(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	if !t.Quantizable() {
		return nil, fmt.Errorf("%s: quantizing to %s is not supported", flag, t)
	}
	return &t, nil
}

func (q *quantizeFlags) run(cmd *cobra.Command, in, out string) error {
	if q.importance != "" {
		importance, err := quantize.ReadImportance(q.importance)
		if err != nil {
			return err
		}
		q.options.Importance = importance
	}
	f, err := gguf.Open(in)
	if err != nil {
		return err
	}
	defer f.Close()
	if q.dryRun {
		return q.printPlan(cmd.OutOrStdout(), f)
	}
	start := time.Now()
	q.options.Measure = q.asJSON
	q.options.Progress = progressLine(cmd.ErrOrStderr(), start)
	report, err := quantize.Model(cmd.Context(), f, out, q.options)
	if err != nil {
		q.options.Progress(quantize.Progress{})
		return explainQuantize(err)
	}
	seconds := time.Since(start).Seconds()
	if q.asJSON {
		encoder := json.NewEncoder(cmd.OutOrStdout())
		encoder.SetIndent("", " ")
		return encoder.Encode(quantizeReport{in, out, seconds, report})
	}
	printSummary(cmd.OutOrStdout(), out, seconds, report)
	return nil
}

// explainQuantize names the flag that would help.
func explainQuantize(err error) error {
	if errors.Is(err, quantize.ErrQuantized) {
		return fmt.Errorf("%w; start from the original weights, or accept the loss with --allow-requantize", err)
	}
	return err
}

// progressLine rewrites one line of a terminal; elsewhere it prints nothing.
func progressLine(out io.Writer, start time.Time) func(quantize.Progress) {
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return func(quantize.Progress) {}
	}
	return func(p quantize.Progress) {
		if p.Tensor == "" {
			fmt.Fprint(out, "\r\033[K")
			return
		}
		speed := float64(p.Done) / 1e6 / max(time.Since(start).Seconds(), 1e-3)
		fmt.Fprintf(out, "\r\033[K%3d %%  %.0f of %.0f MB  %.0f MB/s  %s", 100*p.Done/max(p.Total, 1),
			float64(p.Done)/1e6, float64(p.Total)/1e6, speed, p.Tensor)
	}
}

func printSummary(out io.Writer, path string, seconds float64, r quantize.Report) {
	fmt.Fprintf(out, "%s: %s, %.1f MB of weights (%.2f bits each) from %.1f MB, %.1f s\n", path, r.Type,
		float64(r.Bytes)/1e6, r.BitsPerWeight, float64(r.SourceBytes)/1e6, seconds)
	replaced := map[string]int{}
	for _, t := range r.Tensors {
		if t.Wanted != "" {
			replaced[t.Wanted+" became "+t.To]++
		}
	}
	for _, what := range slices.Sorted(maps.Keys(replaced)) {
		fmt.Fprintf(out, "%d matrices have rows that are not whole blocks: %s\n", replaced[what], what)
	}
}

// printPlan lists the tensors with the types that they would have.
func (q *quantizeFlags) printPlan(out io.Writer, f *gguf.File) error {
	assignments, err := quantize.Assign(f, q.options)
	if err != nil {
		return explainQuantize(err)
	}
	var total int64
	for _, a := range assignments {
		n, err := a.Bytes()
		if err != nil {
			return err
		}
		total += n
		fmt.Fprintf(out, "%-40s %-7s -> %-7s %12d bytes\n", a.Tensor.Name, a.Tensor.Type, a.Type, n)
	}
	fmt.Fprintf(out, "%s: %.1f MB\n", q.options.Mix.Name, float64(total)/1e6)
	return nil
}
