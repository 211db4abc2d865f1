package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/infer-go/infer/engine"
	"github.com/infer-go/infer/sampler"
)

// samplingFlags are the flags that choose among the next tokens.
type samplingFlags struct {
	params   sampler.Params
	seed     int64
	order    string
	bias     []string
	breakers []string
}

// defaultBreakers end DRY's matches: what llama.cpp and the method's author use.
var defaultBreakers = []string{"\n", ":", "\"", "*"}

func (f *samplingFlags) add(flags *pflag.FlagSet) {
	d := sampler.DefaultParams()
	f.params = d
	p := &f.params
	flags.Int64Var(&f.seed, "seed", -1, "seed; -1: a random one. The same seed gives the same text")
	flags.Float64Var(&p.Temperature, "temp", d.Temperature, "temperature; 0: always the likeliest token")
	flags.IntVar(&p.TopK, "top-k", d.TopK, "keep the k likeliest tokens; 0: all")
	flags.Float64Var(&p.TopP, "top-p", d.TopP, "keep the likeliest tokens with this much probability together; 1: all")
	flags.Float64Var(&p.MinP, "min-p", d.MinP, "keep tokens with this share of the likeliest one's probability; 0: all")
	flags.Float64Var(&p.TypicalP, "typical", d.TypicalP, "keep the most typical tokens with this much probability together; 1: all")
	flags.Float64Var(&p.TopNSigma, "top-n-sigma", d.TopNSigma, "keep tokens within n standard deviations of the highest logit; 0: all")
	flags.Float64Var(&p.XTCProbability, "xtc-probability", d.XTCProbability, "chance that the likeliest choices are excluded; 0: never")
	flags.Float64Var(&p.XTCThreshold, "xtc-threshold", d.XTCThreshold, "probability from which XTC counts a token")
	flags.Float64Var(&p.DynamicRange, "dynatemp-range", d.DynamicRange, "temperature moves this far with the entropy; 0: it does not")
	flags.Float64Var(&p.DynamicExponent, "dynatemp-exp", d.DynamicExponent, "exponent of the dynamic temperature")
	flags.IntVar(&p.PenaltyLastN, "repeat-last-n", d.PenaltyLastN, "tokens that penalties look back; -1: all")
	flags.Float64Var(&p.RepeatPenalty, "repeat-penalty", d.RepeatPenalty, "divides the logits of tokens seen; 1: off")
	flags.Float64Var(&p.PresencePenalty, "presence-penalty", d.PresencePenalty, "subtracted from tokens seen")
	flags.Float64Var(&p.FrequencyPenalty, "frequency-penalty", d.FrequencyPenalty, "subtracted for each time a token was seen")
	flags.Float64Var(&p.DRYMultiplier, "dry-multiplier", d.DRYMultiplier, "strength of DRY, which hinders repeated sequences; 0: off")
	flags.Float64Var(&p.DRYBase, "dry-base", d.DRYBase, "growth of DRY's penalty with the sequence's length")
	flags.IntVar(&p.DRYAllowedLength, "dry-allowed-length", d.DRYAllowedLength, "tokens that may repeat without a penalty")
	flags.IntVar(&p.DRYLastN, "dry-penalty-last-n", d.DRYLastN, "tokens that DRY looks back; -1: all")
	flags.StringArrayVar(&f.breakers, "dry-sequence-breaker", defaultBreakers, "text that DRY's sequences do not reach across; may be repeated")
	flags.IntVar(&p.Mirostat, "mirostat", d.Mirostat, "2: keep the surprise of the text constant; 0: off")
	flags.Float64Var(&p.MirostatTau, "mirostat-ent", d.MirostatTau, "surprise that mirostat aims for, in bits")
	flags.Float64Var(&p.MirostatEta, "mirostat-lr", d.MirostatEta, "how fast mirostat adapts")
	flags.StringArrayVar(&f.bias, "logit-bias", nil, "ID=BIAS (or ID=-inf to ban a token); may be repeated")
	flags.StringVar(&f.order, "samplers", "", "order of the chain, separated by ; (default: "+orderText()+")")
}

func orderText() string {
	var names []string
	for _, s := range sampler.DefaultOrder() {
		names = append(names, string(s))
	}
	return strings.Join(names, ";")
}

// resolve returns the parameters for a model.
func (f *samplingFlags) resolve(e *engine.Engine) (*sampler.Params, error) {
	p := f.params
	p.Seed = uint64(f.seed)
	if f.seed < 0 {
		p.Seed = sampler.RandomSeed()
	}
	if f.order != "" {
		order, err := sampler.ParseOrder(f.order)
		if err != nil {
			return nil, usageError{fmt.Errorf("--samplers: %w", err)}
		}
		p.Order = order
	}
	for _, text := range f.bias {
		id, value, ok := strings.Cut(text, "=")
		n, err := strconv.ParseInt(id, 10, 32)
		b, err2 := strconv.ParseFloat(value, 32)
		if !ok || err != nil || err2 != nil {
			return nil, usageError{fmt.Errorf("--logit-bias: found %q, expected ID=BIAS", text)}
		}
		if p.LogitBias == nil {
			p.LogitBias = map[int32]float32{}
		}
		p.LogitBias[int32(n)] = float32(b)
	}
	if p.DRYMultiplier > 0 && e.Tokenizer() != nil {
		p.DRYBreakers = sampler.BreakerSequences(f.breakers, breakerVocabulary{e})
	}
	if err := p.Validate(e.Model().Vocab); err != nil {
		return nil, usageError{err}
	}
	return &p, nil
}

// breakerVocabulary shows a tokenizer as the sampler wants to see it.
type breakerVocabulary struct{ e *engine.Engine }

func (v breakerVocabulary) Size() int             { return v.e.Tokenizer().Size() }
func (v breakerVocabulary) Piece(id int32) string { return v.e.Tokenizer().Piece(id) }
func (v breakerVocabulary) Encode(text string) []int32 {
	ids, err := v.e.Tokenize(text, false)
	if err != nil {
		return nil // a breaker that the vocabulary cannot write breaks nothing
	}
	return ids
}
