package cuda

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine"
	"github.com/infer-go/infer/internal/modelspec"
	"github.com/infer-go/infer/kernels"
)

// refusals are what forms of ops without a kernel are refused with, by a tiny model that has them.
var refusals = map[string]string{
	"tiny-apertus":   "activation function",
	"tiny-llama4":    "attention in chunks",
	"tiny-rwkv7":     "wkv",
	"tiny-t5encoder": "bias by distance",
}

// TestTinyModels holds the tiny models on the card against llama.cpp's logits. What a model needs and the card lacks is named when the
// model opens: a form that were computed as another one would be wrong without a word.
func TestTinyModels(t *testing.T) {
	useLibrary(t)
	const dir = "../../testdata/tiny"
	specs, err := modelspec.Load(os.DirFS(dir))
	require.NoError(t, err)
	goldens, err := modelspec.ReadGoldens(os.DirFS(dir))
	require.NoError(t, err)
	refused := 0
	for _, g := range goldens {
		want := refusals[g.Case]
		if want == "" && (!complete() || g.Encoder) {
			continue
		}
		t.Run(g.Case, func(t *testing.T) {
			s, c, ok := modelspec.Find(specs, g.Case)
			require.True(t, ok)
			m, err := s.Model(c)
			require.NoError(t, err)
			data, err := m.Bytes()
			require.NoError(t, err)
			path := filepath.Join(t.TempDir(), "model.gguf")
			require.NoError(t, os.WriteFile(path, data, 0o600))
			e, err := engine.Open(path, engine.Options{Device: "cuda", CacheType: "f32", Threads: 1, AllLogits: !g.Encoder, Context: len(m.Ids()) + 1})
			if want != "" {
				refused++
				require.ErrorIs(t, err, kernels.ErrUnsupported)
				require.ErrorContains(t, err, want)
				return
			}
			if errors.Is(err, kernels.ErrUnsupported) {
				t.Skip(err)
			}
			require.NoError(t, err)
			defer e.Close()
			var got []float32
			require.NoError(t, e.Logits(context.Background(), m.Ids(), 0, func(_ int, logits []float32) error {
				got = append(got, logits...)
				return nil
			}))
			golden := readFloats(t, filepath.Join(dir, "golden", g.Case+".f32"))
			require.Len(t, got, len(golden))
			require.LessOrEqual(t, distance(got, golden), 5e-3)
		})
	}
	require.Equal(t, len(refusals), refused)
}
