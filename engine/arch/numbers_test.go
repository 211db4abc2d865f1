package arch

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/infer-go/infer/internal/fixtures"
	"github.com/infer-go/infer/kernels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// target returns a case's tokens and the logits to reach, [tokens*vocab]: float64 arithmetic where the corpus has it,
// llama.cpp's on F32 weights otherwise.
func target(t testing.TB, name string) (tokens []int, logits []float64) {
	t.Helper()
	return targetOf(t, name, "logits")
}

// targetOf is target for another result: "pooled" or "tokens".
func targetOf(t testing.TB, name, what string) (tokens []int, values []float64) {
	t.Helper()
	dir := fixtures.Path(t, "conformance", "cases", name)
	text, err := os.ReadFile(filepath.Join(dir, "tokens.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &tokens))
	data, err := os.ReadFile(filepath.Join(dir, what+"_exact.f32"))
	if errors.Is(err, fs.ErrNotExist) {
		data, err = os.ReadFile(filepath.Join(dir, what+"_ref.f32"))
	}
	require.NoError(t, err)
	for i := 0; i < len(data); i += 4 {
		values = append(values, float64(math.Float32frombits(binary.LittleEndian.Uint32(data[i:]))))
	}
	return tokens, values
}

// relativeL2 is the length of the difference over the length of the target.
func relativeL2(got [][]float64, want []float64) float64 {
	var difference, length float64
	for i, w := range want {
		g := got[i/len(got[0])][i%len(got[0])]
		difference += (g - w) * (g - w)
		length += w * w
	}
	return math.Sqrt(difference / length)
}

// The plans give the numbers of other programs, whatever a backend makes of them. The targets were computed in float32
// from the weights that quantized blocks stand for.
func TestPlansAgainstOtherPrograms(t *testing.T) {
	for _, group := range []string{"arch", "quant"} {
		for _, name := range conformanceCases(t, group) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := conformance(t, name)
				m, err := Record(f, Options{})
				require.NoError(t, err)
				tokens, want := target(t, name)
				if group == "quant" { // all of one architecture: the types are what matters, and a few tokens show them
					tokens, want = tokens[:6], want[:6*m.Vocab]
				}
				got := interpret(t, m, f, tokens)
				require.Len(t, want, len(got)*len(got[0]))
				assert.Less(t, relativeL2(got, want), 5e-6)
			})
		}
	}
}

// The same for models that give vectors. Their targets have the tanh form of GELU, the plans of the BERT family the exact one.
func TestEncodersAgainstOtherPrograms(t *testing.T) {
	for _, name := range conformanceCases(t, "embedding") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := conformance(t, name)
			m, err := Record(f, Options{})
			require.NoError(t, err)
			for i := range m.Plan.Ops {
				if o := &m.Plan.Ops[i]; o.Kind == kernels.OpMatMul && kernels.Act(o.N[0]) == kernels.ActGELUErf {
					o.N[0] = int32(kernels.ActGELU)
				}
			}
			tokens, want := targetOf(t, name, "pooled")
			in := newInterpreter(t, m, f, tokens)
			got := in.read(m.Plan.Logits)
			row := len(tokens) - 1
			if m.Pooling == CLS || m.Pooling == Rank && !m.Causal {
				row = 0
			}
			require.Len(t, got[row], len(want))
			assert.Less(t, relativeL2(got[row:row+1], want), limitOf(name))
			_, want = targetOf(t, name, "tokens")
			assert.Less(t, relativeL2(in.read(m.Plan.Hidden), want), 5e-6)
		})
	}
}

// limitOf allows for llama.cpp's GELU table where a score has no exact target.
func limitOf(name string) float64 {
	if name == "bert-rerank" {
		return 5e-4
	}
	return 5e-6
}
