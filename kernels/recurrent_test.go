package kernels

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// recurrentSizes are those of a plan with every recurrent op.
type recurrentSizes struct {
	taps, channels, states               int64 // convolution and Mamba 1
	heads, groups, width, keys           int64 // of heads: values' width, states or keys
	conv, scan, headScan, delta, wkv, in int64 // columns of the input at which each op's inputs begin; all of them
}

func (s recurrentSizes) laidOut() recurrentSizes {
	s.scan = s.channels
	s.headScan = s.scan + 2*s.channels + 2*s.states
	s.delta = s.headScan + s.heads*s.width + s.heads + 2*s.groups*s.keys
	s.wkv = s.delta + 2*s.groups*s.keys + s.heads*s.width + 2*s.heads
	s.in = s.wkv + 4*s.heads*s.keys + s.heads*s.width
	return s
}

// recurrentPlan records the ops side by side, each on its own columns of random rows that are looked up by id.
func recurrentPlan(s recurrentSizes, random *rand.Rand) (*Plan, [][]byte) {
	p := NewPlan()
	floats := func(n int64, scale, offset float64) []float32 {
		out := make([]float32, n)
		for i := range out {
			out[i] = float32(random.NormFloat64()*scale + offset)
		}
		return out
	}
	table := floats(64*s.in, 1, 0)
	var data []byte
	for _, v := range table {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	x := p.Embed(p.Weight("table", F32, s.in, 64, 1, 0, 0), 1)
	vector := func(name string, n int64, scale, offset float64) Ref {
		return p.Constant(name, floats(n, scale, offset))
	}
	matrix := func(name string, rows, cols int64, scale, offset float64) Ref {
		return p.ConstantRows(name, cols, floats(rows*cols, scale, offset))
	}
	unit := func(from int64) Ref {
		return p.Norm(p.Columns(x, from, s.groups*s.keys), NormSpec{Kind: L2Norm, Weight: None, Bias: None, Eps: 1e-6, Groups: int(s.groups)})
	}
	outs := []Ref{p.Conv(p.Columns(x, s.conv, s.channels), matrix("conv", s.taps, s.channels, 1, 0), vector("bias", s.channels, 1, 0), ActSiLU)}
	at := s.scan + 2*s.channels
	outs = append(outs, p.Scan(p.Columns(x, s.scan, s.channels), ScanSpec{Step: p.Columns(x, s.scan+s.channels, s.channels), B: p.Columns(x, at, s.states),
		C: p.Columns(x, at+s.states, s.states), A: matrix("a", s.states, s.channels, 0.2, -1), D: vector("d", s.channels, 1, 0)}))
	at = s.headScan + s.heads*s.width
	outs = append(outs, p.HeadScan(p.Columns(x, s.headScan, s.heads*s.width), ScanSpec{Step: p.Columns(x, at, s.heads), B: p.Columns(x, at+s.heads, s.groups*s.keys),
		C: p.Columns(x, at+s.heads+s.groups*s.keys, s.groups*s.keys), A: vector("ah", s.heads, 0.1, -0.5), D: vector("dh", s.heads, 1, 0), Bias: vector("bh", s.heads, 1, 0),
		Heads: int(s.heads), Groups: int(s.groups)}))
	at = s.delta + 2*s.groups*s.keys
	outs = append(outs, p.Delta(unit(s.delta), unit(s.delta+s.groups*s.keys), p.Columns(x, at, s.heads*s.width), DeltaSpec{Decay: p.Columns(x, at+s.heads*s.width, s.heads),
		Beta: p.Columns(x, at+s.heads*s.width+s.heads, s.heads), A: vector("ag", s.heads, 0.1, -0.3), Bias: vector("bg", s.heads, 1, 0),
		Heads: int(s.heads), KeyHeads: int(s.groups), Tiled: s.heads%2 == 0, Scale: 0.5}))
	wide := s.heads * s.keys // r, decays, keys, what the correction reads and writes; values
	decay := p.Element(ElAct, ActSigmoid, p.Columns(x, s.wkv+wide, wide), None, 1, 0)
	read := p.Norm(p.Columns(x, s.wkv+3*wide, wide), NormSpec{Kind: L2Norm, Weight: None, Bias: None, Eps: 1e-6, Groups: int(s.heads)})
	w := WKVSpec{Decay: p.Scale(decay, -0.7), A: read, B: p.Scale(read, 0.3), Heads: int(s.heads)}
	r, k, v := p.Columns(x, s.wkv, wide), p.Columns(x, s.wkv+2*wide, wide), p.Columns(x, s.wkv+4*wide, s.heads*s.width)
	outs = append(outs, p.WKV(r, k, v, w))
	w.A, w.B, w.Before = None, None, true
	outs = append(outs, p.WKV(r, k, v, w))
	all := p.Buffer(int(2*s.channels + 4*s.heads*s.width))
	first := int64(0)
	for _, out := range outs {
		p.Copy(p.Columns(all, first, p.Cols(out)), out, 1, int(p.Cols(out)), 0, 0)
		first += p.Cols(out)
	}
	p.SetLogits(p.Wanted(all))
	return p, [][]byte{data}
}

func sizesOf(t *rapid.T) recurrentSizes {
	groups := rapid.Int64Range(1, 3).Draw(t, "groups")
	return recurrentSizes{taps: rapid.Int64Range(2, MaxConvTaps).Draw(t, "taps"), channels: rapid.Int64Range(1, 150).Draw(t, "channels"),
		states: rapid.Int64Range(1, 20).Draw(t, "states"), groups: groups, heads: groups * rapid.Int64Range(1, 3).Draw(t, "heads a group"),
		width: rapid.Int64Range(1, 70).Draw(t, "width"), keys: rapid.Int64Range(1, 40).Draw(t, "keys")}.laidOut()
}

// recurrentRun computes sequences of ids in turns: of each that is not at its end a piece a batch, of lengths that cut says. It returns
// each sequence's results.
func recurrentRun(t require.TestingT, s recurrentSizes, o DeviceOptions, sequences [][]int32, cut func() int) [][]float32 {
	p, weights := recurrentPlan(s, rand.New(rand.NewPCG(3, 4)))
	slots := 2 * len(sequences)
	require.NoError(t, p.Finish(Limits{MaxRows: 128, MaxWanted: 128, CacheDType: F16, Pages: []int{slots}}))
	d, err := OpenCPU(o)
	require.NoError(t, err)
	defer d.Close()
	require.NoError(t, d.Prepare(p, weights))
	out, done, turn := make([][]float32, len(sequences)), make([]int, len(sequences)), 0
	for {
		b, of, before := Batch{TablePages: 3}, []int(nil), map[int32][]byte{}
		for i, ids := range sequences {
			n := min(cut(), len(ids)-done[i])
			if n <= 0 {
				continue
			}
			read, write := int32(2*i+turn%2), int32(2*i+1-turn%2)
			if done[i] == 0 {
				read = -1
			} else {
				before[read] = make([]byte, d.PageBytes(0))
				require.NoError(t, d.ReadPage(0, int(read), before[read]))
			}
			b.Pages = append(b.Pages, read, write, -1)
			for j := range n {
				b.IDs, b.Positions = append(b.IDs, ids[done[i]+j]), append(b.Positions, int32(done[i]+j))
				b.Sequences, b.Wanted = append(b.Sequences, int32(b.SequenceCount)), append(b.Wanted, int32(len(b.Wanted)))
				of = append(of, i)
			}
			b.SequenceCount++
			done[i] += n
		}
		if len(of) == 0 {
			return out
		}
		results, err := d.Run(&b)
		require.NoError(t, err)
		for row, i := range of {
			out[i] = append(out[i], results[row*d.LogitsStride():][:p.Cols(p.Logits)]...)
		}
		for slot, bytes := range before {
			after := make([]byte, len(bytes))
			require.NoError(t, d.ReadPage(0, int(slot), after))
			require.Equal(t, bytes, after, "the slot that was read")
		}
		turn++
	}
}

// Every variant, any threads, any cut into steps, alone or beside others: the same bits; and what a step reads it does not change.
func TestRecurrentBits(t *testing.T) {
	variants := Variants()
	rapid.Check(t, func(t *rapid.T) {
		s := sizesOf(t)
		var sequences [][]int32
		for range rapid.IntRange(1, 3).Draw(t, "sequences") {
			sequences = append(sequences, rapid.SliceOfN(rapid.Int32Range(0, 63), 1, 40).Draw(t, "ids"))
		}
		whole := func() int { return 40 }
		var want [][]float32
		for _, ids := range sequences {
			want = append(want, recurrentRun(t, s, DeviceOptions{Threads: 1, Variant: "ref"}, [][]int32{ids}, whole)...)
		}
		for _, v := range want {
			for _, f := range v {
				require.False(t, math.IsNaN(float64(f)) || math.IsInf(float64(f), 0))
			}
		}
		o := DeviceOptions{Threads: rapid.IntRange(1, 3).Draw(t, "threads"), Variant: rapid.SampledFrom(variants).Draw(t, "variant")}
		// the same steps for all: a sequence's slots swap at every batch
		size := rapid.IntRange(1, 40).Draw(t, "rows a step")
		got := recurrentRun(t, s, o, sequences, func() int { return size })
		for i := range want {
			require.Equal(t, len(want[i]), len(got[i]))
			for j := range want[i] {
				require.Equal(t, math.Float32bits(want[i][j]), math.Float32bits(got[i][j]), "sequence %d, value %d, %s in steps of %d", i, j, o.Variant, size)
			}
		}
	})
}

func TestRecurrentSlots(t *testing.T) {
	s := recurrentSizes{taps: 4, channels: 16, states: 2, heads: 2, groups: 1, width: 16, keys: 4}.laidOut()
	p, weights := recurrentPlan(s, rand.New(rand.NewPCG(1, 1)))
	require.Contains(t, p.String(), "state of")
	require.NoError(t, p.Finish(Limits{MaxRows: 8, MaxWanted: 8, CacheDType: F16, Pages: []int{4}}))
	d, err := OpenCPU(DeviceOptions{Threads: 1})
	require.NoError(t, err)
	defer d.Close()
	require.NoError(t, d.Prepare(p, weights))
	two := func(positions [2]int32, pages ...int32) *Batch {
		return &Batch{IDs: []int32{1, 2}, Positions: positions[:], Sequences: []int32{0, 1}, Pages: pages, TablePages: 2, SequenceCount: 2}
	}
	for what, b := range map[string]*Batch{
		"reads what nobody wrote":     two([2]int32{0, 1}, -1, 0, -1, 1),
		"reads at the beginning":      two([2]int32{0, 0}, -1, 0, 2, 1),
		"writes what it reads":        two([2]int32{0, 7}, -1, 0, 1, 1),
		"writes what another writes":  two([2]int32{0, 0}, -1, 0, -1, 0),
		"writes what another reads":   two([2]int32{7, 0}, 1, 0, -1, 1),
		"reads what another writes":   two([2]int32{0, 7}, -1, 1, 1, 0),
		"writes nowhere":              two([2]int32{0, 0}, -1, 0, -1, -1),
		"writes past the end":         two([2]int32{0, 0}, -1, 0, -1, 4),
		"reads past the end":          two([2]int32{0, 7}, -1, 0, 4, 1),
		"the same sequence twice":     {IDs: []int32{1, 2, 3}, Positions: []int32{0, 0, 1}, Sequences: []int32{0, 1, 0}, Pages: []int32{-1, 0, -1, 1}, TablePages: 2, SequenceCount: 2},
		"a table without a written":   {IDs: []int32{1}, Positions: []int32{0}, Sequences: []int32{0}, Pages: []int32{-1}, TablePages: 1, SequenceCount: 1},
		"a table of nothing":          {IDs: []int32{1}, Positions: []int32{0}, Sequences: []int32{0}, SequenceCount: 1},
		"positions that do not start": {IDs: []int32{1}, Positions: []int32{-1}, Sequences: []int32{0}, Pages: []int32{-1, 0}, TablePages: 2, SequenceCount: 1},
	} {
		_, err := d.Run(b)
		assert.ErrorIs(t, err, ErrInvalid, what)
	}
	_, err = d.Run(two([2]int32{0, 100000}, -1, 0, 2, 1)) // no attention: positions need no pages
	require.NoError(t, err)
	_, err = d.Run(two([2]int32{7, 9}, 2, 0, 2, 1)) // two that go on from one state
	require.NoError(t, err)
}

// Shapes that no op can have are faults of the plan, by name.
func TestRecurrentFaults(t *testing.T) {
	for what, record := range map[string]func(p *Plan, x Ref){
		"a convolution": func(p *Plan, x Ref) { p.Conv(x, p.ConstantRows("w", 15, make([]float32, 60)), None, ActNone) },
		"for a convolution": func(p *Plan, x Ref) {
			p.Conv(x, p.ConstantRows("w", 16, make([]float32, 16*(MaxConvTaps+1))), None, ActNone)
		},
		"scan of 16 columns": func(p *Plan, x Ref) {
			p.Scan(x, ScanSpec{Step: p.Columns(x, 0, 8), B: x, C: x, A: p.ConstantRows("a", 16, make([]float32, 256)), D: p.Constant("d", make([]float32, 16))})
		},
		"a value a head": func(p *Plan, x Ref) {
			v := p.Constant("v", make([]float32, 3))
			p.HeadScan(x, ScanSpec{Step: p.Columns(x, 0, 4), B: x, C: x, A: v, D: v, Bias: v, Heads: 4})
		},
		"in 3 groups": func(p *Plan, x Ref) {
			v := p.Constant("v", make([]float32, 4))
			p.HeadScan(x, ScanSpec{Step: p.Columns(x, 0, 4), B: x, C: x, A: v, D: v, Bias: v, Heads: 4, Groups: 3})
		},
		"3 key heads": func(p *Plan, x Ref) {
			v := p.Constant("v", make([]float32, 4))
			p.Delta(x, x, x, DeltaSpec{Decay: p.Columns(x, 0, 4), Beta: p.Columns(x, 0, 4), A: v, Bias: v, Heads: 4, KeyHeads: 3})
		},
		"wkv of 3 heads": func(p *Plan, x Ref) { p.WKV(x, x, x, WKVSpec{Decay: x, A: None, B: None, Heads: 3}) },
		"a wkv's input": func(p *Plan, x Ref) {
			p.WKV(x, x, x, WKVSpec{Decay: p.Columns(x, 0, 8), A: None, B: None, Heads: 4})
		},
		"needs a row a token": func(p *Plan, x Ref) {
			p.Conv(p.Wanted(x), p.ConstantRows("w", 16, make([]float32, 32)), None, ActNone)
		},
	} {
		p := NewPlan()
		x := p.Embed(p.Weight("table", F32, 16, 4, 1, 0, 0), 1)
		record(p, x)
		assert.ErrorContains(t, p.Err(), what)
		p.SetLogits(p.Wanted(x))
		assert.ErrorContains(t, p.Finish(Limits{MaxRows: 1, MaxWanted: 1, CacheDType: F16, Pages: []int{2}}), what)
	}
}

// Steps of large and small numbers: softplus without overflow, and precise where it is near zero.
func TestSoftplus(t *testing.T) {
	for _, variant := range Variants() {
		p := NewPlan()
		xs := []float32{-100, -30, -15, -3, -1, -1e-3, 0, 1e-3, 0.5, 1, 2, 5, 19, 21, 88, 1000}
		var data []byte
		for _, v := range xs {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
		// out = state = softplus(step) * 1 * 1 with A = 0, D = 0
		step := p.Embed(p.Weight("table", F32, int64(len(xs)), 1, 1, 0, 0), 1)
		one := p.Element(ElClamp, ActNone, step, None, 1, 1)
		zeros := make([]float32, len(xs))
		y := p.Scan(one, ScanSpec{Step: step, B: p.Columns(one, 0, 1), C: p.Columns(one, 0, 1), A: p.ConstantRows("a", int64(len(xs)), zeros), D: p.Constant("d", zeros)})
		p.SetLogits(p.Wanted(y))
		require.NoError(t, p.Finish(Limits{MaxRows: 1, MaxWanted: 1, CacheDType: F16, Pages: []int{2}}))
		d, err := OpenCPU(DeviceOptions{Threads: 1, Variant: variant})
		require.NoError(t, err)
		require.NoError(t, d.Prepare(p, [][]byte{data}))
		got, err := d.Run(&Batch{IDs: []int32{0}, Positions: []int32{0}, Sequences: []int32{0}, Pages: []int32{-1, 0}, Wanted: []int32{0}, TablePages: 2, SequenceCount: 1})
		require.NoError(t, err)
		for i, x := range xs {
			want := math.Max(float64(x), 0) + math.Log1p(math.Exp(-math.Abs(float64(x))))
			if x < -87 {
				want = 0 // below it, exp is 0
			}
			assert.InDelta(t, want, got[i], 1e-30+4e-7*want, fmt.Sprintf("%s: softplus(%g)", variant, x))
		}
		d.Close()
	}
}
