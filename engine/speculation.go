package engine

// drafter guesses how one answer goes on.
type drafter interface {
	// Draft appends at most most tokens to dst that may follow tokens.
	Draft(dst, tokens []int32, most int) []int32
	// Verified tells how many of the tokens guessed last came true.
	Verified(drafted, accepted int)
}

// guess puts guesses behind a branch's tokens, to be computed in the same step, and returns how many. Whether they are right is known when the
// tokens before them have been sampled, each from its own row of logits by the same sampler as ever: a guess that comes true has
// saved a step, and one that does not has changed nothing. Their keys and values are committed once they have come true, and
// overwritten otherwise; recurrent states cannot be, so that models with some compute no guesses.
func (l *loop) guess(b *branch, most int) int {
	generated := len(b.tokens) - len(b.job.prompt)
	most = min(most, maxDraft, b.job.limit-generated-1)
	if most <= 0 || b.draft == nil || generated == 0 || l.stateful {
		return 0
	}
	n := len(b.tokens)
	b.tokens = b.draft.Draft(b.tokens, b.tokens[:n], most)
	b.drafted = len(b.tokens) - n
	return b.drafted
}

// forgetDraft takes the guesses off the branch's tokens.
func (b *branch) forgetDraft() {
	b.tokens = b.tokens[:len(b.tokens)-b.drafted]
	b.drafted = 0
}
