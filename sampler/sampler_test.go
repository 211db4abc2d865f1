package sampler

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGreedyPicksTheLargest(t *testing.T) {
	p := DefaultParams()
	p.Temperature = 0
	s, err := New(p, 4)
	require.NoError(t, err)
	token, err := s.Sample([]float32{1, 3, 3, 2})
	require.NoError(t, err)
	require.EqualValues(t, 1, token.ID)
}
