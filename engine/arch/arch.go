// Package arch knows the model architectures: for each one, a function that names its weights, reads its
// hyper-parameters and records its forward pass as a [kernels.Plan].
//
// [Record] is the only way in: it finds the architecture's row in the table ([Known] lists them), runs its function once, and
// returns the plan with what else the engine needs to know. Everything wrong with a file is reported together: each
// missing key, each missing tensor, each wrong shape or type, by name.
//
// To add an architecture, write one function in a file of its own from the blocks in blocks.go and experts.go, and
// add its row to archs.go. Blocks take parameters; they never ask for the model's name.
package arch

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/kernels"
)

// Options are what the engine decides before a model is recorded.
type Options struct {
	// Context is the most positions a sequence will have; 0 takes the model's own context length, cut to DefaultContext
	// where that is above 0. Models that carry two sets of rope frequencies (longrope) use the long one where the
	// context is beyond their original one.
	Context        int
	DefaultContext int

	// Pooling asks for vectors of whole texts instead of logits, or with [GenerateAnyway] for logits; empty takes what the
	// file says.
	Pooling Pooling

	// Predictor records the block that predicts a token further than the model (multi-token prediction), where the file has one and the
	// architecture knows it.
	Predictor bool
}

// Model is a recorded model.
type Model struct {
	Arch          string
	Plan          *kernels.Plan // recorded; the engine finishes it. Buffer i of its weights is part i of the file
	Vocab         int           // tokens that the logits cover
	Dim           int           // width of the residual stream
	Layers        int
	Heads         int // query heads of a layer, at most
	KVHeads       int // key heads of a layer, at most, as the file counts them
	ContextLength int // positions the model was trained for
	Experts       int // experts a layer, 0 where there are none
	ExpertsUsed   int // experts a token
	Parameters    int64

	Pooling    Pooling  // of a model that gives vectors of texts; NoPooling: the plan's result are logits
	Width      int      // of a result: the vocabulary, a vector's elements, or a classifier's scores
	Labels     []string // of a classifier's scores, where the file names them
	Causal     bool     // tokens see those before them alone
	TokenTypes int      // how many texts of one sequence the model tells apart; 0: none

	FurtherTokens int // tokens behind the next one that the file can predict (multi-token prediction); the plan has its predictor if asked for

	// WeightBytesPerToken is what decoding one token reads from the weights: every matrix once, of the experts the share
	// that a token uses, of the embedding table one row.
	WeightBytesPerToken int64
	// MultiplyAddsPerToken are those of one token's matrix products inside the layers, without attention's own and without
	// the output matrix, which a prompt needs for its last token alone.
	MultiplyAddsPerToken int64

	// Unused lists what the file holds for this architecture and the plan does not use.
	Unused struct{ Tensors, Keys []string }
}

// UnknownArchitectureError says that no row of the table has the file's architecture.
type UnknownArchitectureError struct {
	Path  string
	Name  string
	Known []string
}

func (e *UnknownArchitectureError) Error() string {
	return fmt.Sprintf("%s: unknown architecture %q; known are %s", e.Path, e.Name, strings.Join(e.Known, ", "))
}

// KeyError says what is wrong with a metadata key.
type KeyError struct {
	Key             string
	Found, Expected string
}

func (e *KeyError) Error() string {
	return fmt.Sprintf("key %s: found %s, expected %s", e.Key, e.Found, e.Expected)
}

// TensorError says what is wrong with a tensor.
type TensorError struct {
	Tensor          string
	Found, Expected string
}

func (e *TensorError) Error() string {
	return fmt.Sprintf("tensor %s: found %s, expected %s", e.Tensor, e.Found, e.Expected)
}

// Record reads the model's hyper-parameters, checks its weights and records its forward pass. The error joins all
// faults; they are [*KeyError], [*TensorError], [*gguf.FormatError], or plain ones of the plan.
func Record(f *gguf.File, o Options) (*Model, error) {
	path := f.Paths[0]
	name, present, err := f.Metadata.String("general.architecture")
	switch {
	case err != nil:
		return nil, err
	case !present:
		return nil, fmt.Errorf("%s: %w", path, &KeyError{"general.architecture", "nothing", "the architecture's name"})
	}
	row, ok := find(name)
	if !ok {
		return nil, &UnknownArchitectureError{path, name, names()}
	}
	if o.Context < 0 || o.DefaultContext < 0 {
		return nil, fmt.Errorf("arch: a context of %d positions (%d by default) asked, expected at least 1, or 0 for the model's own", o.Context, o.DefaultContext)
	}
	k := newKeys(f, name)
	c := readConfig(k, row, o)
	if err := k.err(); err != nil { // shapes would be checked against nonsense
		return nil, fmt.Errorf("%s: architecture %s: %w", path, name, err)
	}
	p := &plan{Plan: kernels.NewPlan(), c: c, ones: none, further: o.Predictor && c.Pooling == NoPooling}
	w := newWeights(f, p.Plan, c.Experts)
	row.record(p, w, c)
	w.touchFurther(c)
	if err := errors.Join(k.err(), p.Err()); err != nil {
		return nil, fmt.Errorf("%s: architecture %s: %w", path, name, err)
	}
	narrow(p.Plan)
	m := &Model{Arch: name, Plan: p.Plan, Vocab: c.Vocab, Dim: c.Dim, Layers: c.Layers, Heads: slices.Max(c.Heads[:c.Layers]), KVHeads: slices.Max(c.KVHeads[:c.Layers]),
		ContextLength: c.Context, Experts: c.Experts, ExpertsUsed: c.ExpertsUsed, Parameters: w.parameters,
		WeightBytesPerToken: bytesPerToken(p.Plan), MultiplyAddsPerToken: multiplyAdds(p.Plan)}
	m.Pooling, m.Width, m.Labels, m.Causal, m.TokenTypes = c.Pooling, int(p.Cols(p.Logits)), c.labels(), p.c.causal, p.tokenTypes
	m.FurtherTokens = c.Next
	m.Unused.Tensors, m.Unused.Keys = w.unused(), k.unused()
	return m, nil
}

// bytesPerToken adds up the weights that one decoded token reads.
func bytesPerToken(p *kernels.Plan) int64 {
	var total int64
	for _, o := range p.Model() {
		for _, r := range o.In {
			if r == kernels.None || p.Tensors[r].RowsKind != kernels.RowsFixed {
				continue
			}
			t := p.Tensors[r]
			switch bytes := t.Rows * t.Stride; o.Kind {
			case kernels.OpEmbed:
				total += t.Stride
			case kernels.OpExperts:
				total += bytes * min(t.Mats, int64(p.ExpertsUsed))
			default:
				total += bytes * t.Mats
			}
		}
	}
	return total
}

// multiplyAdds adds up the products of a prompt's token.
func multiplyAdds(p *kernels.Plan) int64 {
	var total int64
	for _, o := range p.Model() {
		if o.Kind != kernels.OpMatMul && o.Kind != kernels.OpExperts && o.Kind != kernels.OpHeads || p.Tensors[o.Out].RowsKind == kernels.RowsWanted {
			continue
		}
		for _, r := range o.In {
			if r == kernels.None || p.Tensors[r].RowsKind != kernels.RowsFixed || p.Tensors[r].Rows == 1 {
				continue
			}
			t := p.Tensors[r]
			used := t.Mats
			if o.Kind == kernels.OpExperts {
				used = min(used, int64(p.ExpertsUsed))
			}
			total += t.Rows * t.Cols * used
		}
	}
	return total
}
