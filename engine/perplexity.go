package engine

import (
	"context"
	"fmt"
	"math"
)

// PerplexityResult is how well a model predicts a text.
type PerplexityResult struct {
	Perplexity float64
	Error      float64 // standard error of the perplexity
	Tokens     int     // of the text
	Scored     int
	Windows    int
}

// Perplexity scores tokens in windows of the given length, as llama.cpp's perplexity tool defines it: windows do not
// overlap, each starts with BOS in place of its first token where the vocabulary adds one, and the second half of each
// is scored. An incomplete last window is left out. windows limits how many are used (0: all); progress, where not nil, is
// called after each. The engine must have been opened with AllLogits and a context of at least the window.
func (e *Engine) Perplexity(ctx context.Context, tokens []int32, window, windows int, progress func(done, total int, perplexity float64)) (PerplexityResult, error) {
	r := PerplexityResult{Tokens: len(tokens)}
	total := 0
	if window >= 4 {
		total = len(tokens) / window
	}
	if windows > 0 {
		total = min(total, windows)
	}
	if window < 4 || total == 0 {
		return r, fmt.Errorf("perplexity of %d tokens in windows of %d: expected at least one window, of at least 4 tokens", len(tokens), window)
	}
	var sum, squares float64
	for i := range total {
		part := append([]int32(nil), tokens[i*window:(i+1)*window]...)
		if t := e.Tokenizer(); t != nil && t.AddsBOS() {
			part[0] = t.BOS()
		}
		scored := func(position int) bool { return position >= window/2 && position < window-1 }
		err := e.logits(ctx, part, 0, scored, func(position int, logits []float32) error {
			loss := -logProb(logits, part[position+1])
			sum += loss
			squares += loss * loss
			r.Scored++
			return nil
		})
		if err != nil {
			return r, err
		}
		r.Windows++
		mean := sum / float64(r.Scored)
		r.Perplexity = math.Exp(mean)
		if r.Scored > 1 {
			r.Error = r.Perplexity * math.Sqrt(max(0, squares/float64(r.Scored)-mean*mean)/float64(r.Scored-1))
		}
		if progress != nil {
			progress(i+1, total, r.Perplexity)
		}
	}
	return r, nil
}

// logProb is the natural logarithm of an id's probability.
func logProb(logits []float32, id int32) float64 {
	return float64(logits[id]) - logSum(logits)
}
