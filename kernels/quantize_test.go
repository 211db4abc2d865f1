package kernels

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const goldenRows, goldenCols = 24, 1024

// seededUniform, seededNormal, seededMatrix and seededImportance are testdata/quantize_gen.py's.
func seededUniform(seed uint64, count int) []float64 {
	out := make([]float64, count)
	for i := range out {
		z := seed + uint64(i+1)*0x9E3779B97F4A7C15
		z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
		z = (z ^ z>>27) * 0x94D049BB133111EB
		z ^= z >> 31
		out[i] = (float64(z>>11) + 0.5) / (1 << 53)
	}
	return out
}

func seededNormal(seed uint64, count int) []float64 {
	u, out := seededUniform(seed, 2*count), make([]float64, count)
	for i := range out {
		out[i] = math.Sqrt(-2*math.Log(u[2*i])) * math.Cos(2*math.Pi*u[2*i+1])
	}
	return out
}

func seededMatrix(kind string) []float32 {
	const n = goldenRows * goldenCols
	x := seededNormal(1, n)
	switch kind {
	case "laplace":
		for i, u := range seededUniform(2, n) {
			x[i] = math.Copysign(-math.Log(u), x[i])
		}
	case "outliers":
		rows, cols, u := seededNormal(3, goldenRows), seededNormal(4, goldenCols), seededUniform(5, n)
		for i := range x {
			x[i] *= math.Exp(0.4*rows[i/goldenCols]) * math.Exp(0.3*cols[i%goldenCols])
			if u[i] < 0.001 {
				x[i] *= 8
			}
		}
	case "shifted":
		for i := range x {
			x[i] += 1.5
		}
	}
	out := make([]float32, n)
	for i, v := range x {
		out[i] = float32(0.02 * v)
	}
	return out
}

func seededImportance() []float32 {
	out := make([]float32, goldenCols)
	for i, v := range seededNormal(6, goldenCols) {
		out[i] = float32(math.Exp(1.2 * v))
	}
	return out
}

// relativeErrors returns the errors of quantize.json.
func relativeErrors(x, y, importance []float32) map[string]float64 {
	num, den := map[string]float64{}, map[string]float64{}
	for r := 0; r < len(x); r += goldenCols {
		var meanSquare float64
		for _, v := range x[r : r+goldenCols] {
			meanSquare += float64(v) * float64(v) / goldenCols
		}
		for c := range goldenCols {
			v, e := float64(x[r+c]), float64(y[r+c])-float64(x[r+c])
			weights := map[string]float64{"plain": 1, "square": v * v}
			if importance != nil {
				weights["weighted"] = float64(importance[c])
				weights["target"] = float64(importance[c]) * math.Sqrt(meanSquare+v*v)
			}
			for name, w := range weights {
				num[name] += w * e * e
				den[name] += w * v * v
			}
		}
	}
	for name := range num {
		num[name] = math.Sqrt(num[name] / den[name])
	}
	return num
}

func roundTrip(t require.TestingT, dtype DType, x []float32, cols int, importance []float32) []float32 {
	bytes, err := dtype.RowBytes(int64(len(x)))
	require.NoError(t, err)
	q, y := make([]byte, bytes), make([]float32, len(x))
	require.NoError(t, Quantize(q, dtype, x, int64(cols), importance, 0))
	require.NoError(t, Dequantize(y, dtype, q))
	return y
}

// The error is at most 2 % above llama.cpp's, by every measure that applies.
func TestQuantizeAgainstOthers(t *testing.T) {
	var golden []struct {
		Type       string
		Matrix     string
		Importance bool
		Errors     map[string]float64
	}
	data, err := os.ReadFile("testdata/quantize.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &golden))
	tested := map[DType]int{}
	for _, want := range golden {
		dtype, err := ParseDType(want.Type)
		require.NoError(t, err)
		if !dtype.Quantizable() {
			continue
		}
		tested[dtype]++
		x := seededMatrix(want.Matrix)
		var importance []float32
		if want.Importance {
			importance = seededImportance()
		}
		for name, e := range relativeErrors(x, roundTrip(t, dtype, x, goldenCols, importance), importance) {
			if limit := want.Errors[name] * 1.02; !(e <= limit) && !(want.Importance && name == "square") {
				t.Errorf("%s, %s, importance %v: %s error %.6f, expected at most %.6f", want.Type, want.Matrix, want.Importance, name, e, limit)
			}
		}
	}
	for _, dtype := range DTypes() {
		if dtype.Quantizable() && dtype.Family() != FamilyFloat {
			assert.Equal(t, 8, tested[dtype], "%s has golden errors", dtype)
		}
	}
}

func quantizableBlocks() (out []DType) {
	for _, dtype := range DTypes() {
		if dtype.Quantizable() && dtype.Family() != FamilyFloat {
			out = append(out, dtype)
		}
	}
	return out
}

// drawRow draws weights of widely varying sizes, with runs of zeros and repeated values.
func drawRow(t *rapid.T, n int) []float32 {
	scale := math.Pow(10, rapid.Float64Range(-9, 4.5).Draw(t, "log scale"))
	kind := rapid.SampledFrom([]string{"any", "few", "spike", "positive"}).Draw(t, "kind")
	u := seededUniform(rapid.Uint64().Draw(t, "seed"), 2*n)
	x := make([]float32, n)
	for i := range x {
		v := 2*u[i] - 1
		switch kind {
		case "few":
			v = math.Round(v * 2)
		case "spike":
			if u[n+i] > 0.03 {
				v = 0
			}
		case "positive":
			v = math.Abs(v)
		}
		x[i] = float32(v * scale)
	}
	return x
}

// Every variant writes the same bytes, whatever the weights, the count of blocks and the threads; no NaN comes out, and no
// weight is further from its value than the row's range (the last half part in 2^10 is the rounding of scales to f16).
func TestQuantizeProperties(t *testing.T) {
	for _, dtype := range quantizableBlocks() {
		t.Run(dtype.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				cols := int(dtype.Block()) * rapid.IntRange(1, 9).Draw(t, "blocks")
				rows := rapid.IntRange(1, 3).Draw(t, "rows")
				x := drawRow(t, rows*cols)
				var importance []float32
				if rapid.Bool().Draw(t, "importance") {
					importance = make([]float32, cols)
					for i := range importance {
						importance[i] = float32(rapid.SampledFrom([]float64{0, 1e-30, 1, 3, 1e20}).Draw(t, "factor"))
					}
				}
				bytes, err := dtype.RowBytes(int64(len(x)))
				require.NoError(t, err)
				fast, portable, y := make([]byte, bytes), make([]byte, bytes), make([]float32, len(x))
				require.NoError(t, Quantize(fast, dtype, x, int64(cols), importance, rapid.IntRange(1, 4).Draw(t, "threads")))
				require.NoError(t, quantizePortable(portable, dtype, x, int64(cols), importance))
				require.Equal(t, portable, fast)
				require.NoError(t, Dequantize(y, dtype, fast))
				var largest float64
				for _, v := range x {
					largest = max(largest, math.Abs(float64(v)))
				}
				for i := range y {
					require.LessOrEqual(t, math.Abs(float64(y[i])-float64(x[i])), 2*largest*(1+0x1p-11)+1e-6, "weight %d: %g became %g", i, x[i], y[i])
				}
			})
		})
	}
}

func TestQuantizeZerosAndConstants(t *testing.T) {
	for _, dtype := range quantizableBlocks() {
		zeros := make([]float32, 512)
		assert.Equal(t, zeros, roundTrip(t, dtype, zeros, 512, nil), "%s: zeros", dtype)
		assert.Equal(t, zeros, roundTrip(t, dtype, zeros, 512, make([]float32, 512)), "%s: zeros that do not matter", dtype)
		for _, value := range []float32{0.5, -0.5, 65504, -65504} {
			x := make([]float32, 512)
			for i := range x {
				x[i] = value
			}
			for _, v := range roundTrip(t, dtype, x, 512, nil) {
				require.InEpsilon(t, value, v, 0.01, "%s: all %g", dtype, value)
			}
		}
	}
}

func TestQuantizeThreadsDoNotShow(t *testing.T) {
	x := make([]float32, 0, 40*goldenRows*goldenCols)
	for range 40 {
		x = append(x, seededMatrix("outliers")...)
	}
	bytes, err := Q4_K.RowBytes(int64(len(x)))
	require.NoError(t, err)
	one, many := make([]byte, bytes), make([]byte, bytes)
	require.NoError(t, Quantize(one, Q4_K, x, goldenCols, nil, 1))
	require.NoError(t, Quantize(many, Q4_K, x, goldenCols, nil, 7))
	assert.Equal(t, one, many)
}

func TestQuantizeFloats(t *testing.T) {
	x := []float32{0, 1, -2.5, 65504, 1e-7, 3.1415927}
	for _, dtype := range []DType{F32, F16, BF16} {
		for i, v := range roundTrip(t, dtype, x, 3, nil) {
			want := map[DType]float32{F32: x[i], F16: F16ToF32(F32ToF16(x[i])), BF16: BF16ToF32(F32ToBF16(x[i]))}[dtype]
			assert.Equal(t, want, v, "%s of %g", dtype, x[i])
		}
	}
}

func TestQuantizeErrors(t *testing.T) {
	x := make([]float32, 512)
	assert.ErrorContains(t, Quantize(make([]byte, 288), IQ1_S, x, 512, nil, 1), "quantizing to IQ1_S is not supported")
	assert.ErrorContains(t, Quantize(make([]byte, 288), Q4_K, x, 500, nil, 1), "not a whole number of blocks")
	assert.ErrorContains(t, Quantize(make([]byte, 288), Q4_K, x[:511], 256, nil, 1), "511 weights are not a whole number of rows of 256")
	assert.ErrorContains(t, Quantize(make([]byte, 287), Q4_K, x, 256, nil, 1), "512 weights take 288 bytes, found 287")
	assert.ErrorContains(t, Quantize(make([]byte, 288), Q4_K, x, 0, nil, 1), "rows of 0")
	assert.ErrorContains(t, Quantize(make([]byte, 288), Q4_K, x, 256, x, 1), "importance of 512 columns, expected 256")
	assert.NoError(t, Quantize(nil, Q4_K, nil, 256, nil, 1))
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), 65536} {
		x[300] = bad
		for _, dtype := range append(quantizableBlocks(), F16) {
			bytes, err := dtype.RowBytes(512)
			require.NoError(t, err)
			assert.ErrorContains(t, Quantize(make([]byte, bytes), dtype, x, 256, nil, 0), "at row 1, column 44 is beyond ±65504", "%s", dtype)
		}
	}
	x[300] = 0
	importance := make([]float32, 256)
	importance[7] = -1
	assert.ErrorContains(t, Quantize(make([]byte, 288), Q4_K, x, 256, importance, 1), "importance of column 7 is -1")
}

func BenchmarkQuantize(b *testing.B) {
	x := seededMatrix("gauss")
	importance := seededImportance()
	for _, dtype := range quantizableBlocks() {
		for name, importance := range map[string][]float32{"plain": nil, "importance": importance} {
			b.Run(dtype.String()+"/"+name, func(b *testing.B) {
				bytes, err := dtype.RowBytes(int64(len(x)))
				require.NoError(b, err)
				q := make([]byte, bytes)
				for b.Loop() {
					require.NoError(b, Quantize(q, dtype, x, goldenCols, importance, 1))
				}
				b.ReportMetric(float64(len(x))*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mweights/s")
			})
		}
	}
}
