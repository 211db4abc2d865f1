package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/infer-go/infer/engine"
	"github.com/infer-go/infer/engine/arch"
	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/kernels"
)

// newShow builds `infer show`.
func newShow() *cobra.Command {
	var asJSON, tensors, plan bool
	var contextLength int
	cmd := &cobra.Command{
		Use:   "show MODEL",
		Short: "Show what a model file holds, what would run where, and the memory it needs",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if contextLength < 0 {
				return usageError{fmt.Errorf("--ctx: found %d, expected 1 or more, or 0 for the default", contextLength)}
			}
			path, err := modelPath(cmd, args[0])
			if err != nil {
				return err
			}
			f, err := gguf.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			if asJSON {
				return showJSON(cmd.OutOrStdout(), f)
			}
			return show(cmd.OutOrStdout(), f, contextLength, tensors, plan)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print metadata and tensors as JSON")
	cmd.Flags().BoolVar(&tensors, "tensors", false, "list all tensors")
	cmd.Flags().BoolVar(&plan, "plan", false, "print the recorded plan, an op a line")
	cmd.Flags().IntVar(&contextLength, "ctx", 0, fmt.Sprintf("context length to compute the memory for (default: the model's own, at most %d)", engine.DefaultContext))
	return cmd
}

func show(w io.Writer, f *gguf.File, contextLength int, tensors, plan bool) error {
	showMetadata(w, f)
	showTypes(w, f)
	if tensors {
		showTensors(w, f)
	}
	m, err := arch.Record(f, arch.Options{Context: contextLength, DefaultContext: engine.DefaultContext})
	if err != nil {
		showForeign(w, err)
		return nil
	}
	showRun(w, f, m, contextLength)
	if plan {
		fmt.Fprintf(w, "\nplan\n%s", m.Plan)
	}
	return nil
}

// showForeign says what becomes of a file that the native engine refuses.
func showForeign(w io.Writer, err error) {
	var unknown *arch.UnknownArchitectureError
	version, built := engine.LlamaCPP()
	switch {
	case errors.As(err, &unknown) && built:
		fmt.Fprintf(w, "\nwould run through llama.cpp %s: architecture %q is not native\n  native are %s\n", version, unknown.Name, strings.Join(unknown.Known, ", "))
	case errors.As(err, &unknown):
		fmt.Fprintf(w, "\nwould not run: %v\n  llama.cpp may know the architecture: a build with the tag llamacpp runs it through an installed libllama\n", err)
	default:
		fmt.Fprintf(w, "\nwould not run: %v\n", err)
	}
}

// showMetadata lists the keys in order; long values are cut, arrays summarised.
func showMetadata(w io.Writer, f *gguf.File) {
	fmt.Fprintf(w, "%s: GGUF version %d, %d keys, %d tensors\n\nmetadata\n", strings.Join(f.Paths, ", "), f.Version, f.Metadata.Len(), len(f.Tensors))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, key := range f.Metadata.Keys() {
		fmt.Fprintf(t, "  %s\t%s\n", key, describeValue(f, key))
	}
	t.Flush()
}

func describeValue(f *gguf.File, key string) string {
	if s, ok, err := f.Metadata.String(key); ok && err == nil {
		text := fmt.Sprintf("%q", s)
		if len(text) > 100 {
			text = fmt.Sprintf("%s... (%d bytes)", strings.ToValidUTF8(text[:90], ""), len(s))
		}
		return text
	}
	text := fmt.Sprint(f.Metadata.Value(key))
	info, _ := f.Metadata.Info(key)
	if !strings.HasPrefix(text, "[") {
		return text
	}
	if len(text) > 100 {
		text = strings.ToValidUTF8(text[:60], "") + "..."
	}
	return fmt.Sprintf("%d values: %s", info.Count, strings.ReplaceAll(text, "\n", "\\n"))
}

func showTypes(w io.Writer, f *gguf.File) {
	type total struct {
		count int
		bytes int64
	}
	totals := map[gguf.Type]*total{}
	var order []gguf.Type
	for _, t := range f.Tensors {
		if totals[t.Type] == nil {
			totals[t.Type] = &total{}
			order = append(order, t.Type)
		}
		totals[t.Type].count++
		totals[t.Type].bytes += t.Size
	}
	fmt.Fprintln(w, "\ndata types")
	for _, t := range order {
		fmt.Fprintf(w, "  %-8s %4d tensors %10.1f MB\n", t, totals[t].count, float64(totals[t].bytes)/1e6)
	}
}

func showTensors(w io.Writer, f *gguf.File) {
	fmt.Fprintln(w, "\ntensors")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, x := range f.Tensors {
		fmt.Fprintf(t, "  %s\t%s\t%v\t%d bytes\n", x.Name, x.Type, x.Shape, x.Size)
	}
	t.Flush()
}

// showRun says what would run, and what memory it needs.
func showRun(w io.Writer, f *gguf.File, m *arch.Model, contextLength int) {
	if contextLength == 0 {
		contextLength = min(engine.DefaultContext, max(m.ContextLength, 1))
	}
	var weights int64
	for _, t := range f.Tensors {
		weights += t.Size
	}
	var cache int64
	for kind, k := range m.Plan.PageKinds {
		pages := (contextLength + kernels.PageTokens - 1) / kernels.PageTokens
		if k.Window > 0 {
			pages = min(pages, (k.Window+engine.DefaultStepRows)/kernels.PageTokens+2)
		}
		if k.State {
			pages = 2 // a state to read and one to write
		}
		cache += int64(pages) * m.Plan.PageBytes(kind, kernels.F16)
	}
	fmt.Fprintf(w, "\nwould run\n  architecture %s, %.1f M parameters, %d layers, width %d, %d query heads, %d key heads, vocabulary of %d, trained for %d tokens\n",
		m.Arch, float64(m.Parameters)/1e6, m.Layers, m.Dim, m.Heads, m.KVHeads, m.Vocab, m.ContextLength)
	if m.Experts > 0 {
		fmt.Fprintf(w, "  %d experts a layer, %d used a token\n", m.Experts, m.ExpertsUsed)
	}
	showDevice(w, m, weights)
	if m.Pooling != arch.NoPooling {
		showPooling(w, m)
		fmt.Fprintf(w, "  memory: %.1f MB of weights, %.1f MB of cache (f32) for a text of %d tokens\n", float64(weights)/1e6, 2*float64(cache)/1e6, contextLength)
	} else {
		fmt.Fprintf(w, "  memory at a context of %d tokens: %.1f MB of weights, %.1f MB of cache (f16) a sequence\n", contextLength, float64(weights)/1e6, float64(cache)/1e6)
		fmt.Fprintf(w, "  each generated token reads %.1f MB of weights\n", float64(m.WeightBytesPerToken)/1e6)
	}
	if len(m.Unused.Tensors) > 0 {
		fmt.Fprintf(w, "  tensors that the architecture does not use: %s\n", strings.Join(m.Unused.Tensors, ", "))
	}
	if len(m.Unused.Keys) > 0 {
		fmt.Fprintf(w, "  keys that the architecture does not use: %s\n", strings.Join(m.Unused.Keys, ", "))
	}
}

// showDevice says what would compute: a GPU whose memory has room for the weights, or the CPU.
func showDevice(w io.Writer, m *arch.Model, weights int64) {
	for _, f := range kernels.FindBackends() {
		switch {
		case errors.Is(f.Err, kernels.ErrNoBackend):
		case f.Err != nil:
			fmt.Fprintf(w, "  not on %s: %v\n", f.Backend, f.Err)
		case f.Available < weights:
			fmt.Fprintf(w, "  not on %s: %.1f MB of weights, %.1f MB are free\n", f.Device, float64(weights)/1e6, float64(f.Available)/1e6)
		default:
			fmt.Fprintf(w, "  all %d ops on %s, where the memory below is free (of %.1f MB), else on the CPU\n", len(m.Plan.Ops), f.Device, float64(f.Available)/1e6)
			return
		}
	}
	fmt.Fprintf(w, "  all %d ops on the CPU (%s)\n", len(m.Plan.Ops), kernels.Variants()[0])
}

// showPooling says what a model gives that does not generate.
func showPooling(w io.Writer, m *arch.Model) {
	switch {
	case m.Pooling != arch.Rank:
		fmt.Fprintf(w, "  gives vectors of %d numbers (%s pooling), for infer embed\n", m.Width, m.Pooling)
	case m.Labels != nil:
		fmt.Fprintf(w, "  ranks, for infer rerank: %d scores, of %s\n", m.Width, strings.Join(m.Labels, ", "))
	default:
		fmt.Fprintf(w, "  ranks, for infer rerank: %d score\n", m.Width)
	}
}

func showJSON(w io.Writer, f *gguf.File) error {
	type tensor struct {
		Name  string  `json:"name"`
		Type  string  `json:"type"`
		Shape []int64 `json:"shape"`
		Bytes int64   `json:"bytes"`
	}
	metadata := map[string]any{}
	for _, key := range f.Metadata.Keys() {
		metadata[key] = f.Metadata.Value(key)
	}
	tensors := []tensor{}
	for _, t := range f.Tensors {
		tensors = append(tensors, tensor{t.Name, t.Type.String(), t.Shape, t.Size})
	}
	return json.NewEncoder(w).Encode(map[string]any{"paths": f.Paths, "version": f.Version, "metadata": metadata, "tensors": tensors})
}
