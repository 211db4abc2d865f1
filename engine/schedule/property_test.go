package schedule_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/infer-go/infer/engine/schedule"
)

func drawConfig(t *rapid.T) schedule.Config {
	sequences := rapid.IntRange(1, 12).Draw(t, "sequences")
	return schedule.Config{
		Sequences:        sequences,
		StepTokens:       sequences + rapid.IntRange(0, 200).Draw(t, "rows"),
		TargetITL:        rapid.SampledFrom([]time.Duration{0, time.Millisecond, 30 * time.Millisecond, time.Second}).Draw(t, "target"),
		MicroBatchWindow: rapid.SampledFrom([]time.Duration{0, 20 * time.Millisecond, time.Second}).Draw(t, "window"),
		Aging:            rapid.SampledFrom([]time.Duration{0, 50 * time.Millisecond, time.Second}).Draw(t, "aging"),
		Tenants:          map[string]float64{"b": 3},
		Draft:            rapid.IntRange(0, 4).Draw(t, "draft"),
	}
}

func drawJob(t *rapid.T, id uint64, c schedule.Config, now time.Time) schedule.Job {
	j := schedule.Job{
		ID:       id,
		Lane:     schedule.Lane(rapid.IntRange(0, 2).Draw(t, "lane")),
		Priority: rapid.IntRange(0, 2).Draw(t, "priority"),
		Tenant:   rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "tenant"),
		Prompt:   rapid.IntRange(1, 300).Draw(t, "prompt"),
		MaxNew:   rapid.IntRange(1, 60).Draw(t, "new"),
		Branches: 1,
	}
	if rapid.IntRange(0, 5).Draw(t, "many") == 0 {
		j.Branches = rapid.IntRange(1, min(4, c.Sequences)).Draw(t, "branches")
	}
	if j.Branches == 1 && rapid.Bool().Draw(t, "long") {
		j.MaxNew = rapid.IntRange(100, 400).Draw(t, "longer")
	}
	if rapid.Bool().Draw(t, "hurry") {
		j.Deadline = now.Add(time.Duration(rapid.IntRange(1, 1000).Draw(t, "deadline")) * time.Millisecond)
	}
	return j
}

// play submits, cancels and steps at random, then lets everything come to its end.
func play(t *rapid.T, m *sim) {
	id := uint64(0)
	t.Repeat(map[string]func(*rapid.T){
		"submit": func(t *rapid.T) {
			for range rapid.IntRange(1, 8).Draw(t, "burst") {
				id++
				j := drawJob(t, id, m.c, m.now)
				group := rapid.IntRange(0, 3).Draw(t, "group")
				shared := rapid.SampledFrom([]int{0, 0, 40, 130, 290}).Draw(t, "shared")
				var answers []int
				for range max(1, j.Branches) {
					answers = append(answers, rapid.IntRange((j.MaxNew+1)/2, j.MaxNew).Draw(t, "answer"))
				}
				require.NoError(t, m.submit(j, group, shared, answers...))
			}
		},
		"cancel": func(t *rapid.T) {
			if len(m.order) > 0 {
				m.cancel(m.order[rapid.IntRange(0, len(m.order)-1).Draw(t, "which")].ID)
			}
		},
		"step": func(*rapid.T) { m.turn() },
		"steps": func(*rapid.T) {
			for range 5 {
				m.turn()
			}
		},
		"pause": func(*rapid.T) { m.now = m.now.Add(10 * time.Millisecond) },
	})
	m.finish()
}

func TestEveryJobEndsAndTheRulesHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawConfig(t)
		// A job of 4 branches needs up to 10+4*3 pages: some memory is just enough for one.
		m := newSim(t, c, rapid.IntRange(24, 80).Draw(t, "pages"))
		m.parkPage = rapid.SampledFrom([]time.Duration{-1, 0, 10 * time.Millisecond, time.Second}).Draw(t, "parking")
		if rapid.Bool().Draw(t, "lags") {
			n := 0
			m.lag = func() int { n++; return n % 3 }
		}
		if rapid.Bool().Draw(t, "noise") {
			m.cost = noisy(1, linearCost)
		}
		play(t, m)
	})
}

func TestViewsMayErr(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newSim(t, drawConfig(t), rapid.IntRange(24, 40).Draw(t, "pages"))
		m.lie = rapid.IntRange(1, 30).Draw(t, "lie")
		play(t, m)
	})
}

// The same calls give the same steps.
func TestStepsAreReproducible(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawConfig(t)
		pages := rapid.IntRange(24, 60).Draw(t, "pages")
		n := rapid.IntRange(1, 20).Draw(t, "jobs")
		var jobs []schedule.Job
		for i := range n {
			jobs = append(jobs, drawJob(t, uint64(i+1), c, epoch.Add(time.Hour)))
		}
		run := func() string {
			text := ""
			m := newSim(t, c, pages)
			m.log = func(s schedule.Step) { text += fmt.Sprintln(s) }
			for i, j := range jobs {
				require.NoError(t, m.submit(j, i%3, 100*(i%2)))
				m.turn()
			}
			m.finish()
			return text
		}
		require.Equal(t, run(), run())
	})
}

// While all tenants have work waiting, what they had for their weights differs by no more than what can run at the same time.
func TestSharesKeepTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := schedule.Config{Sequences: rapid.IntRange(1, 8).Draw(t, "sequences"), Tenants: map[string]float64{}}
		c.StepTokens = c.Sequences + rapid.IntRange(0, 100).Draw(t, "rows")
		names := []string{"a", "b", "c"}[:rapid.IntRange(2, 3).Draw(t, "tenants")]
		for _, name := range names {
			c.Tenants[name] = rapid.Float64Range(0.5, 4).Draw(t, "weight")
		}
		lane := schedule.Lane(rapid.SampledFrom([]int{0, 2}).Draw(t, "lane"))
		m := newSim(t, c, 4000)
		id, waiting, had := uint64(0), map[string]int{}, map[string]float64{}
		const most = 100 // tokens of a job
		add := func(name string) {
			id++
			waiting[name]++
			must(m, schedule.Job{ID: id, Lane: lane, Tenant: name, Prompt: rapid.IntRange(1, most/2).Draw(t, "prompt"), MaxNew: rapid.IntRange(1, most/2).Draw(t, "new")}, 0, 0)
		}
		m.log = func(s schedule.Step) {
			for _, id := range s.Start {
				waiting[m.jobs[id].Tenant]--
			}
			for _, r := range s.Rows {
				had[m.jobs[r.ID].Tenant] += float64(r.Tokens)
			}
		}
		for range 150 {
			for _, name := range names {
				for waiting[name] < 1+c.Sequences {
					add(name)
				}
			}
			m.turn()
			for _, x := range names {
				for _, y := range names {
					bound := most * float64(c.Sequences) * (1/c.Tenants[x] + 1/c.Tenants[y])
					require.LessOrEqual(t, had[x]/c.Tenants[x]-had[y]/c.Tenants[y], bound)
				}
			}
		}
	})
}
