package quantize

import (
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/internal/fixtures"
	"github.com/infer-go/infer/kernels"
)

// matrix is a tensor of a test model, with its weights.
type matrix struct {
	name  string
	dtype kernels.DType
	shape []int64
	x     []float32
}

func newMatrix(name string, dtype kernels.DType, shape ...int64) matrix {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	random := rand.New(rand.NewPCG(uint64(n), uint64(len(name))))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(random.NormFloat64() * 0.02)
	}
	return matrix{name, dtype, shape, x}
}

func (m matrix) encode(t *testing.T) []byte {
	t.Helper()
	size, err := gguf.SizeOf(gguf.Type(m.dtype), m.shape)
	require.NoError(t, err)
	data := make([]byte, size)
	require.NoError(t, kernels.Quantize(data, m.dtype, m.x, m.shape[0], nil, 1))
	return data
}

// writeModel writes a small model of experts, with a matrix whose rows no block divides and some that are not converted.
func writeModel(t *testing.T, matrices ...matrix) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.gguf")
	w := gguf.NewFileWriter(path)
	w.SetString("general.architecture", "llama")
	w.SetString("general.name", "test")
	w.SetUint32("llama.block_count", 1)
	w.SetUint32("llama.expert_count", 4)
	w.SetUint32("general.file_type", 1)
	for _, m := range matrices {
		w.AddTensorBytes(m.name, gguf.Type(m.dtype), m.shape, m.encode(t))
	}
	require.NoError(t, w.Write())
	return path
}

func testMatrices() []matrix {
	return []matrix{
		newMatrix("token_embd.weight", kernels.F16, 512, 48),
		newMatrix("blk.0.attn_norm.weight", kernels.F32, 512),
		newMatrix("blk.0.attn_q.weight", kernels.BF16, 512, 700),
		newMatrix("blk.0.attn_k.weight", kernels.F16, 96, 10),
		newMatrix("blk.0.attn_v.weight", kernels.F16, 40, 10),
		newMatrix("blk.0.ffn_gate_inp.weight", kernels.F32, 512, 4),
		newMatrix("blk.0.ffn_up_exps.weight", kernels.F32, 512, 300, 4),
		newMatrix("output.weight", kernels.F16, 512, 48),
	}
}

func quantizeTo(t *testing.T, path string, o Options) (*gguf.File, Report) {
	t.Helper()
	f, err := gguf.Open(path)
	require.NoError(t, err)
	defer f.Close()
	out := filepath.Join(t.TempDir(), "out.gguf")
	report, err := Model(context.Background(), f, out, o)
	require.NoError(t, err)
	result, err := gguf.Open(out)
	require.NoError(t, err)
	t.Cleanup(func() { result.Close() })
	return result, report
}

func mixOf(t *testing.T, name string) Mix {
	t.Helper()
	mix, err := ParseMix(name)
	require.NoError(t, err)
	return mix
}

func TestModel(t *testing.T) {
	matrices := testMatrices()
	var steps []Progress
	f, report := quantizeTo(t, writeModel(t, matrices...), Options{Mix: mixOf(t, "Q4_K_M"), Measure: true, Progress: func(p Progress) { steps = append(steps, p) }})

	fileType, _, err := f.Metadata.Uint("general.file_type")
	require.NoError(t, err)
	assert.EqualValues(t, 15, fileType)
	version, _, err := f.Metadata.Uint("general.quantization_version")
	require.NoError(t, err)
	assert.EqualValues(t, 2, version)
	name, _, err := f.Metadata.String("general.name")
	require.NoError(t, err)
	assert.Equal(t, "test", name)

	want := []kernels.DType{kernels.Q4_K, kernels.F32, kernels.Q4_K, kernels.Q5_0, kernels.F16, kernels.F32, kernels.Q4_K, kernels.Q6_K}
	require.Len(t, f.Tensors, len(matrices))
	var bytes int64
	for i, m := range matrices {
		tensor := &f.Tensors[i]
		assert.Equal(t, m.name, tensor.Name)
		assert.Equal(t, m.shape, tensor.Shape)
		require.Equal(t, want[i].String(), tensor.Type.String(), m.name)
		source := make([]float32, len(m.x))
		require.NoError(t, kernels.Dequantize(source, m.dtype, m.encode(t)))
		expected := matrix{m.name, want[i], m.shape, source}
		assert.Equal(t, expected.encode(t), f.Bytes(tensor), m.name)

		y := make([]float32, len(source))
		require.NoError(t, kernels.Dequantize(y, want[i], f.Bytes(tensor)))
		var squares, reference, largest float64
		for j := range y {
			e := float64(y[j]) - float64(source[j])
			squares += e * e
			reference += float64(source[j]) * float64(source[j])
			largest = max(largest, math.Abs(e))
		}
		r := report.Tensors[i]
		assert.InDelta(t, math.Sqrt(squares/float64(len(y))), r.RMSE, 1e-9, m.name)
		assert.InDelta(t, math.Sqrt(squares/reference), r.Relative, 1e-7, m.name)
		assert.Equal(t, largest, r.Largest, m.name)
		assert.Equal(t, tensor.Size, r.Bytes)
		assert.Equal(t, m.dtype.String(), r.From)
		assert.False(t, r.Weighted)
		bytes += tensor.Size
	}
	assert.Equal(t, bytes, report.Bytes)
	assert.Equal(t, "Q4_K", report.Tensors[3].Wanted)
	assert.Equal(t, "Q6_K", report.Tensors[4].Wanted)
	assert.Empty(t, report.Tensors[0].Wanted)
	require.Len(t, steps, len(matrices)+1)
	assert.Equal(t, Progress{"", report.SourceBytes, report.SourceBytes}, steps[len(matrices)])
}

func TestModelThreadsDoNotShow(t *testing.T) {
	path := writeModel(t, newMatrix("blk.0.ffn_up_exps.weight", kernels.F16, 768, 1200, 6))
	o := Options{Mix: mixOf(t, "Q3_K_M"), Measure: true, Threads: 1}
	one, oneReport := quantizeTo(t, path, o)
	o.Threads = 5
	five, fiveReport := quantizeTo(t, path, o)
	assert.Equal(t, oneReport, fiveReport)
	assert.Equal(t, one.Bytes(&one.Tensors[0]), five.Bytes(&five.Tensors[0]))
}

func TestModelRequantize(t *testing.T) {
	m := newMatrix("blk.0.attn_q.weight", kernels.Q8_0, 512, 16)
	path := writeModel(t, m, newMatrix("blk.0.attn_k.weight", kernels.Q4_K, 512, 16))
	f, err := gguf.Open(path)
	require.NoError(t, err)
	defer f.Close()
	out := filepath.Join(t.TempDir(), "out.gguf")
	_, err = Model(context.Background(), f, out, Options{Mix: mixOf(t, "Q4_K_M")})
	require.ErrorIs(t, err, ErrQuantized)
	assert.EqualError(t, err, "tensor blk.0.attn_q.weight is Q8_0: already quantized")
	assert.NoFileExists(t, out)

	result, report := quantizeTo(t, path, Options{Mix: mixOf(t, "Q4_K_M"), AllowRequantize: true, Measure: true})
	assert.Equal(t, f.Bytes(&f.Tensors[1]), result.Bytes(&result.Tensors[1]), "a tensor of the right type is copied")
	assert.Positive(t, report.Tensors[0].Relative)
	assert.Less(t, report.Tensors[0].Relative, 0.1)
	assert.Zero(t, report.Tensors[1].Relative)
}

func TestModelOverItself(t *testing.T) {
	path := writeModel(t, testMatrices()...)
	f, err := gguf.Open(path)
	require.NoError(t, err)
	defer f.Close()
	_, err = Model(context.Background(), f, path, Options{Mix: mixOf(t, "Q8_0")})
	require.NoError(t, err)
	result, err := gguf.Open(path)
	require.NoError(t, err)
	defer result.Close()
	assert.Equal(t, gguf.Q8_0, result.Tensors[0].Type)
}

func TestModelErrors(t *testing.T) {
	bad := newMatrix("blk.0.attn_q.weight", kernels.F32, 512, 600)
	bad.x[512*599+3] = float32(math.NaN())
	open := func(m ...matrix) *gguf.File {
		f, err := gguf.Open(writeModel(t, m...))
		require.NoError(t, err)
		t.Cleanup(func() { f.Close() })
		return f
	}
	out := filepath.Join(t.TempDir(), "out.gguf")
	_, err := Model(context.Background(), open(bad), out, Options{Mix: mixOf(t, "Q8_0")})
	require.ErrorContains(t, err, "tensor blk.0.attn_q.weight: Q8_0: weight NaN at row 599, column 3 is beyond")
	assert.NoFileExists(t, out)

	ctx, cancel := context.WithCancel(context.Background())
	_, err = Model(ctx, open(testMatrices()...), out, Options{Mix: mixOf(t, "Q8_0"), Progress: func(p Progress) {
		if p.Tensor == "blk.0.attn_q.weight" {
			cancel()
		}
	}})
	require.ErrorIs(t, err, context.Canceled)
	assert.NoFileExists(t, out)

	_, err = Model(context.Background(), open(testMatrices()...), filepath.Join(t.TempDir(), "none", "out.gguf"), Options{Mix: mixOf(t, "Q8_0")})
	assert.ErrorIs(t, err, os.ErrNotExist)

	iq := kernels.IQ2_XS
	_, err = Assign(open(testMatrices()...), Options{Mix: mixOf(t, "Q8_0"), OutputType: &iq})
	assert.EqualError(t, err, "tensor output.weight: quantizing to IQ2_XS is not supported")
}

// writeImportance writes an importance file: columns that differ by matrix, and an expert that met nothing.
func writeImportance(t *testing.T, kind, name string, sums matrix, counts []float32) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "imatrix.gguf")
	w := gguf.NewFileWriter(path)
	w.SetString("general.type", kind)
	w.SetStrings("imatrix.datasets", []string{"some.txt"})
	w.SetUint32("imatrix.chunk_count", 7)
	w.AddTensorBytes(name+".in_sum2", gguf.Type(sums.dtype), sums.shape, sums.encode(t))
	w.AddTensorBytes(name+".counts", gguf.F32, []int64{1, int64(len(counts))}, matrix{"", kernels.F32, []int64{int64(len(counts))}, counts}.encode(t))
	require.NoError(t, w.Write())
	return path
}

func TestModelWithImportance(t *testing.T) {
	const cols, rows = 512, 40
	m := newMatrix("blk.0.ffn_up_exps.weight", kernels.F32, cols, rows, 3)
	sums := newMatrix("", kernels.F32, cols, 3)
	for i := range sums.x {
		sums.x[i] = float32(math.Exp(60 * float64(sums.x[i])))
	}
	counts := []float32{4, 0, 9}
	im, err := ReadImportance(writeImportance(t, "imatrix", m.name, sums, counts))
	require.NoError(t, err)
	other := newMatrix("blk.0.attn_q.weight", kernels.F32, cols, rows)
	f, report := quantizeTo(t, writeModel(t, m, other), Options{Mix: mixOf(t, "Q4_K_S"), Importance: im, Pure: true})
	assert.True(t, report.Tensors[0].Weighted)
	assert.False(t, report.Tensors[1].Weighted)

	for expert := range 3 {
		importance := make([]float32, cols)
		for i := range importance {
			importance[i] = 1
			if counts[expert] > 0 {
				importance[i] = sums.x[expert*cols+i] / counts[expert]
			}
		}
		want := make([]byte, rows*cols/256*144)
		require.NoError(t, kernels.Quantize(want, kernels.Q4_K, m.x[expert*rows*cols:][:rows*cols], cols, importance, 1))
		assert.Equal(t, want, f.Bytes(&f.Tensors[0])[expert*len(want):][:len(want)], "expert %d", expert)
	}
	dataset, _, err := f.Metadata.String("quantize.imatrix.dataset")
	require.NoError(t, err)
	assert.Equal(t, "some.txt", dataset)
	chunks, _, err := f.Metadata.Int("quantize.imatrix.chunks_count")
	require.NoError(t, err)
	assert.EqualValues(t, 7, chunks)

	narrow, err := gguf.Open(writeModel(t, newMatrix(m.name, kernels.F32, 256, rows, 3)))
	require.NoError(t, err)
	defer narrow.Close()
	_, err = Model(context.Background(), narrow, filepath.Join(t.TempDir(), "x"), Options{Mix: mixOf(t, "Q4_K_S"), Importance: im})
	assert.ErrorContains(t, err, "tensor blk.0.ffn_up_exps.weight has the importance of 1536 columns, expected 768 (256 in each of 3 matrices)")
}

func TestReadImportanceErrors(t *testing.T) {
	sums := func(dtype kernels.DType, value float32) matrix {
		m := newMatrix("", dtype, 32, 2)
		for i := range m.x {
			m.x[i] = value
		}
		return m
	}
	inf := float32(math.Inf(1))
	for name, c := range map[string]struct {
		path string
		want string
	}{
		"kind":     {writeImportance(t, "model", "a", sums(kernels.F32, 1), []float32{1, 1}), `general.type is "model"`},
		"type":     {writeImportance(t, "imatrix", "a", sums(kernels.F16, 1), []float32{1, 1}), "expected F32 [columns, n]"},
		"count":    {writeImportance(t, "imatrix", "a", sums(kernels.F32, 1), []float32{1}), "expected F32 [columns, n]"},
		"negative": {writeImportance(t, "imatrix", "a", sums(kernels.F32, -1), []float32{1, 1}), "sum -1 of 1 activations"},
		"infinite": {writeImportance(t, "imatrix", "a", sums(kernels.F32, 1), []float32{inf, 1}), "sum 1 of +Inf activations"},
		"none":     {writeModel(t, newMatrix("a", kernels.F32, 32, 2)), "expected \"imatrix\""},
	} {
		_, err := ReadImportance(c.path)
		assert.ErrorContains(t, err, c.want, name)
	}
	_, err := ReadImportance(filepath.Join(t.TempDir(), "none"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// The real model: every mix that its narrow rows allow, each closer to the source than the one below it in bits.
func TestModelOnRealWeights(t *testing.T) {
	path := fixtures.Path(t, "models", "stories260K.gguf")
	last := -1.0
	for _, name := range []string{"F32", "F16", "Q8_0", "Q5_1", "Q4_1", "Q4_0"} {
		_, report := quantizeTo(t, path, Options{Mix: mixOf(t, name), Measure: true})
		var squares, weights float64
		for _, r := range report.Tensors {
			n := float64(1)
			for _, d := range r.Shape {
				n *= float64(d)
			}
			squares += r.RMSE * r.RMSE * n
			weights += n
		}
		rmse := math.Sqrt(squares / weights)
		assert.Greater(t, rmse, last, name)
		last = rmse
	}
	assert.Less(t, last, 0.05)
}

// failingWriter stands for a full disk.
type failingWriter struct{ left int }

var errFull = errors.New("disk full")

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestConversionWriteErrors(t *testing.T) {
	m := newMatrix("blk.0.attn_q.weight", kernels.F32, 512, 64)
	data := m.encode(t)
	tensor := &gguf.Tensor{Name: m.name, Type: gguf.F32, Shape: m.shape, Size: int64(len(data))}
	for _, to := range []kernels.DType{kernels.F32, kernels.Q4_0} {
		c := conversion{ctx: context.Background(), source: data, assignment: Assignment{tensor, to, to}}
		_, err := c.run(&failingWriter{100})
		assert.ErrorIs(t, err, errFull)
		_, err = c.run(io.Discard)
		assert.NoError(t, err)
	}
}
