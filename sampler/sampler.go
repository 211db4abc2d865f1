package sampler

import (
	"fmt"
	"math/rand/v2"
)

// Token is a sampled token.
type Token struct {
	ID int32
	// LogProb is ln of the token's probability in the model's own distribution; 0 unless [Params.LogProbs].
	LogProb float32
	// Top holds the [Params.TopLogProbs] most probable tokens of that distribution, the most probable first; fewer where
	// fewer have a logit above -Inf. The slice is valid until the next call of Sample.
	Top []Candidate
}

// Sampler picks the tokens of one sequence. It is not safe for use by several goroutines at once.
type Sampler struct {
	params Params
	vocab  int
	chain  []Stage
	greedy bool
	bias   []found // logit bias in ascending order of id

	penalties *penalties // nil when off
	dry       *dry       // nil when off
	mirostat  *mirostat  // nil when off

	drawStream, xtcStream rand.PCG

	set      candidates
	logProbs logProbs
}

// New returns a sampler for logits of a vocabulary of the given size.
func New(p Params, vocab int) (*Sampler, error) {
	if err := p.Validate(vocab); err != nil {
		return nil, err
	}
	s := &Sampler{params: p, vocab: vocab}
	s.chain, s.greedy = p.chain()
	for _, id := range sortedKeys(p.LogitBias) {
		if bias := p.LogitBias[id]; bias != 0 {
			s.bias = append(s.bias, found{bias, id})
		}
	}
	for _, stage := range s.chain {
		switch stage {
		case StagePenalties:
			s.penalties = newPenalties(&p, vocab)
		case StageDRY:
			s.dry = newDRY(&p, vocab)
		}
	}
	if p.Mirostat == 2 && !s.greedy {
		s.mirostat = &mirostat{}
	}
	s.Reset()
	return s, nil
}

// RandomSeed returns a seed that differs from call to call.
func RandomSeed() uint64 { return rand.Uint64() }

// The streams of random numbers: the second half of the generator's seed.
const (
	drawStreamSeed = 0xda942042e4dd58b5
	xtcStreamSeed  = 0x2545f4914f6cdd1d
)

// Reset forgets the history and begins again with the seed, as if the sampler were new.
func (s *Sampler) Reset() {
	s.drawStream.Seed(s.params.Seed, drawStreamSeed)
	s.xtcStream.Seed(s.params.Seed, xtcStreamSeed)
	if s.penalties != nil {
		s.penalties.clear()
	}
	if s.dry != nil {
		s.dry.clear()
	}
	if s.mirostat != nil {
		*s.mirostat = newMirostat(s.params.MirostatTau, s.params.MirostatEta)
	}
}

// uniform returns the next number of a stream, 0 ≤ u < 1, with 53 bits.
func uniform(stream *rand.PCG) float64 { return float64(stream.Uint64()>>11) * 0x1p-53 }

// Accept appends tokens to the history that penalties and DRY look at: those of the prompt, and each sampled one. An error
// names the first token outside the vocabulary; those before it are accepted.
func (s *Sampler) Accept(ids ...int32) error {
	for i, id := range ids {
		if id < 0 || int(id) >= s.vocab {
			return fmt.Errorf("sampler: accepted token %d (number %d) is outside the vocabulary; expected 0 to %d", id, i, s.vocab-1)
		}
		if s.penalties != nil {
			s.penalties.accept(id)
		}
		if s.dry != nil {
			s.dry.accept(id)
		}
	}
	return nil
}

// Sample picks a token. Logits [vocab] are only read. A logit of -Inf takes its token out; NaN and +Inf are a [*LogitError],
// and when no token is left the error is [ErrNoCandidates]. An error leaves the sampler as it was, but for its random numbers.
func (s *Sampler) Sample(logits []float32) (Token, error) { return s.SampleMasked(logits, nil) }

// SampleMasked is Sample among the allowed tokens: token i is allowed when bit i%64 of allowed[i/64] is set. The mask comes
// before everything else; logits that it takes out are not checked unless log-probabilities, which are those of all tokens,
// are asked for. A nil mask allows all tokens.
func (s *Sampler) SampleMasked(logits []float32, allowed []uint64) (Token, error) {
	if len(logits) != s.vocab {
		return Token{}, fmt.Errorf("sampler: %d logits; expected %d, the size of the vocabulary", len(logits), s.vocab)
	}
	if words := (s.vocab + 63) / 64; allowed != nil && len(allowed) != words {
		return Token{}, fmt.Errorf("sampler: mask of %d words; expected %d for a vocabulary of %d", len(allowed), words, s.vocab)
	}
	c := &s.set
	c.reset(logits, allowed)
	s.addBias(c)
	for _, stage := range s.chain {
		if err := s.run(stage, c); err != nil {
			return Token{}, err
		}
	}
	id, err := s.pick(c)
	if err != nil {
		return Token{}, err
	}
	token := Token{ID: id}
	if s.params.LogProbs {
		if err := s.logProbs.fill(&token, logits, s.params.TopLogProbs); err != nil {
			return Token{}, err
		}
	}
	return token, nil
}

func (s *Sampler) addBias(c *candidates) {
	if len(s.bias) == 0 {
		return
	}
	c.own()
	for _, b := range s.bias {
		c.set(b.id, float64(c.logits[b.id])+float64(b.x))
	}
}

func (s *Sampler) run(stage Stage, c *candidates) error {
	p := &s.params
	switch stage {
	case StagePenalties:
		s.penalties.apply(c)
	case StageDRY:
		s.dry.apply(c)
	case StageTopNSigma:
		return c.topNSigma(p.TopNSigma)
	case StageTopK:
		return c.topK(p.TopK)
	case StageTypical:
		return c.typical(p.TypicalP)
	case StageTopP:
		return c.topP(p.TopP)
	case StageMinP:
		return c.minP(p.MinP)
	case StageXTC:
		if uniform(&s.xtcStream) < p.XTCProbability {
			return c.xtc(p.XTCThreshold)
		}
	case StageTemperature:
		if p.DynamicRange > 0 {
			return c.dynamicTemperature(max(0, p.Temperature-p.DynamicRange), p.Temperature+p.DynamicRange, p.DynamicExponent)
		}
		return c.temperature(p.Temperature)
	}
	return nil
}

// pick chooses among the candidates that the chain left.
func (s *Sampler) pick(c *candidates) (int32, error) {
	if s.greedy {
		if err := c.keepBest(); err != nil {
			return 0, err
		}
		return c.list[0].id, nil
	}
	if s.mirostat != nil {
		if err := s.mirostat.truncate(c); err != nil {
			return 0, err
		}
	}
	id, probability, err := c.draw(uniform(&s.drawStream))
	if err != nil {
		return 0, err
	}
	if s.mirostat != nil {
		s.mirostat.observe(probability)
	}
	return id, nil
}
