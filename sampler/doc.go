// Package sampler turns a row of logits into a token id.
//
// A [Sampler] belongs to one sequence. For each step it takes the logits of the whole vocabulary, applies logit bias and
// an optional mask, runs a chain of stages over the candidates, and draws one of what is left:
//
//	s, err := sampler.New(params, vocab)
//	s.Accept(prompt...)
//	for {
//		token, err := s.Sample(logits)
//		s.Accept(token.ID)
//	}
//
// # Stages
//
// The stages and their default order are those that users of llama.cpp know, so that settings carry over; see
// [DefaultOrder]. A stage that is missing from the order, or whose parameter is neutral, does not run.
//
// # Reproducibility
//
// The same parameters, seed, history and logits give the same ids on every machine and operating system. Logits stay
// float32, also after bias and penalties; everything else is float64 in a fixed order of operations. Exponential and
// logarithm are the package's own, since those of package math differ between architectures, and every product that is
// added to something is rounded first (Go may fuse it otherwise). One number is drawn for each sampled token, whatever
// the number of candidates, and one from a stream of its own for XTC, so turning a stage on does not shift the others.
//
// Equal logits rank by id, the lower first.
//
// # Speed
//
// Nothing sorts the vocabulary and nothing allocates in the steady state. A truncating stage reads the logits once or
// twice and leaves a short list for the following ones; exponentials of the whole vocabulary are taken only where a
// stage is defined by total mass (top-p, typical, XTC, mirostat without an earlier truncation) or log-probabilities
// are wanted.
package sampler
