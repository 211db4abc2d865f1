package schedule_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine/schedule"
)

// steady is an engine in which every running job always has one token to decode.
type steady struct{ length []int }

func (v *steady) Lookup(uint64) schedule.Hit { return schedule.Hit{} }
func (v *steady) Common(a, b uint64) int     { return 0 }
func (v *steady) State(id uint64, _ int) (int, int) {
	if n := v.length[id]; n < 100 {
		return n, 100 - n
	}
	return v.length[id], 1
}
func (v *steady) Free(pages []int)                      { pages[0] += 1 << 20 }
func (v *steady) Held(uint64, []int)                    {}
func (v *steady) ParkCost(uint64) (time.Duration, bool) { return 0, true }
func (v *steady) Need(id uint64, _, end int, pages []int) {
	pages[0] += pagesOf(end) - pagesOf(v.length[id])
}

// busy makes a schedule with 64 running jobs and 1,000 that wait, of ten tenants, after a while.
func busy(t testing.TB, c schedule.Config) (*schedule.Scheduler, *steady, func() schedule.Step) {
	c.Sequences, c.StepTokens, c.Draft = 64, 512, 4
	c.Tenants = map[string]float64{"a": 2}
	s, err := schedule.New(c)
	require.NoError(t, err)
	v := &steady{length: make([]int, 1064)}
	now := epoch
	for id := range uint64(1064) {
		j := schedule.Job{ID: id, Prompt: 100, MaxNew: 1 << 30, Tenant: string('a' + rune(id%10)), Priority: -int(id / 1000)}
		if id >= 64 {
			j.Lane = schedule.Lane(id % 3)
			j.Priority--
		}
		require.NoError(t, s.Submit(now, j))
	}
	turn := func() schedule.Step {
		step := s.Plan(now, v)
		for _, r := range step.Rows {
			v.length[r.ID] += r.Tokens
		}
		took := 20*time.Millisecond + time.Duration(len(step.Rows))*time.Millisecond
		now = now.Add(took)
		s.Done(now, step, took)
		return step
	}
	for range 100 {
		turn()
	}
	step := turn()
	require.Len(t, step.Rows, 64)
	require.Empty(t, step.Start)
	return s, v, turn
}

func TestNothingIsAllocatedInSteadyState(t *testing.T) {
	_, _, turn := busy(t, schedule.Config{})
	assert.Zero(t, testing.AllocsPerRun(200, func() { turn() }))
}

func BenchmarkPlan(b *testing.B) {
	b.Run("64 running, 1000 queued", func(b *testing.B) {
		s, v, turn := busy(b, schedule.Config{})
		turn()
		b.ReportAllocs()
		for b.Loop() {
			s.Plan(epoch.Add(time.Hour), v)
		}
	})
	b.Run("with aging", func(b *testing.B) {
		s, v, turn := busy(b, schedule.Config{Aging: 1000 * time.Hour})
		turn()
		b.ReportAllocs()
		for b.Loop() {
			s.Plan(epoch.Add(time.Hour), v)
		}
	})
	b.Run("Plan and Done", func(b *testing.B) {
		_, _, turn := busy(b, schedule.Config{})
		b.ReportAllocs()
		for b.Loop() {
			turn()
		}
	})
}

// Nobody is added to or taken from the running jobs here without being replaced: each step starts one.
func BenchmarkTurnover(b *testing.B) {
	s, v, turn := busy(b, schedule.Config{})
	id := uint64(1064)
	b.ReportAllocs()
	for b.Loop() {
		step := turn()
		s.Finish(step.Rows[0].ID)
		v.length = append(v.length, 0)
		_ = s.Submit(epoch, schedule.Job{ID: id, Prompt: 100, MaxNew: 1 << 30, Priority: -3})
		id++
	}
}
