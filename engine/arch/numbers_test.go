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
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// target returns a case's tokens and the logits to reach, [tokens*vocab]: float64 arithmetic where the corpus has it,
// llama.cpp's on F32 weights otherwise.
func target(t testing.TB, name string) (tokens []int, logits []float64) {
	t.Helper()
	dir := fixtures.Path(t, "conformance", "cases", name)
	text, err := os.ReadFile(filepath.Join(dir, "tokens.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &tokens))
	data, err := os.ReadFile(filepath.Join(dir, "logits_exact.f32"))
	if errors.Is(err, fs.ErrNotExist) {
		data, err = os.ReadFile(filepath.Join(dir, "logits_ref.f32"))
	}
	require.NoError(t, err)
	for i := 0; i < len(data); i += 4 {
		logits = append(logits, float64(math.Float32frombits(binary.LittleEndian.Uint32(data[i:]))))
	}
	return tokens, logits
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
