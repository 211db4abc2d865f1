package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine"
	"github.com/infer-go/infer/engine/verify"
	"github.com/infer-go/infer/internal/fixtures"
	"github.com/infer-go/infer/internal/tinymodel"
)

func TestVerifyCommand(t *testing.T) {
	path := fixtures.Path(t, "conformance", "cases", "llama", "model.gguf")
	out, err := runTemplateCommand("verify", path, "--count", "9")
	if _, built := engine.LlamaCPP(); !built {
		require.ErrorIs(t, err, engine.ErrNoLlamaCPP)
		return
	}
	require.NoError(t, err)
	assert.Contains(t, out, "top-1 agrees on 100.0 %")
	assert.Contains(t, out, "l_out")
	out, err = runTemplateCommand("verify", path, "--tokens", "1,2,3", "--json", "--bound", "1e-9")
	assert.ErrorContains(t, err, "the logits differ")
	var r verify.Report
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	assert.Len(t, r.Positions, 3)
	_, err = runTemplateCommand("verify", path, "--text", "some")
	assert.ErrorIs(t, err, engine.ErrNoVocabulary)
	_, err = runTemplateCommand("verify", path, "--bound", "-1")
	assert.ErrorAs(t, err, new(usageError))
	story := fixtures.Path(t, "models", "stories260K.gguf")
	out, err = runTemplateCommand("verify", story, "--quiet")
	require.NoError(t, err)
	assert.NotContains(t, out, "position")
}

// TestForeignCommands: what is not native says so, in every command that opens a model.
func TestForeignCommands(t *testing.T) {
	data, err := os.ReadFile(tinymodel.WriteLlama(t))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "model.gguf")
	require.NoError(t, os.WriteFile(path, bytes.ReplaceAll(data, []byte("llama"), []byte("alien")), 0o600))
	shown, err := runTemplateCommand("show", path)
	require.NoError(t, err)
	_, benchErr := runTemplateCommand("bench", "-m", path, "-p", "8", "-n", "2", "-r", "1")
	if _, built := engine.LlamaCPP(); built { // which does not know it either
		assert.ErrorContains(t, benchErr, "alien")
		return
	}
	assert.Contains(t, shown, "would not run")
	assert.Contains(t, shown, "tag llamacpp")
	assert.ErrorContains(t, benchErr, "unknown architecture")
}
