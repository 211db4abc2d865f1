package quantize

import (
	"fmt"
	"strings"

	"github.com/infer-go/infer/kernels"
)

// Mix is a recipe: a base type for most matrices, and rules that give some of them more bits. Names and numbers are those
// that users and files know from llama.cpp.
type Mix struct {
	Name     string        // "Q4_K_M"
	FileType uint32        // general.file_type
	Base     kernels.DType // of most matrices
}

// mixes is every recipe that [ParseMix] knows.
var mixes = []Mix{
	{"F32", 0, kernels.F32},
	{"F16", 1, kernels.F16},
	{"BF16", 32, kernels.BF16},
	{"Q8_0", 7, kernels.Q8_0},
	{"Q6_K", 18, kernels.Q6_K},
	{"Q5_K_M", 17, kernels.Q5_K},
	{"Q5_K_S", 16, kernels.Q5_K},
	{"Q5_1", 9, kernels.Q5_1},
	{"Q5_0", 8, kernels.Q5_0},
	{"Q4_K_M", 15, kernels.Q4_K},
	{"Q4_K_S", 14, kernels.Q4_K},
	{"Q4_1", 3, kernels.Q4_1},
	{"Q4_0", 2, kernels.Q4_0},
	{"IQ4_NL", 25, kernels.IQ4_NL},
	{"IQ4_XS", 30, kernels.IQ4_XS},
	{"MXFP4_MOE", 38, kernels.MXFP4},
	{"Q3_K_L", 13, kernels.Q3_K},
	{"Q3_K_M", 12, kernels.Q3_K},
	{"Q3_K_S", 11, kernels.Q3_K},
	{"Q2_K", 10, kernels.Q2_K},
	{"TQ2_0", 37, kernels.TQ2_0},
	{"TQ1_0", 36, kernels.TQ1_0},
}

// aliases are the names without a size, as llama.cpp reads them.
var aliases = map[string]string{"Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M"}

// Mixes returns every recipe, the largest files first.
func Mixes() []Mix { return append([]Mix(nil), mixes...) }

// ParseMix finds a recipe by its name, in any case.
func ParseMix(name string) (Mix, error) {
	upper := strings.ToUpper(name)
	if full, ok := aliases[upper]; ok {
		upper = full
	}
	var known []string
	for _, m := range mixes {
		if m.Name == upper {
			return m, nil
		}
		known = append(known, m.Name)
	}
	return Mix{}, fmt.Errorf("unknown quantization type %q, expected one of %s", name, strings.Join(known, ", "))
}
