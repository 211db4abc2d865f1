package cuda

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/kernels"
)

// exactRows are inputs that are quantized without error: in each 32 columns integers up to 127 times a power of two.
func (r *recording) exactRows(cols int64) []float32 {
	x := make([]float32, cols*trialVocab)
	for i := range x {
		q := r.random.IntN(255) - 127
		if i%int(cols)%32 == 0 {
			q = 127
		}
		x[i] = float32(q) * float32(math.Exp2(float64((i/32)%5-4)))
	}
	return x
}

func (r *recording) table(values []float32, cols int64) kernels.Ref {
	return r.Embed(r.ConstantRows("inputs", cols, values), 1)
}

// wantProduct is W x in double precision, by the type's definition.
func wantProduct(t *testing.T, dtype kernels.DType, w []byte, x []float32, rows int64) []float64 {
	cols := int64(len(x))
	size, err := dtype.RowBytes(cols)
	require.NoError(t, err)
	values, want := make([]float32, cols), make([]float64, rows)
	for row := range rows {
		require.NoError(t, kernels.Dequantize(values, dtype, w[row*size:(row+1)*size]))
		for i, v := range values {
			want[row] += float64(v) * float64(x[i])
		}
	}
	return want
}

// product is one op of a plan, and what it multiplies.
type product struct {
	ref    kernels.Ref
	dtype  kernels.DType
	w      []byte
	x      []float32
	cols   int64
	rows   int64
	limit  float64 // of the relative L2 over all columns
	inputs string

	diff, norm float64
}

// compare adds a column's squared distance and length.
func (p *product) compare(got []float32, want []float64) {
	for i, v := range want {
		p.diff += (float64(got[i]) - v) * (float64(got[i]) - v)
		p.norm += v * v
	}
}

// recordProducts has products of a type by inputs that are exact, by random ones, and by random ones of two terms.
func recordProducts(r *recording, t kernels.DType, cols, rows int64) (all []*product) {
	add := func(inputs string, x []float32, fine int32, limit float64) {
		from := len(r.data)
		w := r.weight(t, cols, rows, 1)
		ref := r.MatMul(r.table(x, cols), w, kernels.NoEpilogue)
		r.Ops[len(r.Ops)-1].N[1] = fine
		start := int64(from+31) / 32 * 32
		all = append(all, &product{ref: ref, dtype: t, w: r.data[start:], x: x, cols: cols, rows: rows, limit: limit, inputs: inputs})
	}
	byBytes := 8e-3
	if t.Family() == kernels.FamilyFloat {
		byBytes = 2e-5
	}
	add("exact", r.exactRows(cols), 0, 2e-6)
	add("random", r.normal(cols*trialVocab, 1, 0), 0, byBytes)
	add("fine", r.normal(cols*trialVocab, 1, 0), 1, min(byBytes, 1e-4))
	return all
}

// columnsOf are the batches of a type: all sizes for some of each layout, else one for each of the narrow, middle and wide kernels.
func columnsOf(t kernels.DType, cols int64) []int {
	switch t.String() {
	case "Q8_0", "Q4_K", "Q2_K", "F16":
		if cols < 1000 {
			return []int{1, 2, 3, 7, 8, 9, 16, 33, 70, 130}
		}
	}
	return []int{1, 9, 70}
}

// TestProducts holds products of every type against double-precision sums over the type's definition, and their bits in batches of every size
// against each other: narrow, middle and wide kernels give the same ones.
func TestProducts(t *testing.T) {
	useLibrary(t)
	for _, dtype := range kernels.DTypes() {
		if dtype.Family() == kernels.FamilyNone {
			continue
		}
		shapes := [][2]int64{{dtype.Block() * max(1, 96/dtype.Block()), 5}, {2304, 20}}
		if dtype.Family() == kernels.FamilyFloat {
			shapes = [][2]int64{{100, 5}, {1161, 20}}
		}
		for _, s := range shapes {
			t.Run(fmt.Sprintf("%s/%dx%d", dtype, s[1], s[0]), func(t *testing.T) { checkProducts(t, dtype, s[0], s[1]) })
		}
	}
}

func checkProducts(t *testing.T, dtype kernels.DType, cols, rows int64) {
	r := &recording{t: t, Plan: kernels.NewPlan(), random: rand.New(rand.NewPCG(3, 9))}
	all := recordProducts(r, dtype, cols, rows)
	r.SetLogits(r.Wanted(all[0].ref))
	require.NoError(t, r.Finish(kernels.Limits{MaxRows: trialRows, MaxWanted: trialRows, CacheDType: kernels.F32, KeepActivations: true}))
	card := openCard(t, kernels.DeviceOptions{})
	t.Cleanup(card.Close)
	require.NoError(t, card.Prepare(r.Plan, [][]byte{r.data}))
	first := make([][][]float32, len(all)) // [product][token]
	for _, n := range columnsOf(dtype, cols) {
		b := &kernels.Batch{SequenceCount: 1, TablePages: 1, Wanted: []int32{0}}
		for i := range n {
			b.IDs, b.Positions = append(b.IDs, int32((i*11+n)%trialVocab)), append(b.Positions, int32(i))
			b.Sequences, b.Types = append(b.Sequences, 0), append(b.Types, 0)
		}
		_, err := card.Run(b)
		require.NoError(t, err)
		for i, p := range all {
			if first[i] == nil {
				first[i] = make([][]float32, trialVocab)
			}
			for row, id := range b.IDs {
				got := append([]float32(nil), card.ReadActivation(p.ref, row)...)
				if before := first[i][id]; before != nil {
					require.Equalf(t, before, got, "%s inputs, %d columns, column %d: not the bits of another batch", p.inputs, n, row)
					continue
				}
				first[i][id] = got
				p.compare(got, wantProduct(t, p.dtype, p.w, p.x[int64(id)*cols:int64(id+1)*cols], rows))
			}
		}
	}
	for _, p := range all {
		require.LessOrEqualf(t, math.Sqrt(p.diff/p.norm), p.limit, "%s inputs", p.inputs)
	}
}

// TestGatesOfTwoTypes holds gated products whose matrices are of different types, which are two launches, against the products of each matrix
// alone: of matrices, and of experts.
func TestGatesOfTwoTypes(t *testing.T) {
	useLibrary(t)
	for _, types := range [][2]string{{"Q4_K", "Q6_K"}, {"F16", "Q8_0"}, {"Q8_0", "F32"}, {"F32", "BF16"}} {
		t.Run(types[0]+" and "+types[1], func(t *testing.T) { checkGates(t, types) })
	}
}

func checkGates(t *testing.T, types [2]string) {
	const cols, rows, experts, used = 256, 20, 4, 2
	r := &recording{t: t, Plan: kernels.NewPlan(), random: rand.New(rand.NewPCG(5, 9))}
	x := r.rows(cols)
	ids, _ := r.Route(r.rows(experts), kernels.RouteSpec{Gating: kernels.GateSoftmax, Used: used, Scale: 1, Bias: none})
	var gated, gates, ups [2]kernels.Ref // of matrices, of experts
	spec := kernels.NoEpilogue
	spec.Act = kernels.ActSiLU
	for i, mats := range []int64{1, experts} {
		var w [2]kernels.Ref
		for k, name := range types {
			dtype, err := kernels.ParseDType(name)
			require.NoError(t, err)
			w[k] = r.weight(dtype, cols, rows, mats)
		}
		multiply := func(w kernels.Ref, s kernels.MatMulSpec) kernels.Ref {
			if mats == 1 {
				return r.MatMul(x, w, s)
			}
			return r.Experts(x, w, ids, s)
		}
		gates[i], ups[i] = multiply(w[0], spec), multiply(w[1], kernels.NoEpilogue)
		both := spec
		both.Up = w[1]
		gated[i] = multiply(w[0], both)
	}
	r.SetLogits(r.Wanted(gates[0]))
	require.NoError(t, r.Finish(kernels.Limits{MaxRows: trialRows, MaxWanted: trialRows, CacheDType: kernels.F32, KeepActivations: true}))
	card := openCard(t, kernels.DeviceOptions{})
	t.Cleanup(card.Close)
	require.NoError(t, card.Prepare(r.Plan, [][]byte{r.data}))
	for _, n := range []int{1, 5, 40} {
		b := &kernels.Batch{SequenceCount: 1, TablePages: 1, Wanted: []int32{0}}
		for i := range n {
			b.IDs, b.Positions = append(b.IDs, int32(i)), append(b.Positions, int32(i))
			b.Sequences, b.Types = append(b.Sequences, 0), append(b.Types, 0)
		}
		_, err := card.Run(b)
		require.NoError(t, err)
		for i, a := range []int{1, used} {
			for row := range n * a {
				want := card.ReadActivation(gates[i], row)
				for j, u := range card.ReadActivation(ups[i], row) {
					want[j] *= u
				}
				require.Equalf(t, want, card.ReadActivation(gated[i], row), "%d rows, row %d of %d a token", n, row, a)
			}
		}
	}
}
