package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/internal/tinymodel"
	"github.com/infer-go/infer/internal/traffic"
)

func TestBenchTraffic(t *testing.T) {
	model := tinymodel.WriteLlama(t)
	out, err := runTemplateCommand("bench", "--traffic", "-m", model, "-t", "1", "--rate", "200", "--requests", "12", "--prompt-tokens", "20", "--output-tokens", "2-4",
		"--lanes", "online=1,batch=2", "--good-ttft", "1h", "--json")
	require.NoError(t, err)
	var report traffic.Report
	require.NoError(t, json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &report), out)
	require.NotEmpty(t, report.Lanes)
	assert.Equal(t, 12, report.Lanes[0].Finished)
	assert.Equal(t, 12, report.Lanes[0].Good)
	assert.Equal(t, 240, report.Lanes[0].PromptTokens)

	trace := filepath.Join(t.TempDir(), "trace.jsonl")
	line := `{"timestamp": 0, "input_length": 1024, "output_length": 16, "hash_ids": [1, 2]}` + "\n"
	require.NoError(t, os.WriteFile(trace, []byte(line+line), 0o600))
	out, err = runTemplateCommand("bench", "--traffic", "-m", model, "-t", "1", "--trace", trace, "--scale-lengths", "0.0625")
	require.NoError(t, err)
	assert.Contains(t, out, "between tokens")
	assert.NotContains(t, out, "ended early")

	out, err = runTemplateCommand("bench", "--traffic", "-m", model, "-t", "1", "--experiment", "host", "--repeats", "1")
	require.NoError(t, err)
	assert.Contains(t, out, "host work of a step, 64 sequences")
}

func TestBenchTrafficRefuses(t *testing.T) {
	model := tinymodel.WriteLlama(t)
	for want, args := range map[string][]string{
		"--rate: only with --traffic":                  {"--rate", "2"},
		"--lanes: found \"night=1\"":                   {"--traffic", "--lanes", "night=1"},
		"--prompt-tokens: found \"9-3\"":               {"--traffic", "--prompt-tokens", "9-3"},
		"--output-tokens: found \"x\"":                 {"--traffic", "--output-tokens", "x"},
		"--running, --repeats and --requests: found 0": {"--traffic", "--running", "0"},
		"--experiment: found \"speed\"":                {"--traffic", "--experiment", "speed"},
		"rate: found -1":                               {"--traffic", "--rate", "-1"},
		"no such file":                                 {"--traffic", "--trace", "missing.jsonl"},
		"expected .jsonl":                              {"--traffic", "--trace", model},
		"reuse: expected a trace":                      {"--traffic", "--experiment", "reuse"},
	} {
		_, err := runTemplateCommand(append([]string{"bench", "-m", model}, args...)...)
		assert.ErrorContains(t, err, want)
	}
}

// interrupter sends this process a signal when it sees the load begin.
type interrupter struct {
	bytes.Buffer
	once sync.Once
}

func (w *interrupter) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	if strings.Contains(w.String(), " requests over ") {
		w.once.Do(func() { err = errors.Join(err, syscall.Kill(syscall.Getpid(), syscall.SIGINT)) })
	}
	return n, err
}

// Ctrl-C ends the load; what was measured is printed.
func TestBenchTrafficInterrupted(t *testing.T) {
	model := tinymodel.WriteLlama(t)
	var out bytes.Buffer
	root := newRoot()
	root.SetArgs([]string{"bench", "--traffic", "-m", model, "-t", "1", "--rate", "0.01", "--requests", "1000", "--json"})
	root.SetOut(&out)
	root.SetErr(&interrupter{})
	begin := time.Now()
	require.NoError(t, root.Execute())
	assert.Less(t, time.Since(begin), time.Minute, "the load would take a day")
	var report traffic.Report
	require.NoError(t, json.Unmarshal(out.Bytes(), &report), out.String())
	assert.False(t, report.Complete)
	require.NotEmpty(t, report.Lanes)
	assert.Less(t, report.Lanes[0].Requests, 1000)
}
