package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine/gguf"
)

// quantizeInput writes a small F32 model.
func quantizeInput(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in.gguf")
	w := gguf.NewFileWriter(path)
	w.SetString("general.architecture", "llama")
	for name, cols := range map[string]int64{"blk.0.attn_q.weight": 256, "blk.0.attn_k.weight": 96} {
		w.AddTensorBytes(name, gguf.F32, []int64{cols, 4}, make([]byte, cols*4*4))
	}
	require.NoError(t, w.Write())
	return path
}

// runCommand runs a command line and returns what it printed.
func runCommand(args ...string) (string, error) {
	var out bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&out)
	err := root.Execute()
	return out.String(), err
}

func TestQuantizeCommand(t *testing.T) {
	in, out := quantizeInput(t), filepath.Join(t.TempDir(), "out.gguf")
	text, err := runCommand("quantize", in, out, "q4_k_m", "--dry-run")
	require.NoError(t, err)
	assert.Contains(t, text, "F32     -> Q5_0")
	assert.NoFileExists(t, out)

	text, err = runCommand("quantize", in, out, "q4_k_m")
	require.NoError(t, err)
	assert.Contains(t, text, "Q4_K_M")
	assert.Contains(t, text, "1 matrices have rows that are not whole blocks: Q4_K became Q5_0")
	f, err := gguf.Open(out)
	require.NoError(t, err)
	defer f.Close()
	tensor, ok := f.Tensor("blk.0.attn_q.weight")
	require.True(t, ok)
	assert.Equal(t, gguf.Q4_K, tensor.Type)

	text, err = runCommand("quantize", in, out, "Q8_0", "--json", "--tensor-type", "attn_q=f16", "--threads", "2")
	require.NoError(t, err)
	var report quantizeReport
	require.NoError(t, json.Unmarshal([]byte(text), &report))
	assert.Equal(t, "Q8_0", report.Type)
	assert.Len(t, report.Tensors, 2)
	for _, r := range report.Tensors {
		assert.Equal(t, map[string]string{"blk.0.attn_q.weight": "F16", "blk.0.attn_k.weight": "Q8_0"}[r.Name], r.To)
	}
}

func TestQuantizeCommandErrors(t *testing.T) {
	in, out := quantizeInput(t), filepath.Join(t.TempDir(), "out.gguf")
	for _, args := range [][]string{
		{"quantize", in, out}, {"quantize", in, out, "Q4_Z"}, {"quantize", in, out, "Q4_0", "--output-tensor-type", "IQ2_XS"},
		{"quantize", in, out, "Q4_0", "--tensor-type", "attn_q"}, {"quantize", in, out, "Q4_0", "--tensor-type", "attn_q="},
		{"quantize", in, out, "Q4_0", "--tensor-type", "(=Q4_0"}, {"quantize", in, out, "Q4_0", "--token-embedding-type", "Q9"},
	} {
		_, err := runCommand(args...)
		var usage usageError
		assert.ErrorAs(t, err, &usage, "%v", args)
		assert.Equal(t, exitUsage, execute(args))
	}
	_, err := runCommand("quantize", in+"x", out, "Q4_0")
	assert.ErrorContains(t, err, in+"x")
	_, err = runCommand("quantize", in, out, "Q4_0", "--imatrix", in)
	assert.ErrorContains(t, err, `expected "imatrix"`)

	_, err = runCommand("quantize", in, out, "Q8_0")
	require.NoError(t, err)
	again := filepath.Join(t.TempDir(), "again.gguf")
	_, err = runCommand("quantize", out, again, "Q4_0")
	assert.ErrorContains(t, err, "--allow-requantize")
	_, err = runCommand("quantize", out, again, "Q4_0", "--allow-requantize")
	assert.NoError(t, err)
}
