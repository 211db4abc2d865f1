package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/internal/tinymodel"
)

func TestEmbedCommand(t *testing.T) {
	model := tinymodel.Encoder{Pooling: 1, Context: 16}.Write(t)
	text, err := runCommand("embed", "-m", model, "-t", "1", "a b", "c")
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(text), "\n")
	require.Len(t, lines, 2)
	assert.Len(t, strings.Fields(lines[0]), 48)

	file := filepath.Join(t.TempDir(), "texts")
	require.NoError(t, os.WriteFile(file, []byte("a b\r\n\nc\n"), 0o600))
	again, err := runCommand("embed", "-m", model, "-t", "1", "-f", file)
	require.NoError(t, err)
	assert.Equal(t, text, again)
	one, err := runCommand("embed", "-m", model, "-t", "1", "-f", file, "--whole", "--json")
	require.NoError(t, err)
	var vector struct {
		Index, Tokens, Truncated int
		Embedding                []float64
	}
	require.NoError(t, json.Unmarshal([]byte(one), &vector))
	assert.Equal(t, 5, vector.Tokens)
	var squares float64
	for _, v := range vector.Embedding {
		squares += v * v
	}
	assert.InDelta(t, 1, squares, 1e-6)

	long := strings.Repeat("a ", 20)
	_, err = runCommand("embed", "-m", model, long)
	assert.ErrorContains(t, err, "22 tokens, the context has 16")
	cut, err := runCommand("embed", "-m", model, "--truncate", "--pooling", "cls", "--stats", long)
	require.NoError(t, err)
	assert.Contains(t, cut, "text 0: the last 6 tokens were left out, 16 are in")
	assert.Contains(t, cut, "1 texts, 16 tokens")

	raw := filepath.Join(t.TempDir(), "pooled")
	_, err = runCommand("logits", "-m", model, "--pooled", "--text", "a b", "-o", raw)
	require.NoError(t, err)
	data, err := os.ReadFile(raw)
	require.NoError(t, err)
	assert.Len(t, data, 4*48)
	shown, err := runCommand("show", model)
	require.NoError(t, err)
	assert.Contains(t, shown, "gives vectors of 48 numbers (mean pooling)")
}

func TestRerankCommand(t *testing.T) {
	model := tinymodel.Encoder{Pooling: 4}.Write(t)
	text, err := runCommand("rerank", "-m", model, "-q", "a b", "c", "d e", "f")
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(text), "\n")
	require.Len(t, lines, 3)
	text, err = runCommand("rerank", "-m", model, "-q", "a b", "--json", "--top", "2", "c", "d e", "f")
	require.NoError(t, err)
	decoder := json.NewDecoder(strings.NewReader(text))
	for i := range 2 {
		var r struct {
			Index    int
			Score    float64
			Document string
		}
		require.NoError(t, decoder.Decode(&r))
		assert.Equal(t, r.Document, []string{"c", "d e", "f"}[r.Index])
		assert.True(t, strings.HasSuffix(lines[i], "  "+r.Document))
	}
	assert.False(t, decoder.More())
	shown, err := runCommand("show", model)
	require.NoError(t, err)
	assert.Contains(t, shown, "ranks, for infer rerank: 1 score")
}

func TestClassifyCommand(t *testing.T) {
	model := tinymodel.WriteLlama(t)
	text, err := runCommand("classify", "-m", model, "-l", "yes", "-l", "no", "-l", "maybe", "--prompt", `{text}\n:`, "--json", "abc", "d")
	require.NoError(t, err)
	decoder := json.NewDecoder(strings.NewReader(text))
	for i := range 2 {
		var r struct {
			Index  int
			Label  string
			Labels []labelScore
		}
		require.NoError(t, decoder.Decode(&r))
		assert.Equal(t, i, r.Index)
		require.Len(t, r.Labels, 3)
		assert.Equal(t, r.Label, r.Labels[0].Label)
		var sum float64
		for j, s := range r.Labels {
			sum += s.Share
			assert.Equal(t, len(s.Label), s.Tokens)
			assert.InDelta(t, s.LogProb-r.Labels[0].LogProb, math.Log(s.Share/r.Labels[0].Share), 1e-9, "%d", j)
		}
		assert.InDelta(t, 1, sum, 1e-9)
	}
	text, err = runCommand("classify", "-m", model, "-l", "yes", "-l", "no", "--mean", "--chat", "--system", "s", "abc", "d")
	require.NoError(t, err)
	assert.Len(t, strings.Split(text, "\n"), 6) // two lines each, a blank one between, the last line's end
}

func TestTextCommandErrors(t *testing.T) {
	model, llama := tinymodel.Encoder{Pooling: 1}.Write(t), tinymodel.WriteLlama(t)
	for _, args := range [][]string{
		{"embed", "a"}, {"embed", "-m", model, "-f", "x", "a"}, {"rerank", "-m", model, "a"}, {"rerank", "-m", model, "-q", "a", "--top", "-1", "b"},
		{"classify", "-m", llama, "-l", "a", "b"}, {"classify", "-m", llama, "-l", "a", "-l", "b", "--prompt", "x", "b"},
		{"classify", "-m", llama, "-l", "a", "-l", "b", "--system", "x", "b"}, {"logits", "-m", model, "--pooled", "--chunk", "2", "--tokens", "1"},
	} {
		assert.Equal(t, exitUsage, execute(args), "%v", args)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, []byte("\n\n"), 0o600))
	for want, args := range map[string][]string{
		"no texts":                 {"embed", "-m", model, "-f", empty},
		"no classifier":            {"rerank", "-m", model, "-q", "a", "b"},
		"not opened for embed":     {"embed", "-m", llama, "a"},
		"it does not generate":     {"classify", "-m", model, "-l", "a", "-l", "b", "c"},
		"no such file":             {"embed", "-m", model, "-f", empty + "x"},
		"median":                   {"embed", "-m", model, "--pooling", "median", "a"},
		"vectors of texts: it doe": {"run", model, "a", "--raw"},
	} {
		_, err := runCommand(args...)
		assert.ErrorContains(t, err, want, "%v", args)
	}
}
