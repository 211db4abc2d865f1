package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// faster returns the variants to hold against the reference. A machine that should have one and has not fails:
// INFER_EXPECT_VARIANTS lists them, separated by commas.
func faster(t *testing.T) []string {
	have := Variants()
	for _, want := range strings.Split(os.Getenv("INFER_EXPECT_VARIANTS"), ",") {
		if want != "" {
			require.Contains(t, have, want, "INFER_EXPECT_VARIANTS")
		}
	}
	return have[:len(have)-1]
}

// randomWeights makes rows of a type: random bytes with sane scales for quantized types (by dequantizing nothing: scales
// are f16 fields of the block, forced into a small range), normal values for float types.
func randomWeights(r *rand.Rand, t DType, rows, cols int64) []byte {
	size, _ := t.RowBytes(cols)
	raw := make([]byte, size*rows)
	for i := range raw {
		raw[i] = byte(r.Uint32())
	}
	block := t.BlockBytes()
	for at := int64(0); at < int64(len(raw)); at += block {
		sane(raw[at:at+block], t, r)
	}
	return raw
}

// sane writes moderate f16 scales where a type's block has them, so that sums are finite.
func sane(block []byte, t DType, r *rand.Rand) {
	scale := func(at int) {
		h := F32ToF16(float32(0.001 + 0.02*r.Float64()))
		block[at], block[at+1] = byte(h), byte(h>>8)
	}
	switch t.String() {
	case "F32":
		v := math.Float32bits(float32(r.NormFloat64()))
		block[0], block[1], block[2], block[3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
	case "F16":
		v := F32ToF16(float32(r.NormFloat64()))
		block[0], block[1] = byte(v), byte(v>>8)
	case "BF16":
		v := F32ToBF16(float32(r.NormFloat64()))
		block[0], block[1] = byte(v), byte(v>>8)
	case "Q4_1", "Q5_1", "Q4_K", "Q5_K":
		scale(0)
		scale(2)
	case "Q2_K":
		scale(80)
		scale(82)
	case "Q3_K":
		scale(108)
	case "Q6_K":
		scale(208)
	case "TQ1_0", "TQ2_0":
		scale(len(block) - 2)
	case "IQ1_M": // its scale is spread over the upper nibbles of the scales
		for i := len(block) - 8; i < len(block); i += 2 {
			block[i+1] &= 0x0f
		}
		block[len(block)-1] |= 0x20
	case "MXFP4":
		block[0] = 120
	case "NVFP4":
		for i := range 4 {
			block[i] &= 0x3f
		}
	default:
		scale(0)
	}
}

// TestProductBits holds every variant's products against the reference, bit for bit: all data types, odd shapes, packed or not.
func TestProductBits(t *testing.T) {
	for _, dtype := range DTypes() {
		if dtype.Family() == FamilyNone {
			continue
		}
		widths := []int64{1, 7, 15, 16, 17, 100, 256}
		switch dtype.Family() {
		case Family32:
			widths = []int64{128, 384, 1152}
			if dtype.Block() <= 32 {
				widths = []int64{32, 96, 160, 1152}
			}
		case Family256:
			widths = []int64{256, 512, 2304}
		}
		t.Run(dtype.String(), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(uint64(dtype), 1))
			for i, cols := range widths {
				rows := []int64{1, 15, 16, 17, 70}[(i+int(dtype))%5]
				raw := randomWeights(r, dtype, rows, cols)
				for _, columns := range []int{1, 2, 3, 5, 7, 8, 9, 15, 33} {
					x := make([]float32, int64(columns)*cols)
					for j := range x {
						x[j] = float32(r.NormFloat64() * math.Exp(r.NormFloat64()))
					}
					want, err := product("ref", dtype, false, raw, rows, cols, x, columns)
					require.NoError(t, err)
					for _, v := range want {
						require.False(t, math.IsNaN(float64(v)) || math.IsInf(float64(v), 0), "the test's weights must be finite")
					}
					for _, variant := range faster(t) {
						if dtype == BF16 && slices.Contains(bf16Dots, variant) && cols%2 == 0 {
							continue // TestBF16Dot
						}
						for _, packed := range []bool{false, true} {
							got, err := product(variant, dtype, packed, raw, rows, cols, x, columns)
							require.NoError(t, err)
							sameBits(t, want, got, fmt.Sprint(variant, " ", rows, "x", cols, " columns ", columns, " packed ", packed))
						}
					}
				}
			}
		})
	}
}

// TestColumnCounts: products of each number of columns, where they lie in order and where they are picked, hold each column's bits. The
// fastest variant changes its way through a product at many numbers.
func TestColumnCounts(t *testing.T) {
	const rows, most = 70, 70
	variant := Variants()[0]
	for _, dtype := range DTypes() {
		if dtype.Family() == FamilyNone {
			continue
		}
		cols := map[Family]int64{FamilyFloat: 162, Family32: 640, Family256: 768}[dtype.Family()]
		if dtype.Family() == Family32 && dtype.Block() == 32 {
			cols = 480 // a whole slice, four groups and three more
		}
		t.Run(dtype.String(), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(uint64(dtype), 3))
			raw := randomWeights(r, dtype, rows, cols)
			x := make([]float32, most*cols)
			for j := range x {
				x[j] = float32(r.NormFloat64() * math.Exp(r.NormFloat64()))
			}
			reference := "ref"
			if dtype == BF16 && slices.Contains(bf16Dots, variant) {
				reference = variant
			}
			want, err := product(reference, dtype, true, raw, rows, cols, x, most)
			require.NoError(t, err)
			for columns := 1; columns <= most; columns++ {
				for _, scattered := range []bool{false, true} {
					packed := columns%8 != 5 // what is not interleaved is slow to unpack
					got, err := anyProduct(variant, dtype, packed, scattered, raw, rows, cols, x[:int64(columns)*cols], columns)
					require.NoError(t, err)
					sameBits(t, want[:columns*rows], got, fmt.Sprint(variant, " columns ", columns, " packed ", packed, " scattered ", scattered))
				}
			}
		})
	}
}

// bf16Dots are the variants whose products of BF16 weights are rounded by the processor.
var bf16Dots = []string{"avx512bf16", "amx"}

// eachBF16Dot runs a test for those of them that this processor has.
func eachBF16Dot(t *testing.T, test func(t *testing.T, variant string)) {
	for _, variant := range bf16Dots {
		t.Run(variant, func(t *testing.T) {
			if !slices.Contains(Variants(), variant) {
				t.Skip("this processor has no such variant")
			}
			test(t, variant)
		})
	}
}

// TestBF16Dot: near the reference, exact where nothing is rounded, and the same bits for any number of columns, interleaved or not.
func TestBF16Dot(t *testing.T) { eachBF16Dot(t, testBF16Dot) }

func testBF16Dot(t *testing.T, bf16Dot string) {
	r := rand.New(rand.NewPCG(7, 7))
	for _, shape := range [][2]int64{{1, 2}, {15, 30}, {16, 32}, {17, 34}, {33, 100}, {70, 1152}, {64, 4098}} {
		rows, cols := shape[0], shape[1]
		raw := randomWeights(r, BF16, rows, cols)
		const most = 37
		x := make([]float32, most*cols)
		for i := range x {
			x[i] = float32(r.NormFloat64() * math.Exp(r.NormFloat64()))
		}
		reference, err := product("ref", BF16, false, raw, rows, cols, x, most)
		require.NoError(t, err)
		want, err := product(bf16Dot, BF16, true, raw, rows, cols, x, most)
		require.NoError(t, err)
		var off, size float64
		for i := range want {
			off += math.Pow(float64(want[i]-reference[i]), 2)
			size += math.Pow(float64(reference[i]), 2)
		}
		assert.Less(t, math.Sqrt(off/size), 4e-3, "%d x %d: activations keep 8 bits", rows, cols)
		for _, columns := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 33} {
			for _, packed := range []bool{false, true} {
				got, err := product(bf16Dot, BF16, packed, raw, rows, cols, x[:int64(columns)*cols], columns)
				require.NoError(t, err)
				sameBits(t, want[:int64(columns)*rows], got, fmt.Sprint(rows, "x", cols, " columns ", columns, " packed ", packed))
			}
		}
	}
}

// TestBF16DotExact: small whole numbers are multiplied and added without error, each row by its own column.
func TestBF16DotExact(t *testing.T) { eachBF16Dot(t, testBF16DotExact) }

func testBF16DotExact(t *testing.T, bf16Dot string) {
	const rows, cols, columns = 70, 70, 43
	raw, x := make([]byte, 0, rows*cols*2), make([]float32, cols*columns)
	for i := range rows * cols {
		h := F32ToBF16(float32(i*7%31 - 15))
		raw = append(raw, byte(h), byte(h>>8))
	}
	for i := range x {
		x[i] = float32(i*5%23 - 11)
	}
	got, err := product(bf16Dot, BF16, true, raw, rows, cols, x, columns)
	require.NoError(t, err)
	for c := range columns {
		for row := range rows {
			want := 0
			for k := range cols {
				want += ((row*cols+k)*7%31 - 15) * ((c*cols+k)*5%23 - 11)
			}
			assert.Equal(t, float32(want), got[c*rows+row], "row %d, column %d", row, c)
		}
	}
}

// TestOddActivations: rows of tiny, denormal and huge numbers give the reference's bits, too. Those that hold what is no number
// are computed to whatever, without undefined arithmetic, which the sanitizers would report.
func TestOddActivations(t *testing.T) {
	const rows, cols = 17, 512
	odd := []float32{0, math.SmallestNonzeroFloat32, 1e-42, -1e-40, 3e-39, 1e-36, -1e-31, 1e-25, 1, -1, 1e25, 3e38, float32(math.NaN()), float32(math.Inf(1))}
	finite := len(odd) - 2
	for _, name := range []string{"Q8_0", "Q4_0", "Q4_1", "Q4_K", "Q6_K"} {
		dtype := DTypes()[slices.IndexFunc(DTypes(), func(d DType) bool { return d.String() == name })]
		r := rand.New(rand.NewPCG(uint64(dtype), 2))
		raw := randomWeights(r, dtype, rows, cols)
		for count := 1; count <= len(odd); count++ {
			x := make([]float32, cols)
			for j := range x {
				if j%3 != 0 {
					x[j] = odd[(j+j/32)%count]
				}
			}
			want, err := product("ref", dtype, false, raw, rows, cols, x, 1)
			require.NoError(t, err)
			for _, variant := range faster(t) {
				for _, packed := range []bool{false, true} {
					got, err := product(variant, dtype, packed, raw, rows, cols, x, 1)
					require.NoError(t, err)
					if count <= finite {
						sameBits(t, want, got, fmt.Sprint(variant, " ", name, " of ", count, " odd values, packed ", packed))
					}
				}
			}
		}
	}
}

func sameBits(t *testing.T, want, got []float32, what string) {
	t.Helper()
	require.Len(t, got, len(want), what)
	for i := range want {
		if math.Float32bits(want[i]) != math.Float32bits(got[i]) {
			require.Failf(t, "bits differ", "%s: value %d is %v, expected %v", what, i, got[i], want[i])
		}
	}
}

// TestProductValues holds the reference's products against dequantized weights in float64: the error is that of the activations.
func TestProductValues(t *testing.T) {
	for _, dtype := range DTypes() {
		if dtype.Family() == FamilyNone {
			continue
		}
		r := rand.New(rand.NewPCG(uint64(dtype), 2))
		const rows, cols = 24, 512
		raw := randomWeights(r, dtype, rows, cols)
		weights := make([]float32, rows*cols)
		require.NoError(t, Dequantize(weights, dtype, raw))
		x := make([]float32, cols)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		got, err := product("ref", dtype, false, raw, rows, cols, x, 1)
		require.NoError(t, err)
		var diff, norm float64
		for row := range rows {
			var exact, size float64
			for i := range x {
				w := float64(weights[row*cols+i])
				exact += w * float64(x[i])
				size += w * w
			}
			diff += (exact - float64(got[row])) * (exact - float64(got[row]))
			norm += size
		}
		limit := 0.012 // of 8-bit activations: half a step of about 1/50 of their deviation
		if dtype.Family() == FamilyFloat {
			limit = 1e-6
		}
		assert.Less(t, math.Sqrt(diff/norm), limit, dtype.String())
	}
}

func TestQuantizedActivations(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	cases := map[string]func(i int) float32{
		"zeros":     func(int) float32 { return 0 },
		"one spike": func(i int) float32 { return map[bool]float32{true: 1e30, false: 0}[i%256 == 77] },
		"equal":     func(int) float32 { return -3.25 },
		"tiny":      func(i int) float32 { return float32(i%7) * 1e-38 },
		"normal":    func(int) float32 { return float32(r.NormFloat64()) },
		"outliers":  func(int) float32 { return float32(r.NormFloat64() * math.Exp(3*r.NormFloat64())) },
		"integers":  func(i int) float32 { return float32(i%255 - 127) },
	}
	for name, f := range cases {
		x := make([]float32, 2048)
		for i := range x {
			x[i] = f(i)
		}
		for _, family := range []Family{Family32, Family256} {
			want := quantizeActivations("ref", family, x)
			for _, variant := range faster(t) {
				assert.Equal(t, want, quantizeActivations(variant, family, x), "%s %s %v", name, variant, family)
			}
		}
	}
}

// TestFunctions holds the fixed polynomials against the standard library, and the variants against the reference.
func TestFunctions(t *testing.T) {
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	param := [3]float32{30, 0.8, 0.5}
	exact := map[Act]func(float64) float64{
		ActSiLU:        func(x float64) float64 { return x * sigmoid(x) },
		ActGELU:        func(x float64) float64 { return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))) },
		ActGELUErf:     func(x float64) float64 { return x / 2 * (1 + math.Erf(x/math.Sqrt2)) },
		ActGELUQuick:   func(x float64) float64 { return x * sigmoid(1.702*x) },
		ActReLU:        func(x float64) float64 { return max(0, x) },
		ActReLUSquared: func(x float64) float64 { return max(0, x) * max(0, x) },
		ActSigmoid:     sigmoid,
		ActTanh:        math.Tanh,
		ActSoftcap:     func(x float64) float64 { return 30 * math.Tanh(x/30) },
		ActXIELU: func(x float64) float64 {
			if x > 0 {
				return 30*x*x + 0.5*x
			}
			return float64(param[1])*(math.Expm1(x)-x) + 0.5*x
		},
		ActSoftplus: func(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) },
		ActExp:      func(x float64) float64 { return math.Exp(min(x, float64(float32(88.37)))) },
	}
	var in []float32
	for x := float32(-60); x < 60; x += 0.037 {
		in = append(in, x)
	}
	in = append(in, 0, float32(math.Copysign(0, -1)), 1e-20, -1e-20, 200, -200)
	for act, f := range exact {
		want := append([]float32(nil), in...)
		activate("ref", act, param, want)
		for i, x := range in {
			e := f(float64(x))
			assert.InDelta(t, e, want[i], 4e-7*math.Max(1, math.Abs(e)), "act %d of %v", act, x)
		}
		for _, variant := range faster(t) {
			got := append([]float32(nil), in...)
			activate(variant, act, param, got)
			sameBits(t, want, got, fmt.Sprint(variant, " act ", act))
		}
	}
	for _, n := range []int{1, 2, 15, 16, 17, 100} {
		want := append([]float32(nil), in[:n]...)
		softmax("ref", want)
		var sum float64
		for _, p := range want {
			sum += float64(p)
		}
		assert.InDelta(t, 1, sum, 1e-6)
		for _, variant := range faster(t) {
			got := append([]float32(nil), in[:n]...)
			softmax(variant, got)
			sameBits(t, want, got, variant)
		}
	}
}

func TestRotations(t *testing.T) {
	freqs := []float32{1, 0.5, 0.1, 1e-3, 1e-6, 3.14159274}
	for _, position := range []int32{0, 1, 2, 31, 1000, 131071, 10_000_000} {
		got := rotations("ref", freqs, position)
		for i, f := range freqs {
			angle := float64(position) * float64(f)
			assert.InDelta(t, math.Cos(angle), got[2*i], 1e-6)
			assert.InDelta(t, math.Sin(angle), got[2*i+1], 1e-6)
		}
		for _, variant := range faster(t) {
			sameBits(t, got, rotations(variant, freqs, position), variant)
		}
	}
}
