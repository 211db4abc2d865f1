package bench

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseCounts(t *testing.T) {
	for text, want := range map[string][]int{
		"512":           {512},
		"1,8, 16":       {1, 8, 16},
		"512-4096*2":    {512, 1024, 2048, 4096},
		"512-4000*2":    {512, 1024, 2048},
		"128-512+128":   {128, 256, 384, 512},
		"3-5":           {3, 4, 5},
		"0,4096":        {0, 4096},
		"7-7":           {7},
		"1,2-8*4,10-11": {1, 2, 8, 10, 11},
		"0-4+2":         {0, 2, 4},
	} {
		got, err := ParseCounts(text, 0)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "x", "1,", "-1", "5-3", "1-8*1", "1-8*x", "1-8+0", "0-8*2", "1-", "1-2-3", "1-8+-1", "1-99999999",
		"9223372036854775807", "1-9223372036854775807*4611686018427387905", "3-9223372036854775807+9223372036854775805", "1-8*99999999999"} {
		_, err := ParseCounts(text, 0)
		assert.Error(t, err, text)
	}
	_, err := ParseCounts("0,1", 1)
	assert.ErrorContains(t, err, "found 0, expected 1 or more")
}

func FuzzParseCounts(f *testing.F) {
	f.Add("512-4096*2,7")
	f.Fuzz(func(t *testing.T, s string) {
		values, err := ParseCounts(s, 1)
		for _, v := range values {
			assert.GreaterOrEqual(t, v, 1)
		}
		assert.True(t, err != nil || len(values) > 0 && len(values) <= mostValues)
	})
}

func TestTests(t *testing.T) {
	pairs, err := ParsePairs("512,128;64,8")
	require.NoError(t, err)
	m := Matrix{Prompts: []int{512, 0}, Generates: []int{128}, Depths: []int{0, 4096}, Sequences: []int{1, 8}, Pairs: pairs[:1]}
	var names []string
	for _, x := range m.Tests() {
		names = append(names, x.Name())
	}
	assert.Equal(t, []string{"pp512", "tg128", "tg128 x8", "pp512+tg128", "pp512+tg128 x8",
		"pp512 @ d4096", "tg128 @ d4096", "tg128 @ d4096 x8", "pp512+tg128 @ d4096", "pp512+tg128 @ d4096 x8"}, names)
	assert.Equal(t, 8*(512+128), Test{512, 128, 0, 8}.Tokens())
	assert.Equal(t, [][2]int{{512, 128}, {64, 8}}, pairs)
	for _, text := range []string{"512", "1,2,3", "0,1", "1,2;"} {
		_, err := ParsePairs(text)
		assert.Error(t, err, text)
	}
}

func result() *Result {
	r := &Result{Engine: "infer", Version: "abc", Variant: "avx512", Filename: "/models/a.gguf", Model: "llama Q4_K", Size: 800 << 20, Params: 1_236_000_000, Threads: 2,
		MultiplyAdd: 1e9, ReadBytes: 8e8, LoadSeconds: 0.5}
	r.Measure(Test{Prompt: 512, Sequences: 1}, []time.Duration{2 * time.Second, time.Second, 4 * time.Second})
	return r
}

func TestMeasure(t *testing.T) {
	r := result()
	assert.Equal(t, []float64{256, 512, 128}, r.SamplesTS)
	assert.Equal(t, 256.0, r.MedianTS)
	assert.Equal(t, 128.0, r.MinTS)
	assert.Equal(t, 512.0, r.MaxTS)
	assert.InDelta(t, 896.0/3, r.AvgTS, 1e-9)
	assert.EqualValues(t, 7*time.Second/3, r.AvgNS)
	assert.InDelta(t, 195.5, r.StddevTS, 0.1)
	r.Hold(Limits{Int8: 512e9, Read: 50e9}, "int8")
	assert.Equal(t, "int8", r.Limit)
	assert.InDelta(t, 0.5, r.LimitShare, 1e-9)
	assert.Equal(t, Limits{Int8: 512e9, Read: 50e9}, Limits{r.PeakInt8, r.PeakBF16, r.PeakF32, r.PeakRead})
	r.Hold(Limits{Read: 50e9}, "int8")

	one := *r
	one.Measure(Test{Generate: 100, Sequences: 1}, []time.Duration{2 * time.Second})
	one.SamplesTS = one.SamplesTS[len(one.SamplesTS)-1:]
	one.MedianTS = 50
	one.Hold(Limits{Int8: 512e9, Read: 50e9}, "int8")
	assert.Equal(t, "read", one.Limit)
	assert.InDelta(t, 0.8, one.LimitShare, 1e-9)
	many := one // weights are read once for all sequences, so that multiply-adds bound them
	many.Sequences, many.MedianTS = 64, 256
	many.Hold(Limits{Int8: 512e9, Read: 50e9}, "int8")
	assert.Equal(t, "int8", many.Limit)
	assert.InDelta(t, 0.5, many.LimitShare, 1e-9)
}

func write(t *testing.T, format string, results ...*Result) string {
	t.Helper()
	var out strings.Builder
	w, err := NewWriter(format, &out)
	require.NoError(t, err)
	for _, r := range results {
		require.NoError(t, w.Write(r))
	}
	require.NoError(t, w.Close())
	return out.String()
}

func TestFormats(t *testing.T) {
	r := result()
	r.Hold(Limits{Int8: 512e9}, "int8")
	assert.Equal(t, `model                             size    params  cpu         threads                test                 t/s     median     of limit
llama Q4_K                  800.00 MiB    1.24 B  avx512            2               pp512     298.67 ± 195.52     256.00    50 % int8
`, write(t, "table", r))
	lines := strings.Split(strings.TrimSpace(write(t, "md", r, r)), "\n")
	require.Len(t, lines, 4)
	for _, l := range lines {
		assert.Equal(t, strings.Count(lines[0], "|"), strings.Count(l, "|"))
		assert.Equal(t, len([]rune(lines[0])), len([]rune(l)))
	}
	assert.Regexp(t, `^\| -+ \| -+: \|`, lines[1])

	for _, text := range []string{write(t, "json", r, r), write(t, "jsonl", r, r)} {
		peers, err := parsePeer([]byte(text))
		require.NoError(t, err)
		require.Len(t, peers, 2)
		assert.Equal(t, "/models/a.gguf", peers[1].Filename)
		assert.Equal(t, 512, peers[1].Prompt)
		assert.Equal(t, 256.0, peers[1].speed())
	}
	assert.Equal(t, "[]\n", write(t, "json"))
	var back []Result
	require.NoError(t, json.Unmarshal([]byte(write(t, "json", r)), &back))
	assert.Equal(t, []Result{*r}, back)

	rows, err := csv.NewReader(strings.NewReader(write(t, "csv", r, r))).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 3)
	assert.Contains(t, rows[0], "model_filename")
	assert.NotContains(t, rows[0], "samples_ts")
	assert.Equal(t, rows[1], rows[2])
	_, err = NewWriter("sql", nil)
	assert.ErrorContains(t, err, "table, md, json, jsonl, csv")
}

// What llama-bench -o json writes (a part of its fields), and what it is held against.
const llamaBench = `[
  {"build_commit": "b8234", "model_filename": "b.gguf", "model_type": "llama 1B Q4_K - Medium", "n_threads": 2, "n_prompt": 512, "n_gen": 0, "n_depth": 0,
   "avg_ns": 4000000000, "avg_ts": 130.0, "stddev_ts": 1.0, "samples_ts": [128.0, 129.0, 133.0]},
  {"model_filename": "b.gguf", "n_threads": 2, "n_prompt": 0, "n_gen": 128, "n_depth": 4096, "avg_ts": 30.0}
]`

func TestCompare(t *testing.T) {
	peers, err := parsePeer([]byte(llamaBench))
	require.NoError(t, err)
	r := result()
	other := *r
	other.Depth, other.Test = 64, "pp512 @ d64"
	compared, alone := Compare([]Result{*r, other}, peers)
	require.Len(t, compared, 1)
	assert.InDelta(t, 256.0/129, compared[0].Ratio, 1e-9)
	assert.Equal(t, []string{"a.gguf, pp512 @ d64, 2 threads: not in the peer's results, which have depth 0", "b.gguf, tg128 @ d4096, 2 threads: in the peer's results only"}, alone)
	var out strings.Builder
	PrintCompared(&out, compared, alone)
	assert.Contains(t, out.String(), "1.98x")
	assert.Contains(t, out.String(), "without a counterpart:\n  a.gguf, pp512 @ d64")

	second := *r
	second.Filename = "b.gguf"
	compared, _ = Compare([]Result{*r, second}, peers)
	require.Len(t, compared, 1, "with several files their names decide")
	assert.Equal(t, "b.gguf", compared[0].Ours.Filename)
	second.Threads = 4
	compared, alone = Compare([]Result{second}, peers)
	assert.Empty(t, compared)
	assert.Equal(t, "b.gguf, pp512, 4 threads: not in the peer's results, which have 2 threads", alone[0])

	second.Threads, peers[0].Params = 2, 2*r.Params+1e6
	second.Params = r.Params + 1e5
	compared, alone = Compare([]Result{second}, peers[:1])
	assert.Empty(t, compared, "one file on each side, but not one model")
	assert.Contains(t, alone[0], "which have a model of ")
}

func TestPeerFaults(t *testing.T) {
	for text, want := range map[string]string{
		"":                  "no result in it",
		"[]":                "no result in it",
		"{":                 "line 1",
		`[{"avg_ts": 1}]`:   "result 1: found n_prompt 0",
		`{"n_prompt": 512}`: "avg_ts 0",
		`{"n_prompt": "x"}`: "cannot unmarshal",
		"null":              "result 1: found n_prompt 0",
		"[null]":            "result 1: found n_prompt 0",
		`[{"n_prompt": 5, "n_gen": -4, "avg_ts": 1}]`:                      "n_gen -4",
		`[{"n_prompt": 5, "n_depth": -1, "avg_ts": 1}]`:                    "n_depth -1",
		`[{"n_prompt": 5, "n_sequences": 9999999999, "avg_ts": 1}]`:        "n_sequences 9999999999",
		`[{"n_prompt": 5, "avg_ts": 1, "samples_ts": [0, 0]}]`:             "samples_ts: 0",
		`[{"n_prompt": 5, "avg_ts": 1, "samples_ts": [1e999]}]`:            "cannot unmarshal",
		strings.Repeat("[", 100_000):                                       "exceeded max depth",
		`{"n_prompt": 5, "avg_ts": 1, "x": "` + strings.Repeat("x", 2<<20): "token too long",
		"{\"n_prompt\":512, \"avg_ts\": 3}\nnoise":                         "line 2",
	} {
		path := filepath.Join(t.TempDir(), "peer.json")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := ReadPeer(path)
		assert.ErrorContains(t, err, want, text)
		assert.ErrorContains(t, err, path)
	}
	_, err := ReadPeer("missing.json")
	assert.Error(t, err)
}

func FuzzPeer(f *testing.F) {
	f.Add([]byte(llamaBench))
	f.Fuzz(func(t *testing.T, text []byte) {
		peers, err := parsePeer(text)
		if err == nil {
			compared, alone := Compare([]Result{*result()}, peers)
			assert.Len(t, alone, len(peers)+1-2*len(compared))
			for _, c := range compared {
				assert.Greater(t, c.Ratio, 0.0)
			}
		}
	})
}

func TestMemory(t *testing.T) {
	resident, peak := Memory()
	if resident == 0 {
		t.Skip("this system does not tell")
	}
	assert.GreaterOrEqual(t, peak, resident)
	assert.NotEmpty(t, CPUName())
	assert.NotEmpty(t, Version())
}
