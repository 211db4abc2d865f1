package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/internal/tinymodel"
)

func TestCacheCommands(t *testing.T) {
	model, dir := tinymodel.WriteLlama(t), t.TempDir()
	system := strings.Repeat("be brief. ", 6)
	file := filepath.Join(dir, "brief"+savedSuffix)
	out, err := runCommand("cache", "save", "-m", model, "-t", "1", "--system", system, file)
	require.NoError(t, err)
	assert.Contains(t, out, "tokens computed and saved")
	out, err = runCommand("cache", "load", "-m", model, "-t", "1", file)
	require.NoError(t, err)
	assert.Contains(t, out, "be")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "other"+savedSuffix), []byte("nothing"), 0o600))
	out, err = runCommand("cache", "list", dir)
	require.NoError(t, err)
	assert.Contains(t, out, "brief"+savedSuffix)
	assert.Contains(t, out, "not a saved cache")
	assert.Len(t, strings.Split(strings.TrimSpace(out), "\n"), 3)

	ask := []string{"run", model, "-t", "1", "--system", system, "--temp", "0", "-n", "5", "--ignore-eos", "--json", "hello"}
	cold, err := runCommand(ask...)
	require.NoError(t, err)
	warm, err := runCommand(append(ask, "--saved", file)...)
	require.NoError(t, err)
	assert.Contains(t, cold, `"cached_tokens":0`)
	assert.NotContains(t, warm, `"cached_tokens":0`)
	text := func(s string) string { return s[strings.Index(s, `"text"`):strings.LastIndex(s, `"usage"`)] }
	assert.Equal(t, text(cold), text(warm))

	_, err = runCommand(append(ask, "--saved", file, "--cache-type", "f32")...)
	assert.ErrorContains(t, err, "another")
	_, err = runCommand(append(ask, "--cache", "1KiB")...)
	assert.ErrorContains(t, err, "too small")
	_, err = runCommand(append(ask, "--cache", "much")...)
	assert.ErrorContains(t, err, `"much"`)
	_, err = runCommand("cache", "save", "-m", model, file)
	assert.ErrorContains(t, err, "at least one of the flags")
	_, err = runCommand("cache", "save", "-m", model, "--prompt", "a", filepath.Join(dir, "none", "x"))
	assert.Error(t, err)
}
