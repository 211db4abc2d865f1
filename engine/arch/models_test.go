package arch_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine"
	"github.com/infer-go/infer/engine/arch"
	"github.com/infer-go/infer/internal/fixtures"
	"github.com/infer-go/infer/internal/modelspec"
)

// golden is a case of the corpus with the engine's result on it.
type golden struct {
	name string
	meta struct {
		Group, Arch string
		Types       map[string]int `json:"tensor_types"`
		Errors      struct {
			Own     float64 `json:"own_vs_ref"`
			Default float64 `json:"default_config_vs_ref"`
			Pooled  float64 `json:"own_vs_ref_pooled"`
			States  float64 `json:"own_vs_ref_tokens"`
		}
	}
	exact, half float64 // relative L2 of the logits with an f32 and an f16 cache
}

// The document is the table and what the engine computes on the corpus, written by go test -update.
func TestModelsDocument(t *testing.T) {
	path := filepath.Join(fixtures.Root(t), "docs", "models.md")
	got := document(goldens(t))
	if *arch.Update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got, "docs/models.md is stale: run go test ./engine/arch -run TestModelsDocument -update, then read the diff")
}

// Without the corpus the document can still be held against the table.
func TestModelsDocumentListsTheTable(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(fixtures.Root(t), "docs", "models.md"))
	require.NoError(t, err)
	for _, row := range arch.Known() {
		line := fmt.Sprintf("| `%s` | %s | %s |", row.Name, row.Models, row.Notes)
		assert.True(t, strings.Contains(string(text), line), "docs/models.md has no line %s", line)
	}
}

// goldens runs the corpus' cases of known architectures.
func goldens(t *testing.T) []golden {
	t.Helper()
	cases := fixtures.Path(t, "conformance", "cases")
	dirs, err := os.ReadDir(cases)
	require.NoError(t, err)
	var out []golden
	for _, d := range dirs {
		dir := filepath.Join(cases, d.Name())
		g := golden{name: d.Name()}
		readJSON(t, filepath.Join(dir, "meta.json"), &g.meta)
		known := slices.ContainsFunc(arch.Known(), func(r arch.Row) bool { return r.Name == g.meta.Arch })
		if !known {
			continue
		}
		var tokens []int32
		readJSON(t, filepath.Join(dir, "tokens.json"), &tokens)
		if g.meta.Group == "embedding" {
			pooled, states := floats(t, filepath.Join(dir, "pooled_exact.f32"), filepath.Join(dir, "pooled_ref.f32")), floats(t, filepath.Join(dir, "tokens_exact.f32"), filepath.Join(dir, "tokens_ref.f32"))
			g.exact = measureVectors(t, filepath.Join(dir, "model.gguf"), tokens, pooled, states, "f32")
			g.half = measureVectors(t, filepath.Join(dir, "model.gguf"), tokens, pooled, states, "f16")
			g.meta.Errors.Default = max(g.meta.Errors.Pooled, g.meta.Errors.States)
			out = append(out, g)
			continue
		}
		target := floats(t, filepath.Join(dir, "logits_exact.f32"), filepath.Join(dir, "logits_ref.f32"))
		g.exact = measure(t, filepath.Join(dir, "model.gguf"), tokens, target, "f32")
		g.half = measure(t, filepath.Join(dir, "model.gguf"), tokens, target, "f16")
		out = append(out, g)
	}
	return append(out, tinyGoldens(t)...)
}

// tinyGoldens runs the random models that are made from specs.
func tinyGoldens(t *testing.T) []golden {
	t.Helper()
	dir := filepath.Join(fixtures.Root(t), "testdata", "tiny")
	specs, err := modelspec.Load(os.DirFS(dir))
	require.NoError(t, err)
	index, err := modelspec.ReadGoldens(os.DirFS(dir))
	require.NoError(t, err)
	var out []golden
	for _, known := range index {
		s, c, ok := modelspec.Find(specs, known.Case)
		require.True(t, ok, known.Case)
		m, err := s.Model(c)
		require.NoError(t, err)
		data, err := m.Bytes()
		require.NoError(t, err)
		path := filepath.Join(t.TempDir(), "model.gguf")
		require.NoError(t, os.WriteFile(path, data, 0o600))
		target := floats(t, filepath.Join(dir, "golden", known.Case+".f32"))
		g := golden{name: known.Case}
		if known.Encoder {
			pooled, states := target[:known.Pooled], target[known.Pooled:]
			g.exact, g.half = measureVectors(t, path, m.Ids(), pooled, states, "f32"), measureVectors(t, path, m.Ids(), pooled, states, "f16")
		} else {
			g.exact, g.half = measure(t, path, m.Ids(), target, "f32"), measure(t, path, m.Ids(), target, "f16")
		}
		g.meta.Group, g.meta.Arch, g.meta.Errors.Default = "arch", known.Arch, known.Default
		out = append(out, g)
	}
	return out
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, v))
}

// floats reads the first of the files that exists.
func floats(t *testing.T, paths ...string) []float32 {
	t.Helper()
	data, err := os.ReadFile(paths[0])
	if errors.Is(err, fs.ErrNotExist) && len(paths) > 1 {
		return floats(t, paths[1:]...)
	}
	require.NoError(t, err)
	out := make([]float32, len(data)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return out
}

// measure returns the relative L2 distance of the engine's logits from the target.
func measure(t *testing.T, model string, tokens []int32, target []float32, cache string) float64 {
	t.Helper()
	e, err := engine.Open(model, engine.Options{Context: 128, CacheType: cache, Threads: 1, AllLogits: true, Variant: "ref"})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	var difference, length float64
	at := 0
	require.NoError(t, e.Logits(context.Background(), tokens, 0, func(_ int, logits []float32) error {
		for _, v := range logits {
			d := float64(v) - float64(target[at])
			difference, length, at = difference+d*d, length+float64(target[at])*float64(target[at]), at+1
		}
		return nil
	}))
	require.Len(t, target, at)
	return math.Sqrt(difference / length)
}

// measureVectors returns the larger of the distances of a text's vector, or scores, and of its tokens' states.
func measureVectors(t *testing.T, model string, tokens []int32, wantPooled, wantStates []float32, cache string) float64 {
	t.Helper()
	e, err := engine.Open(model, engine.Options{CacheType: cache, Threads: 1, Variant: "ref"})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	pooled, err := e.Pooled(context.Background(), tokens)
	require.NoError(t, err)
	var states []float32
	require.NoError(t, e.States(context.Background(), tokens, func(_ int, state []float32) error {
		states = append(states, state...)
		return nil
	}))
	apart := func(got, want []float32) float64 {
		require.Len(t, got, len(want))
		var difference, length float64
		for i := range got {
			d := float64(got[i]) - float64(want[i])
			difference, length = difference+d*d, length+float64(want[i])*float64(want[i])
		}
		return math.Sqrt(difference / length)
	}
	return max(apart(pooled, wantPooled), apart(states, wantStates))
}

const intro = `# Models

Written by ` + "`go test ./engine/arch -run TestModelsDocument -update`" + ` from the table in engine/arch/archs.go, the conformance corpus, and the random
models of testdata/tiny (tiny-*); a test fails when it is stale. An architecture is what a GGUF file calls its own in ` + "`general.architecture`" + `; others are refused by name.

## Architectures

*Error*: the largest relative L2 distance of the logits from the target over the architecture's cases, 40 tokens each, with an f32
cache; the target is llama.cpp's on the same weights in F32, or float64 arithmetic. *With f16 cache*: the same in the default
configuration, and llama.cpp's in its own. Of models that give vectors both are of vectors and token states, and f32 is the default cache;
the targets of the BERT family have the tanh form of GELU, where the models were trained with the exact one. Steps of 1, 2 and 5.

| Architecture | Models | Notes | Cases | Error | With f16 cache | llama.cpp |
|---|---|---|---|---|---|---|
`

const typesIntro = `
## Data types

A llama model with all matrices of the type (*mix*: the types of that file), against the target. The error is the rounding of activations;
llama.cpp's is from the same file. BF16 is 0.8 % here too where the processor has a bf16 dot product (--cpu avx512 does without).

| Type | Error | llama.cpp |
|---|---|---|
`

func document(goldens []golden) string {
	var b strings.Builder
	b.WriteString(intro)
	for _, row := range arch.Known() {
		var names []string
		var exact, half, theirs float64
		for _, g := range goldens {
			if g.meta.Arch != row.Name || g.meta.Group != "arch" && g.meta.Group != "embedding" {
				continue
			}
			names = append(names, g.name)
			if g.meta.Types["MXFP4"] > 0 { // quantized: its error is the data type's
				continue
			}
			exact, half, theirs = max(exact, g.exact), max(half, g.half), max(theirs, g.meta.Errors.Default)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s | %s |\n", row.Name, row.Models, row.Notes, strings.Join(names, ", "), step(exact), step(half), step(theirs))
	}
	b.WriteString(typesIntro)
	for _, g := range goldens {
		name, ok := strings.CutPrefix(g.name, "quant-")
		if !ok {
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", typeName(name, g.meta.Types), share(g.exact), share(g.meta.Errors.Own))
	}
	return b.String()
}

// typeName is the type as users write it; of a mix, with the types in it.
func typeName(name string, types map[string]int) string {
	mix, ok := strings.CutPrefix(name, "mix-")
	name = strings.ToUpper(name)
	if !ok {
		return name
	}
	var all []string
	for t := range types {
		if t != "F32" {
			all = append(all, t)
		}
	}
	slices.Sort(all)
	return fmt.Sprintf("mix %s (%s)", strings.ToUpper(mix), strings.Join(all, ", "))
}

// step rounds an error up to 1, 2 or 5 times a power of ten: what moves it further is worth a look.
func step(v float64) string {
	if v == 0 {
		return ""
	}
	power := math.Floor(math.Log10(v))
	for _, s := range []float64{1, 2, 5, 10} {
		if v <= s*math.Pow(10, power) {
			return fmt.Sprintf("%.0e", s*math.Pow(10, power))
		}
	}
	return "" // not reached: v is below 10 to the next power
}

// share prints quantized errors in percent, smaller ones in steps.
func share(v float64) string {
	if v < 0.005 {
		return step(v)
	}
	return fmt.Sprintf("%.1f %%", 100*v)
}
