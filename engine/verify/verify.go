// Package verify holds the native engine against llama.cpp: both compute the same tokens of the same file, and [Run] reports how far
// their answers are apart, token by token, and the first layer and op where they part.
//
// It needs a build with the tag llamacpp. Two correct engines differ by their rounding: of activations to 8 bits before
// quantized weights, to f16 elsewhere, and by the order of sums. What that is worth depends on the weights; [Options.Bound] has a
// default for it.
package verify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/infer-go/infer/engine"
	"github.com/infer-go/infer/engine/arch"
	"github.com/infer-go/infer/engine/gguf"
)

// TraceRows is how many tokens' activations are compared at most: they are kept in memory, all at once.
const TraceRows = 32

// Default bounds of relative L2 distances.
const (
	FloatBound     = 1e-2 // all weights in F32, F16 or BF16
	QuantizedBound = 0.15 // activations rounded to 8 bits by both, each in its way
)

// Options say how models are compared. The zero value is a good default.
type Options struct {
	Threads  int
	Variant  string  // instruction set of the native engine
	Bound    float64 // relative L2 above which a layer, or the logits, count as different; 0: by the weights' types
	NoTrace  bool    // compare logits alone
	Log      *slog.Logger
	Progress func(what string) // told what is being done; may be nil
}

// Position compares the logits after one token.
type Position struct {
	Token      int32   `json:"token"`
	RelativeL2 float64 `json:"relative_l2"`
	KL         float64 `json:"kl"` // of the native distribution from llama.cpp's, in nats
	Native     int32   `json:"native_top"`
	LlamaCPP   int32   `json:"llamacpp_top"`
	Margin     float64 `json:"margin"` // between llama.cpp's two highest logits: small ones may swap by rounding alone
}

// Report is the outcome.
type Report struct {
	Native   string  `json:"native"`   // what computed, and how
	LlamaCPP string  `json:"llamacpp"` // likewise
	Bound    float64 `json:"bound"`

	RelativeL2 float64    `json:"relative_l2"` // of all logits together
	KL         float64    `json:"kl"`          // mean over the tokens
	MaxKL      float64    `json:"max_kl"`
	Agreement  float64    `json:"top1_agreement"` // share of tokens with the same highest logit
	Positions  []Position `json:"positions"`
	Layers     []Layer    `json:"layers,omitempty"`      // outputs of the layers that could be matched
	FirstLayer *Layer     `json:"first_layer,omitempty"` // the first whose output differs by more than the bound
	FirstOp    *Op        `json:"first_op,omitempty"`    // the first op of that layer that llama.cpp computed nothing like
}

// Agrees says whether the logits differ by no more than the bound.
func (r *Report) Agrees() bool { return r.RelativeL2 <= r.Bound }

// Run computes tokens on both engines, one after the other, and compares. The file's architecture must be native.
func Run(ctx context.Context, path string, tokens []int32, o Options) (*Report, error) {
	if _, built := engine.LlamaCPP(); !built {
		return nil, fmt.Errorf("verify: %w", engine.ErrNoLlamaCPP)
	}
	if len(tokens) == 0 {
		return nil, errors.New("verify: no tokens")
	}
	bound, err := checkFile(path)
	if err != nil {
		return nil, err
	}
	if o.Bound > 0 {
		bound = o.Bound
	}
	c := newComparison(tokens, bound, o)
	if err := c.native(ctx, path); err != nil {
		return nil, err
	}
	if err := c.foreign(ctx, path); err != nil {
		return nil, err
	}
	return c.finish(), nil
}

// checkFile refuses files that only one engine can compute, and returns the bound for their weights.
func checkFile(path string) (bound float64, err error) {
	f, err := gguf.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	name, _, err := f.Metadata.String("general.architecture")
	if err != nil {
		return 0, err
	}
	if !arch.Native(name) {
		return 0, fmt.Errorf("%s: architecture %q is not native: there is nothing to hold against llama.cpp", path, name)
	}
	bound = FloatBound
	for _, t := range f.Tensors {
		if t.Type != gguf.F32 && t.Type != gguf.F16 && t.Type != gguf.BF16 {
			bound = QuantizedBound
		}
	}
	return bound, nil
}

// comparison is the state of a run: the native engine's logits and activations, then what of llama.cpp's has been compared.
type comparison struct {
	tokens  []int32
	options Options
	report  *Report
	logits  [][]float32 // native, by token
	sum     distance
	trace   *trace
}

func newComparison(tokens []int32, bound float64, o Options) *comparison {
	return &comparison{tokens: tokens, options: o, report: &Report{Bound: bound}, trace: newTrace(bound)}
}

// finish draws the conclusions, once both engines have run.
func (c *comparison) finish() *Report {
	c.report.summarize(c.sum)
	if !c.options.NoTrace {
		c.trace.report(c.report)
	}
	return c.report
}

func (c *comparison) say(what string) {
	if c.options.Progress != nil {
		c.options.Progress(what)
	}
}

// open opens the file on a backend, for the given count of tokens. llama.cpp takes the weights as they lie: interleaved for the tiles of some processors (AMX) they give other
// roundings, and some models nothing at all.
func (c *comparison) open(path, backend string, trace bool) (*engine.Engine, error) {
	tokens := len(c.tokens)
	if trace {
		tokens = min(tokens, TraceRows)
	}
	return engine.Open(path, engine.Options{Context: tokens, Sequences: 1, StepRows: min(tokens, engine.DefaultStepRows), AllLogits: true, CacheType: "f32",
		Threads: c.options.Threads, Variant: c.options.Variant, Backend: backend, NoRepack: backend == engine.BackendLlamaCPP,
		Trace: trace, Log: c.options.Log})
}

func (c *comparison) native(ctx context.Context, path string) error {
	err := c.pass(ctx, path, engine.BackendNative, &c.report.Native, c.trace.keep, func(_ int, logits []float32) error {
		c.logits = append(c.logits, append([]float32(nil), logits...))
		return nil
	})
	if err != nil {
		return fmt.Errorf("native engine: %w", err)
	}
	return nil
}

func (c *comparison) foreign(ctx context.Context, path string) error {
	err := c.pass(ctx, path, engine.BackendLlamaCPP, &c.report.LlamaCPP, c.trace.compare, func(i int, logits []float32) error {
		if len(logits) != len(c.logits[i]) {
			return fmt.Errorf("%d logits, the native engine has %d", len(logits), len(c.logits[i]))
		}
		c.report.Positions = append(c.report.Positions, comparePosition(c.tokens[i], c.logits[i], logits))
		c.sum.add(c.logits[i], logits)
		c.logits[i] = nil
		return nil
	})
	if err != nil {
		return fmt.Errorf("llama.cpp: %w", err)
	}
	return nil
}

// pass computes the logits of all tokens, and the activations of the first ones, on one backend.
func (c *comparison) pass(ctx context.Context, path, backend string, description *string, see func(engine.Activation) error, use func(int, []float32) error) error {
	for _, trace := range []bool{true, false} {
		if trace && c.options.NoTrace {
			continue
		}
		c.say(fmt.Sprintf("%s: %s of %d tokens", backend, map[bool]string{true: "activations", false: "logits"}[trace], len(c.tokens)))
		e, err := c.open(path, backend, trace)
		if err != nil {
			return err
		}
		*description = e.Device()
		if trace {
			err = e.Trace(ctx, c.tokens[:min(len(c.tokens), TraceRows)], see)
		} else {
			err = e.Logits(ctx, c.tokens, 0, use)
		}
		if err := errors.Join(err, e.Close()); err != nil {
			return err
		}
	}
	return nil
}
