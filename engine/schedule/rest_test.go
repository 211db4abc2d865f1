package schedule

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// restView is a view of jobs that have one page of everything.
type restView struct{ pending map[uint64]int }

func (restView) Lookup(uint64) Hit                     { return Hit{} }
func (restView) Common(a, b uint64) int                { return 0 }
func (restView) Free(pages []int)                      { pages[0] += 100 }
func (restView) Held(_ uint64, p []int)                { p[0]++ }
func (restView) ParkCost(uint64) (time.Duration, bool) { return 0, true }
func (restView) Need(_ uint64, _, _ int, pages []int)  { pages[0]++ }
func (v restView) State(id uint64, _ int) (int, int)   { return 8, v.pending[id] }

// A job that rests gives its sequence to the next one, and comes back when it is woken and has room.
func TestRest(t *testing.T) {
	s, err := New(Config{StepTokens: 16, Sequences: 1})
	require.NoError(t, err)
	now, v := time.Unix(0, 0), restView{map[uint64]int{}}
	for id := range uint64(2) {
		require.NoError(t, s.Submit(now, Job{ID: id + 1, Prompt: 8, MaxNew: 9}))
	}
	assert.False(t, s.Rest(1), "it does not run yet")
	assert.Equal(t, []uint64{1}, s.Plan(now, v).Start)
	assert.Empty(t, s.Plan(now, v).Start)
	require.True(t, s.Rest(1))
	assert.False(t, s.Rest(1))
	step := s.Plan(now, v)
	assert.Equal(t, []uint64{2}, step.Start)
	assert.Empty(t, step.Resume)
	s.Wake(now, 1)
	s.Wake(now, 1)
	assert.Empty(t, s.Plan(now, v).Resume, "no sequence is free")
	s.Finish(2)
	v.pending[1] = 1
	step = s.Plan(now, v)
	assert.Equal(t, []uint64{1}, step.Resume)
	require.Len(t, step.Rows, 1)
	assert.EqualValues(t, 1, step.Rows[0].ID)
	require.True(t, s.Rest(1))
	s.Cancel(1)
	s.Wake(now, 1)
	step = s.Plan(now, v)
	assert.Empty(t, append(step.Resume, step.Start...))
}
