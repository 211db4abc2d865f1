package cuda

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/kernels"
)

// sequenceRows is a batch of one sequence from a position on; slots: the one that is read, and those that are written.
func sequenceRows(position, count int, slots ...int32) *kernels.Batch {
	b := &kernels.Batch{Pages: slots, TablePages: len(slots), SequenceCount: 1}
	for i := range count {
		at := position + i
		b.IDs, b.Positions = append(b.IDs, int32(at*11%trialVocab)), append(b.Positions, int32(at))
		b.Sequences, b.Wanted = append(b.Sequences, 0), append(b.Wanted, int32(i))
	}
	return b
}

func stateOf(t *testing.T, d *kernels.Device, slot int) []byte {
	data := make([]byte, d.PageBytes(0))
	require.NoError(t, d.ReadPage(0, slot, data))
	return data
}

// A step with guesses leaves after the certain rows, and after each guess, the state that a step to there would have left, bit for bit.
func TestStatesAfterGuesses(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			var open [2]*kernels.Device
			for i := range open {
				c := trial{record: recurrent}
				r := c.recorded(t, seed+1, 20, false)
				open[i] = openCard(t, kernels.DeviceOptions{})
				require.NoError(t, open[i].Prepare(r.Plan, [][]byte{r.data}))
			}
			card, single := open[0], open[1]
			rows, guesses, before := 12, 1+int(seed)*2, int(seed)
			read := int32(-1)
			if before > 0 {
				read = 0
				_, err := card.Run(sequenceRows(0, before, -1, 0))
				require.NoError(t, err)
			}
			table := []int32{read}
			for i := range guesses + 1 {
				table = append(table, int32(39-i))
			}
			got, err := card.Run(sequenceRows(before, rows-before, table...))
			require.NoError(t, err)
			for i := range rows { // one row a step, each into a slot of its own
				want, err := single.Run(sequenceRows(i, 1, int32(i-1), int32(i)))
				require.NoError(t, err)
				if i >= before {
					require.Equal(t, want, got[(i-before)*card.LogitsStride():][:len(want)], "row %d", i)
				}
				if at := i - (rows - 1 - guesses); at >= 0 {
					require.Equal(t, stateOf(t, single, i), stateOf(t, card, 39-at), "the state after row %d", i)
				}
			}
		})
	}
}
