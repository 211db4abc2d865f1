package kernels

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// The CPU does not select, and says so.
func TestKeepOnCPU(t *testing.T) {
	d := predictorDevice(t, DeviceOptions{Threads: 1})
	assert.False(t, d.Selects())
	b := rowsFrom(0, []int32{0}, 0)
	b.Keep, b.AlsoFirst = []int32{1}, []int32{0, 0}
	_, err := d.Run(b)
	assert.ErrorIs(t, err, ErrInvalid)
	assert.ErrorContains(t, err, "cpu")
	_, err = d.Peaks()
	assert.ErrorIs(t, err, ErrUnsupported)
	_, _, own := d.Memory()
	assert.False(t, own)
	_, err = OpenDevice(DeviceOptions{Backend: "no such"})
	assert.ErrorIs(t, err, ErrNoBackend)
}
