//go:build llamacpp

package verify

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/infer-go/infer/engine/arch"
	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/internal/fixtures"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func readTokens(t *testing.T, dir string) (tokens []int32) {
	data, err := os.ReadFile(filepath.Join(dir, "tokens.json"))
	require.NoError(t, err)
	if json.Unmarshal(data, &tokens) == nil {
		return tokens
	}
	var object struct{ Tokens []int32 }
	require.NoError(t, json.Unmarshal(data, &object))
	return object.Tokens
}

// TestCorpus verifies every model of the corpus that is native: logits, and every layer, agree.
func TestCorpus(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(fixtures.Path(t, "conformance", "cases"), "*"))
	require.NoError(t, err)
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			var meta struct {
				Arch, Group string
				Layers      int `json:"n_layer"`
			}
			data, err := os.ReadFile(filepath.Join(dir, "meta.json"))
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(data, &meta))
			path := filepath.Join(dir, "model.gguf")
			if !arch.Native(meta.Arch) {
				_, err := Run(context.Background(), path, []int32{1}, Options{})
				assert.ErrorContains(t, err, "not native")
				return
			}
			if meta.Group == "embedding" {
				return
			}
			tokens := readTokens(t, dir)
			r, err := Run(context.Background(), path, tokens, Options{Threads: 1})
			require.NoError(t, err)
			assert.True(t, r.Agrees(), "relative L2 %g", r.RelativeL2)
			assert.Len(t, r.Positions, len(tokens))
			assert.GreaterOrEqual(t, r.Agreement, 0.8)
			assert.Less(t, r.KL, 0.02)
			assert.Len(t, r.Layers, meta.Layers, "every layer's output has its counterpart")
			assert.Nil(t, r.FirstLayer)
			assert.Nil(t, r.FirstOp)
		})
	}
}

// spoil copies a model with one tensor's values doubled.
func spoil(t *testing.T, from, name string) string {
	f, err := gguf.Open(from)
	require.NoError(t, err)
	defer f.Close()
	path := filepath.Join(t.TempDir(), "spoiled.gguf")
	w := gguf.NewFileWriter(path)
	for _, key := range f.Metadata.Keys() {
		w.Set(key, f.Metadata.Value(key))
	}
	found := false
	for _, tensor := range f.Tensors {
		data := slices.Clone(f.Bytes(&tensor))
		if tensor.Name == name {
			found = true
			require.Contains(t, []gguf.Type{gguf.F32, gguf.F16}, tensor.Type)
			spoilValues(data, tensor.Type)
		}
		w.AddTensor(tensor.Name, tensor.Type, tensor.Shape, func(out io.Writer) error { _, err := out.Write(data); return err })
	}
	require.True(t, found, name)
	require.NoError(t, w.Write())
	return path
}

// spoilValues doubles floats; of halves it raises the exponent.
func spoilValues(data []byte, kind gguf.Type) {
	if kind == gguf.F32 {
		for i := 0; i < len(data); i += 4 {
			v := math.Float32frombits(binary.LittleEndian.Uint32(data[i:]))
			binary.LittleEndian.PutUint32(data[i:], math.Float32bits(2*v))
		}
		return
	}
	for i := 0; i < len(data); i += 2 {
		if half := binary.LittleEndian.Uint16(data[i:]); half&0x7c00 != 0 {
			binary.LittleEndian.PutUint16(data[i:], half+0x0400)
		}
	}
}

// TestFirstOp gives the native engine a file that llama.cpp has with one tensor changed: the report names the layer and the op.
func TestFirstOp(t *testing.T) {
	for tensor, want := range map[string]struct {
		model string
		layer int
		op    string
	}{
		"blk.0.ffn_down.weight":     {"llama", 0, "matmul ffn_down.weight"},
		"blk.1.attn_norm.weight":    {"llama", 1, "norm attn_norm.weight"},
		"blk.1.attn_q.weight":       {"gemma2", 1, "rope"}, // in place: the product itself is gone
		"blk.1.ffn_up.weight":       {"qwen3", 1, "matmul ffn_gate.weight ffn_up.weight"},
		"blk.1.ffn_down.weight":     {"phi3-short", 1, "matmul ffn_down.weight"},
		"blk.3.attn_output.weight":  {"smollm3", 3, "matmul attn_output.weight"},
		"blk.1.ffn_gate_inp.weight": {"mixtral", 1, "matmul ffn_gate_inp.weight"},
		"output_norm.weight":        {"llama", -1, "norm output_norm.weight"},
		"output.weight":             {"llama", -1, "matmul output.weight"},
		"token_embd.weight":         {"llama", 0, ""},
	} {
		t.Run(want.model+" "+tensor, func(t *testing.T) {
			dir := fixtures.Path(t, "conformance", "cases", want.model)
			c := newComparison(readTokens(t, dir), FloatBound, Options{Threads: 1})
			require.NoError(t, c.native(context.Background(), filepath.Join(dir, "model.gguf")))
			require.NoError(t, c.foreign(context.Background(), spoil(t, filepath.Join(dir, "model.gguf"), tensor)))
			r := c.finish()
			assert.False(t, r.Agrees())
			if want.layer < 0 {
				assert.Nil(t, r.FirstLayer)
			} else {
				require.NotNil(t, r.FirstLayer)
				assert.Equal(t, want.layer, r.FirstLayer.Layer)
			}
			if want.op == "" {
				return
			}
			require.NotNil(t, r.FirstOp)
			assert.Equal(t, want.op, r.FirstOp.Name)
			assert.Equal(t, want.layer, r.FirstOp.Layer)
		})
	}
}

func TestRunRefusals(t *testing.T) {
	path := fixtures.Path(t, "conformance", "cases", "llama", "model.gguf")
	for _, tokens := range [][]int32{nil, {-1}, {1 << 20}} {
		_, err := Run(context.Background(), path, tokens, Options{})
		assert.Error(t, err)
	}
	_, err := Run(context.Background(), path+".none", []int32{1}, Options{})
	assert.ErrorIs(t, err, os.ErrNotExist)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = Run(ctx, path, []int32{1}, Options{})
	assert.ErrorIs(t, err, context.Canceled)
}

func TestLongText(t *testing.T) {
	tokens := make([]int32, 100) // more than are traced
	for i := range tokens {
		tokens[i] = int32(i*37) % 300
	}
	var said []string
	r, err := Run(context.Background(), fixtures.Path(t, "conformance", "cases", "gemma2", "model.gguf"), tokens,
		Options{Progress: func(s string) { said = append(said, s) }})
	require.NoError(t, err)
	assert.Len(t, r.Positions, 100)
	assert.True(t, r.Agrees())
	assert.Len(t, said, 4)
	r, err = Run(context.Background(), fixtures.Path(t, "conformance", "cases", "gemma2", "model.gguf"), tokens, Options{NoTrace: true, Bound: 1e-9})
	require.NoError(t, err)
	assert.Empty(t, r.Layers)
	assert.False(t, r.Agrees())
}
