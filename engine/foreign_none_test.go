//go:build !llamacpp

package engine

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine/arch"
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
