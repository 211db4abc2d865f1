package engine

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/kernels"
)

func TestCandidates(t *testing.T) {
	all := []candidate{{backend: "cuda"}, {backend: "cpu"}}
	for _, c := range []struct {
		what, env string
		options   Options
		want      []candidate
	}{
		{"nothing said", "", Options{}, all},
		{"auto", "cpu", Options{Device: "auto"}, all},
		{"the environment", "cuda:2", Options{}, []candidate{{"cuda", 2}}},
		{"cpu", "cuda", Options{Device: "cpu"}, []candidate{{backend: "cpu"}}},
		{"an instruction set is the CPU's", "", Options{Variant: "ref"}, []candidate{{backend: "cpu"}}},
		{"cuda", "", Options{Device: "cuda", Variant: "ref"}, []candidate{{backend: "cuda"}}},
	} {
		t.Setenv("INFER_DEVICE", c.env)
		got, err := c.options.candidates()
		require.NoError(t, err, c.what)
		assert.Equal(t, c.want, got, c.what)
	}
	for _, bad := range []string{"gpu", "cuda:", "cuda:-1", "cuda:x", "cpu:0", "metal"} {
		_, err := (&Options{Device: bad}).candidates()
		assert.ErrorContains(t, err, bad)
	}
}

// A device that is asked for and absent is an error that says where it was looked for; one that may be chosen is passed over in silence.
func TestAbsentDevice(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("INFER_BACKENDS", folder)
	path := conformanceCases(t)[0].dir + "/model.gguf"
	_, err := Open(path, Options{Device: "cuda", Context: 64, Threads: 1})
	require.ErrorIs(t, err, kernels.ErrNoBackend)
	assert.ErrorContains(t, err, folder)
	e, err := Open(path, Options{Device: "auto", Context: 64, Threads: 1})
	require.NoError(t, err)
	defer e.Close()
	assert.True(t, e.OnCPU())
	assert.Empty(t, e.Note())
}
