package sampler

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzSample runs every setting on rows of arbitrary bits: a token that is allowed comes out, or a named error.
func FuzzSample(f *testing.F) {
	row := func(values ...float32) (b []byte) {
		for _, v := range values {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
		return b
	}
	f.Add(row(1, 2, 3), uint64(7), int64(1))
	f.Add(row(math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32, 0, negInf), uint64(31), int64(2))
	f.Add(row(negInf, negInf), ^uint64(0), int64(3))
	f.Add(row(float32(math.NaN()), 1), uint64(2), int64(4))
	f.Add(row(make([]float32, 100)...), uint64(0), int64(5))
	f.Fuzz(func(t *testing.T, bits []byte, mask uint64, seed int64) {
		vocab := len(bits) / 4
		if vocab == 0 || vocab > 500 {
			t.Skip()
		}
		logits := make([]float32, vocab)
		sound := true
		for i := range logits {
			logits[i] = math.Float32frombits(binary.LittleEndian.Uint32(bits[4*i:]))
			sound = sound && (logits[i]-logits[i] == 0 || logits[i] == negInf)
		}
		allowed := make([]uint64, (vocab+63)/64)
		for i := range allowed {
			allowed[i] = mask
		}
		for name, p := range everySetting() {
			p.Seed = uint64(seed)
			s, err := New(p, vocab)
			require.NoError(t, err, name)
			for range 3 {
				token, err := s.SampleMasked(logits, allowed)
				var bad *LogitError
				if errors.As(err, &bad) {
					require.False(t, sound, name)
					break
				}
				if errors.Is(err, ErrNoCandidates) {
					break
				}
				require.NoError(t, err, name)
				require.NotZero(t, mask>>(token.ID%64)&1, name)
				require.NotEqual(t, negInf, logits[token.ID], name)
				require.False(t, token.LogProb > 1e-6, "%s: %g", name, token.LogProb)
				require.NoError(t, s.Accept(token.ID, token.ID))
			}
		}
	})
}
