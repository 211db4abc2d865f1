package schedule_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine/schedule"
)

func ids(rows []schedule.Row) []uint64 {
	var out []uint64
	for _, r := range rows {
		if !slices.Contains(out, r.ID) {
			out = append(out, r.ID)
		}
	}
	return out
}

func tokensOf(rows []schedule.Row, id uint64) int {
	n := 0
	for _, r := range rows {
		if r.ID == id {
			n += r.Tokens
		}
	}
	return n
}

// train lets the step-time model see steps of all sizes.
func train(m *sim) {
	for i := range 6 {
		id := uint64(1_000_000 + i)
		if m.submit(schedule.Job{ID: id, Prompt: 16 << i, MaxNew: 20}, 0, 0) != nil { // the queue is full
			m.finish()
			must(m, schedule.Job{ID: id, Prompt: 16 << i, MaxNew: 20}, 0, 0)
		}
	}
	m.finish()
	m.seen = nil
}

func must(m *sim, j schedule.Job, group, shared int, answers ...int) {
	require.NoError(m.t, m.submit(j, group, shared, answers...))
}

// until runs steps until the condition holds.
func until(m *sim, condition func() bool) {
	for range 10000 {
		if condition() {
			return
		}
		m.turn()
	}
	require.Fail(m.t, "it never came to that", m.describe())
}

func plenty(sequences, rows int) schedule.Config {
	return schedule.Config{Sequences: sequences, StepTokens: rows, MicroBatchWindow: 50 * time.Millisecond}
}

func TestDecodesComeFirstAndPromptsKeepToTheTarget(t *testing.T) {
	for _, target := range []time.Duration{0, 40 * time.Millisecond} {
		c := plenty(8, 512)
		c.TargetITL = target
		m := newSim(t, c, 10000)
		train(m)
		for id := range uint64(4) {
			must(m, schedule.Job{ID: id, Prompt: 10, MaxNew: 2000}, 0, 0)
		}
		until(m, func() bool { return len(m.rows) == 4 && m.rows[0].Tokens == 1 })
		for range 20 {
			m.turn()
		}
		alone := m.seen[len(m.seen)-1]
		limit := target
		if limit == 0 {
			limit = alone * 17 / 10
		}
		must(m, schedule.Job{ID: 9, Prompt: 4000, MaxNew: 1}, 0, 0)
		chunks := 0
		for m.jobs[9] != nil {
			m.turn()
			require.False(t, m.rows[0].Prefill)
			require.Equal(t, 4, len(m.rows)-1)
			require.LessOrEqual(t, m.seen[len(m.seen)-1], limit+limit/20)
			chunks++
		}
		fits := int(float64(limit-alone)/float64(linearCost(1, 2000, 0)-linearCost(0, 0, 0))) * 3 / 4
		assert.LessOrEqual(t, chunks, 4000/fits+1, "the prompt must have what the target leaves")
	}
}

// Where decodes alone take longer than the target a prompt lengthens their steps by a quarter; where one token of it takes longer than
// that, by this one token.
func TestPromptsComeToAnEndWhereTheTargetCannotBeKept(t *testing.T) {
	deep := func(rows, attended, sequences int) time.Duration {
		return linearCost(rows, attended, sequences) + time.Duration(attended)*10*time.Microsecond // 4 ms a row in the middle of the prompt
	}
	for _, c := range []struct {
		cost        func(rows, attended, sequences int) time.Duration
		most, least int // tokens a step
	}{{linearCost, 7, 5}, {deep, 1 << 10, 1}} {
		config := plenty(8, 512)
		config.TargetITL = time.Microsecond
		m := newSim(t, config, 10000)
		m.cost = c.cost
		train(m)
		must(m, schedule.Job{ID: 1, Prompt: 10, MaxNew: 5000}, 0, 0)
		until(m, func() bool { return m.s.Stats().Running == 1 })
		must(m, schedule.Job{ID: 2, Prompt: 800, MaxNew: 1}, 0, 0)
		steps, last := 0, 0
		for m.jobs[2] != nil {
			m.turn()
			require.Len(t, m.rows, 2)
			if last = m.rows[1].Tokens; m.jobs[2] != nil && steps > 20 {
				require.GreaterOrEqual(t, last, c.least)
				require.LessOrEqual(t, last, c.most)
			}
			steps++
		}
		assert.LessOrEqual(t, steps, 800/c.least+1)
		if c.least == 1 {
			assert.Equal(t, 1, last)
		}
	}
}

func TestLanesPriorityAndDeadlineOrderTheQueue(t *testing.T) {
	c := plenty(1, 64)
	c.MicroBatchWindow = time.Nanosecond
	m := newSim(t, c, 1000)
	must(m, schedule.Job{ID: 1, Prompt: 10, MaxNew: 5, Priority: 10}, 0, 0) // runs
	m.turn()
	late, soon := m.now.Add(time.Hour), m.now.Add(time.Minute)
	must(m, schedule.Job{ID: 2, Lane: schedule.Batch, Priority: 9, Prompt: 5, MaxNew: 2}, 0, 0)
	must(m, schedule.Job{ID: 3, Lane: schedule.MicroBatch, Prompt: 5, MaxNew: 2}, 0, 0)
	must(m, schedule.Job{ID: 4, Prompt: 5, MaxNew: 2}, 0, 0)
	must(m, schedule.Job{ID: 5, Prompt: 5, MaxNew: 2, Deadline: late}, 0, 0)
	must(m, schedule.Job{ID: 6, Prompt: 5, MaxNew: 2, Deadline: soon}, 0, 0)
	must(m, schedule.Job{ID: 7, Prompt: 5, MaxNew: 2, Priority: 1}, 0, 0)
	var order []uint64
	m.log = func(s schedule.Step) { order = append(order, s.Start...) }
	m.finish()
	assert.Equal(t, []uint64{7, 6, 5, 4, 3, 2}, order)
}

func TestMicroBatchWaitsForItsWindow(t *testing.T) {
	m := newSim(t, plenty(4, 64), 1000)
	must(m, schedule.Job{ID: 1, Lane: schedule.MicroBatch, Prompt: 5, MaxNew: 2}, 0, 0)
	assert.Equal(t, schedule.WaitWindow, m.s.Waiting(1))
	require.True(t, m.turn())
	assert.Empty(t, m.rows)
	assert.Equal(t, epoch.Add(50*time.Millisecond), m.now, "Wake is the window's end")
	must(m, schedule.Job{ID: 2, Lane: schedule.MicroBatch, Prompt: 5, MaxNew: 2}, 0, 0)
	m.turn()
	assert.Equal(t, []uint64{1, 2}, ids(m.rows), "both in one step")
	m.finish()
}

func TestFullMicroBatchDoesNotWait(t *testing.T) {
	m := newSim(t, plenty(4, 64), 1000)
	for id := range uint64(4) {
		must(m, schedule.Job{ID: id + 1, Lane: schedule.MicroBatch, Prompt: 5, MaxNew: 2}, 0, 0)
	}
	m.turn()
	assert.Len(t, m.rows, 4)
	m.finish()
	// The tokens of a whole step fill it as well.
	must(m, schedule.Job{ID: 10, Lane: schedule.MicroBatch, Prompt: 64, MaxNew: 2}, 0, 0)
	m.turn()
	assert.NotEmpty(t, m.rows)
	m.finish()
	// And a deadline shortens the wait to half of what is left.
	at := m.now
	must(m, schedule.Job{ID: 11, Lane: schedule.MicroBatch, Prompt: 5, MaxNew: 2, Deadline: at.Add(20 * time.Millisecond)}, 0, 0)
	m.turn()
	assert.Equal(t, at.Add(10*time.Millisecond), m.now)
	// The one whose time it was is cancelled: the others have their own.
	must(m, schedule.Job{ID: 12, Lane: schedule.MicroBatch, Prompt: 5, MaxNew: 2}, 0, 0)
	m.cancel(11)
	at = m.now
	m.turn()
	assert.Equal(t, at.Add(50*time.Millisecond), m.now)
	m.finish()
}

// load runs online jobs arriving steadily, with or without a full batch lane, and returns their times.
func traffic(t *testing.T, batch int) (ttft, itl []time.Duration, tokens uint64, took time.Duration) {
	c := schedule.Config{Sequences: 16, StepTokens: 256, TargetITL: 60 * time.Millisecond}
	m := newSim(t, c, 4000)
	m.check = false
	m.cost = func(rows, attended, sequences int) time.Duration { // rows are cheap up to 64, as where weights are read for each step
		return 10*time.Millisecond + time.Duration(max(rows-32, 0))*150*time.Microsecond + time.Duration(rows)*20*time.Microsecond
	}
	train(m)
	for i := range batch {
		must(m, schedule.Job{ID: uint64(10_000 + i), Lane: schedule.Batch, Prompt: 100, MaxNew: 200}, 0, 0)
	}
	for range 50 {
		m.turn()
	}
	before := m.s.Stats()
	start := m.now
	var online []*simJob
	for i := range 60 {
		arrival := start.Add(time.Duration(i) * 150 * time.Millisecond)
		for m.now.Before(arrival) {
			if !m.turn() {
				m.now = arrival
			}
		}
		j := schedule.Job{ID: uint64(i + 1), Prompt: 120, MaxNew: 20, Arrived: arrival}
		must(m, j, 0, 0)
		online = append(online, m.jobs[j.ID])
	}
	until(m, func() bool { return !online[len(online)-1].done.IsZero() })
	after := m.s.Stats()
	for _, j := range online {
		ttft = append(ttft, j.first.Sub(j.Arrived))
		itl = append(itl, j.done.Sub(j.first)/time.Duration(j.MaxNew-1))
	}
	slices.Sort(ttft)
	slices.Sort(itl)
	return ttft, itl, after.DecodeTokens + after.PrefillTokens - before.DecodeTokens - before.PrefillTokens, m.now.Sub(start)
}

func TestBatchTakesWhatIsLeft(t *testing.T) {
	ttft, itl, tokens, took := traffic(t, 0)
	ttftBoth, itlBoth, tokensBoth, tookBoth := traffic(t, 200)
	last := len(itl) - 1
	t.Logf("first token %v / %v, between tokens %v / %v, tokens %d in %v / %d in %v", ttft[last], ttftBoth[last], itl[last], itlBoth[last], tokens, took, tokensBoth, tookBoth)
	assert.LessOrEqual(t, float64(itlBoth[last]), 1.25*float64(itl[last]))
	assert.LessOrEqual(t, float64(ttftBoth[last]), 2*float64(ttft[last]), "it may meet a step of the batch lane")
	assert.GreaterOrEqual(t, float64(tokensBoth)/tookBoth.Seconds(), 1.5*float64(tokens)/took.Seconds())
}

func TestBatchYieldsItsSequenceAndComesBack(t *testing.T) {
	m := newSim(t, plenty(2, 64), 1000)
	for id := range uint64(2) {
		must(m, schedule.Job{ID: id + 1, Lane: schedule.Batch, Priority: int(id), Prompt: 20, MaxNew: 100}, 0, 0)
	}
	until(m, func() bool { return len(m.rows) == 2 && m.rows[0].Tokens == 1 })
	must(m, schedule.Job{ID: 3, Prompt: 20, MaxNew: 5}, 0, 0)
	m.turn()
	assert.Equal(t, schedule.WaitParked, m.s.Waiting(1), "the one of the lower priority yields")
	assert.Contains(t, ids(m.rows), uint64(3))
	until(m, func() bool { return m.jobs[3] == nil })
	m.turn()
	assert.Equal(t, schedule.WaitNone, m.s.Waiting(1))
	assert.Zero(t, m.jobs[1].refills, "nothing is computed twice")
	m.finish()
	assert.EqualValues(t, 1, m.s.Stats().Parks)
	assert.EqualValues(t, 1, m.s.Stats().Resumes)
}

func TestMemoryShortOfGrowthMakesTheLowestYield(t *testing.T) {
	m := newSim(t, plenty(4, 128), 14) // each of three jobs will need 2+6 pages; they are expected to need 4
	for id := range uint64(3) {
		must(m, schedule.Job{ID: id + 1, Prompt: 64, MaxNew: 190}, 0, 0)
	}
	var parked []uint64
	m.log = func(s schedule.Step) { parked = append(parked, s.Park...) }
	m.finish()
	require.NotEmpty(t, parked)
	assert.EqualValues(t, 3, parked[0], "the latest")
	assert.NotContains(t, parked, uint64(1), "the first never yields")
}

func TestComputingAgainWhereThatIsCheaper(t *testing.T) {
	m := newSim(t, plenty(1, 64), 1000)
	train(m)
	cheap := costly{m, time.Hour}
	must(m, schedule.Job{ID: 1, Lane: schedule.Batch, Prompt: 20, MaxNew: 100}, 0, 0)
	until(m, func() bool { return m.jobs[1].forked })
	must(m, schedule.Job{ID: 2, Prompt: 20, MaxNew: 5}, 0, 0)
	step := m.s.Plan(m.now, cheap)
	assert.Equal(t, []uint64{1}, step.Drop)
	assert.Empty(t, step.Park)
	assert.Equal(t, []uint64{2}, step.Start)
	m.apply(&step)
	m.compute(step)
	m.finish()
	assert.EqualValues(t, 1, m.s.Stats().Drops)
}

// costly is a view in which parking costs something else.
type costly struct {
	*sim
	cost time.Duration
}

func (c costly) ParkCost(uint64) (time.Duration, bool) { return c.cost, true }

func TestTheSamePrefixIsComputedOnce(t *testing.T) {
	for _, together := range []bool{true, false} {
		m := newSim(t, plenty(16, 128), 1000)
		for id := range uint64(16) {
			must(m, schedule.Job{ID: id + 1, Prompt: 1010, MaxNew: 3}, 1, 1000)
			if !together && id < 2 {
				m.turn()
			}
		}
		m.turn()
		assert.Equal(t, schedule.WaitPrefix, m.s.Waiting(2))
		m.finish()
		want := 1010 + 15*(1010-1000/32*32)
		assert.EqualValues(t, want, m.s.Stats().PrefillTokens)
		assert.EqualValues(t, 15, m.s.Stats().PrefixWaits)
	}
}

func TestALeaderTakesOverTheUrgencyOfThoseWhoWait(t *testing.T) {
	m := newSim(t, plenty(4, 64), 1000)
	must(m, schedule.Job{ID: 1, Lane: schedule.Batch, Prompt: 2000, MaxNew: 3}, 1, 1990)
	m.turn()
	must(m, schedule.Job{ID: 2, Prompt: 2000, MaxNew: 3}, 0, 0)
	must(m, schedule.Job{ID: 3, Prompt: 2000, MaxNew: 3}, 1, 1990)
	m.turn()
	m.turn()
	require.Equal(t, schedule.WaitPrefix, m.s.Waiting(3))
	assert.Positive(t, tokensOf(m.rows, 1), "the batch job goes on beside the online one")
	m.finish()
}

func TestFollowersGoOnWhenTheirLeaderIsGone(t *testing.T) {
	m := newSim(t, plenty(4, 64), 1000)
	must(m, schedule.Job{ID: 1, Prompt: 1000, MaxNew: 3}, 1, 990)
	must(m, schedule.Job{ID: 2, Prompt: 1000, MaxNew: 3}, 1, 990)
	m.turn()
	require.Equal(t, schedule.WaitPrefix, m.s.Waiting(2))
	m.cancel(1)
	m.turn()
	assert.Equal(t, []uint64{2}, ids(m.rows))
	m.finish()
}

func TestTenantsShareByWeight(t *testing.T) {
	c := plenty(8, 128)
	c.Tenants = map[string]float64{"a": 3, "b": 1}
	m := newSim(t, c, 4000)
	id := uint64(0)
	for range 150 { // a flood of a comes first
		id++
		must(m, schedule.Job{ID: id, Tenant: "a", Prompt: 100, MaxNew: 40}, 0, 0)
	}
	for range 150 {
		id++
		must(m, schedule.Job{ID: id, Tenant: "b", Prompt: 100, MaxNew: 40}, 0, 0)
	}
	got := map[string]float64{}
	for range 1500 {
		m.turn()
		for _, r := range m.rows {
			if j := m.jobs[r.ID]; j != nil {
				got[j.Tenant] += float64(r.Tokens)
			}
		}
		if got["a"] < 130*140 { // until a's jobs are nearly all gone
			// Nobody is ahead by more than what may run at the same time.
			assert.InDelta(t, got["a"]/3, got["b"], 8*140)
		}
	}
	m.finish()
}

func TestALateTenantHasNoCreditForItsAbsence(t *testing.T) {
	m := newSim(t, plenty(1, 64), 4000)
	id := uint64(0)
	add := func(tenant string, n int) {
		for range n {
			id++
			must(m, schedule.Job{ID: id, Tenant: tenant, Prompt: 50, MaxNew: 10}, 0, 0)
		}
	}
	add("a", 40)
	for range 150 {
		m.turn()
	}
	add("b", 40)
	counts := map[string]int{}
	m.log = func(s schedule.Step) {
		for _, id := range s.Start {
			counts[m.jobs[id].Tenant]++
		}
	}
	for range 120 {
		m.turn()
	}
	assert.InDelta(t, counts["a"], counts["b"], 1)
	m.finish()
}

func TestAShortPromptDoesNotWaitForALongOne(t *testing.T) {
	m := newSim(t, plenty(8, 64), 4000)
	must(m, schedule.Job{ID: 1, Prompt: 6400, MaxNew: 1}, 0, 0)
	m.turn()
	must(m, schedule.Job{ID: 2, Prompt: 60, MaxNew: 1}, 0, 0)
	before := m.steps
	until(m, func() bool { return m.jobs[2] == nil })
	assert.LessOrEqual(t, m.steps-before, 3)
	m.finish()
	assert.LessOrEqual(t, m.steps, 103, "the long one had all the rest")
}

func TestBranchesShareTheirPrompt(t *testing.T) {
	m := newSim(t, plenty(8, 64), 100)
	must(m, schedule.Job{ID: 1, Prompt: 50, MaxNew: 20, Branches: 4}, 0, 0, 20, 5, 10, 1)
	most := 0
	m.log = func(s schedule.Step) { most = max(most, len(s.Rows)) }
	m.finish()
	assert.Equal(t, 3, most, "one of the four had all of its answer with the prompt")
	assert.EqualValues(t, 50, m.s.Stats().PrefillTokens)
	assert.EqualValues(t, 19+4+9, m.s.Stats().DecodeTokens)
}

func TestAgingStartsWhatNeverHasItsTurn(t *testing.T) {
	for _, aging := range []time.Duration{0, time.Second} {
		c := plenty(2, 64)
		c.Aging = aging
		m := newSim(t, c, 1000)
		must(m, schedule.Job{ID: 1, Lane: schedule.Batch, Prompt: 40, MaxNew: 40}, 0, 0)
		id := uint64(1)
		end := m.now.Add(10 * time.Second)
		for m.now.Before(end) { // both sequences are always wanted
			for len(m.order) < 5 {
				id++
				must(m, schedule.Job{ID: id, Prompt: 40, MaxNew: 40}, 0, 0)
			}
			m.turn()
		}
		assert.Equal(t, aging > 0, m.jobs[1] == nil, "aging %v", aging)
		m.finish()
	}
}

func TestDraftsTakeWhatIsLeft(t *testing.T) {
	c := plenty(4, 64)
	c.Draft = 8
	m := newSim(t, c, 1000)
	train(m)
	must(m, schedule.Job{ID: 1, Prompt: 10, MaxNew: 30}, 0, 0)
	must(m, schedule.Job{ID: 2, Prompt: 10, MaxNew: 3}, 0, 0)
	var drafts []int
	var cost float64
	m.log = func(s schedule.Step) {
		for _, r := range s.Rows {
			if r.ID == 1 && !r.Prefill {
				drafts = append(drafts, r.Draft)
				cost = s.DraftCost
			}
			assert.True(t, !r.Prefill || r.Draft == 0)
			assert.True(t, r.ID != 2 || r.Draft <= 1, "not beyond the answer's end")
		}
	}
	until(m, func() bool { return m.jobs[1] == nil })
	require.Len(t, drafts, 29)
	assert.Equal(t, 8, drafts[3])
	assert.Equal(t, []int{2, 1, 0}, drafts[26:])
	assert.InDelta(t, 0.2/5.3, cost, 0.03, "a row's time over the step's, of one sequence")
	// No drafts while a prompt could use the rows.
	must(m, schedule.Job{ID: 3, Prompt: 10, MaxNew: 300}, 0, 0)
	until(m, func() bool { return len(m.rows) == 1 && m.rows[0].Draft == 8 })
	must(m, schedule.Job{ID: 4, Prompt: 1000, MaxNew: 3}, 0, 0)
	m.turn()
	assert.Zero(t, m.rows[0].Draft)
	m.finish()
}

func TestStepsAreShortWhileSamplersAreAtWork(t *testing.T) {
	c := plenty(8, 512)
	c.TargetITL = 30 * time.Millisecond
	m := newSim(t, c, 1000)
	train(m)
	m.lag = func() int { return 1 } // every other step without the decodes
	for id := range uint64(4) {
		must(m, schedule.Job{ID: id + 1, Prompt: 10, MaxNew: 200}, 0, 0)
	}
	until(m, func() bool { return m.s.Stats().Running == 4 && len(m.rows) > 0 && !m.rows[0].Prefill })
	must(m, schedule.Job{ID: 9, Prompt: 3000, MaxNew: 1}, 0, 0)
	must(m, schedule.Job{ID: 10, Lane: schedule.Batch, Prompt: 3000, MaxNew: 1}, 0, 0)
	for m.jobs[9] != nil {
		m.turn()
		if n := len(m.seen); n > 0 && len(m.rows) > 0 {
			require.LessOrEqual(t, m.seen[n-1], 32*time.Millisecond)
		}
	}
	m.finish()
}

func TestACancelledJobLeavesAtOnceWhereverItIs(t *testing.T) {
	m := newSim(t, plenty(1, 64), 1000)
	must(m, schedule.Job{ID: 1, Prompt: 500, MaxNew: 5}, 0, 0)
	m.turn() // in prefill
	must(m, schedule.Job{ID: 2, Prompt: 50, MaxNew: 5}, 0, 0)
	must(m, schedule.Job{ID: 3, Prompt: 50, MaxNew: 5}, 0, 0)
	m.turn()
	m.cancel(2) // in the queue
	m.cancel(1)
	m.turn()
	assert.Equal(t, []uint64{3}, ids(m.rows))
	m.s.Cancel(77) // unknown
	m.s.Finish(77)
	m.s.FinishBranch(77, 0)
	m.s.FinishBranch(3, 5)
	m.s.Blocked(77)
	m.finish()
	assert.EqualValues(t, 2, m.s.Stats().Cancelled)
}

// A machine whose kernels have several speeds: a few rows cost nothing beside the weights, tiles of them cost much, many less each.
func steps(rows, attended, sequences int) time.Duration {
	us := 20000 + 500*max(0, rows-4) + attended/50
	if rows > 4 {
		us += 4000
	}
	if rows > 64 {
		us -= 200 * (rows - 64)
	}
	return time.Duration(us) * time.Microsecond
}

func TestTheTargetIsKeptWhereTimesAreNotLinear(t *testing.T) {
	m := newSim(t, plenty(8, 512), 10000)
	m.cost = noisy(3, steps)
	train(m)
	for id := range uint64(4) {
		must(m, schedule.Job{ID: id, Prompt: 300, MaxNew: 5000}, 0, 0)
	}
	until(m, func() bool { return m.s.Stats().Running == 4 && m.jobs[3].forked })
	for range 100 {
		m.turn()
	}
	m.seen = nil
	for range 200 {
		m.turn()
	}
	alone := percentile(m.seen, 0.9)
	m.seen = nil
	must(m, schedule.Job{ID: 9, Prompt: 4000, MaxNew: 1}, 0, 0)
	before := m.steps
	until(m, func() bool { return m.jobs[9] == nil })
	t.Logf("alone %v, beside a prompt %v, %d steps", alone, percentile(m.seen, 0.9), m.steps-before)
	assert.LessOrEqual(t, percentile(m.seen, 0.9), 2*alone)
	assert.LessOrEqual(t, m.steps-before, 4000/14, "with a chunk that uses most of it")
}

func percentile(d []time.Duration, p float64) time.Duration {
	d = slices.Clone(d)
	slices.Sort(d)
	return d[int(p*float64(len(d)))]
}
