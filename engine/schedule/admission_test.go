package schedule_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine/schedule"
)

func TestConfigIsChecked(t *testing.T) {
	good := schedule.Config{StepTokens: 8, Sequences: 8}
	_, err := schedule.New(good)
	require.NoError(t, err)
	for want, change := range map[string]func(*schedule.Config){
		"9 sequences and 8 tokens": func(c *schedule.Config) { c.Sequences = 9 },
		"0 sequences":              func(c *schedule.Config) { c.Sequences = 0 },
		"queue -1 jobs":            func(c *schedule.Config) { c.QueueJobs = -1 },
		"window -1s":               func(c *schedule.Config) { c.MicroBatchWindow = -time.Second },
		"slowdown is NaN":          func(c *schedule.Config) { c.BatchSlowdown = math.NaN() },
		`"x" has the weight 0`:     func(c *schedule.Config) { c.Tenants = map[string]float64{"x": 0} },
		`"y" has the weight +Inf`:  func(c *schedule.Config) { c.Tenants = map[string]float64{"y": math.Inf(1)} },
	} {
		c := good
		change(&c)
		_, err := schedule.New(c)
		assert.ErrorContains(t, err, want)
	}
}

func refusal(t *testing.T, err error) *schedule.Refused {
	t.Helper()
	var r *schedule.Refused
	require.ErrorAs(t, err, &r)
	return r
}

func TestWhatCannotRunIsRefused(t *testing.T) {
	s, err := schedule.New(schedule.Config{StepTokens: 8, Sequences: 4, CacheTokens: 1000})
	require.NoError(t, err)
	require.NoError(t, s.Submit(epoch, schedule.Job{ID: 1, Prompt: 900, MaxNew: 100}))
	for want, j := range map[schedule.Reason]schedule.Job{
		schedule.RefusedMemory:    {ID: 2, Prompt: 900, MaxNew: 101},
		schedule.RefusedSequences: {ID: 2, Prompt: 1, MaxNew: 1, Branches: 5},
		schedule.RefusedLate:      {ID: 2, Prompt: 1, MaxNew: 1, Deadline: epoch},
		schedule.RefusedInvalid:   {ID: 1, Prompt: 1, MaxNew: 1},
	} {
		r := refusal(t, s.Submit(epoch, j))
		assert.Equal(t, want, r.Reason, r.Error())
		assert.Zero(t, r.RetryAfter, "it never could")
		assert.Contains(t, r.Error(), want.String())
	}
	r := refusal(t, s.Submit(epoch, schedule.Job{ID: 2, Prompt: 900, MaxNew: 101}))
	assert.EqualValues(t, 1001, r.Need)
	assert.EqualValues(t, 1000, r.Limit)
	for _, j := range []schedule.Job{{ID: 2, MaxNew: 1}, {ID: 2, Prompt: 1}, {ID: 2, Prompt: 1, MaxNew: 1, Branches: -1},
		{ID: 2, Prompt: 1, MaxNew: 1, Lane: 3}, {ID: 2, Prompt: math.MaxInt, MaxNew: math.MaxInt}} {
		assert.Equal(t, schedule.RefusedInvalid, refusal(t, s.Submit(epoch, j)).Reason)
	}
	assert.EqualValues(t, 10, s.Stats().Refused)
}

func TestAFullQueueRefusesUntilItHasRoom(t *testing.T) {
	c := plenty(2, 64)
	c.QueueJobs, c.QueueTokens = 3, 500
	m := newSim(t, c, 1000)
	train(m)
	for id := range uint64(2) {
		must(m, schedule.Job{ID: id + 1, Prompt: 30, MaxNew: 60}, 0, 0)
	}
	m.turn()
	for id := range uint64(3) {
		must(m, schedule.Job{ID: id + 3, Prompt: 30, MaxNew: 60}, 0, 0)
	}
	r := refusal(t, m.submit(schedule.Job{ID: 9, Prompt: 30, MaxNew: 60}, 0, 0))
	assert.Equal(t, schedule.RefusedQueue, r.Reason)
	assert.EqualValues(t, 3, r.Used)
	assert.EqualValues(t, 3, r.Limit)
	assert.Contains(t, r.Error(), "try again in")
	at := m.now
	until(m, func() bool { return m.s.Stats().Queued[0] < 3 })
	took := m.now.Sub(at)
	assert.Greater(t, r.RetryAfter, took/4, "it took %v", took)
	assert.Less(t, r.RetryAfter, took*4)
	r = refusal(t, m.submit(schedule.Job{ID: 9, Prompt: 480, MaxNew: 60}, 0, 0))
	assert.Equal(t, schedule.RefusedBacklog, r.Reason)
	assert.Positive(t, r.RetryAfter)
	m.finish()
	must(m, schedule.Job{ID: 9, Prompt: 700, MaxNew: 6}, 0, 0) // alone it may be longer
	m.finish()
}

func TestNothingIsKnownAboutTimeAtFirst(t *testing.T) {
	c := plenty(2, 64)
	c.QueueJobs, c.MaxWait = 1, time.Nanosecond
	m := newSim(t, c, 1000)
	must(m, schedule.Job{ID: 1, Prompt: 30, MaxNew: 60}, 0, 0)
	assert.Zero(t, m.s.PredictTTFT(schedule.Job{Prompt: 100}, 0))
	assert.Equal(t, time.Second, refusal(t, m.submit(schedule.Job{ID: 2, Prompt: 1, MaxNew: 1}, 0, 0)).RetryAfter)
	m.finish()
}

func TestPredictedTimeToTheFirstToken(t *testing.T) {
	check := func(m *sim, id uint64, prompt int) {
		t.Helper()
		j := schedule.Job{ID: id, Prompt: prompt, MaxNew: 60}
		predicted := m.s.PredictTTFT(j, 0)
		must(m, j, 0, 0)
		x := m.jobs[id]
		until(m, func() bool { return x.forked })
		real := x.first.Sub(x.Arrived)
		t.Logf("%d: predicted %v, was %v", id, predicted, real)
		assert.InDelta(t, real.Seconds(), predicted.Seconds(), 0.5*real.Seconds())
	}
	c := plenty(4, 128)
	m := newSim(t, c, 1000)
	train(m)
	check(m, 1, 1000) // idle
	for id := range uint64(3) {
		must(m, schedule.Job{ID: id + 10, Prompt: 10, MaxNew: 400}, 0, 0)
	}
	until(m, func() bool { return m.jobs[1] == nil && m.jobs[12].forked })
	check(m, 2, 500) // beside decodes
	until(m, func() bool { return m.jobs[2] == nil })
	must(m, schedule.Job{ID: 20, Lane: schedule.Online, Prompt: 1500, MaxNew: 2}, 0, 0)
	m.turn()
	assert.Greater(t, m.s.PredictTTFT(schedule.Job{Prompt: 500, MaxNew: 1}, 0), m.s.PredictTTFT(schedule.Job{Prompt: 500, MaxNew: 1}, 400))
	m.finish()
}

func TestWhoWouldWaitTooLongIsRefused(t *testing.T) {
	c := plenty(4, 128)
	c.MaxWait = 500 * time.Millisecond
	m := newSim(t, c, 1000)
	train(m)
	require.NoError(t, m.submit(schedule.Job{ID: 1, Prompt: 500, MaxNew: 4}, 0, 0))
	r := refusal(t, m.submit(schedule.Job{ID: 2, Prompt: 10000, MaxNew: 4}, 0, 0))
	assert.Equal(t, schedule.RefusedWait, r.Reason)
	assert.EqualValues(t, 500, r.Limit)
	assert.Greater(t, r.Need, int64(1000))
	assert.Positive(t, r.RetryAfter)
	m.finish()
}

func TestNamesOfLanesAndReasons(t *testing.T) {
	seen := map[string]bool{}
	for i := range 4 {
		seen[schedule.Lane(i).String()] = true
	}
	for i := range 8 {
		seen[schedule.Reason(i).String()] = true
		seen[schedule.Wait(i).String()] = true
	}
	assert.Len(t, seen, 4+8+8)
}

func TestMemoryOfTenantsIsBounded(t *testing.T) {
	m := newSim(t, plenty(4, 128), 1000)
	for id := range uint64(5000) {
		must(m, schedule.Job{ID: id, Tenant: string(rune(0x4000 + id)), Prompt: 5, MaxNew: 1}, 0, 0)
		m.turn()
	}
	m.finish()
	assert.LessOrEqual(t, schedule.Remembered(m.s), 1100)
}
