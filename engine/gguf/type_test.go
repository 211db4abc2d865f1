package gguf

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTypes(t *testing.T) {
	for _, known := range Types() {
		assert.True(t, known.Known())
		assert.Positive(t, known.BlockSize(), known)
		assert.Positive(t, known.BlockBytes(), known)
		parsed, ok := ParseType(known.String())
		assert.True(t, ok, known)
		assert.Equal(t, known, parsed)
		assert.NotContains(t, withdrawn, known)
	}
	assert.Len(t, Types(), 35)
	for _, unknown := range []Type{4, 5, 31, 38, 43, math.MaxUint32} {
		assert.False(t, unknown.Known())
		assert.Zero(t, unknown.BlockSize())
		assert.Zero(t, unknown.BlockBytes())
		assert.Contains(t, unknown.String(), "type ")
	}
	_, ok := ParseType("q4_k")
	assert.False(t, ok)
	_, ok = ParseType("")
	assert.False(t, ok)
}

func TestSizeOf(t *testing.T) {
	for _, c := range []struct {
		t     Type
		shape []int64
		size  int64
	}{
		{F32, []int64{3, 5}, 60},
		{BF16, []int64{7}, 14},
		{Q4_0, []int64{32, 2}, 36},
		{Q6_K, []int64{512, 3, 2}, 2 * 210 * 6},
		{NVFP4, []int64{64}, 36},
		{Q1_0, []int64{128, 1, 1, 2}, 36},
		{Q2_0, []int64{64}, 18},
		{MXFP4, []int64{32}, 17},
		{I8, []int64{math.MaxInt64}, math.MaxInt64},
	} {
		size, err := SizeOf(c.t, c.shape)
		require.NoError(t, err, "%s %v", c.t, c.shape)
		assert.Equal(t, c.size, size, "%s %v", c.t, c.shape)
	}
	for _, c := range []struct {
		t     Type
		shape []int64
		is    error
	}{
		{33, []int64{32}, ErrTensorType},
		{F32, nil, ErrShape},
		{F32, []int64{1, 1, 1, 1, 1}, ErrShape},
		{F32, []int64{0}, ErrShape},
		{F32, []int64{4, -4}, ErrShape},
		{Q4_K, []int64{255}, ErrShape},
		{F32, []int64{math.MaxInt64}, ErrShape},
		{I8, []int64{1 << 40, 1 << 40}, ErrShape},
		{Q8_0, []int64{1 << 62}, nil},
	} {
		_, err := SizeOf(c.t, c.shape)
		assert.ErrorIs(t, err, c.is, "%s %v", c.t, c.shape)
	}
}
