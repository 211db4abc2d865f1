package engine

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine/arch"
	"github.com/infer-go/infer/internal/fixtures"
)

// conformanceCase is a model of the corpus with its reference.
type conformanceCase struct {
	name, dir string
	tokens    []int32
	target    []float32
	meta      struct {
		Group  string             `json:"group"`
		Arch   string             `json:"arch"`
		Types  map[string]int     `json:"tensor_types"`
		Errors map[string]float64 `json:"errors"`
	}
}

func readFloats(t *testing.T, path string) []float32 {
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	out := make([]float32, len(data)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return out
}

// conformanceCases returns the corpus' cases of architectures that are known.
func conformanceCases(t *testing.T) []conformanceCase {
	known := map[string]bool{}
	for _, row := range arch.Known() {
		known[row.Name] = true
	}
	dirs, err := filepath.Glob(filepath.Join(fixtures.Path(t, "conformance", "cases"), "*"))
	require.NoError(t, err)
	var cases []conformanceCase
	for _, dir := range dirs {
		c := conformanceCase{name: filepath.Base(dir), dir: dir}
		data, err := os.ReadFile(filepath.Join(dir, "meta.json"))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(data, &c.meta))
		if !known[c.meta.Arch] || c.meta.Group == "embedding" {
			continue
		}
		c.tokens = readTokens(t, dir)
		target := filepath.Join(dir, "logits_exact.f32")
		if _, err := os.Stat(target); err != nil {
			target = filepath.Join(dir, "logits_ref.f32")
		}
		c.target = readFloats(t, target)
		cases = append(cases, c)
	}
	require.NotEmpty(t, cases)
	return cases
}

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

func relativeL2(a, b []float32) float64 {
	var diff, norm float64
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		diff += d * d
		norm += float64(b[i]) * float64(b[i])
	}
	return math.Sqrt(diff / norm)
}

// allLogits runs a model over tokens.
func allLogits(path string, tokens []int32, chunk int, o Options) ([]float32, error) {
	o.AllLogits = true
	if o.Context == 0 {
		o.Context = 128
	}
	e, err := Open(path, o)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	var out []float32
	err = e.Logits(context.Background(), tokens, chunk, func(_ int, logits []float32) error {
		out = append(out, logits...)
		return nil
	})
	return out, err
}

func floatWeights(types map[string]int) bool {
	for name := range types {
		if name != "F32" && name != "F16" {
			return false
		}
	}
	return true
}

// TestConformance holds the corpus against its references: 1e-3 for float weights, 1.05 of llama.cpp's own error for
// quantized ones; the default cache no worse than llama.cpp's default configuration; and the same bits for any chunk.
func TestConformance(t *testing.T) {
	for _, c := range conformanceCases(t) {
		if testing.Short() && !strings.HasPrefix(c.name, "quant-") {
			continue // -short covers the data types; a full run covers all
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			model := filepath.Join(c.dir, "model.gguf")
			got, err := allLogits(model, c.tokens, 0, Options{CacheType: "f32", Threads: 1})
			require.NoError(t, err)
			require.Len(t, got, len(c.target))
			limit := 1.05 * c.meta.Errors["own_vs_ref"]
			if floatWeights(c.meta.Types) {
				limit = 1e-3
			}
			distance := relativeL2(got, c.target)
			t.Logf("relative L2 %.2e, limit %.2e", distance, limit)
			assert.LessOrEqual(t, distance, limit)
			half, err := allLogits(model, c.tokens, 0, Options{Threads: 1})
			require.NoError(t, err)
			t.Logf(c.name+" f16 cache: relative L2 %.2e, limit %.2e, ratios %.3f %.3f", relativeL2(half, c.target), c.meta.Errors["default_config_vs_ref"], distance/c.meta.Errors["own_vs_ref"], relativeL2(half, c.target)/c.meta.Errors["default_config_vs_ref"])
			assert.LessOrEqual(t, relativeL2(half, c.target), c.meta.Errors["default_config_vs_ref"], "f16 cache")
			for _, chunk := range []int{1, 7} {
				again, err := allLogits(model, c.tokens, chunk, Options{CacheType: "f32", Threads: 2})
				require.NoError(t, err)
				requireSameBits(t, got, again, fmt.Sprintf("chunks of %d", chunk))
			}
		})
	}
}

// TestEmbeddingConformance holds vectors and token states against their references, and the same bits beside other texts.
func TestEmbeddingConformance(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(fixtures.Path(t, "conformance", "cases"), "*"))
	require.NoError(t, err)
	for _, dir := range dirs {
		c := readEmbeddingCase(t, dir)
		if c.meta.Group != "embedding" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e, err := Open(filepath.Join(dir, "model.gguf"), Options{Threads: 1})
			require.NoError(t, err)
			defer e.Close()
			others := [][]int32{c.tokens[:7], c.tokens, c.tokens[5:30], c.tokens[:1]}
			got, err := pooledVectors(e, others)
			require.NoError(t, err)
			distance := relativeL2(got[1], c.pooled)
			var states []float32
			require.NoError(t, e.States(context.Background(), c.tokens, func(_ int, state []float32) error {
				states = append(states, state...)
				return nil
			}))
			require.Len(t, states, len(c.states))
			t.Logf("relative L2: pooled %.2e, states %.2e", distance, relativeL2(states, c.states))
			assert.LessOrEqual(t, distance, 1e-3)
			assert.LessOrEqual(t, relativeL2(states, c.states), 1e-3)
			for i, text := range others {
				alone, err := pooledVectors(e, [][]int32{text})
				require.NoError(t, err)
				requireSameBits(t, got[i], alone[0], "alone")
			}
		})
	}
}

// embeddingCase is a model of the corpus that gives vectors, with its reference.
type embeddingCase struct {
	conformanceCase
	pooled, states []float32
}

func readEmbeddingCase(t *testing.T, dir string) embeddingCase {
	c := embeddingCase{conformanceCase: conformanceCase{name: filepath.Base(dir), dir: dir}}
	read := func(name string, into any) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(data, into))
	}
	read("meta.json", &c.meta)
	if c.meta.Group != "embedding" {
		return c
	}
	read("tokens.json", &c.tokens)
	target := func(name string) []float32 {
		path := filepath.Join(dir, name+"_exact.f32")
		if _, err := os.Stat(path); err != nil {
			path = filepath.Join(dir, name+"_ref.f32")
		}
		return readFloats(t, path)
	}
	c.pooled, c.states = target("pooled"), target("tokens")
	return c
}

// pooledVectors returns a model's raw results: vectors, or the scores of a classifier.
func pooledVectors(e *Engine, texts [][]int32) ([][]float32, error) {
	out := make([][]float32, len(texts))
	inputs := make([]input, len(texts))
	for i, ids := range texts {
		inputs[i].ids = ids
	}
	err := e.encodeAll(context.Background(), inputs, func(i int, result []float32) { out[i] = slices.Clone(result) })
	return out, err
}

func requireSameBits(t *testing.T, want, got []float32, what string) {
	t.Helper()
	require.Len(t, got, len(want), what)
	for i := range want {
		if math.Float32bits(want[i]) != math.Float32bits(got[i]) {
			require.Failf(t, "bits differ", "%s: value %d is %v, expected %v", what, i, got[i], want[i])
		}
	}
}
