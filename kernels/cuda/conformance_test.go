package cuda

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine"
	"github.com/infer-go/infer/internal/fixtures"
)

// conformanceLimit is the relative L2 from a reference in floats that logits may have where llama.cpp's own are nearer.
const conformanceLimit = 5e-3

type conformanceCase struct {
	name, model string
	tokens      []int32
	target      []float32
	group       string
	limit       float64
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

func readCase(t *testing.T, dir string) conformanceCase {
	c := conformanceCase{name: filepath.Base(dir), model: filepath.Join(dir, "model.gguf")}
	var meta struct {
		Group  string             `json:"group"`
		Errors map[string]float64 `json:"errors"`
	}
	for name, into := range map[string]any{"meta.json": &meta, "tokens.json": &c.tokens} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		if json.Unmarshal(data, into) != nil {
			var object struct{ Tokens []int32 }
			require.NoError(t, json.Unmarshal(data, &object))
			c.tokens = object.Tokens
		}
	}
	c.group, c.limit = meta.Group, max(conformanceLimit, 1.05*meta.Errors["own_vs_ref"])
	what := "logits"
	if c.group == "embedding" {
		what = "tokens"
	}
	target := filepath.Join(dir, what+"_exact.f32")
	if _, err := os.Stat(target); err != nil {
		target = filepath.Join(dir, what+"_ref.f32")
	}
	c.target = readFloats(t, target)
	return c
}

// shortCases are those that run where not all do: one of each way in which architectures differ.
var shortCases = []string{"quant-q4_k", "quant-q8_0", "gemma3", "qwen3moe", "gpt-oss-mxfp4", "deepseek2-mla", "falcon-h1", "qwen3next", "phi2", "bert"}

func logitsOf(t *testing.T, c conformanceCase, chunk int, o engine.Options) []float32 {
	o.AllLogits, o.Context, o.Threads, o.StepRows = true, 128, 1, 128
	if o.Device == "" {
		o.Device = "cuda"
	}
	e, err := engine.Open(c.model, o)
	require.NoError(t, err)
	defer e.Close()
	require.Equal(t, o.Device == "cpu", e.OnCPU())
	var out []float32
	require.NoError(t, e.Logits(context.Background(), c.tokens, chunk, func(_ int, logits []float32) error {
		out = append(out, logits...)
		return nil
	}))
	return out
}

// statesOf returns the last state of each token of a model that gives vectors.
func statesOf(t *testing.T, c conformanceCase) (states []float32) {
	e, err := engine.Open(c.model, engine.Options{Device: "cuda", Threads: 1})
	require.NoError(t, err)
	defer e.Close()
	require.False(t, e.OnCPU())
	require.NoError(t, e.States(context.Background(), c.tokens, func(_ int, state []float32) error {
		states = append(states, state...)
		return nil
	}))
	return states
}

// TestConformance holds the models of the corpus on the card against their references, and against themselves in other pieces: the same bits.
func TestConformance(t *testing.T) {
	useLibrary(t)
	dirs, err := filepath.Glob(filepath.Join(fixtures.Path(t, "conformance", "cases"), "*"))
	require.NoError(t, err)
	ran := 0
	for _, dir := range dirs {
		c := readCase(t, dir)
		if !complete() && !slices.Contains(shortCases, c.name) {
			continue
		}
		ran++
		t.Run(c.name, func(t *testing.T) {
			if c.group == "embedding" {
				states := statesOf(t, c)
				require.Len(t, states, len(c.target))
				require.LessOrEqual(t, distance(states, c.target), c.limit)
				return
			}
			got := logitsOf(t, c, 0, engine.Options{CacheType: "f32"})
			require.Len(t, got, len(c.target))
			d := distance(got, c.target)
			t.Logf("relative L2 %.2e, limit %.2e", d, c.limit)
			require.LessOrEqual(t, d, c.limit)
			for _, chunk := range []int{1, 7} {
				if again := logitsOf(t, c, chunk, engine.Options{CacheType: "f32"}); !equalBits(got, again) {
					require.Failf(t, "bits differ", "chunks of %d", chunk)
				}
			}
		})
	}
	require.Positive(t, ran)
}

func equalBits(a, b []float32) bool {
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return false
		}
	}
	return len(a) == len(b)
}
