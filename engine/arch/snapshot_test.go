package arch

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/internal/fixtures"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the plans in testdata and docs/models.md")

// conformance opens a model of the corpus.
func conformance(t testing.TB, name string) *gguf.File {
	t.Helper()
	f, err := gguf.Open(filepath.Join(fixtures.Path(t, "conformance", "cases", name), "model.gguf"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, f.Close()) })
	return f
}

// conformanceCases lists the models of one group of the corpus, "arch", "quant" or "embedding", whose architecture the table has.
func conformanceCases(t testing.TB, group string) []string {
	t.Helper()
	cases := fixtures.Path(t, "conformance", "cases")
	dirs, err := os.ReadDir(cases)
	require.NoError(t, err)
	var out []string
	for _, d := range dirs {
		var meta struct{ Group, Arch string }
		text, err := os.ReadFile(filepath.Join(cases, d.Name(), "meta.json"))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &meta))
		if _, ok := find(meta.Arch); ok && meta.Group == group {
			out = append(out, d.Name())
		}
	}
	return out
}

// A change of a plan is a change of the computation: read the diff.
func TestPlansOfTheCorpus(t *testing.T) {
	for _, name := range append(conformanceCases(t, "arch"), conformanceCases(t, "embedding")...) {
		t.Run(name, func(t *testing.T) {
			m, err := Record(conformance(t, name), Options{})
			require.NoError(t, err)
			assert.Empty(t, m.Unused.Tensors)
			assert.Empty(t, m.Unused.Keys)
			samePlan(t, filepath.Join("testdata", name+".plan"), m.Plan.String())
		})
	}
}

// samePlan compares a plan's text with a file, or rewrites the file.
func samePlan(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run the test with -update")
	assert.Equal(t, string(want), got)
}
