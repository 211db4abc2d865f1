package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/infer-go/infer/engine"
	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/engine/verify"
)

// verifyText is what models are compared on when nothing else is given: prose, numbers, code, another script.
const verifyText = "The lighthouse keeper counted 1,284 ships in 1911; by 1923 there were fewer than 300 a year. " +
	"func area(w, h float64) float64 { return w * h } // in square metres\n" +
	"Le phare s'éteignit le 4 mars. 灯台の光は消えた。 Nobody rowed out to ask why."

// newVerify builds `infer verify`.
func newVerify() *cobra.Command {
	var o verify.Options
	var tokens, text, file, pre string
	var count int
	var asJSON, quiet bool
	cmd := &cobra.Command{
		Use:   "verify MODEL",
		Short: "Hold the native engine against llama.cpp on the same tokens",
		Long: "Computes the same tokens with the native engine and with llama.cpp, and reports relative L2 distance, top-1 agreement and KL\n" +
			"divergence of the logits, and the first layer and op whose output differs by more than the bound. Needs a build with the tag\n" +
			"llamacpp (make llamacpp). Both engines round, each in its way: see --bound. The exit code is 1 where the logits differ.",
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Bound < 0 || count < 0 {
				return usageError{fmt.Errorf("--bound and --count: found %g and %d, expected 0 or more", o.Bound, count)}
			}
			if _, built := engine.LlamaCPP(); !built {
				return fmt.Errorf("verify: %w", engine.ErrNoLlamaCPP)
			}
			path, err := modelPath(cmd, args[0])
			if err != nil {
				return err
			}
			ids, err := verifyTokens(cmd, path, tokens, text, file, pre, count)
			if err != nil {
				return err
			}
			if !quiet && !asJSON {
				o.Progress = func(what string) { fmt.Fprintf(cmd.ErrOrStderr(), "%s\n", what) }
			}
			r, err := verify.Run(cmd.Context(), path, ids, o)
			if err != nil {
				return err
			}
			if asJSON {
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(r)
			} else {
				printVerify(cmd.OutOrStdout(), r, quiet)
			}
			if err == nil && !r.Agrees() {
				err = fmt.Errorf("%s: the logits differ: relative L2 %.2e, bound %.2e", path, r.RelativeL2, r.Bound)
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&tokens, "tokens", "", "token ids, comma-separated")
	flags.StringVar(&text, "text", "", "text (default: a short one; random tokens for a file without a vocabulary)")
	flags.StringVar(&file, "file", "", "file with the text")
	flags.StringVar(&pre, "pre-tokenizer", "", "pre-tokenizer for a file whose own is unknown")
	flags.IntVarP(&count, "count", "n", 0, "tokens to compare at most; 0: all of the text, or 64 random ones")
	flags.Float64Var(&o.Bound, "bound", 0, fmt.Sprintf("relative L2 that counts as different; 0: %g for float weights, %g for quantized ones", verify.FloatBound, verify.QuantizedBound))
	flags.BoolVar(&o.NoTrace, "no-trace", false, "compare logits alone, not the layers")
	flags.IntVarP(&o.Threads, "threads", "t", 0, "threads; 0: one a core")
	flags.StringVar(&o.Variant, "cpu", "", "instruction set of the native engine: amx, avx512bf16, avx512, vnni256, avxvnni, avx2 or ref")
	flags.BoolVar(&asJSON, "json", false, "print JSON, with every token")
	flags.BoolVarP(&quiet, "quiet", "q", false, "print the summary alone")
	cmd.MarkFlagsMutuallyExclusive("tokens", "text", "file")
	return cmd
}

// verifyTokens finds what to compare on.
func verifyTokens(cmd *cobra.Command, path, tokens, text, file, pre string, count int) ([]int32, error) {
	ids, err := []int32(nil), error(nil)
	switch {
	case tokens != "":
		ids, err = parseTokens(tokens)
	case file != "":
		if text, err = readText(file, cmd.InOrStdin()); err == nil {
			ids, err = encodeFile(cmd, path, text, pre)
		}
	case text != "":
		ids, err = encodeFile(cmd, path, text, pre)
	default:
		ids, err = encodeFile(cmd, path, verifyText, pre)
		if errors.Is(err, engine.ErrNoVocabulary) {
			ids, err = randomTokens(path, count)
		}
	}
	if count > 0 && len(ids) > count {
		ids = ids[:count]
	}
	return ids, err
}

func encodeFile(cmd *cobra.Command, path, text, pre string) ([]int32, error) {
	if has, err := hasVocabulary(path); err != nil || !has {
		return nil, errors.Join(err, fmt.Errorf("%s: %w: give --tokens", path, engine.ErrNoVocabulary))
	}
	t, f, err := openTokenizer(cmd, path, pre)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return encodeSpecial(t, text)
}

func hasVocabulary(path string) (bool, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	model, present, err := f.Metadata.String("tokenizer.ggml.model")
	return present && model != "no_vocab" && model != "none", err
}

// randomTokens are always the same ones.
func randomTokens(path string, count int) ([]int32, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	embedding, ok := f.Tensor("token_embd.weight")
	if !ok || len(embedding.Shape) != 2 || embedding.Shape[1] > 1<<30 {
		return nil, fmt.Errorf("%s: no vocabulary and no token_embd.weight of two dimensions: give --tokens", path)
	}
	if count == 0 {
		count = 64
	}
	random := rand.New(rand.NewPCG(1, 1))
	ids := make([]int32, count)
	for i := range ids {
		ids[i] = random.Int32N(int32(embedding.Shape[1]))
	}
	return ids, nil
}

func printVerify(w io.Writer, r *verify.Report, quiet bool) {
	if !quiet {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(t, "position\ttoken\trelative L2\tKL\ttop-1\tllama.cpp's\tmargin\t")
		for i, p := range r.Positions {
			mark := ""
			if p.Native != p.LlamaCPP {
				mark = "  differs"
			}
			fmt.Fprintf(t, "%d\t%d\t%.2e\t%.2e\t%d\t%d\t%.3f\t%s\n", i, p.Token, p.RelativeL2, p.KL, p.Native, p.LlamaCPP, p.Margin, mark)
		}
		fmt.Fprintln(t)
		t.Flush()
		printLayers(w, r)
	}
	fmt.Fprintf(w, "native      %s\nllama.cpp   %s\n", r.Native, r.LlamaCPP)
	fmt.Fprintf(w, "logits      relative L2 %.3e over %d tokens (bound %.2g); top-1 agrees on %.1f %%; KL divergence %.2e mean, %.2e at most\n", r.RelativeL2,
		len(r.Positions), r.Bound, 100*r.Agreement, r.KL, r.MaxKL)
	if l := r.FirstLayer; l != nil {
		fmt.Fprintf(w, "layers      %d is the first whose output differs: relative L2 %.2e (%s, llama.cpp's %s)\n", l.Layer, l.RelativeL2, l.Name, l.Nearest)
	} else if len(r.Layers) > 0 {
		fmt.Fprintf(w, "layers      no output differs by more than the bound\n")
	}
	if o := r.FirstOp; o != nil {
		fmt.Fprintf(w, "first op    %s: nothing of llama.cpp's is within the bound; nearest is %s at %.2e\n", o.Name, o.Nearest, o.RelativeL2)
	}
}

func printLayers(w io.Writer, r *verify.Report) {
	if len(r.Layers) == 0 {
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "layer\trelative L2\toutput\tllama.cpp's")
	for _, l := range r.Layers {
		fmt.Fprintf(t, "%d\t%.2e\t%s\t%s\n", l.Layer, l.RelativeL2, l.Name, l.Nearest)
	}
	fmt.Fprintln(t)
	t.Flush()
}
