package sampler

import (
	"fmt"
	"slices"
	"strings"
)

// Stage names one step of the sampling chain.
type Stage string

// The stages. Each takes the candidates that the stages before it left, with probabilities renormalised over them.
const (
	// StagePenalties lowers the logits of recent tokens: repetition, frequency and presence penalties.
	StagePenalties Stage = "penalties"
	// StageDRY lowers the logits of tokens that would continue a repeated sequence.
	StageDRY Stage = "dry"
	// StageTopNSigma keeps logits within n standard deviations of the largest (https://arxiv.org/abs/2411.07641).
	StageTopNSigma Stage = "top_n_sigma"
	// StageTopK keeps the k largest logits.
	StageTopK Stage = "top_k"
	// StageTypical keeps the tokens whose surprise is nearest to the entropy (https://arxiv.org/abs/2202.00666).
	StageTypical Stage = "typ_p"
	// StageTopP keeps the fewest most probable tokens whose mass reaches p (https://arxiv.org/abs/1904.09751).
	StageTopP Stage = "top_p"
	// StageMinP keeps tokens at least p times as probable as the most probable (https://arxiv.org/abs/2407.01082).
	StageMinP Stage = "min_p"
	// StageXTC removes, by chance, all but the least probable of the tokens above a threshold.
	StageXTC Stage = "xtc"
	// StageTemperature divides the logits by the temperature, fixed or dynamic.
	StageTemperature Stage = "temperature"
)

// DefaultOrder returns the default chain: penalties, dry, top_n_sigma, top_k, typ_p, top_p, min_p, xtc, temperature.
//
// It is llama.cpp's, so that a set of parameters tuned there means the same here. Its reasons: penalties change which
// tokens are candidates, so they come before every cut; the cheap cuts (top_n_sigma, top_k) come before those that
// need exponentials; and temperature comes last, so that the cuts see the model's own confidence and a high
// temperature cannot let the tail back in.
func DefaultOrder() []Stage {
	return []Stage{
		StagePenalties, StageDRY, StageTopNSigma, StageTopK, StageTypical,
		StageTopP, StageMinP, StageXTC, StageTemperature,
	}
}

// ParseOrder reads stage names separated by semicolons or commas, as in "top_k;top_p;temperature". An empty text is an
// empty chain: plain sampling of the model's distribution.
func ParseOrder(text string) ([]Stage, error) {
	fields := strings.FieldsFunc(text, func(r rune) bool { return r == ';' || r == ',' })
	order := make([]Stage, 0, len(fields))
	for _, field := range fields {
		order = append(order, Stage(strings.TrimSpace(field)))
	}
	if err := validateOrder(order); err != nil {
		return nil, err
	}
	return order, nil
}

func validateOrder(order []Stage) error {
	known := DefaultOrder()
	for i, stage := range order {
		if !slices.Contains(known, stage) {
			return &ParamError{Name: "order", Found: string(stage), Allowed: fmt.Sprintf("stages out of %v", known)}
		}
		if slices.Contains(order[:i], stage) {
			return &ParamError{Name: "order", Found: fmt.Sprintf("%s twice", stage), Allowed: "each stage at most once"}
		}
	}
	return nil
}
