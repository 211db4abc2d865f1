package cache_test

import (
	"testing"

	"github.com/infer-go/infer/engine/cache"
	"github.com/infer-go/infer/kernels"
	"github.com/stretchr/testify/assert"
)

var _ cache.Device = (*kernels.Device)(nil)

func TestPagesAreTheKernels(t *testing.T) {
	assert.Equal(t, kernels.PageTokens, cache.PageTokens)
}
