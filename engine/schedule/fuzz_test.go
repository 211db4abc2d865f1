package schedule_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine/schedule"
)

// chaos answers the schedule's questions with whatever the fuzzer says, and calls in any order.
type chaos struct {
	data []byte
}

func (c *chaos) next() int {
	if len(c.data) == 0 {
		return 0
	}
	b := c.data[0]
	c.data = c.data[1:]
	return int(b)
}

func (c *chaos) Lookup(uint64) schedule.Hit {
	return schedule.Hit{Cached: c.next() - 10, Pending: c.next() - 10, Leader: uint64(c.next() % 16)}
}
func (c *chaos) Common(a, b uint64) int           { return c.next() - 10 }
func (c *chaos) State(uint64, int) (int, int)     { return c.next() - 10, c.next() - 10 }
func (c *chaos) Free(p []int)                     { p[0] += c.next() - 10; p[1] += c.next() }
func (c *chaos) Need(_ uint64, _, _ int, p []int) { p[c.next()%2] += c.next()%40 - 10 }
func (c *chaos) Held(_ uint64, p []int)           { p[c.next()%2] += c.next()%40 - 10 }
func (c *chaos) ParkCost(uint64) (time.Duration, bool) {
	return time.Duration(c.next()-10) * time.Millisecond, c.next()%3 > 0
}

// FuzzCalls makes calls in any order with answers that make no sense: nothing may panic or hang, and what holds without trust in
// the answers must hold.
func FuzzCalls(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("0a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6q7r8s9t"))
	seed := make([]byte, 4096)
	x := uint32(1)
	for i := range seed {
		x = x*1664525 + 1013904223
		seed[i] = byte(x >> 24)
	}
	f.Add(seed)
	f.Fuzz(calls)
}

func calls(t *testing.T, data []byte) {
	v := &chaos{data: data}
	c := schedule.Config{Sequences: 1 + v.next()%6, Pools: 2, TargetITL: time.Duration(v.next()) * time.Millisecond, MicroBatchWindow: 10 * time.Millisecond,
		Aging: time.Duration(v.next()) * time.Millisecond, QueueJobs: 10, Draft: v.next() % 5, MaxWait: time.Duration(v.next()) * time.Second}
	c.StepTokens = c.Sequences + v.next()
	s, err := schedule.New(c)
	require.NoError(t, err)
	now := epoch
	for range 300 {
		now = now.Add(time.Duration(v.next()) * time.Millisecond)
		id := uint64(v.next() % 16)
		switch v.next() % 8 {
		case 0, 1, 2:
			j := schedule.Job{ID: id, Lane: schedule.Lane(v.next() % 4), Priority: v.next() % 3, Tenant: string(rune('a' + v.next()%3)), Prompt: v.next(), MaxNew: v.next(), Branches: v.next() % 4}
			_ = s.Submit(now, j)
		case 3:
			s.Cancel(id)
		case 4:
			s.Blocked(id)
		case 5:
			s.FinishBranch(id, v.next()-1)
			if s.Waiting(id) == schedule.WaitNone && s.PredictTTFT(schedule.Job{Prompt: v.next(), MaxNew: 1}, v.next()) < 0 {
				t.Fatal("a negative prediction")
			}
		default:
			step := s.Plan(now, v)
			rows := 0
			for _, r := range step.Rows {
				rows += r.Tokens + r.Draft
				require.Positive(t, r.Tokens)
				require.GreaterOrEqual(t, r.Draft, 0)
			}
			require.LessOrEqual(t, rows, c.StepTokens)
			require.True(t, step.Wake.IsZero() || step.Wake.After(now))
			if v.next()%4 > 0 {
				s.Done(now, step, time.Duration(v.next())*time.Millisecond)
			}
		}
		st := s.Stats()
		require.LessOrEqual(t, st.Branches, c.Sequences)
		require.True(t, st.Branches >= st.Running && st.Parked >= 0 && st.QueuedTokens >= 0)
	}
	for id := range uint64(16) {
		s.Cancel(id)
	}
	st := s.Stats()
	require.Zero(t, st.Running+st.Branches+st.Parked+st.QueuedTokens+st.Queued[0]+st.Queued[1]+st.Queued[2])
}
