package kernels

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pagedDevice prepares a plan with two kinds of pages, the first of them with two layers, and nothing to compute.
func pagedDevice(t *testing.T) *Device {
	t.Helper()
	p := NewPlan()
	table := make([]byte, 4*8*4)
	w := p.Weight("table", F32, 8, 4, 1, 0, 0)
	p.AddCacheLayer(2, 16, 16, 16, 0)
	p.AddCacheLayer(1, 8, 8, 8, 64)
	p.AddCacheLayer(1, 32, 0, 16, 0)
	p.Hidden = p.Embed(w, 1)
	require.NoError(t, p.Finish(Limits{MaxRows: 1, MaxWanted: 1, CacheDType: F16, Pages: []int{5, 3}}))
	d, err := OpenCPU(DeviceOptions{Threads: 1})
	require.NoError(t, err)
	t.Cleanup(d.Close)
	require.NoError(t, d.Prepare(p, [][]byte{table}))
	return d
}

func randomPage(r *rand.Rand, bytes int64) []byte {
	page := make([]byte, bytes)
	for i := range page {
		page[i] = byte(r.Uint32())
	}
	return page
}

// Every page of every kind holds what was written to it, whatever is written to the others.
func TestPagesKeepTheirBits(t *testing.T) {
	d := pagedDevice(t)
	r := rand.New(rand.NewPCG(1, 2))
	require.Equal(t, int64(2*32*(2*32+32)), d.PageBytes(0), "K and V of two heads, and K of the second layer")
	counts := []int{5, 3}
	written := map[[2]int][]byte{}
	for kind, n := range counts {
		for page := range n {
			data := randomPage(r, d.PageBytes(kind))
			written[[2]int{kind, page}] = data
			require.NoError(t, d.WritePage(kind, page, data))
		}
	}
	require.NoError(t, d.CopyPage(0, 4, 1))
	written[[2]int{0, 1}] = written[[2]int{0, 4}]
	for at, want := range written {
		got := make([]byte, len(want))
		require.NoError(t, d.ReadPage(at[0], at[1], got))
		assert.Equal(t, want, got, "kind and page %v", at)
	}
}

func TestPageArgumentsAreChecked(t *testing.T) {
	d := pagedDevice(t)
	page := make([]byte, d.PageBytes(0))
	for _, c := range []struct {
		err  error
		want string
	}{
		{d.ReadPage(0, 5, page), "page 5 of kind 0, which has 5"},
		{d.ReadPage(0, -1, page), "page -1 of kind 0"},
		{d.WritePage(2, 0, page), "kind 2 of 2"},
		{d.WritePage(-1, 0, page), "kind -1 of 2"},
		{d.WritePage(1, 0, page), "6144 bytes, a page of kind 1 has 1024"},
		{d.ReadPage(0, 0, nil), "0 bytes"},
		{d.CopyPage(7, 0, 0), "kind 7 of 2"},
		{d.CopyPage(1, 0, 3), "page 3 of kind 1, which has 3"},
	} {
		assert.ErrorIs(t, c.err, ErrInvalid)
		assert.ErrorContains(t, c.err, c.want)
	}
	assert.Zero(t, d.PageBytes(2))
	empty, err := OpenCPU(DeviceOptions{Threads: 1})
	require.NoError(t, err)
	defer empty.Close()
	assert.ErrorContains(t, empty.ReadPage(0, 0, page), "no plan is prepared")
}
