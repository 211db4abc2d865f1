package cuda

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/kernels"
)

// recording makes a plan with random weights, all in one buffer.
type recording struct {
	t testing.TB
	*kernels.Plan
	random     *rand.Rand
	data       []byte
	exact      bool // weights have the values of their types, as F32
	tablePages int
}

func (r *recording) normal(n int64, scale, offset float64) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(r.random.NormFloat64()*scale + offset)
	}
	return out
}

// between draws a number of a range, both ends included.
func (r *recording) between(low, high int) int { return low + r.random.IntN(high-low+1) }

// pick draws one of several.
func pick[T any](r *recording, from ...T) T { return from[r.random.IntN(len(from))] }

// weight makes matrices of a type, about normal/sqrt(cols), so that products stay of the size of their inputs.
func (r *recording) weight(t kernels.DType, cols, rows, mats int64) kernels.Ref {
	for len(r.data)%32 != 0 {
		r.data = append(r.data, 0)
	}
	at := int64(len(r.data))
	size, err := t.RowBytes(cols)
	require.NoError(r.t, err)
	bytes := make([]byte, size*rows*mats)
	if t.Quantizable() {
		values := r.normal(cols*rows*mats, 1/math.Sqrt(float64(cols)), 0)
		require.NoError(r.t, kernels.Quantize(bytes, t, values, cols, nil, 1))
	} else {
		r.randomBlocks(t, bytes)
	}
	name := fmt.Sprintf("%s %dx%dx%d", t, mats, rows, cols)
	if r.exact {
		values := make([]float32, cols*rows*mats)
		require.NoError(r.t, kernels.Dequantize(values, t, bytes))
		t, bytes = kernels.F32, make([]byte, 0, 4*len(values))
		for _, v := range values {
			bytes = binary.LittleEndian.AppendUint32(bytes, math.Float32bits(v))
		}
	}
	r.data = append(r.data, bytes...)
	return r.Weight(name, t, cols, rows, mats, 0, at)
}

// randomBlocks fills blocks of a type that cannot be quantized to with random codes and moderate scales.
func (r *recording) randomBlocks(t kernels.DType, bytes []byte) {
	for i := range bytes {
		bytes[i] = byte(r.random.Uint32())
	}
	for block := int64(0); block < int64(len(bytes)); block += t.BlockBytes() {
		b := bytes[block : block+t.BlockBytes()]
		switch t.String() {
		case "TQ1_0", "TQ2_0":
			binary.LittleEndian.PutUint16(b[len(b)-2:], kernels.F32ToF16(0.002))
		case "IQ1_M": // its scale is spread over the upper nibbles of the last words
			for i := len(b) - 8; i < len(b); i += 2 {
				b[i+1] &= 0x0f
			}
			b[len(b)-1] |= 0x20
		case "MXFP4":
			b[0] = 120
		case "NVFP4":
			for i := range 4 {
				b[i] &= 0x3f
			}
		default:
			binary.LittleEndian.PutUint16(b, kernels.F32ToF16(0.002))
		}
	}
}

func (r *recording) vector(n int64) kernels.Ref { return r.Constant("vector", r.normal(n, 0.5, 0.2)) }

// maybe gives one of an op's optional vectors, or none.
func (r *recording) maybe(n int64) kernels.Ref {
	if r.random.IntN(2) == 0 {
		return kernels.None
	}
	return r.vector(n)
}

const trialVocab = 48

// rows are random inputs, looked up by token.
func (r *recording) rows(cols int64) kernels.Ref {
	return r.Embed(r.weight(kernels.F32, cols, trialVocab, 1), float32(math.Sqrt(float64(cols))))
}

// trial is a plan that is computed on the card and by the CPU's reference.
type trial struct {
	record func(r *recording)
	cache  kernels.DType
	whole  bool    // sequences are in one batch
	long   bool    // sequences of several spans of attention
	limit  float64 // of each op's relative L2 from the reference in floats, on top of what the CPU's kernels are away from it
}

// turn is one batch: the rows [from, to) of some sequences.
type turn struct{ sequences, from, to []int }

// cutTurns cuts sequences of so many tokens into batches.
func cutTurns(lengths []int, piece func() int) (turns []turn) {
	done := make([]int, len(lengths))
	for {
		var now turn
		for i, n := range lengths {
			take := min(piece(), n-done[i])
			if take <= 0 {
				continue
			}
			now.sequences, now.from, now.to = append(now.sequences, i), append(now.from, done[i]), append(now.to, done[i]+take)
			done[i] += take
		}
		left := 0
		for i, n := range lengths {
			left += n - done[i]
		}
		if len(now.sequences) > 0 {
			turns = append(turns, now)
		}
		if left == 0 {
			return turns
		}
	}
}

const trialRows = 160

// lengths draws how long the trial's sequences are.
func (c *trial) lengths(random *rand.Rand) []int {
	if c.long {
		return []int{520 + random.IntN(300), 250 + random.IntN(20), 3}
	}
	return []int{1 + random.IntN(40), 20 + random.IntN(50), 3}
}

// tablePages are the pages of 32 tokens that a sequence has room for, or its slots.
func (c *trial) tablePages() int {
	if c.long {
		return 26
	}
	return 8
}

// batches makes the batches of turns. Pages lie in an order of their own; states alternate between two slots.
func (r *recording) batches(lengths []int, turns []turn) []*kernels.Batch {
	tablePages := r.tablePages
	visits := make([]int, len(lengths))
	var all []*kernels.Batch
	for _, now := range turns {
		b := &kernels.Batch{TablePages: tablePages, SequenceCount: len(now.sequences)}
		for _, kind := range r.PageKinds {
			for _, s := range now.sequences {
				table := make([]int32, tablePages)
				for j := range table {
					table[j] = int32((s*tablePages + j) * 7 % (len(lengths) * tablePages))
				}
				if kind.State {
					for j := range table {
						table[j] = -1
					}
					table[1] = int32(2*s + (visits[s]+1)%2)
					if visits[s] > 0 {
						table[0] = int32(2*s + visits[s]%2)
					}
				}
				b.Pages = append(b.Pages, table...)
			}
		}
		for i, s := range now.sequences {
			visits[s]++
			for at := now.from[i]; at < now.to[i]; at++ {
				if b.Wanted = append(b.Wanted, int32(len(b.IDs))); (at*5+s)%3 == 0 && len(b.Wanted) > 1 {
					b.Wanted = b.Wanted[:len(b.Wanted)-1]
				}
				b.IDs, b.Positions = append(b.IDs, int32((at*11+s*5)%trialVocab)), append(b.Positions, int32(at))
				b.Sequences, b.Types = append(b.Sequences, int32(i)), append(b.Types, int32(at%2))
			}
		}
		all = append(all, b)
	}
	return all
}

// recorded makes a trial's plan; the same seed gives the same one.
func (c *trial) recorded(t testing.TB, seed uint64, sequences int, exact bool) *recording {
	r := &recording{t: t, Plan: kernels.NewPlan(), random: rand.New(rand.NewPCG(seed, 9)), exact: exact, tablePages: c.tablePages()}
	c.record(r)
	var pages []int
	for _, kind := range r.PageKinds {
		n := r.tablePages * sequences
		if kind.State {
			n = 2 * sequences
		}
		pages = append(pages, n)
	}
	cache := c.cache
	if cache != kernels.F16 && cache != kernels.Q8_0 {
		cache = kernels.F32
	}
	require.NoError(t, r.Finish(kernels.Limits{MaxRows: trialRows, MaxWanted: trialRows, CacheDType: cache, Pages: pages, KeepActivations: true}))
	return r
}

func distance(a, b []float32) float64 {
	var diff, norm float64
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		diff += d * d
		norm += float64(b[i]) * float64(b[i])
	}
	if diff == 0 {
		return 0
	}
	if norm == 0 {
		return math.Sqrt(diff)
	}
	return math.Sqrt(diff / norm)
}

func rowsOf(p *kernels.Plan, ref kernels.Ref, b *kernels.Batch) int {
	switch p.Tensors[ref].RowsKind {
	case kernels.RowsWanted:
		return len(b.Wanted)
	case kernels.RowsExperts:
		return len(b.IDs) * p.ExpertsUsed
	}
	return len(b.IDs)
}

func readAll(d *kernels.Device, p *kernels.Plan, ref kernels.Ref, b *kernels.Batch) []float32 {
	var all []float32
	for row := range rowsOf(p, ref, b) {
		all = append(all, d.ReadActivation(ref, row)...)
	}
	return all
}

// near holds what the card computed in each op of a batch against the same plan with weights in floats, beside the CPU's kernels.
func (c *trial) near(t testing.TB, card, cpu, exact *kernels.Device, p *kernels.Plan, b *kernels.Batch) {
	for i, o := range p.Ops {
		for _, ref := range []kernels.Ref{o.Out, o.Out2} {
			if ref == kernels.None {
				continue
			}
			got, peer, want := readAll(card, p, ref, b), readAll(cpu, p, ref, b), readAll(exact, p, ref, b)
			if p.Tensors[ref].DType == kernels.I32 {
				for j := range want {
					require.Equalf(t, math.Float32bits(want[j]), math.Float32bits(got[j]), "op %d, %s: expert %d", i, o.Kind, j)
				}
				continue
			}
			for j, v := range got {
				require.Falsef(t, math.IsNaN(float64(v)) && !math.IsNaN(float64(want[j])), "op %d, %s of %v: value %d of rows of %d is NaN, expected %v", i, o.Kind, o.N, j, p.Cols(ref), want[j])
			}
			require.LessOrEqualf(t, distance(got, want), c.limit+1.25*distance(peer, want), "op %d, %s: n %v f %v, %s", i, o.Kind, o.N, o.F, p.Names[ref])
		}
	}
}

// reference is the CPU with a recording's plan.
func reference(t *testing.T, r *recording) *kernels.Device {
	d, err := kernels.OpenCPU(kernels.DeviceOptions{Threads: 1, Variant: "ref"})
	require.NoError(t, err)
	t.Cleanup(d.Close)
	require.NoError(t, d.Prepare(r.Plan, [][]byte{r.data}))
	return d
}

// results computes a trial in batches and returns each sequence's rows of the plan's result, by position.
func results(t testing.TB, d *kernels.Device, p *kernels.Plan, batches []*kernels.Batch, turns []turn, each func(b *kernels.Batch)) map[[2]int][]float32 {
	all := map[[2]int][]float32{}
	for i, b := range batches {
		logits, err := d.Run(b)
		require.NoError(t, err)
		for j, row := range b.Wanted {
			key := [2]int{turns[i].sequences[b.Sequences[row]], int(b.Positions[row])}
			all[key] = append([]float32(nil), logits[j*d.LogitsStride():][:p.Cols(p.Logits)]...)
		}
		if each != nil {
			each(b)
		}
	}
	return all
}

// sameRows compares the bits of the rows that both have: which ones were wanted differs a little.
func sameRows(t *testing.T, want, got map[[2]int][]float32, what string) {
	compared := 0
	for key, row := range got {
		if other, ok := want[key]; ok {
			compared++
			require.Equalf(t, other, row, "%s: sequence %d, position %d", what, key[0], key[1])
		}
	}
	require.GreaterOrEqual(t, 2*compared, len(got), what)
}

// run holds the card against the reference in one cut of the sequences, and against itself in others: the same bits.
func (c *trial) run(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 77))
	lengths := c.lengths(random)
	pieces := []func() int{func() int { return 1 + random.IntN(30) }, func() int { return 1 }, func() int { return 70 }}
	if c.whole {
		pieces = pieces[2:]
	}
	if c.long {
		pieces = []func() int{func() int { return 1 + random.IntN(50) }, func() int { return 53 }, func() int { return 1 + random.IntN(2)*50 }}
	}
	var first map[[2]int][]float32
	for i, piece := range pieces {
		r := c.recorded(t, seed, len(lengths), false)
		card := openCard(t, kernels.DeviceOptions{})
		require.NoError(t, card.Prepare(r.Plan, [][]byte{r.data}))
		turns := cutTurns(lengths, piece)
		batches := r.batches(lengths, turns)
		if i > 0 {
			sameRows(t, first, results(t, card, r.Plan, batches, turns, nil), fmt.Sprintf("cut %d", i))
			card.Close()
			continue
		}
		cpu, exact := reference(t, r), reference(t, c.recorded(t, seed, len(lengths), true))
		first = results(t, card, r.Plan, batches, turns, func(b *kernels.Batch) {
			for _, d := range []*kernels.Device{cpu, exact} {
				_, err := d.Run(b)
				require.NoError(t, err)
			}
			c.near(t, card, cpu, exact, r.Plan, b)
		})
		for _, d := range []*kernels.Device{card, cpu, exact} {
			d.Close()
		}
		require.NotEmpty(t, first)
	}
	if c.whole { // alone, too
		r := c.recorded(t, seed, len(lengths), false)
		card := openCard(t, kernels.DeviceOptions{})
		require.NoError(t, card.Prepare(r.Plan, [][]byte{r.data}))
		for s, n := range lengths {
			turns := []turn{{[]int{s}, []int{0}, []int{n}}}
			sameRows(t, first, results(t, card, r.Plan, r.batches(lengths, turns), turns, nil), "alone")
		}
		card.Close()
	}
}
