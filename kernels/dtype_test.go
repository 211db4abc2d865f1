package kernels

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// splitmixBytes is testdata/dequantize_gen.py's generator.
func splitmixBytes(seed uint64, count int) []byte {
	out := make([]byte, 0, count+8)
	for n := uint64(1); len(out) < count; n++ {
		z := seed + n*0x9E3779B97F4A7C15
		z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
		z = (z ^ z>>27) * 0x94D049BB133111EB
		out = binary.LittleEndian.AppendUint64(out, z^z>>31)
	}
	return out[:count]
}

// canonicalHash hashes floats with every NaN and both zeros made one.
func canonicalHash(values []float32) string {
	buf := make([]byte, 0, 4*len(values))
	for _, v := range values {
		switch {
		case v != v:
			buf = binary.LittleEndian.AppendUint32(buf, 0x7fc00000)
		case v == 0:
			buf = binary.LittleEndian.AppendUint32(buf, 0)
		default:
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
		}
	}
	sum := sha256.Sum256(buf)
	return hex.EncodeToString(sum[:])
}

func TestDequantizeAgainstOthers(t *testing.T) {
	var golden map[string]struct {
		Number     DType
		Blocks     int
		Block      int64
		BlockBytes int64 `json:"block_bytes"`
		SHA256     string
		First      []string
	}
	data, err := os.ReadFile("testdata/dequantize.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &golden))
	require.Len(t, golden, len(DTypes()), "every type has a golden entry")
	for name, want := range golden {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, name, want.Number.String())
			require.Equal(t, want.Block, want.Number.Block())
			require.Equal(t, want.BlockBytes, want.Number.BlockBytes())
			src := splitmixBytes(uint64(want.Number), want.Blocks*int(want.BlockBytes))
			dst := make([]float32, want.Blocks*int(want.Block))
			require.NoError(t, Dequantize(dst, want.Number, src))
			if got := canonicalHash(dst); got != want.SHA256 {
				t.Errorf("hash %s, expected %s\nfirst weights %g\nexpected      %v", got, want.SHA256, dst[:16], want.First)
			}
		})
	}
}

// weightOf computes a weight from its unpacked form in float64, where products are exact, and rounds it once.
func weights32(u []unpacked32) (out []float32) {
	for _, b := range u {
		for i, q := range b.q {
			out = append(out, float32(float64(b.d[i/16])*float64(q)+float64(b.m)))
		}
	}
	return out
}

func weights256(u []unpacked256) (out []float32) {
	for _, b := range u {
		for i, q := range b.q {
			g := i / 16
			out = append(out, float32(float64(b.d)*float64(int(b.scale[g])*int(q))-float64(b.dmin)*float64(b.min[g])))
		}
	}
	return out
}

// The unpacked form is the definition: dequantizing rounds it once, and 8-bit dot products fit an int32.
func TestUnpackIsTheDefinition(t *testing.T) {
	for _, dtype := range DTypes() {
		if dtype.Family() != Family32 && dtype.Family() != Family256 {
			continue
		}
		t.Run(dtype.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				blocks := rapid.IntRange(1, 3).Draw(t, "blocks")
				src := rapid.SliceOfN(rapid.Byte(), blocks*int(dtype.BlockBytes()), -1).Draw(t, "src")[:blocks*int(dtype.BlockBytes())]
				dst := make([]float32, blocks*int(dtype.Block()))
				require.NoError(t, Dequantize(dst, dtype, src))
				var want []float32
				if dtype.Family() == Family32 {
					u, err := unpack32(dtype, src)
					require.NoError(t, err)
					want = weights32(u)
				} else {
					u, err := unpack256(dtype, src)
					require.NoError(t, err)
					want = weights256(u)
					for _, b := range u {
						requireFitsInt32(t, b)
					}
				}
				require.Equal(t, canonicalHash(want), canonicalHash(dst))
			})
		})
	}
}

func requireFitsInt32(t require.TestingT, b unpacked256) {
	var worst int64
	for i, q := range b.q {
		worst += max(int64(q), -int64(q)) * max(int64(b.scale[i/16]), -int64(b.scale[i/16])) * 127
	}
	require.Less(t, worst, int64(1)<<28)
}

// f16Value is the definition of an IEEE half in float64.
func f16Value(h uint16) float64 {
	sign := 1.0
	if h&0x8000 != 0 {
		sign = -1
	}
	exponent, mantissa := int(h>>10&31), float64(h&1023)
	switch exponent {
	case 0:
		return sign * math.Ldexp(mantissa, -24)
	case 31:
		if mantissa != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(1024+mantissa, exponent-25)
}

func TestHalfConversionsExhaustively(t *testing.T) {
	formats := []struct {
		name   string
		widen  func(uint16) float32
		narrow func(float32) uint16
		value  func(uint16) float64
	}{
		{"f16", F16ToF32, F32ToF16, f16Value},
		{"bf16", BF16ToF32, F32ToBF16, func(h uint16) float64 { return float64(math.Float32frombits(uint32(h) << 16)) }},
	}
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			for i := 0; i < 1<<16; i++ {
				h := uint16(i)
				want, got := f.value(h), f.widen(h)
				if math.IsNaN(want) {
					if got == got || f.widen(f.narrow(got)) == f.widen(f.narrow(got)) {
						t.Fatalf("%#x: a NaN became %g and back %#x", h, got, f.narrow(got))
					}
					continue
				}
				if float64(got) != want || math.Signbit(float64(got)) != math.Signbit(want) || f.narrow(got) != h {
					t.Fatalf("%#x: widened to %g, expected %g; back %#x", h, got, want, f.narrow(got))
				}
				if i&0x7fff != 0x7fff && f.value(h+1) == f.value(h+1) {
					checkRounding(t, f.narrow, f.value, h)
				}
			}
		})
	}
}

// checkRounding probes between h and the next number away from zero: just below, at and just above the midpoint. The
// midpoint of two halves is a float, and so is its neighbourhood.
func checkRounding(t *testing.T, narrow func(float32) uint16, value func(uint16) float64, h uint16) {
	next := value(h + 1)
	if math.IsInf(next, 0) { // the step above the largest number is as wide as the one below it
		next = 2*value(h) - value(h-1)
	}
	middle := float32(value(h)/2 + next/2)
	if math.IsInf(float64(middle), 0) {
		return
	}
	even := h + h&1
	awayFromZero := float32(math.Inf(1))
	if h&0x8000 != 0 {
		awayFromZero = -awayFromZero
	}
	below, above := math.Nextafter32(middle, 0), math.Nextafter32(middle, awayFromZero)
	if a, b, c := narrow(below), narrow(middle), narrow(above); a != h || b != even || c != h+1 {
		t.Fatalf("%#x: below, at, above the midpoint %g: %#x %#x %#x, expected %#x %#x %#x", h, middle, a, b, c, h, even, h+1)
	}
}

func TestNarrowExtremes(t *testing.T) {
	assert.Equal(t, uint16(0x7c00), F32ToF16(math.MaxFloat32))
	assert.Equal(t, uint16(0xfc00), F32ToF16(float32(math.Inf(-1))))
	assert.Equal(t, uint16(0x0000), F32ToF16(math.SmallestNonzeroFloat32))
	assert.Equal(t, uint16(0x8000), F32ToF16(-math.SmallestNonzeroFloat32))
	assert.Equal(t, uint16(0x7f80), F32ToBF16(math.MaxFloat32))
	// A NaN whose payload lives in the discarded bits must not become infinity.
	payload := math.Float32frombits(0x7f800001)
	assert.NotZero(t, F32ToF16(payload)&0x3ff)
	assert.NotZero(t, F32ToBF16(payload)&0x7f)
}

func TestDTypeSizesAndErrors(t *testing.T) {
	n, err := Q4_K.RowBytes(512)
	require.NoError(t, err)
	assert.EqualValues(t, 288, n)
	_, err = Q4_K.RowBytes(100)
	assert.EqualError(t, err, "Q4_K: a row of 100 weights is not a whole number of blocks of 256")
	_, err = Q4_K.RowBytes(-256)
	assert.ErrorContains(t, err, "expected 0 to")
	_, err = F64.RowBytes(math.MaxInt64)
	assert.Error(t, err)
	for _, unknown := range []DType{4, 5, 9, 15, 31, 33, 36, 43, 1 << 20, math.MaxUint32} {
		_, err = unknown.RowBytes(256)
		assert.ErrorContains(t, err, "unknown data type")
		assert.False(t, unknown.Known())
		assert.Equal(t, FamilyNone, unknown.Family())
		assert.Error(t, Dequantize(make([]float32, 256), unknown, make([]byte, 256)))
	}
	assert.Equal(t, "type 99", DType(99).String())
	assert.EqualError(t, Dequantize(make([]float32, 32), Q8_0, make([]byte, 33)), "Q8_0: 32 weights take 34 bytes, found 33")
	assert.NoError(t, Dequantize(nil, Q8_0, nil))

	for _, d := range DTypes() {
		parsed, err := ParseDType(d.String())
		require.NoError(t, err)
		assert.Equal(t, d, parsed)
	}
	parsed, err := ParseDType("iq2_xxs")
	require.NoError(t, err)
	assert.Equal(t, IQ2_XXS, parsed)
	_, err = ParseDType("Q9_Z")
	assert.Error(t, err)
}
