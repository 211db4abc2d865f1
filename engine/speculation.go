package engine

import (
	"github.com/infer-go/infer/engine/schedule"
	"github.com/infer-go/infer/engine/speculate"
)

// drafter guesses how one answer goes on.
type drafter interface {
	// Draft appends at most most tokens to dst that may follow tokens.
	Draft(dst, tokens []int32, most int) []int32
	Likely() float64      // that the first of them comes true
	SetCost(cost float64) // as speculate.Drafter says
	// Verified tells how many of the tokens guessed last came true.
	Verified(drafted, accepted int)
}

// newDrafter makes what guesses for an answer, and lets it read the prompt; nil where nothing is to be guessed.
func (e *Engine) newDrafter(r *Request, prompt []int32, choice, limit int) drafter {
	switch {
	case r.NoSpeculation || e.options.NoSpeculation:
		return nil
	case r.draft != nil:
		return r.draft(choice)
	}
	d := speculate.New(speculate.Options{Capacity: len(prompt) + min(limit, 1<<10)})
	d.Index(prompt)
	return d
}

// guesses are what may follow a branch's tokens, made before the step that verifies them.
type guesses struct {
	ids     []int32
	after   int // how many tokens there were
	further int // that the model's predictor is to make, or has made
}

// maxStateDraft bounds the guesses of a step for models with recurrent layers: each takes a slot, and its state is written out.
const maxStateDraft = 4

// foresee guesses what the decodes among the rows of a step go on with: from what their sequences have said before, or where that is the
// likelier by the model's predictor, for all of them together. A plan that is made anew finds the guesses of the one before.
func (l *loop) foresee(rows []schedule.Row) {
	l.further.begin()
	for _, r := range rows {
		j := l.jobs[r.ID]
		if r.Draft <= 0 || j == nil || r.Branch >= len(j.branches) {
			continue
		}
		b := j.branches[r.Branch]
		generated := len(b.tokens) - len(j.prompt)
		most := min(r.Draft, maxDraft, j.limit-generated-1)
		if l.stateful {
			most = min(most, maxStateDraft)
		}
		if b.draft == nil || most <= 0 || generated == 0 || !b.ready() || b.parked || b.pending() != 1 || b.guesses.after == len(b.tokens) {
			continue
		}
		b.draft.SetCost(l.draftCost)
		b.guesses = guesses{ids: b.draft.Draft(b.guesses.ids[:0], b.tokens, most), after: len(b.tokens)}
		l.further.consider(b, l.draftCost, most)
	}
	l.further.predict(l)
}

// guess puts guesses behind a branch's tokens, to be computed in the same step, and returns how many. Whether they are right is known when the
// tokens before them have been sampled, each from its own row of logits by the same sampler as ever: a guess that comes true has
// saved a step, and one that does not has changed nothing. Their keys and values are committed once they have come true, and
// overwritten otherwise; of recurrent layers the step leaves the state after each, of which one is gone on from.
func (b *branch) guess(most int) int {
	if b.guesses.after != len(b.tokens) {
		return 0
	}
	b.drafted = max(0, min(most, len(b.guesses.ids)))
	b.tokens = append(b.tokens, b.guesses.ids[:b.drafted]...)
	return b.drafted
}

// forgetDraft takes the guesses off the branch's tokens.
func (b *branch) forgetDraft() {
	b.tokens = b.tokens[:len(b.tokens)-b.drafted]
	b.drafted = 0
}

// verified counts guesses that were computed, and those that came true.
func (l *loop) verified(b *branch, drafted, accepted int) {
	l.counts.drafted += uint64(drafted)
	l.counts.accepted += uint64(accepted)
	if b.guesses.further == 0 {
		b.draft.Verified(drafted, accepted)
		return
	}
	b.further.Verified(drafted, accepted)
	l.counts.further += uint64(drafted)
	l.counts.furtherTrue += uint64(accepted)
}
