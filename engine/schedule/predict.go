package schedule

import "time"

// PredictTTFT estimates when a job's first token would come if it were submitted now and cached of its tokens were found. It is 0 until
// a few steps were seen.
func (s *Scheduler) PredictTTFT(j Job, cached int) time.Duration {
	if !s.model.trusted() || j.Lane >= lanes {
		return 0
	}
	j.Branches = max(1, j.Branches)
	t := task{Job: j, boost: j.Lane}
	own := max(1, j.Prompt-cached)
	tokens, branches := s.ahead(&t)
	wait := max(s.slots(branches+j.Branches-s.c.Sequences), s.rest(tokens))
	if j.Lane == MicroBatch && !s.lines[MicroBatch].open {
		wait = max(wait, s.c.MicroBatchWindow.Seconds())
	}
	return duration(wait + s.rest(own))
}

// ahead sums what comes before a job: tokens of prompts, and branches that run or will.
func (s *Scheduler) ahead(t *task) (tokens, branches int) {
	for _, r := range s.running {
		if !t.before(r) {
			branches += r.live
			if r.length < r.known-1 {
				tokens += r.known - r.length
			}
		}
	}
	for _, r := range s.parked {
		if !t.before(r) {
			branches += r.live
		}
	}
	for i := range s.lines {
		if Lane(i) > t.Lane {
			break
		}
		for r := s.lines[i].oldest; r != nil; r = r.newer {
			if r.phase != phaseParked && !t.before(r) {
				branches += r.live
				tokens += int(float64(r.Prompt) * s.missed)
			}
		}
	}
	return tokens, branches
}

// rest predicts the seconds in which so many tokens of prompts are read beside the jobs that run.
func (s *Scheduler) rest(tokens int) float64 {
	if tokens <= 0 {
		return 0
	}
	l, online := s.beside()
	most := max(1, s.c.StepTokens-int(l.rows))
	room := most
	if online {
		room = max(s.fit(l, tokens/2, most, s.onlineLimit(l)), min(minChunk, most)) // chunks become smaller with the depth
	}
	if tokens <= room {
		return s.model.seconds(l.add(0, tokens))
	}
	steps := float64(tokens) / float64(room)
	return steps * s.model.seconds(l.add(tokens/2, room))
}

// beside is the load of the decodes that run, of all lanes, by their lengths at the last plan.
func (s *Scheduler) beside() (l load, online bool) {
	for _, t := range s.running {
		if t.length >= t.Prompt {
			for range t.live {
				l = l.add(t.length, 1)
			}
			online = online || t.Lane == Online
		}
	}
	return l, online
}

// slots predicts the seconds until so many branches have ended.
func (s *Scheduler) slots(n int) float64 {
	if n <= 0 {
		return 0
	}
	l, _ := s.beside()
	l.rows, l.sequences = max(1, l.rows), max(1, l.sequences)
	made := 0.0
	for _, t := range s.running {
		made += s.lines[t.Lane].made
	}
	made = max(1, made/float64(max(1, len(s.running))))
	return float64(n) * made * s.model.seconds(l) / float64(s.c.Sequences)
}

// retryAfter estimates when so many jobs have left the queue, or so many of its tokens.
func (s *Scheduler) retryAfter(jobs, tokens int) time.Duration {
	if !s.model.trusted() {
		return time.Second
	}
	queued, waiting := s.backlog()
	if jobs > 0 && queued > 0 {
		tokens = max(tokens, jobs*waiting/queued)
	}
	free := s.c.Sequences - s.used
	wait := s.rest(int(float64(tokens) * s.missed))
	return clampWait(max(wait, s.slots(jobs-free)))
}
