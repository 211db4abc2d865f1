package engine

import (
	"context"
	"fmt"
)

// Logits computes a sequence of tokens from position 0, chunk tokens a step (0: as many as a step takes), and calls use with
// each token's logits [vocab] in order; the slice is valid during the call. The engine must have been opened with AllLogits.
// The logits are the same bits for every chunk.
func (e *Engine) Logits(ctx context.Context, tokens []int32, chunk int, use func(position int, logits []float32) error) error {
	return e.logits(ctx, tokens, chunk, func(int) bool { return true }, use)
}

// logits is Logits for the positions that pick chooses; a step's positions from the first chosen one on are computed.
func (e *Engine) logits(ctx context.Context, tokens []int32, chunk int, pick func(position int) bool, use func(int, []float32) error) error {
	if err := e.checkTokens(tokens); err != nil {
		return err
	}
	if !e.options.AllLogits {
		return fmt.Errorf("logits of every token: the model was opened without AllLogits")
	}
	if chunk <= 0 || chunk > e.options.StepRows {
		chunk = e.options.StepRows
	}
	d, err := e.newDirect(ctx)
	if err != nil {
		return err
	}
	defer d.close()
	s, err := d.sequence(ctx, directKey, nil)
	if err != nil {
		return err
	}
	for len(tokens) > 0 {
		n, first := min(chunk, len(tokens)), s.Len()
		wanted := 0
		for i := n - 1; i >= 0; i-- {
			if pick(first + i) {
				wanted = n - i
			}
		}
		err := d.step(ctx, []part{{sequence: s, ids: tokens[:n], wanted: wanted}}, func(logits []float32, stride int) error {
			for i := range wanted {
				position := first + n - wanted + i
				if !pick(position) {
					continue
				}
				if err := use(position, logits[i*stride:][:e.model.Vocab]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		tokens = tokens[n:]
	}
	return nil
}

// checkTokens refuses an empty, too long or foreign sequence.
func (e *Engine) checkTokens(tokens []int32) error {
	if len(tokens) == 0 {
		return fmt.Errorf("no tokens")
	}
	if len(tokens) > e.context {
		return fmt.Errorf("%w: %d tokens, the context has %d", ErrTooLong, len(tokens), e.context)
	}
	for i, id := range tokens {
		if id < 0 || int(id) >= e.model.Vocab {
			return fmt.Errorf("token %d is id %d, the vocabulary has %d", i, id, e.model.Vocab)
		}
	}
	return nil
}
