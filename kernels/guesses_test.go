package kernels

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// stateDevice prepares recurrent ops with so many slots.
func stateDevice(t require.TestingT, s recurrentSizes, o DeviceOptions, slots int) *Device {
	p, weights := recurrentPlan(s, rand.New(rand.NewPCG(3, 4)))
	require.NoError(t, p.Finish(Limits{MaxRows: 64, MaxWanted: 64, CacheDType: F16, Pages: []int{slots}}))
	d, err := OpenCPU(o)
	require.NoError(t, err)
	require.NoError(t, d.Prepare(p, weights))
	return d
}

// rowsFrom is a batch of one sequence from a position on.
func rowsFrom(position int, ids []int32, table ...int32) *Batch {
	b := &Batch{IDs: ids, Pages: table, TablePages: len(table), SequenceCount: 1}
	for i := range ids {
		b.Positions, b.Sequences, b.Wanted = append(b.Positions, int32(position+i)), append(b.Sequences, 0), append(b.Wanted, int32(i))
	}
	return b
}

// A step with guesses leaves after the certain rows, and after each guess, the state that a step to there would have left, bit for bit.
func TestStatesAfterGuesses(t *testing.T) {
	variants := Variants()
	rapid.Check(t, func(t *rapid.T) {
		s := sizesOf(t)
		ids := rapid.SliceOfN(rapid.Int32Range(0, 63), 2, 30).Draw(t, "ids")
		first := rapid.IntRange(0, len(ids)-2).Draw(t, "rows before")
		guesses := rapid.IntRange(1, len(ids)-first-1).Draw(t, "guesses")
		o := DeviceOptions{Threads: rapid.IntRange(1, 2).Draw(t, "threads"), Variant: rapid.SampledFrom(variants).Draw(t, "variant")}
		d, single := stateDevice(t, s, o, 40), stateDevice(t, s, DeviceOptions{Threads: 1, Variant: "ref"}, 40)
		defer d.Close()
		defer single.Close()
		read := int32(-1)
		if first > 0 {
			read = 0
			_, err := d.Run(rowsFrom(0, ids[:first], -1, 0))
			require.NoError(t, err)
		}
		table := []int32{read}
		for i := range guesses + 1 {
			table = append(table, int32(39-i))
		}
		got, err := d.Run(rowsFrom(first, ids[first:], table...))
		require.NoError(t, err)
		for i := range ids { // one row a step, each into a slot of its own
			want, err := single.Run(rowsFrom(i, ids[i:i+1], int32(i-1), int32(i)))
			require.NoError(t, err)
			if i >= first {
				require.Equal(t, want, got[(i-first)*d.LogitsStride():][:len(want)], "row %d", i)
			}
			if at := i - (len(ids) - 1 - guesses); at >= 0 {
				require.Equal(t, pageOf(t, single, i), pageOf(t, d, 39-at), "the state after row %d", i)
			}
		}
	})
}

func pageOf(t require.TestingT, d *Device, slot int) []byte {
	data := make([]byte, d.PageBytes(0))
	require.NoError(t, d.ReadPage(0, slot, data))
	return data
}

func TestSlotsOfGuesses(t *testing.T) {
	s := recurrentSizes{taps: 4, channels: 16, states: 2, heads: 2, groups: 1, width: 16, keys: 4}.laidOut()
	d := stateDevice(t, s, DeviceOptions{Threads: 1}, 5)
	defer d.Close()
	for what, b := range map[string]*Batch{
		"more slots than rows":   rowsFrom(7, []int32{1, 2}, 0, 1, 2, 3),
		"guesses alone":          rowsFrom(7, []int32{1}, 0, 1, 2),
		"a slot twice":           rowsFrom(7, []int32{1, 2, 3}, 0, 1, 2, 2),
		"the slot that is read":  rowsFrom(7, []int32{1, 2, 3}, 0, 1, 0),
		"a slot past the end":    rowsFrom(7, []int32{1, 2, 3}, 0, 1, 5),
		"what another one reads": {IDs: []int32{1, 2, 3}, Positions: []int32{0, 1, 4}, Sequences: []int32{0, 0, 1}, Pages: []int32{-1, 0, 1, 1, 2, -1}, TablePages: 3, SequenceCount: 2},
	} {
		_, err := d.Run(b)
		assert.ErrorIs(t, err, ErrInvalid, what)
	}
	_, err := d.Run(rowsFrom(7, []int32{1, 2, 3}, 0, 1, 2, 4, -1))
	assert.NoError(t, err)
}
