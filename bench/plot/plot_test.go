package main

import (
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const benchResults = `[
 {"cpu_info": "Some CPU", "model_filename": "/m/a.gguf", "n_threads": 2, "n_prompt": 512, "n_gen": 0, "n_sequences": 1, "test": "pp512", "median_ts": 300,
  "limit": "int8", "limit_value": 468e9, "macs_per_token": 1e9, "bytes_per_step": 8e8},
 {"cpu_info": "Some CPU", "model_filename": "/m/a.gguf", "n_threads": 2, "n_prompt": 0, "n_gen": 128, "n_sequences": 1, "test": "tg128", "median_ts": 50,
  "limit": "read", "limit_value": 46e9, "macs_per_token": 1e9, "bytes_per_step": 8e8},
 {"cpu_info": "Some CPU", "model_filename": "/m/b.gguf", "n_threads": 2, "n_prompt": 0, "n_gen": 32, "n_sequences": 8, "test": "tg32 x8", "median_ts": 180,
  "limit": "int8", "limit_value": 468e9, "macs_per_token": 1e9, "bytes_per_step": 8e8}]`

const trafficReport = `{"seconds": 3, "lanes": [{"lane": "all", "ttft_seconds": {"count": 4, "p50": 0.1, "p95": 0.2, "p99": 0.3}, "itl_seconds": {"count": 9, "p50": 0.01, "p99": 0.04}},
 {"lane": "batch", "ttft_seconds": {"count": 0}}, {"lane": "online", "ttft_seconds": {"count": 2, "p50": 0.05, "p95": 0.1, "p99": 0.1}}]}`

func file(t *testing.T, name, text string) string {
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestDraw(t *testing.T) {
	lines := strings.ReplaceAll(strings.Trim(benchResults, "[]"), "},\n {", "}\n{")
	for name, paths := range map[string][]string{
		"array":   {file(t, "r.json", benchResults)},
		"lines":   {file(t, "r.jsonl", strings.ReplaceAll(lines, "\n  ", " "))},
		"traffic": {file(t, "t.json", trafficReport), file(t, "u.json", trafficReport)},
	} {
		out := filepath.Join(t.TempDir(), "p.png")
		require.NoError(t, drawFiles(out, "", paths), name)
		f, err := os.Open(out)
		require.NoError(t, err)
		picture, err := png.Decode(f)
		require.NoError(t, err)
		assert.Greater(t, picture.Bounds().Dx(), 500)
		require.NoError(t, f.Close())
		svg := filepath.Join(t.TempDir(), "p.svg")
		require.NoError(t, drawFiles(svg, "My title", paths))
		text, err := os.ReadFile(svg)
		require.NoError(t, err)
		assert.Contains(t, string(text), "My title")
		if name != "traffic" {
			for _, want := range []string{"pp512", "tg32 x8", "a.gguf", "b.gguf", "read bandwidth: 46.0 GB/s", "8-bit integers: 468 G/s"} {
				assert.Contains(t, string(text), want, name)
			}
		} else {
			assert.Contains(t, string(text), "u: online")
			assert.NotContains(t, string(text), "batch")
		}
	}
}

func TestIntensity(t *testing.T) {
	r := result{Prompt: 2048, Sequences: 1, MultiplyAdd: 1e9, ReadBytes: 5e8, Speed: 100}
	assert.Equal(t, 1024.0, r.intensity())
	assert.Equal(t, 100.0, r.perSecond())
	r.Prompt, r.Generate, r.Sequences = 0, 32, 8
	assert.Equal(t, 16.0, r.intensity())
	r.Prompt, r.Generate, r.Sequences = 513, 8, 1
	assert.Equal(t, 2*521.0/10, r.intensity(), "two steps of the prompt and eight of a row each")
	r.Prompt, r.Generate, r.Sequences = 64, 16, 8
	assert.Equal(t, 2*8*80.0/24, r.intensity())
}

// The bandwidth is drawn though no test in the file runs into it, and every number of threads is named.
func TestDrawPrompts(t *testing.T) {
	one := `{"cpu_info": "Some CPU", "model_filename": "a.gguf", "n_threads": 1, "n_prompt": 512, "test": "pp512", "median_ts": 300, "limit": "int8",
		"limit_value": 468e9, "peak_read": 46e9, "macs_per_token": 1e9, "bytes_per_step": 8e8}`
	out := filepath.Join(t.TempDir(), "p.svg")
	require.NoError(t, drawFiles(out, "", []string{file(t, "r.json", "["+one+","+strings.ReplaceAll(one, `"n_threads": 1`, `"n_threads": 2`)+"]")}))
	text, err := os.ReadFile(out)
	require.NoError(t, err)
	for _, want := range []string{"read bandwidth: 46.0 GB/s", "Some CPU, 1 threads; Some CPU, 2 threads"} {
		assert.Contains(t, string(text), want)
	}
}

func TestDrawRefuses(t *testing.T) {
	good := file(t, "r.json", benchResults)
	out := filepath.Join(t.TempDir(), "p.svg")
	assert.ErrorContains(t, drawFiles("p.txt", "", []string{good}), "expected a file ending in .svg")
	assert.ErrorContains(t, drawFiles(out, "", nil), "expected a file of results")
	assert.Error(t, drawFiles(out, "", []string{"missing.json"}))
	for text, want := range map[string]string{"": "no result", "[]": "no result", "{": "unexpected EOF", `{"test": "pp512"}`: "expected the tokens", `{"n_prompt": 512}`: "expected what infer bench", `{"n_prompt": -1, "n_gen": 5}`: "n_prompt -1", `{"lanes": []}`: "no request", "[1]": "cannot unmarshal"} {
		assert.ErrorContains(t, drawFiles(out, "", []string{file(t, "x.json", text)}), want, text)
	}
}
