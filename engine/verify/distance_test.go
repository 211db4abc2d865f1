package verify

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/infer-go/infer/engine"
)

func TestRelative(t *testing.T) {
	assert.Equal(t, 0.0, relative([]float32{1, 2}, []float32{1, 2}))
	assert.InDelta(t, 0.2, relative([]float32{3, 5}, []float32{3, 4}), 1e-12)
	assert.Equal(t, 0.0, relative([]float32{0}, []float32{0}))
	assert.True(t, math.IsInf(relative([]float32{1}, []float32{0}), 1))
	assert.True(t, differs(math.NaN(), 1))
}

func TestHighest(t *testing.T) {
	id, margin := highest([]float32{1, 4, 3.5, -2})
	assert.Equal(t, int32(1), id)
	assert.InDelta(t, 0.5, margin, 1e-12)
	id, margin = highest([]float32{5, 5})
	assert.Equal(t, int32(0), id)
	assert.Equal(t, 0.0, margin)
}

// TestDivergence: against the definition on probabilities, and zero exactly where distributions are the same.
func TestDivergence(t *testing.T) {
	assert.InDelta(t, 0.9*math.Log(0.9/0.5)+0.1*math.Log(0.1/0.5), divergence(
		[]float32{float32(math.Log(0.9)), float32(math.Log(0.1))}, []float32{1, 1}), 1e-6)
	logits := rapid.SliceOfN(rapid.Float32Range(-40, 40), 5, 5)
	rapid.Check(t, func(t *rapid.T) {
		p, q := logits.Draw(t, "p"), logits.Draw(t, "q")
		shifted := make([]float32, len(p))
		for i := range p {
			shifted[i] = p[i] + 3
		}
		assert.InDelta(t, 0, divergence(p, shifted), 1e-4)
		kl := divergence(p, q)
		assert.GreaterOrEqual(t, kl, 0.0)
		assert.False(t, math.IsNaN(kl) || math.IsInf(kl, 0))
	})
}

func TestSummary(t *testing.T) {
	r := &Report{Positions: []Position{{KL: 1, Native: 1, LlamaCPP: 1}, {KL: 3, Native: 1, LlamaCPP: 2}}}
	r.summarize(distance{diff: 1, norm: 4})
	assert.Equal(t, 0.5, r.RelativeL2)
	assert.Equal(t, 2.0, r.KL)
	assert.Equal(t, 3.0, r.MaxKL)
	assert.Equal(t, 0.5, r.Agreement)
}

// activation is a made-up one of two tokens.
func activation(layer int, name string, values ...float32) engine.Activation {
	return engine.Activation{Name: name, Layer: layer, Rows: 2, Cols: len(values) / 2, Values: values}
}

// TestTraceReport: an op without a counterpart in a layer that agrees is not blamed in one that differs.
func TestTraceReport(t *testing.T) {
	tr := newTrace(0.01)
	for layer := range 2 {
		for _, a := range []engine.Activation{activation(layer, "norm", 1, 2), activation(layer, "fused", 5, 5, 5, 5), activation(layer, "matmul", 3, 4), activation(layer, "sum", 7, 8)} {
			assert.NoError(t, tr.keep(a))
		}
	}
	for layer, matmul := range []float32{4, 9} {
		for _, a := range []engine.Activation{activation(layer, "attn_norm", 1, 2), activation(layer, "other", 1, 2, 3, 4), activation(layer, "ffn", 3, matmul), activation(layer, "l_out", 7, matmul+4)} {
			assert.NoError(t, tr.compare(a))
		}
	}
	r := &Report{Bound: 0.01}
	tr.report(r)
	assert.Len(t, r.Layers, 2)
	if assert.NotNil(t, r.FirstLayer) && assert.NotNil(t, r.FirstOp) {
		assert.Equal(t, 1, r.FirstLayer.Layer)
		assert.Equal(t, "l_out", r.FirstLayer.Nearest)
		assert.Equal(t, "matmul", r.FirstOp.Name)
	}
}

// TestTraceNames: where llama.cpp gives a layer's output the better of two names, in either order, the other and what is near say nothing.
func TestTraceNames(t *testing.T) {
	output, other, near := activation(0, "nemotron_h_block_out", 7, 8.01), activation(0, "l_out", 1, 1), activation(0, "ffn", 7, 8)
	for _, order := range [][]engine.Activation{{output, other, near}, {other, output, near}, {near, other, output}} {
		tr := newTrace(0.01)
		assert.NoError(t, tr.keep(activation(0, "sum", 7, 8)))
		for _, a := range order {
			assert.NoError(t, tr.compare(a))
		}
		r := &Report{Bound: 0.01}
		tr.report(r)
		if assert.Len(t, r.Layers, 1) {
			assert.Equal(t, output.Name, r.Layers[0].Nearest)
			assert.InDelta(t, 0.01/10.6, r.Layers[0].RelativeL2, 1e-4)
		}
	}
}

func TestNoLlamaCPP(t *testing.T) {
	if _, built := engine.LlamaCPP(); built {
		t.Skip("this build has llama.cpp")
	}
	_, err := Run(context.Background(), "model.gguf", []int32{1}, Options{})
	assert.ErrorIs(t, err, engine.ErrNoLlamaCPP)
}
