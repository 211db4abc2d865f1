//go:build llamacpp

package verify

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine/arch"
	"github.com/infer-go/infer/internal/fixtures"
)

func TestCorpusDump(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(fixtures.Path(t, "conformance", "cases"), "*"))
	require.NoError(t, err)
	for _, dir := range dirs {
		var meta struct{ Arch, Group string }
		data, err := os.ReadFile(filepath.Join(dir, "meta.json"))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(data, &meta))
		if !arch.Native(meta.Arch) || meta.Group == "embedding" {
			continue
		}
		data, err = os.ReadFile(filepath.Join(dir, "tokens.json"))
		require.NoError(t, err)
		var tokens []int32
		var object struct{ Tokens []int32 }
		if json.Unmarshal(data, &tokens) != nil {
			require.NoError(t, json.Unmarshal(data, &object))
			tokens = object.Tokens
		}
		r, err := Run(context.Background(), filepath.Join(dir, "model.gguf"), tokens, Options{Threads: 1})
		require.NoError(t, err)
		t.Logf("%s: L2 %.1e KL %.1e top %.2f agrees %v layers %d first %v op %+v", filepath.Base(dir), r.RelativeL2, r.KL, r.Agreement, r.Agrees(), len(r.Layers), r.FirstLayer, r.FirstOp)
		for _, l := range r.Layers { t.Logf("   %+v", l) }
		if r.Layers == nil { t.Log("  NO LAYERS") }
		assert.True(t, r.Agrees())
	}
}
