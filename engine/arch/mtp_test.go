package arch

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/infer-go/infer/kernels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// furtherSketch is a model of an architecture with a layer behind its own that predicts a further token.
func furtherSketch(t testing.TB, arch string) *sketch {
	t.Helper()
	s := newSketch(t, arch, nil)
	layers := s.keys["block_count"].(uint32)
	s.keys["block_count"], s.keys["nextn_predict_layers"] = layers+1, uint32(1)
	s.random("blk.2.nextn.eh_proj.weight", 64, 32)
	require.EqualValues(t, 2, layers)
	for range 50 {
		_, err := Record(s.open(t), Options{Predictor: true})
		if err == nil {
			return s
		}
		for _, fault := range tensorErrors(err) {
			require.Equal(t, "nothing", fault.Found, "%v", err)
			s.random(fault.Tensor, shapeOf(t, fault.Expected)...)
		}
	}
	t.Fatal("tensors without end")
	return nil
}

// furtherArchitectures are those whose files predict further tokens; the sketches of others have other numbers of layers.
var furtherArchitectures = []string{"qwen35", "qwen35moe", "qwen3next"}

// A change of a plan is a change of the computation: read the diff.
func TestPlansOfPredictors(t *testing.T) {
	for _, arch := range furtherArchitectures {
		s := furtherSketch(t, arch)
		m, err := Record(s.open(t), Options{Predictor: true})
		require.NoError(t, err)
		assert.Empty(t, m.Unused.Tensors)
		assert.Empty(t, m.Unused.Keys)
		assert.Equal(t, 1, m.FurtherTokens)
		samePlan(t, filepath.Join("testdata", arch+"-further.plan"), m.Plan.String())
	}
}

// Who does not ask for the predictor gets the plan of the same file without those layers, and no complaint about them.
func TestPlanWithoutPredictor(t *testing.T) {
	for _, arch := range furtherArchitectures {
		s := furtherSketch(t, arch)
		m, err := Record(s.open(t), Options{})
		require.NoError(t, err)
		assert.Empty(t, m.Unused.Tensors)
		assert.False(t, m.Plan.HasPredictor())
		plain := newSketch(t, arch, nil)
		want, err := Record(plain.open(t), Options{})
		require.NoError(t, err)
		assert.Equal(t, want.Plan.String(), m.Plan.String())
		assert.Equal(t, want.Parameters, m.Parameters)

		with, err := Record(s.open(t), Options{Predictor: true})
		require.NoError(t, err)
		assert.Greater(t, with.Parameters, m.Parameters)
		assert.Equal(t, m.MultiplyAddsPerToken, with.MultiplyAddsPerToken-furtherOfLastLayer(m, with), "a token's own products")
	}
}

// furtherOfLastLayer are the products of the last layer that a plan computes for every row when the hidden states of all are wanted.
func furtherOfLastLayer(without, with *Model) int64 {
	count := func(m *Model) (n int64) {
		for _, o := range m.Plan.Model() {
			if o.Kind == kernels.OpMatMul && m.Plan.Tensors[o.Out].RowsKind == kernels.RowsBatch && int(o.Layer) == m.Layers-1 {
				for _, r := range []kernels.Ref{o.In[1], o.In[4]} {
					if m.Plan.Rows(r) > 1 {
						n += m.Plan.Rows(r) * m.Plan.Cols(r)
					}
				}
			}
		}
		return n
	}
	return count(with) - count(without)
}

// A file may announce the layers and lack them, as parts of a model alone do; what is there must be whole.
func TestPartsOfPredictors(t *testing.T) {
	s := furtherSketch(t, "qwen35")
	none := s.clone()
	for name := range s.tensors {
		if strings.HasPrefix(name, "blk.2.") {
			delete(none.tensors, name)
		}
	}
	m, err := Record(none.open(t), Options{Predictor: true})
	require.NoError(t, err)
	assert.False(t, m.Plan.HasPredictor())
	for name := range s.tensors {
		if !strings.HasPrefix(name, "blk.2.") || name == "blk.2.nextn.eh_proj.weight" {
			continue
		}
		part := s.clone()
		delete(part.tensors, name)
		_, err := Record(part.open(t), Options{Predictor: true})
		assert.ErrorContains(t, err, name)
		part.tensors[name] = blob{[]int64{3}, make([]float32, 3), 0}
		_, err = Record(part.open(t), Options{Predictor: true})
		assert.ErrorContains(t, err, name)
		_, err = Record(part.open(t), Options{})
		assert.NoError(t, err, "nobody asked for it")
	}
}
