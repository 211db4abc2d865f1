//go:build llamacpp

package llamacpp

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/internal/fixtures"
	"github.com/infer-go/infer/kernels"
)

func readFloats(t *testing.T, path string) []float32 {
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	out := make([]float32, len(data)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return out
}

func readTokens(t *testing.T, dir string) []int32 {
	data, err := os.ReadFile(filepath.Join(dir, "tokens.json"))
	require.NoError(t, err)
	var tokens []int32
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

// open opens a model of the corpus; a context of 128 tokens a sequence.
func open(t *testing.T, path string, o Options) *Device {
	t.Helper()
	f, err := gguf.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	o.Sequences = max(o.Sequences, 1)
	if o.Rows == 0 {
		o.Rows = 128
	}
	o.Pages, o.Threads = 4*o.Sequences, 1
	d, err := Open(f, o)
	require.NoError(t, err)
	t.Cleanup(d.Close)
	return d
}

// batchOf is a batch of one sequence at a position, on pages 0 to 3, with all logits wanted.
func batchOf(ids []int32, position int) *kernels.Batch {
	b := &kernels.Batch{IDs: ids, Pages: []int32{0, 1, 2, 3}, TablePages: 4, SequenceCount: 1}
	for i := range ids {
		b.Positions, b.Sequences, b.Wanted = append(b.Positions, int32(position+i)), append(b.Sequences, 0), append(b.Wanted, int32(i))
	}
	return b
}

// ownError is how far libllama was from its own results in floats when the corpus was made; 0 where that was not measured.
func ownError(t *testing.T, dir string) float64 {
	var meta struct {
		Errors struct {
			Own float64 `json:"own_vs_ref"`
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "meta.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &meta))
	return meta.Errors.Own
}

// TestConformance computes every model of the corpus and expects the logits, states and pooled vectors that libllama gave
// when the corpus was made: the same, but for instruction sets. Those differ in the last bits, by which activations are now and then rounded
// to another of their 8-bit values: quantized models may differ by half of what that rounding costs at all. Weights stay as they
// lie, since processors with tiles (AMX) round otherwise where they are interleaved.
func TestConformance(t *testing.T) {
	const limit = 2e-3
	dirs, err := filepath.Glob(filepath.Join(fixtures.Path(t, "conformance", "cases"), "*"))
	require.NoError(t, err)
	require.NotEmpty(t, dirs)
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			model, tokens := filepath.Join(dir, "model.gguf"), readTokens(t, dir)
			for file, o := range map[string]Options{"logits.f32": {}, "pooled.f32": {Vectors: true, Pooled: true}, "tokens.f32": {Vectors: true}} {
				path := filepath.Join(dir, file)
				if _, err := os.Stat(path); err != nil {
					continue
				}
				want, got := readFloats(t, path), []float32(nil)
				o.F32Cache, o.NoRepack = true, true
				d := open(t, model, o)
				if o.Vectors {
					got, err = d.Embed(tokens)
				} else {
					got, err = d.Run(batchOf(tokens, 0))
				}
				require.NoError(t, err)
				require.Len(t, got, len(want), file)
				distance := relativeL2(got, want)
				t.Logf("%s: relative L2 %.2e", file, distance)
				if strings.HasPrefix(filepath.Base(dir), "quant-") {
					assert.LessOrEqual(t, distance, max(limit, ownError(t, dir)/2), file)
				} else {
					assert.LessOrEqual(t, distance, limit, file)
				}
			}
		})
	}
}
