package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/infer-go/infer/engine"
	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/engine/hub"
	"github.com/infer-go/infer/tokenizer"
)

// modelFlags are the flags of every command that opens a model.
type modelFlags struct {
	path    string
	options engine.Options
	verbose bool
}

// add registers the flags; -m is required unless the command takes the model as an argument.
func (f *modelFlags) add(cmd *cobra.Command, withPath bool) {
	flags := cmd.Flags()
	if withPath {
		flags.StringVarP(&f.path, "model", "m", "", "GGUF file, the first part of a split set, or a model's name (see infer pull)")
		if err := cmd.MarkFlagRequired("model"); err != nil {
			panic(err) // a flag that was just defined
		}
	}
	flags.IntVarP(&f.options.Threads, "threads", "t", 0, "threads; 0: one a physical core")
	f.addCompute(cmd)
}

// addCompute registers the flags that say how a model is computed, but for the threads.
func (f *modelFlags) addCompute(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.options.Device, "device", "", "what computes: cpu, cuda, one of several cards as cuda:1, or auto, a GPU that takes the model and else the CPU (default: $INFER_DEVICE, else auto)")
	flags.StringVar(&f.options.Variant, "cpu", "", "instruction set: amx, avx512bf16, avx512, vnni256, avxvnni, avx2, neon-i8mm, neon or ref (default: $INFER_CPU, else the best here)")
	flags.StringVar(&f.options.CPUs, "cpus", "", "bind threads to processors: 0-3,8, cores, big (the fastest kind's cores) or node0 (default: the system moves them)")
	flags.StringVar(&f.options.CacheType, "cache-type", "", "type of cached keys and values: f16, q8_0 or f32 (default: f16; of embeddings f32)")
	flags.BoolVar(&f.options.NoRepack, "no-repack", false, "use the weights as they lie in the file: less memory, slower")
	flags.BoolVar(&f.options.RoundF16, "round-f16", false, "round F16 weights to bf16, for processors with its dot product: faster, less exact")
	flags.StringVar(&f.options.Backend, "backend", "", "native or llama.cpp (default: native where the architecture is, else llama.cpp where this build has it)")
	flags.BoolVar(&f.verbose, "verbose", false, "print what llama.cpp logs to standard error")
	flags.StringVar(&f.options.PreTokenizer, "pre-tokenizer", "", "pre-tokenizer for a file whose own is unknown")
}

// modelPath returns the path of a model: a file as it is, anything else through the cache. Empty is the default model.
func modelPath(cmd *cobra.Command, ref string) (string, error) {
	if ref == "" {
		ref = hub.DefaultModel
	}
	m, err := resolveModel(cmd.Context(), ref, false, cmd.ErrOrStderr())
	return m.Path, err
}

// open resolves and opens the model.
func (f *modelFlags) open(cmd *cobra.Command) (*engine.Engine, error) {
	path, err := modelPath(cmd, f.path)
	if err != nil {
		return nil, err
	}
	return f.openPath(cmd, path)
}

// openPath opens the model in a file, and says so where it is not the native engine that computes it.
func (f *modelFlags) openPath(cmd *cobra.Command, path string) (*engine.Engine, error) {
	level := slog.LevelError + 1 // errors come back as errors
	if f.verbose {
		level = slog.LevelDebug
	}
	f.options.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
	e, err := engine.Open(path, f.options)
	if err != nil {
		return nil, err
	}
	if note := e.Note(); note != "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "infer: computing with %s: %s\n", e.Device(), note)
	}
	if e.Backend() != engine.BackendNative {
		why := fmt.Sprintf("architecture %q is not native", e.Model().Arch)
		if f.options.Backend != "" {
			why = "as --backend says"
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "infer: %s: computing with %s\n", why, e.Device())
	}
	return e, nil
}

// parseTokens reads comma-separated token ids.
func parseTokens(s string) ([]int32, error) {
	var tokens []int32
	for _, part := range strings.Split(s, ",") {
		id, err := strconv.ParseInt(strings.TrimSpace(part), 10, 32)
		if err != nil {
			return nil, usageError{fmt.Errorf("--tokens: %q is not a token id", part)}
		}
		tokens = append(tokens, int32(id))
	}
	return tokens, nil
}

// readText returns a file's text, or standard input's where the path is empty or "-".
func readText(path string, stdin io.Reader) (string, error) {
	if path == "" || path == "-" {
		data, err := io.ReadAll(stdin)
		if err != nil {
			return "", fmt.Errorf("standard input: %w", err)
		}
		return string(data), nil
	}
	data, err := os.ReadFile(path)
	return string(data), err
}

// openTokenizer opens a file for its vocabulary; the file is to be closed by the caller.
func openTokenizer(cmd *cobra.Command, ref, pre string) (*tokenizer.Tokenizer, *gguf.File, error) {
	path, err := modelPath(cmd, ref)
	if err != nil {
		return nil, nil, err
	}
	f, err := gguf.Open(path)
	if err != nil {
		return nil, nil, err
	}
	t, err := engine.ReadTokenizer(f, pre)
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return t, f, nil
}

// encodeSpecial encodes text with BOS and EOS as the file says, reading special tokens written out in it.
func encodeSpecial(t *tokenizer.Tokenizer, text string) ([]int32, error) {
	return t.Encode(text, tokenizer.EncodeOptions{AddSpecial: true, ParseSpecial: true})
}
