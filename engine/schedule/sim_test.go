package schedule_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine/schedule"
)

const page = 32

// simJob is a job of the simulated engine. Its first shared tokens are those of its group.
type simJob struct {
	schedule.Job
	group, shared int
	answers       []int // tokens that each branch will have
	computed      []int
	known         []int
	ended         []bool
	open, parked  bool
	forked        bool
	busy          []int // steps until the sampler is done
	first, done   time.Time
	refills       int // tokens computed more than once
	peak          int
	lastRow       int // the step in which it was computed last
}

func (j *simJob) live() int {
	n := 0
	for _, e := range j.ended {
		if !e {
			n++
		}
	}
	return n
}

func pagesOf(tokens int) int { return (tokens + page - 1) / page }

// own counts the pages that a job's branches hold alone, beyond those of its group. Branches share the whole pages of their prompt, and
// its partial last one until they write into it.
func (j *simJob) own() int {
	n, common, partial := 0, j.shared/page, 0
	for b, length := range j.computed {
		switch {
		case j.ended[b] || length == 0:
			continue
		case j.forked && length == j.Prompt:
			n += max(0, j.Prompt/page-common)
			partial = min(1, j.Prompt%page)
		default:
			n += max(0, pagesOf(length)-common)
		}
		common = max(common, j.Prompt/page)
	}
	return n + partial
}

// lacks counts the pages that a branch has to take for the tokens before end.
func (j *simJob) lacks(b, end int) int {
	n := max(0, pagesOf(end)-pagesOf(j.computed[b]))
	if !j.forked || j.computed[b] != j.Prompt || j.Prompt%page == 0 {
		return n
	}
	for o := range j.computed {
		if o != b && !j.ended[o] && j.computed[o] == j.Prompt {
			return n + 1
		}
	}
	return n
}

// sim is an engine without a device: a clock that steps move, and a cache that counts pages.
type sim struct {
	t        require.TestingT
	s        *schedule.Scheduler
	c        schedule.Config
	now      time.Time
	pages    int
	jobs     map[uint64]*simJob
	order    []*simJob
	group    map[int]int // computed whole pages of the shared prefixes
	used     []int       // groups, the least recently used first
	steps    int
	cost     func(rows, attended, sequences int) time.Duration
	lag      func() int    // steps that a sampler takes beyond its own
	lie      int           // pages that Free claims too many
	parkPage time.Duration // what parking a page costs; negative: there is no room
	check    bool
	rows     []schedule.Row
	log      func(schedule.Step)
	parks    int
	slow     bool // the device takes twice as long as usual now
	seen     []time.Duration
}

var epoch = time.Unix(1_000_000, 0)

func linearCost(rows, attended, sequences int) time.Duration {
	return 5*time.Millisecond + time.Duration(rows)*200*time.Microsecond + time.Duration(attended)*20*time.Nanosecond + time.Duration(sequences)*30*time.Microsecond
}

func newSim(t require.TestingT, c schedule.Config, pages int) *sim {
	s, err := schedule.New(c)
	require.NoError(t, err)
	return &sim{t: t, s: s, c: c, now: epoch, pages: pages, jobs: map[uint64]*simJob{}, group: map[int]int{}, cost: linearCost,
		lag: func() int { return 0 }, check: true, parkPage: time.Millisecond}
}

// submit adds a job; answers default to MaxNew.
func (m *sim) submit(j schedule.Job, group, shared int, answers ...int) error {
	if err := m.s.Submit(m.now, j); err != nil {
		return err
	}
	j.Branches = max(1, j.Branches)
	if j.Arrived.IsZero() {
		j.Arrived = m.now
	}
	for len(answers) < j.Branches {
		answers = append(answers, j.MaxNew)
	}
	x := &simJob{Job: j, group: group, shared: min(shared, j.Prompt), answers: answers, computed: make([]int, j.Branches), known: make([]int, j.Branches),
		ended: make([]bool, j.Branches), busy: make([]int, j.Branches)}
	if x.shared == 0 {
		x.group = -1
	}
	x.known[0] = j.Prompt
	m.jobs[j.ID] = x
	m.order = append(m.order, x)
	return nil
}

// held counts pages of open jobs, those of groups once.
func (m *sim) held() int {
	n := 0
	var groups [8]int
	for _, j := range m.order {
		if j.open && !j.parked {
			n += j.own()
			if j.group >= 0 {
				groups[j.group] = max(groups[j.group], min(pagesOf(j.computed[0]), j.shared/page))
			}
		}
	}
	for _, p := range groups {
		n += p
	}
	return n
}

// evict forgets prefixes that nobody holds until as many pages are left as there are.
func (m *sim) evict() {
	if len(m.used) == 0 {
		return
	}
	for i := 0; i < len(m.used); i++ {
		total := m.held()
		for g, p := range m.group {
			total += p - m.groupHeld(g)
		}
		if total <= m.pages {
			return
		}
		g := m.used[i]
		m.group[g] = m.groupHeld(g)
	}
}

func (m *sim) groupHeld(g int) int {
	n := 0
	for _, j := range m.order {
		if j.open && !j.parked && j.group == g {
			n = max(n, min(pagesOf(j.computed[0]), j.shared/page))
		}
	}
	return n
}

func (m *sim) touch(g int) {
	if g < 0 {
		return
	}
	m.used = append(slices.DeleteFunc(m.used, func(o int) bool { return o == g }), g)
}

// The view.

func (m *sim) Lookup(id uint64) schedule.Hit {
	j := m.jobs[id]
	if j.group < 0 {
		return schedule.Hit{}
	}
	h := schedule.Hit{Cached: min(m.group[j.group]*page, j.shared/page*page, j.Prompt-1)}
	for _, o := range m.order {
		if o.open && !o.parked && o.group == j.group && o.computed[0] < o.Prompt {
			if p := min(o.shared, j.shared, j.Prompt-1) / page * page; p > h.Cached && p > h.Pending {
				h.Pending, h.Leader = p, o.ID
			}
		}
	}
	return h
}

func (m *sim) Common(a, b uint64) int {
	x, y := m.jobs[a], m.jobs[b]
	if x.group < 0 || x.group != y.group {
		return 0
	}
	return min(x.shared, y.shared)
}

func (m *sim) State(id uint64, b int) (int, int) {
	j := m.jobs[id]
	if j.ended[b] || j.busy[b] > 0 || b > 0 && !j.forked {
		return j.computed[b], 0
	}
	if b > 0 && j.computed[b] == 0 && j.computed[0] < j.Prompt && !j.ended[0] {
		return 0, 0 // dropped, and the first branch computes the prompt again
	}
	return j.computed[b], j.known[b] - j.computed[b]
}

func (m *sim) Free(pages []int) { pages[0] += m.pages - m.held() + m.lie }

func (m *sim) Need(id uint64, b, end int, pages []int) {
	j := m.jobs[id]
	if !j.open {
		pages[0] += max(0, pagesOf(end)-m.Lookup(id).Cached/page)
		return
	}
	if j.parked {
		if b == j.firstLive() {
			pages[0] += j.own()
		}
	}
	pages[0] += j.lacks(b, end)
}

func (j *simJob) firstLive() int { return max(0, slices.Index(j.ended, false)) }

func (m *sim) Held(id uint64, pages []int) { pages[0] += m.jobs[id].own() }

func (m *sim) ParkCost(id uint64) (time.Duration, bool) {
	return time.Duration(m.jobs[id].own()) * m.parkPage, m.parkPage >= 0
}

// turn plans and computes one step; false where there was nothing to do now.
func (m *sim) turn() bool {
	var step schedule.Step
	for try := 0; ; try++ {
		require.Less(m.t, try, 200, "plans do not come to an end")
		step = m.s.Plan(m.now, m)
		m.apply(&step)
		// A dropped job may start again while its sampler is still at work; the engine leaves such a row out.
		step.Rows = slices.DeleteFunc(step.Rows, func(r schedule.Row) bool {
			return slices.Contains(step.Start, r.ID) && m.jobs[r.ID].busy[r.Branch] > 0
		})
		id, ok := m.fits(step.Rows)
		if ok {
			break
		}
		m.s.Blocked(id)
	}
	if m.check {
		m.verify(&step)
	}
	if m.log != nil {
		m.log(step)
	}
	m.rows = append(m.rows[:0], step.Rows...) // with the drafts that were allowed
	if len(step.Rows) == 0 {
		for _, j := range m.order {
			for b := range j.busy {
				j.busy[b] = max(0, j.busy[b]-1)
			}
		}
		if !step.Wake.IsZero() {
			require.True(m.t, step.Wake.After(m.now), "Wake %v, it is %v", step.Wake.Sub(epoch), m.now.Sub(epoch))
			m.now = step.Wake
			return true
		}
		m.now = m.now.Add(100 * time.Microsecond)
		return m.sampling()
	}
	m.compute(step)
	return true
}

func (m *sim) sampling() bool {
	for _, j := range m.order {
		for b := range j.busy {
			if j.busy[b] > 0 && j.open && !j.ended[b] {
				return true
			}
		}
	}
	return false
}

func (m *sim) apply(step *schedule.Step) {
	for _, id := range step.Park {
		j := m.jobs[id]
		require.True(m.t, j.open && !j.parked, "job %d parked", id)
		j.parked = true
		m.parks++
	}
	for _, id := range step.Drop {
		j := m.jobs[id]
		require.True(m.t, j.open && !j.parked, "job %d dropped", id)
		j.open = false
		clear(j.computed)
		m.parks++
	}
	for _, id := range step.Resume {
		j := m.jobs[id]
		require.True(m.t, j.open && j.parked, "job %d resumed", id)
		j.parked = false
	}
	for _, id := range step.Start {
		j := m.jobs[id]
		require.False(m.t, j.open, "job %d started", id)
		j.computed[j.firstLive()] = m.Lookup(id).Cached
		j.open = true
		m.touch(j.group)
	}
}

// fits tells whether the rows have memory, or the first one that has not.
func (m *sim) fits(rows []schedule.Row) (uint64, bool) {
	free := m.pages - m.held()
	for _, r := range rows {
		free -= m.jobs[r.ID].lacks(r.Branch, r.From+r.Tokens)
		if free < 0 {
			return r.ID, false
		}
	}
	return 0, true
}

// verify checks what holds for every step.
func (m *sim) verify(step *schedule.Step) {
	rows, running := 0, 0
	type key struct {
		id     uint64
		branch int
	}
	has := map[key]bool{}
	for _, r := range step.Rows {
		j := m.jobs[r.ID]
		require.NotNil(m.t, j, "a row of an unknown job %d", r.ID)
		require.True(m.t, j.open && !j.parked && !j.ended[r.Branch], "a row of job %d, which does not run", r.ID)
		require.False(m.t, has[key{r.ID, r.Branch}], "job %d branch %d twice", r.ID, r.Branch)
		has[key{r.ID, r.Branch}] = true
		computed, pending := m.State(r.ID, r.Branch)
		require.Equal(m.t, computed, r.From)
		require.True(m.t, r.Tokens > 0 && r.Tokens <= pending, "%d tokens of %d", r.Tokens, pending)
		require.True(m.t, r.Prefill || r.Tokens == 1)
		require.Equal(m.t, computed < j.Prompt || pending > 1, r.Prefill)
		rows += r.Tokens + r.Draft
	}
	require.LessOrEqual(m.t, rows, m.c.StepTokens)
	for _, j := range m.order {
		if !j.open || j.parked {
			continue
		}
		running += j.live()
		for b := range j.computed {
			computed, pending := m.State(j.ID, b)
			if j.Lane != schedule.Batch && pending == 1 && computed >= j.Prompt {
				require.True(m.t, has[key{j.ID, b}] || m.s.Waiting(j.ID) == schedule.WaitMemory, "job %d branch %d decodes and is left out", j.ID, b)
			}
		}
	}
	require.LessOrEqual(m.t, running, m.c.Sequences)
	require.LessOrEqual(m.t, m.held(), m.pages)
}

// compute moves the clock and the jobs on.
func (m *sim) compute(step schedule.Step) {
	m.steps++
	attended, rows := 0, 0
	for _, r := range step.Rows {
		rows += r.Tokens
		attended += r.Tokens*r.From + r.Tokens*(r.Tokens+1)/2
	}
	took := m.cost(rows, attended, len(step.Rows))
	if m.slow {
		took *= 2
	}
	m.seen = append(m.seen, took)
	m.now = m.now.Add(took)
	for i := range step.Rows {
		step.Rows[i].Draft = 0 // nothing is drafted here
	}
	m.s.Done(m.now, step, took)
	for _, j := range m.order {
		for b := range j.busy {
			j.busy[b] = max(0, j.busy[b]-1)
		}
	}
	for _, r := range step.Rows {
		j, b := m.jobs[r.ID], r.Branch
		j.computed[b] += r.Tokens
		j.lastRow = m.steps
		if b == 0 {
			j.refills += max(0, min(r.Tokens, j.peak-r.From))
			j.peak = max(j.peak, j.computed[0])
			if g := j.group; g >= 0 {
				m.group[g] = max(m.group[g], min(j.computed[0], j.shared)/page)
				m.touch(g)
			}
		}
		if j.computed[b] == j.known[b] {
			m.sample(j, b)
		}
	}
	m.evict()
}

// sample makes the next token of a branch, and of all after the prompt.
func (m *sim) sample(j *simJob, b int) {
	if !j.forked {
		j.forked, j.first = true, m.now
		for o := 1; o < j.Branches; o++ {
			j.computed[o], j.known[o] = j.computed[0], j.known[0]
			m.token(j, o)
		}
	}
	m.token(j, b)
}

func (m *sim) token(j *simJob, b int) {
	j.known[b]++
	j.busy[b] = m.lag()
	if j.known[b]-j.Prompt < j.answers[b] {
		return
	}
	j.ended[b] = true
	m.s.FinishBranch(j.ID, b)
	if j.live() == 0 {
		j.done = m.now
		m.forget(j)
	}
}

func (m *sim) forget(j *simJob) {
	j.open = false
	delete(m.jobs, j.ID)
	m.order = slices.DeleteFunc(m.order, func(o *simJob) bool { return o == j })
}

func (m *sim) cancel(id uint64) {
	m.s.Cancel(id)
	m.forget(m.jobs[id])
}

// finish runs until all jobs have ended.
func (m *sim) finish() {
	turns := 0
	for idle := 0; len(m.order) > 0; {
		turns++
		if turns > 100_000 {
			require.Fail(m.t, "jobs do not come to their end", m.describe())
		}
		if m.turn() {
			idle = 0
			continue
		}
		idle++
		if idle == 3 {
			require.Fail(m.t, "jobs wait for ever", m.describe())
		}
	}
	st := m.s.Stats()
	require.Zero(m.t, st.Running+st.Branches+st.Parked+st.Queued[0]+st.Queued[1]+st.Queued[2]+st.QueuedTokens)
}

func (m *sim) describe() string {
	text := ""
	for _, j := range m.order {
		text += fmt.Sprintf("[%d %v %s open %v parked %v %v of %v] ", j.ID, j.Lane, m.s.Waiting(j.ID), j.open, j.parked, j.computed, j.known)
	}
	return text
}

// noisy adds the noise of a shared machine to a cost: 5 %, and sometimes five times as long.
func noisy(seed uint64, cost func(rows, attended, sequences int) time.Duration) func(rows, attended, sequences int) time.Duration {
	r := rand.New(rand.NewPCG(seed, 1))
	return func(rows, attended, sequences int) time.Duration {
		d := float64(cost(rows, attended, sequences)) * (1 + 0.05*r.NormFloat64())
		if r.IntN(50) == 0 {
			d *= 5
		}
		return time.Duration(d)
	}
}
