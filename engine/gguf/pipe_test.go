//go:build linux || darwin

package gguf

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestOpenPipe must not wait for a writer.
func TestOpenPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe.gguf")
	require.NoError(t, unix.Mkfifo(path, 0o600))
	_, err := Open(path)
	assert.ErrorIs(t, err, ErrNotFile)
	assert.ErrorContains(t, err, "a special file (p")
	_, err = Open("/dev/null")
	assert.ErrorIs(t, err, ErrNotFile)
}
