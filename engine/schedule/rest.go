package schedule

import "time"

// phaseResting is a job's whose answers cannot go on for reasons of its own: it holds no sequence, and waits for none.
const phaseResting phase = phaseEnded + 1

// Rest takes a running job's sequences away until Wake, where nothing of it can be computed for long, as when nobody reads its answers. The
// engine parks them. False where the job does not run.
func (s *Scheduler) Rest(id uint64) bool {
	t := s.jobs[id]
	if t == nil || t.phase != phaseRunning {
		return false
	}
	s.leave(t)
	t.phase, t.blocked = phaseResting, false
	t.promise(0)
	s.counted.Parks++
	s.freed()
	return true
}

// Wake lets a job that rests wait for its return, like any other that is parked.
func (s *Scheduler) Wake(now time.Time, id uint64) {
	t := s.jobs[id]
	if t == nil || t.phase != phaseResting {
		return
	}
	t.phase, t.since = phaseParked, now
	s.lines[t.Lane].link(t)
	s.parked = insert(s.parked, t)
}
