package engine

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/internal/fixtures"
)

// TestGoldenEmbeddings holds vectors against those of transformers in float64: the same tokens, and the same direction. The
// model is one that bench/convert makes, in the folder that INFER_GOLDEN_MODELS names; `make golden` makes it.
func TestGoldenEmbeddings(t *testing.T) {
	dir := os.Getenv("INFER_GOLDEN_MODELS")
	if dir == "" {
		t.Skip("INFER_GOLDEN_MODELS names no folder with converted models")
	}
	var golden struct {
		File  string
		Texts []struct {
			Text   string
			IDs    []int32
			Vector []float32
		}
	}
	data, err := os.ReadFile(filepath.Join(fixtures.Root(t), "testdata", "golden", "embeddings", "all-minilm-l6-v2.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &golden))
	path := filepath.Join(dir, golden.File)
	e, err := Open(path, Options{})
	require.NoError(t, err)
	defer e.Close()
	var texts []string
	for _, g := range golden.Texts {
		ids, err := e.Tokenize(g.Text, false)
		require.NoError(t, err)
		assert.Equal(t, g.IDs[1:len(g.IDs)-1], ids, g.Text)
		texts = append(texts, g.Text)
	}
	got, err := e.Embed(context.Background(), texts, EmbedOptions{})
	require.NoError(t, err)
	for i, g := range golden.Texts {
		cosine := 0.0
		for j := range g.Vector {
			cosine += float64(g.Vector[j]) * float64(got[i].Vector[j])
		}
		t.Logf("1 - cosine %.1e: %.40q", 1-cosine, g.Text)
		assert.Greater(t, cosine, 1-1e-6, g.Text)
	}
}
