package sampler

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Params says how to sample. Start from [DefaultParams]: the zero value is valid only in part, since some neutral
// values are not zero.
type Params struct {
	// Seed of the random numbers. Every value is a seed; [RandomSeed] picks one.
	Seed uint64

	// Temperature divides the logits. 0 (and anything below 1e-9) is greedy: the largest logit after mask, bias,
	// penalties and DRY wins, no other stage runs and nothing is drawn. Greedy needs the temperature stage in Order.
	Temperature float64
	// DynamicRange r > 0 lets the temperature move with the entropy H of the n candidates, from max(0, Temperature-r)
	// to Temperature+r: low + (high-low)·(H/ln n)^DynamicExponent.
	DynamicRange    float64
	DynamicExponent float64

	TopK      int     // candidates kept; 0 or -1: all
	TopP      float64 // mass kept, 0 to 1; 1: all. At least one candidate stays
	MinP      float64 // share of the largest probability, 0 to 1; 0: all
	TypicalP  float64 // mass kept, 0 to 1; 1: all
	TopNSigma float64 // standard deviations below the largest logit; 0 or -1: all

	XTCProbability float64 // chance that XTC acts on a token, 0 to 1; 0: never
	XTCThreshold   float64 // probability from which a token counts, 0 to 1; above 0.5 XTC cannot act

	// The penalties act on the tokens accepted last: PenaltyLastN of them, -1 for all, 0 for none. A positive logit is
	// divided by RepeatPenalty, another one multiplied with it; then FrequencyPenalty·count + PresencePenalty is
	// subtracted.
	PenaltyLastN     int
	RepeatPenalty    float64 // 1: off
	FrequencyPenalty float64 // 0: off
	PresencePenalty  float64 // 0: off

	// DRY ("don't repeat yourself") looks for the longest match between the end of the history and an earlier place.
	// A token that would lengthen a match of n ≥ DRYAllowedLength tokens loses
	// DRYMultiplier · DRYBase^(n - DRYAllowedLength).
	DRYMultiplier    float64 // 0: off
	DRYBase          float64 // at least 1
	DRYAllowedLength int
	DRYLastN         int // tokens looked at; -1: all, 0: off
	// DRYBreakers are token sequences that no match reaches across; see [BreakerSequences] for breakers given as text.
	DRYBreakers [][]int32

	// Mirostat 2 keeps the surprise of the drawn tokens near MirostatTau bits (https://arxiv.org/abs/2007.14966); 0 is
	// off and other versions are not offered. Of the order's stages only penalties, dry and temperature run beside it.
	Mirostat    int
	MirostatTau float64
	MirostatEta float64

	// LogitBias is added to logits before anything else; negative infinity bans a token.
	LogitBias map[int32]float32

	// LogProbs asks for the natural logarithm of the drawn token's probability, and TopLogProbs for that many of the most
	// probable tokens. Both come from the model's own distribution: the softmax of the logits as they were passed in,
	// before mask, bias and every stage.
	LogProbs    bool
	TopLogProbs int

	// Order of the stages; nil is [DefaultOrder], an empty slice is no stage at all. A stage left out does not run,
	// whatever its parameters say: without the temperature stage the temperature is 1.
	Order []Stage
}

// DefaultParams returns llama.cpp's defaults, with seed 0: temperature 0.8, top-k 40, top-p 0.95, min-p 0.05.
func DefaultParams() Params {
	return Params{
		Temperature: 0.8, DynamicExponent: 1,
		TopK: 40, TopP: 0.95, MinP: 0.05, TypicalP: 1,
		XTCThreshold: 0.1,
		PenaltyLastN: 64, RepeatPenalty: 1,
		DRYBase: 1.75, DRYAllowedLength: 2, DRYLastN: -1,
		MirostatTau: 5, MirostatEta: 0.1,
	}
}

// NeutralParams returns parameters that change nothing: temperature 1 and every other stage off, so that tokens are
// drawn from the model's own distribution.
func NeutralParams() Params {
	p := DefaultParams()
	p.Temperature, p.TopK, p.TopP, p.MinP = 1, 0, 1, 0
	return p
}

// ParamError says that a parameter has a value that it cannot have.
type ParamError struct {
	Name    string // as users write it: top_p, dry_base, …
	Found   any
	Allowed string
}

func (e *ParamError) Error() string {
	return fmt.Sprintf("sampler: %s is %v; allowed: %s", e.Name, e.Found, e.Allowed)
}

// Validate checks the parameters for a vocabulary of the given size and reports every fault, each a [*ParamError].
func (p Params) Validate(vocab int) error {
	if vocab < 1 || vocab > math.MaxInt32 {
		return &ParamError{Name: "vocabulary size", Found: vocab, Allowed: "1 to 2147483647"}
	}
	var faults []error
	real := func(name string, value, low, high float64) {
		if value >= low && value <= high { // false for NaN
			return
		}
		allowed := fmt.Sprintf("%g to %g", low, high)
		if high == math.MaxFloat64 {
			allowed = fmt.Sprintf("a finite number from %g up", low)
		}
		faults = append(faults, &ParamError{Name: name, Found: value, Allowed: allowed})
	}
	whole := func(name string, value, low, high int) {
		if value < low || value > high {
			faults = append(faults, &ParamError{Name: name, Found: value, Allowed: fmt.Sprintf("%d to %d", low, high)})
		}
	}
	const most = math.MaxFloat64
	real("temperature", p.Temperature, 0, maxTemperature)
	real("dynatemp_range", p.DynamicRange, 0, maxTemperature)
	real("dynatemp_exponent", p.DynamicExponent, 0, most)
	whole("top_k", p.TopK, -1, math.MaxInt32)
	real("top_p", p.TopP, 0, 1)
	real("min_p", p.MinP, 0, 1)
	real("typical_p", p.TypicalP, 0, 1)
	if p.TopNSigma != -1 {
		real("top_n_sigma", p.TopNSigma, 0, most)
	}
	real("xtc_probability", p.XTCProbability, 0, 1)
	real("xtc_threshold", p.XTCThreshold, 0, 1)
	whole("penalty_last_n", p.PenaltyLastN, -1, math.MaxInt32)
	real("repeat_penalty", p.RepeatPenalty, minRepeatPenalty, maxPenalty)
	real("frequency_penalty", p.FrequencyPenalty, -maxPenalty, maxPenalty)
	real("presence_penalty", p.PresencePenalty, -maxPenalty, maxPenalty)
	real("dry_multiplier", p.DRYMultiplier, 0, maxPenalty)
	real("dry_base", p.DRYBase, 1, maxPenalty)
	whole("dry_allowed_length", p.DRYAllowedLength, 0, math.MaxInt32)
	whole("dry_penalty_last_n", p.DRYLastN, -1, math.MaxInt32)
	if p.Mirostat != 0 && p.Mirostat != 2 {
		faults = append(faults, &ParamError{Name: "mirostat", Found: p.Mirostat, Allowed: "0 (off) or 2"})
	}
	real("mirostat_tau", p.MirostatTau, 0, maxPenalty)
	real("mirostat_eta", p.MirostatEta, 0, maxPenalty)
	whole("top_logprobs", p.TopLogProbs, 0, vocab)
	if p.TopLogProbs > 0 && !p.LogProbs {
		faults = append(faults, &ParamError{Name: "top_logprobs", Found: p.TopLogProbs, Allowed: "0 unless log-probabilities are asked for"})
	}
	faults = append(faults, p.validateBias(vocab)...)
	faults = append(faults, p.validateBreakers(vocab)...)
	if err := validateOrder(p.Order); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// Bounds that keep every intermediate value finite in float64, far beyond any use.
const (
	maxTemperature   = 1e9
	minTemperature   = 1e-9 // below this the temperature counts as 0
	maxPenalty       = 1e9
	minRepeatPenalty = 1e-9
)

func (p Params) validateBias(vocab int) []error {
	var faults []error
	for _, id := range sortedKeys(p.LogitBias) {
		bias := float64(p.LogitBias[id])
		switch {
		case id < 0 || int(id) >= vocab:
			faults = append(faults, &ParamError{Name: "logit_bias", Found: fmt.Sprintf("token %d", id), Allowed: fmt.Sprintf("tokens 0 to %d", vocab-1)})
		case math.IsNaN(bias) || math.IsInf(bias, 1):
			faults = append(faults, &ParamError{Name: fmt.Sprintf("logit_bias of token %d", id), Found: bias, Allowed: "a finite number or negative infinity"})
		}
	}
	return faults
}

func (p Params) validateBreakers(vocab int) []error {
	var faults []error
	for i, breaker := range p.DRYBreakers {
		name := fmt.Sprintf("dry_sequence_breakers[%d]", i)
		if len(breaker) == 0 {
			faults = append(faults, &ParamError{Name: name, Found: "an empty sequence", Allowed: "one token or more"})
		}
		for _, id := range breaker {
			if id < 0 || int(id) >= vocab {
				faults = append(faults, &ParamError{Name: name, Found: fmt.Sprintf("token %d", id), Allowed: fmt.Sprintf("tokens 0 to %d", vocab-1)})
			}
		}
	}
	return faults
}

func sortedKeys(m map[int32]float32) []int32 {
	keys := make([]int32, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// enabled reports whether a stage with these parameters can change anything.
func (p *Params) enabled(stage Stage) bool {
	switch stage {
	case StagePenalties:
		return p.PenaltyLastN != 0 && (p.RepeatPenalty != 1 || p.FrequencyPenalty != 0 || p.PresencePenalty != 0)
	case StageDRY:
		return p.DRYMultiplier > 0 && p.DRYLastN != 0
	case StageTopNSigma:
		return p.TopNSigma > 0
	case StageTopK:
		return p.TopK > 0
	case StageTypical:
		return p.TypicalP < 1
	case StageTopP:
		return p.TopP < 1
	case StageMinP:
		return p.MinP > 0
	case StageXTC:
		return p.XTCProbability > 0 && p.XTCThreshold <= 0.5
	case StageTemperature:
		return p.Temperature != 1 || p.DynamicRange > 0
	}
	return false
}

// chain returns the stages that run, in order, and whether the outcome is greedy.
func (p *Params) chain() (stages []Stage, greedy bool) {
	order := p.Order
	if order == nil {
		order = DefaultOrder()
	}
	greedy = slices.Contains(order, StageTemperature) && p.Temperature < minTemperature && p.DynamicRange == 0
	for _, stage := range order {
		reshapes := stage == StagePenalties || stage == StageDRY
		switch {
		case !p.enabled(stage):
		case greedy && !reshapes:
		case p.Mirostat == 2 && !reshapes && stage != StageTemperature:
		default:
			stages = append(stages, stage)
		}
	}
	return stages, greedy
}
