//go:build !llamacpp

package engine

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine/arch"
	"github.com/infer-go/infer/internal/fixtures"
)

func TestNoLlamaCPP(t *testing.T) {
	_, built := LlamaCPP()
	assert.False(t, built)
	_, err := Open(tiny.write(t), Options{Backend: BackendLlamaCPP})
	require.ErrorIs(t, err, ErrNoLlamaCPP)
}

func TestUnknownArchitecture(t *testing.T) {
	m := tiny
	m.arch = "no-such-model"
	_, err := Open(m.write(t), Options{})
	var unknown *arch.UnknownArchitectureError
	require.ErrorAs(t, err, &unknown)
	assert.Equal(t, "no-such-model", unknown.Name)
	assert.Contains(t, err.Error(), "tag llamacpp")
}

// TestForeignArchitectures: files that llama.cpp alone may know are refused by name.
func TestForeignArchitectures(t *testing.T) {
	for _, name := range []string{"mamba", "bert", "lfm2"} {
		if arch.Native(name) {
			continue
		}
		_, err := Open(fixtures.Path(t, "conformance", "cases", name, "model.gguf"), Options{})
		var unknown *arch.UnknownArchitectureError
		assert.ErrorAs(t, err, &unknown, name)
	}
}
