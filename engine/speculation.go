package engine

import "github.com/infer-go/infer/engine/speculate"

// drafter guesses how one answer goes on.
type drafter interface {
	// Draft appends at most most tokens to dst that may follow tokens.
	Draft(dst, tokens []int32, most int) []int32
	SetCost(cost float64) // as speculate.Drafter says
	// Verified tells how many of the tokens guessed last came true.
	Verified(drafted, accepted int)
}

// newDrafter makes what guesses for an answer, and lets it read the prompt; nil where nothing is to be guessed.
func (e *Engine) newDrafter(r *Request, prompt []int32, choice, limit int) drafter {
	switch {
	case r.NoSpeculation || e.options.NoSpeculation || e.loop.stateful:
		return nil
	case r.draft != nil:
		return r.draft(choice)
	}
	d := speculate.New(speculate.Options{Capacity: len(prompt) + min(limit, 1<<10)})
	d.Index(prompt)
	return d
}

// guess puts guesses behind a branch's tokens, to be computed in the same step, and returns how many. Whether they are right is known when the
// tokens before them have been sampled, each from its own row of logits by the same sampler as ever: a guess that comes true has
// saved a step, and one that does not has changed nothing. Their keys and values are committed once they have come true, and
// overwritten otherwise; recurrent states cannot be, so that models with some compute no guesses.
func (l *loop) guess(b *branch, most int, cost float64) int {
	generated := len(b.tokens) - len(b.job.prompt)
	most = min(most, maxDraft, b.job.limit-generated-1)
	if most <= 0 || b.draft == nil || generated == 0 {
		return 0
	}
	n := len(b.tokens)
	b.draft.SetCost(cost)
	b.tokens = b.draft.Draft(b.tokens, b.tokens[:n], most)
	b.drafted = len(b.tokens) - n
	return b.drafted
}

// forgetDraft takes the guesses off the branch's tokens.
func (b *branch) forgetDraft() {
	b.tokens = b.tokens[:len(b.tokens)-b.drafted]
	b.drafted = 0
}
