package sampler

// history holds the tokens accepted last: window of them, or all for -1.
type history struct {
	window int
	tokens []int32
}

// last returns the tokens in the window, the latest at the end.
func (h *history) last() []int32 {
	if h.window < 0 || len(h.tokens) <= h.window {
		return h.tokens
	}
	return h.tokens[len(h.tokens)-h.window:]
}

// push appends a token. Old ones are dropped a window at a time, so that the cost stays constant on average and the memory
// below two windows.
func (h *history) push(id int32) {
	if h.window == 0 {
		return
	}
	if h.window > 0 && len(h.tokens) >= 2*h.window {
		h.tokens = h.tokens[:copy(h.tokens, h.last())]
	}
	h.tokens = append(h.tokens, id)
}

func (h *history) clear() { h.tokens = h.tokens[:0] }
