package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/infer-go/infer/engine/hub"
)

// runHubCommand runs a command line and returns what it prints.
func runHubCommand(args ...string) (out, errOut string, err error) {
	var o, e bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&o)
	root.SetErr(&e)
	err = root.Execute()
	return o.String(), e.String(), err
}

func TestPullListRemove(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	content := append([]byte("GGUF"), bytes.Repeat([]byte{7}, 2000)...)
	sum := sha256.Sum256(content)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}))
	defer s.Close()
	t.Setenv("INFER_MODELS", t.TempDir())
	t.Setenv("INFER_OFFLINE", "")
	ref := s.URL + "/tiny.Q8_0.gguf#sha256=" + hex.EncodeToString(sum[:])

	out, _, err := runHubCommand("list", "--json")
	require.NoError(t, err)
	assert.Equal(t, "[]\n", out)

	_, _, err = runHubCommand("pull", "--offline", ref)
	require.ErrorIs(t, err, hub.ErrOffline)

	out, errOut, err := runHubCommand("pull", ref)
	require.NoError(t, err)
	assert.Contains(t, out, "2.0 kB")
	path := strings.TrimSpace(out[strings.LastIndex(out, "  "):])
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, content, got)
	assert.Equal(t, "infer: downloading tiny.Q8_0.gguf from "+ref+"\n", errOut, "no bar where there is no terminal")

	out, _, err = runHubCommand("list")
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 2)
	assert.Regexp(t, `^NAME +SIZE +QUANT +SOURCE +STATE +PATH$`, lines[0])
	assert.Equal(t, []string{ref, "2.0", "kB", "Q8_0", ref, "ok", path}, strings.Fields(lines[1]))

	out, _, err = runHubCommand("list", "--json", "--verify")
	require.NoError(t, err)
	var models []hub.Model
	require.NoError(t, json.Unmarshal([]byte(out), &models))
	require.Len(t, models, 1)
	assert.Equal(t, path, models[0].Path)

	got[100] ^= 1
	require.NoError(t, os.WriteFile(path, got, 0o644))
	out, _, err = runHubCommand("list", "--verify")
	require.ErrorContains(t, err, "1 of 1 models are damaged")
	assert.Contains(t, out, "wrong SHA-256: expected "+hex.EncodeToString(sum[:]))

	out, _, err = runHubCommand("rm", ref)
	require.NoError(t, err)
	assert.Contains(t, out, "removed, 2.0 kB freed")
	assert.NoFileExists(t, path)
	_, _, err = runHubCommand("rm", ref)
	require.ErrorIs(t, err, hub.ErrNotCached)
}

func TestModelCommandsExitCodes(t *testing.T) {
	t.Setenv("INFER_MODELS", t.TempDir())
	for want, lines := range map[int][][]string{
		exitUsage:  {{"pull"}, {"pull", "a", "b"}, {"pull", "--nope", "a"}, {"rm"}, {"list", "x"}},
		exitFailed: {{"pull", "nosuchmodel"}, {"rm", "nosuchmodel"}, {"pull", filepath.Join(t.TempDir(), "none.gguf")}},
		0:          {{"list"}, {"pull", "--help"}},
	} {
		for _, line := range lines {
			assert.Equal(t, want, execute(line), "infer %s", strings.Join(line, " "))
		}
	}
}

func TestFetchBars(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	var out bytes.Buffer
	b := &fetchBars{w: &out}
	b.show(hub.Progress{Stage: hub.StageWaiting, File: "m"})
	b.show(hub.Progress{Stage: hub.StageDownloading, File: "a.gguf", Done: 0})
	b.show(hub.Progress{Stage: hub.StageDownloading, File: "a.gguf", Done: 10})
	b.show(hub.Progress{Stage: hub.StageFailed, Source: "hf:a/b", Err: errors.New("gone")})
	b.show(hub.Progress{Stage: hub.StageDownloading, File: "p==1", Done: 5, Total: 100})
	b.show(hub.Progress{Stage: hub.StageDownloading, File: "p==1", Done: 100, Total: 100})
	b.show(hub.Progress{Stage: hub.StageDownloading, File: "p==1", Done: 100, Total: 100})
	b.show(hub.Progress{Stage: hub.StageExtracting, File: "a.gguf", Done: 50, Total: 100})
	b.close() // not complete: must not wait for ever
	b.close()
	assert.Contains(t, out.String(), "another process is fetching m")
	assert.Contains(t, out.String(), "infer: hf:a/b: gone; trying the next source")
}

func TestShorten(t *testing.T) {
	assert.Equal(t, "abc", shorten("abc", 5))
	assert.Equal(t, "ab…fg", shorten("abcdefg", 5))
}
