package main

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/internal/bench"
	"github.com/infer-go/infer/internal/tinymodel"
)

func TestBench(t *testing.T) {
	model := tinymodel.WriteLlama(t)
	out, err := runTemplateCommand("bench", "-m", model+","+model, "-t", "1,2", "-p", "4,8", "-n", "2", "-b", "1,3", "-d", "0,5", "--pg", "4,2", "-r", "2", "-o", "json")
	require.NoError(t, err)
	var results []bench.Result
	require.NoError(t, json.Unmarshal([]byte(out), &results), out)
	require.Len(t, results, 2*2*2*(2+2+2), "models, threads, depths; prompts, generations, pairs")
	names := map[string]int{}
	for _, r := range results {
		names[r.Test]++
		assert.Equal(t, model, r.Filename)
		assert.Len(t, r.SamplesTS, 2)
		assert.Positive(t, r.AvgTS)
		if runtime.GOARCH == "amd64" { // elsewhere a peak may not be measured
			assert.Positive(t, r.LimitShare, r.Test)
		}
		assert.Positive(t, r.LoadSeconds)
		assert.Contains(t, []int{1, 2}, r.Threads)
		assert.Equal(t, "f16", r.TypeK)
	}
	assert.Equal(t, map[string]int{"pp4": 4, "pp8": 4, "tg2": 4, "tg2 x3": 4, "pp4+tg2": 4, "pp4+tg2 x3": 4, "pp4 @ d5": 4, "pp8 @ d5": 4, "tg2 @ d5": 4,
		"tg2 @ d5 x3": 4, "pp4+tg2 @ d5": 4, "pp4+tg2 @ d5 x3": 4}, names)

	// What was written is what --against reads; only the test that is not in it is named.
	saved := filepath.Join(t.TempDir(), "ours.json")
	require.NoError(t, os.WriteFile(saved, []byte(out), 0o600))
	out, err = runTemplateCommand("bench", "-m", model, "-t", "1", "-p", "4,6", "-n", "0", "-r", "1", "--against", saved)
	require.NoError(t, err)
	assert.Contains(t, out, "ratio")
	assert.Contains(t, out, ", pp6, 1 threads: not in the peer's results, which have ")
	assert.NotContains(t, out, ", pp4, 1 threads: not in")
	for _, want := range []string{"limits with 1 threads: ", "GB/s read", "open in", "resident then", "at most"} {
		assert.Contains(t, out, want)
	}
	_, err = runTemplateCommand("bench", "-m", model, "-t", "1", "-p", "6", "-n", "0", "-r", "1", "--against", saved)
	assert.ErrorContains(t, err, "no test in common")
}

func TestBenchFormats(t *testing.T) {
	model := tinymodel.WriteLlama(t)
	args := []string{"bench", "-m", model, "-t", "1", "-p", "4", "-n", "2", "-r", "1", "-o"}
	out, err := runTemplateCommand(append(args, "jsonl")...)
	require.NoError(t, err)
	assert.Equal(t, 2, strings.Count(out, "\n"))
	out, err = runTemplateCommand(append(args, "csv")...)
	require.NoError(t, err)
	table, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	require.NoError(t, err)
	require.Len(t, table, 3)
	assert.Contains(t, table[0], "avg_ts")
	out, err = runTemplateCommand(append(args, "md")...)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(out, "| model"), out)
}

func TestBenchRefuses(t *testing.T) {
	model := tinymodel.WriteLlama(t)
	bad := filepath.Join(t.TempDir(), "bad.json")
	require.NoError(t, os.WriteFile(bad, []byte(`[{"n_prompt": 4}]`), 0o600))
	for want, args := range map[string][]string{
		"--prompt: found \"x\"":               {"-p", "x"},
		"--prompt: found 9223372036854775807": {"-p", "9223372036854775807", "-d", "1"},
		"--threads: found":                    {"-t", "two"},
		"--sequences: found 0":                {"-b", "0,1"},
		"--pg: found \"512\"":                 {"--pg", "512"},
		"--runs: found 0":                     {"-r", "0"},
		"--output: found format \"yaml\"":     {"-o", "yaml"},
		"nothing to measure":                  {"-p", "0", "-n", "0"},
		bad + ": result 1":                    {"--against", bad},
		"missing.json":                        {"--against", "missing.json"},
	} {
		_, err := runTemplateCommand(append([]string{"bench", "-m", model}, args...)...)
		assert.ErrorContains(t, err, want)
	}
}
