//go:build llamacpp

package engine

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine/arch"
	"github.com/infer-go/infer/internal/fixtures"
	"github.com/infer-go/infer/kernels"
)

// foreignNames are models of each kind of cache that libllama has.
var foreignNames = []string{"llama", "gemma3", "mamba2", "falcon-h1", "qwen35"}

func openForeignCase(t *testing.T, name string, o Options) *Engine {
	t.Helper()
	o.Backend, o.Threads, o.CacheType = BackendLlamaCPP, 1, "f32"
	e, err := Open(fixtures.Path(t, "conformance", "cases", name, "model.gguf"), o)
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, e.checkCache())
		assert.NoError(t, e.Close())
		assert.NoError(t, e.Close())
	})
	assert.Equal(t, BackendLlamaCPP, e.Backend())
	return e
}

func foreignPrompt(n int) []int32 {
	tokens := make([]int32, n)
	for i := range tokens {
		tokens[i] = int32(7+13*i) % 300
	}
	return tokens
}

// TestForeignDefault: without being asked for, llama.cpp serves what is not native and nothing else.
func TestForeignDefault(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(fixtures.Path(t, "conformance", "cases"), "*"))
	require.NoError(t, err)
	for _, dir := range dirs {
		e, err := Open(filepath.Join(dir, "model.gguf"), Options{Threads: 1, Sequences: 1})
		if err != nil {
			assert.Contains(t, err.Error(), "no logits", dir)
			continue
		}
		want := BackendLlamaCPP
		if arch.Native(e.Model().Arch) {
			want = BackendNative
		}
		assert.Equal(t, want, e.Backend(), dir)
		assert.Positive(t, e.Model().Vocab)
		assert.Positive(t, e.BenchBytes())
		require.NoError(t, e.Close())
	}
}

func TestForeignGenerate(t *testing.T) {
	for _, name := range foreignNames {
		t.Run(name, func(t *testing.T) {
			e := openForeignCase(t, name, Options{Sequences: 3, StepRows: 16, NoRepack: true}) // interleaved for tiles (AMX), its sums depend on the rows of a step
			var want [6][]int32
			for i := range want {
				want[i], _, _ = collect(t, e, Request{Tokens: foreignPrompt(10 + 9*i), MaxTokens: 8, Sampling: greedy()})
				require.Len(t, want[i], 8)
			}
			var all sync.WaitGroup
			var got [6][]int32
			for i := range want {
				all.Add(1)
				go func() {
					defer all.Done()
					got[i], _, _ = collect(t, e, Request{Tokens: foreignPrompt(10 + 9*i), MaxTokens: 8, Sampling: greedy()})
				}()
			}
			all.Wait()
			assert.Equal(t, want, got, "alone and side by side")
		})
	}
}

// TestForeignSession continues, rewinds and replaces a conversation.
func TestForeignSession(t *testing.T) {
	for _, name := range foreignNames {
		t.Run(name, func(t *testing.T) {
			e := openForeignCase(t, name, Options{})
			s, err := e.Session(context.Background())
			require.NoError(t, err)
			defer s.Close()
			for _, n := range []int{20, 40, 30, 5, 60} {
				want, _, _ := collect(t, e, Request{Tokens: foreignPrompt(n), MaxTokens: 5, Sampling: greedy()})
				var got []int32
				for token, err := range s.Generate(context.Background(), Request{Tokens: foreignPrompt(n), MaxTokens: 5, Sampling: greedy()}) {
					require.NoError(t, err)
					got = append(got, token.ID)
				}
				assert.Equal(t, want, got, "%d tokens", n)
			}
		})
	}
}

func TestForeignLogits(t *testing.T) {
	e := openForeignCase(t, "mamba", Options{AllLogits: true})
	dir := fixtures.Path(t, "conformance", "cases", "mamba")
	want := readFloats(t, filepath.Join(dir, "logits.f32"))
	var got []float32
	require.NoError(t, e.Logits(context.Background(), readTokens(t, dir), 7, func(_ int, logits []float32) error {
		got = append(got, logits...)
		return nil
	}))
	assert.LessOrEqual(t, relativeL2(got, want), 2e-3)
	p, err := e.Perplexity(context.Background(), foreignPrompt(64), 32, 0, nil)
	require.NoError(t, err)
	assert.Equal(t, 2, p.Windows)
	assert.Greater(t, p.Perplexity, 1.0)
	_, err = e.Bench(context.Background(), BenchSpec{Generate: 3, Sequences: 2, Depth: 4})
	require.NoError(t, err)
	assert.Zero(t, len(e.OpTimes()))
	assert.Contains(t, e.Device(), "llama.cpp")
}

// TestForeignVectorsOnly: a model without logits is refused where they are asked for.
func TestForeignVectorsOnly(t *testing.T) {
	for _, name := range []string{"bert", "nomic-bert", "gemma-embedding"} {
		_, err := Open(fixtures.Path(t, "conformance", "cases", name, "model.gguf"), Options{Backend: BackendLlamaCPP, Threads: 1})
		require.ErrorIs(t, err, kernels.ErrInvalid)
		assert.Contains(t, err.Error(), "no logits")
	}
}

func TestForeignTrace(t *testing.T) {
	e := openForeignCase(t, "mamba2", Options{AllLogits: true, Trace: true})
	seen := map[string]int{}
	require.NoError(t, e.Trace(context.Background(), foreignPrompt(9), func(a Activation) error {
		if a.Name == "l_out" {
			seen[a.Name]++
			assert.Equal(t, 9, a.Rows)
			assert.Equal(t, e.Model().Dim, a.Cols)
		}
		return nil
	}))
	assert.Equal(t, e.Model().Layers, seen["l_out"])
	assert.ErrorIs(t, e.Trace(context.Background(), foreignPrompt(9), func(Activation) error { return assert.AnError }), assert.AnError)
}

// TestForeignHostile: what spoiled files do to the library, they do to a process of their own.
func TestForeignHostile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hostile.gguf")
	runHostile(t, 150, func(t testing.TB, content []byte, flags byte) bool {
		require.NoError(t, os.WriteFile(path, content, 0o600))
		return tryPath(t, path, Options{Backend: BackendLlamaCPP}, flags)
	})
}

func TestForeignCancel(t *testing.T) {
	e := openForeignCase(t, "llama", Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, err := range e.Generate(ctx, Request{Tokens: foreignPrompt(9)}) {
		require.ErrorIs(t, err, context.Canceled)
	}
	for _, err := range e.Generate(context.Background(), Request{Tokens: foreignPrompt(1 << 14)}) {
		require.ErrorIs(t, err, ErrTooLong)
	}
}
