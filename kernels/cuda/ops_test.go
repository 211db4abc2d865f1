package cuda

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/kernels"
)

const none = kernels.None

// finish adds rows of a result to what becomes the plan's logits: all results side by side.
func (r *recording) finish(outs ...kernels.Ref) {
	width := int64(0)
	for _, o := range outs {
		width += r.Cols(o)
	}
	all, at := r.Buffer(int(width)), int64(0)
	for _, o := range outs {
		r.Copy(r.Columns(all, at, r.Cols(o)), o, 1, int(r.Cols(o)), 0, 0)
		at += r.Cols(o)
	}
	r.SetLogits(r.Wanted(all))
}

var acts = []kernels.Act{kernels.ActNone, kernels.ActSiLU, kernels.ActGELU, kernels.ActGELUErf, kernels.ActGELUQuick, kernels.ActReLU, kernels.ActReLUSquared, kernels.ActSigmoid,
	kernels.ActTanh, kernels.ActSoftcap}

// Ops that touch their own row alone.
func rowOps(r *recording) {
	heads, width := r.between(1, 5), 2*r.between(1, 40)
	cols := int64(heads * width)
	x := r.rows(cols)
	outs := []kernels.Ref{r.Norm(x, kernels.NormSpec{Kind: kernels.RMSNorm, Weight: r.maybe(cols), Bias: none, Eps: 1e-5}),
		r.Norm(x, kernels.NormSpec{Kind: kernels.LayerNorm, Weight: r.maybe(cols), Bias: r.maybe(cols), Eps: 1e-5}),
		r.Norm(x, kernels.NormSpec{Kind: kernels.L2Norm, Weight: none, Bias: none, Eps: 1e-6, Groups: heads}),
		r.Norm(x, kernels.NormSpec{Kind: kernels.RMSNorm, Weight: r.vector(int64(width)), Bias: none, Eps: 1e-6, Groups: heads}),
		r.Norm(x, kernels.NormSpec{Kind: kernels.LayerNorm, Weight: r.vector(cols), Bias: none, Eps: 1e-6, Groups: heads}),
		r.Add(x, r.EmbedPosition(r.weight(kernels.F16, cols, 128, 1))), r.Add(x, r.EmbedType(r.weight(kernels.F32, cols, 2, 1))), r.Softmax(x)}
	one := r.Columns(x, int64(r.between(0, int(cols)-1)), 1)
	for _, act := range acts {
		outs = append(outs, r.Element(kernels.ElAct, act, x, none, 0.7, 5), r.Element(kernels.ElActMul, act, x, outs[0], 1.2, 5), r.Element(kernels.ElMulAct, act, x, one, 1, 5))
	}
	outs = append(outs, r.Element(kernels.ElAdd, kernels.ActNone, x, outs[0], 0.5, -2), r.Element(kernels.ElMul, kernels.ActNone, x, one, 3, 0),
		r.Element(kernels.ElMul, kernels.ActNone, x, outs[0], 3, 0), r.Element(kernels.ElClamp, kernels.ActNone, x, none, -0.5, 0.8))
	freqs := r.Constant("frequencies", []float32{1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001}[:min(7, r.between(1, width/2))])
	angles := r.Angles(freqs, 1.3)
	for _, style := range []kernels.RopeStyle{kernels.RopePairs, kernels.RopeHalves} {
		turned := r.Scale(x, 1)
		r.Rope(turned, angles, heads, width, r.between(0, width-2*int(r.Cols(freqs))), style)
		outs = append(outs, turned)
	}
	wide := r.Buffer(3 * width)
	r.Copy(wide, r.Columns(x, 0, int64(width)), 3, width, 0, width)
	r.finish(append(outs, wide)...)
}

// embeds looks rows of every type up.
func embeds(r *recording) {
	var outs []kernels.Ref
	for _, t := range kernels.DTypes() {
		if t.Family() != kernels.FamilyNone {
			outs = append(outs, r.Embed(r.weight(t, 256*int64(r.between(1, 2)), trialVocab, 1), 0.5))
		}
	}
	r.finish(outs...)
}

// attentions are layers of several shapes over one sequence.
func attentions(shapes ...func(r *recording) kernels.Ref) func(r *recording) {
	return func(r *recording) {
		var outs []kernels.Ref
		for _, shape := range shapes {
			outs = append(outs, shape(r))
		}
		r.finish(outs...)
	}
}

type attentionShape struct {
	heads, group, k, v, window int
	sinks                      bool
	softcap, alibi             float32
	bothWays                   bool
	around                     int
}

func (s attentionShape) record(r *recording) kernels.Ref {
	layer := r.AddCacheLayer(s.heads, s.k, s.v, s.v, s.window)
	r.Store(layer, r.rows(int64(s.heads*s.k)), r.rows(int64(s.heads*s.v)))
	sinks := none
	if s.sinks {
		sinks = r.vector(int64(s.heads * s.group))
	}
	return r.Attention(r.rows(int64(s.heads*s.group*s.k)), kernels.AttentionSpec{Layer: layer, Heads: s.heads * s.group, Scale: 0.3, Softcap: s.softcap, ALiBi: s.alibi, Sinks: sinks, Bias: none,
		BothWays: s.bothWays, Around: s.around})
}

// latent is attention whose values are a part of its keys.
func latent(heads, k, v, first int) func(r *recording) kernels.Ref {
	return func(r *recording) kernels.Ref {
		layer := r.AddCacheLayer(1, k, 0, v, 0)
		r.Store(layer, r.rows(int64(k)), none)
		return r.Attention(r.rows(int64(heads*k)), kernels.AttentionSpec{Layer: layer, Heads: heads, Scale: 0.2, Sinks: none, Bias: none, VFirst: first})
	}
}

func manyAttentions(random bool) func(r *recording) {
	shapes := []attentionShape{{heads: 2, group: 2, k: 32, v: 32}, {heads: 1, group: 3, k: 64, v: 64, window: 9}, {heads: 3, group: 1, k: 16, v: 48, sinks: true},
		{heads: 2, group: 4, k: 24, v: 24, softcap: 3}, {heads: 1, group: 2, k: 40, v: 20, alibi: 8, window: 33}, {heads: 1, group: 8, k: 128, v: 128}}
	all := []func(r *recording) kernels.Ref{latent(3, 80, 64, 0), latent(2, 48, 32, 16)}
	for _, s := range shapes {
		all = append(all, s.record)
	}
	return func(r *recording) {
		if random {
			s := attentionShape{heads: r.between(1, 3), group: r.between(1, 7), k: 8 * r.between(1, 12), v: 8 * r.between(1, 12), window: pick(r, 0, 5, 40), sinks: r.between(0, 1) == 1,
				softcap: pick[float32](r, 0, 4), alibi: pick[float32](r, 0, 8)}
			attentions(s.record)(r)
			return
		}
		attentions(all...)(r)
	}
}

func bothWays(r *recording) {
	attentions(attentionShape{heads: 2, group: 2, k: 32, v: 32, bothWays: true}.record, attentionShape{heads: 1, group: 2, k: 16, v: 16, bothWays: true, around: 12}.record)(r)
}

func pooled(r *recording) {
	x := attentionShape{heads: 1, group: 2, k: 16, v: 24, bothWays: true}.record(r)
	r.SetLogits(r.Softmax(r.Mean(x)))
}

// products are matrices of a type with every epilogue, on rows of odd counts.
func products(t kernels.DType) func(r *recording) {
	return func(r *recording) {
		step := max(32, int(t.Block()))
		if t.Family() == kernels.FamilyFloat {
			step = 1
		}
		cols := int64(step * r.between(1, max(2, 512/step)))
		x := r.rows(cols)
		matrix := func() kernels.Ref { return r.weight(t, cols, int64(r.between(1, 90)), 1) }
		plain := r.MatMul(x, matrix(), kernels.NoEpilogue)
		gate := r.weight(t, cols, 33, 1)
		spec := kernels.NoEpilogue
		spec.Act, spec.Up, spec.Scale = pick(r, acts...), r.weight(t, cols, 33, 1), 0.5
		spec.Bias, spec.UpBias = r.maybe(33), r.maybe(33)
		if spec.Act == kernels.ActSoftcap {
			spec.ActParam = [3]float32{4}
		}
		gated := r.MatMul(x, gate, spec)
		square := r.weight(t, cols, cols, 1)
		residual := kernels.NoEpilogue
		residual.Residual, residual.Bias = x, r.maybe(cols)
		added := r.MatMul(x, square, residual)
		oai := kernels.NoEpilogue
		oai.Act, oai.ActParam, oai.Up = kernels.ActSwiGLUOAI, [3]float32{7, 1.702}, r.weight(t, cols, 20, 1)
		swiglu := r.MatMul(added, r.weight(t, cols, 20, 1), oai)
		r.finish(plain, gated, added, swiglu, r.MatMul(x, r.WeightRows(square, cols/2, (cols+1)/2), kernels.NoEpilogue))
	}
}

// heads are a matrix a head.
func heads(t kernels.DType) func(r *recording) {
	return func(r *recording) {
		n, cols := r.between(1, 4), int64(max(32, int(t.Block())))
		x := r.rows(int64(n) * (cols + 16))
		r.finish(r.HeadsMatMul(x, r.weight(t, cols, int64(r.between(1, 40)), int64(n)), n, int(cols)+16, 0))
	}
}

// experts are a layer of experts: a router, gated products of the chosen ones, and their sum.
func experts(t kernels.DType) func(r *recording) {
	return func(r *recording) {
		n, used, cols, inner := int64(8), r.between(1, 4), int64(max(64, int(t.Block()))), int64(max(64, int(t.Block())))
		r.Layer(0)
		x := r.rows(cols)
		spec := kernels.RouteSpec{Gating: pick(r, kernels.GateSoftmax, kernels.GateSigmoid, kernels.GateSoftmaxChosen), Used: used, Normalise: r.between(0, 1) == 1, Scale: 1.5, Bias: r.maybe(n)}
		if r.between(0, 1) == 1 && used <= 4 {
			spec.Groups, spec.GroupsUsed = 4, 2
		}
		ids, weights := r.Route(r.MatMul(x, r.weight(kernels.F32, cols, n, 1), kernels.NoEpilogue), spec)
		gate := kernels.NoEpilogue
		gate.Act, gate.Up = kernels.ActSiLU, r.weight(t, cols, inner, n)
		if r.between(0, 1) == 1 {
			gate.Bias, gate.UpBias = r.biases(inner, n), r.biases(inner, n)
		}
		h := r.Experts(x, r.weight(t, cols, inner, n), ids, gate)
		down := kernels.NoEpilogue
		if r.between(0, 1) == 1 {
			down.Bias = r.biases(cols, n)
		}
		r.finish(r.ExpertSum(r.Experts(h, r.weight(t, inner, cols, n), ids, down), weights, pick(r, none, x)))
	}
}

func (r *recording) biases(rows, experts int64) kernels.Ref {
	return r.ConstantRows("biases", rows, r.normal(rows*experts, 0.3, 0))
}

func recurrent(r *recording) {
	channels, states, taps := int64(r.between(1, 90)), int64(r.between(1, 24)), int64(r.between(2, 6))
	n, groups, width, keys := pick[int64](r, 2, 4, 6), int64(2), int64(16*r.between(1, 3)), int64(16*r.between(1, 4))
	outs := []kernels.Ref{r.Conv(r.rows(channels), r.ConstantRows("taps", channels, r.normal(taps*channels, 0.6, 0)), r.maybe(channels), pick(r, kernels.ActNone, kernels.ActSiLU))}
	outs = append(outs, r.Scan(r.rows(channels), kernels.ScanSpec{Step: r.rows(channels), B: r.rows(states), C: r.rows(states),
		A: r.ConstantRows("a", channels, r.normal(states*channels, 0.2, -1)), D: r.vector(channels), Bias: none}))
	outs = append(outs, r.HeadScan(r.rows(n*width), kernels.ScanSpec{Step: r.rows(n), B: r.rows(groups * keys), C: r.rows(groups * keys), A: r.Constant("a", r.normal(n, 0.1, -0.5)),
		D: r.vector(n), Bias: r.vector(n), Heads: int(n), Groups: int(groups)}))
	unit := func() kernels.Ref {
		return r.Norm(r.rows(groups*keys), kernels.NormSpec{Kind: kernels.L2Norm, Weight: none, Bias: none, Eps: 1e-6, Groups: int(groups)})
	}
	outs = append(outs, r.Delta(unit(), unit(), r.rows(n*width), kernels.DeltaSpec{Decay: r.rows(n), Beta: r.rows(n), A: r.Constant("a", r.normal(n, 0.1, -0.3)), Bias: r.vector(n),
		Heads: int(n), KeyHeads: int(groups), Tiled: r.between(0, 1) == 1, Scale: 0.5}))
	r.finish(outs...)
}

// Distances that float ops may have, which round the same formulas elsewhere; and products, where it is little beside what quantizing their inputs costs.
const (
	floatLimit   = 2e-5
	productLimit = 5e-4
)

type namedTrial struct {
	name string
	trial
}

func trials(short bool) (all []namedTrial) {
	add := func(name string, c trial) { all = append(all, namedTrial{name, c}) }
	add("rows", trial{record: rowOps, limit: floatLimit})
	add("embed", trial{record: embeds, limit: 0})
	for _, cache := range []kernels.DType{kernels.F32, kernels.F16, kernels.Q8_0} {
		add("attention/"+cache.String(), trial{record: manyAttentions(false), cache: cache, limit: 2e-3})
		add("attention/random/"+cache.String(), trial{record: manyAttentions(true), cache: cache, limit: 2e-3})
	}
	add("attention/both", trial{record: bothWays, limit: 2e-3, whole: true})
	add("pool", trial{record: pooled, limit: 2e-3, whole: true})
	add("recurrent", trial{record: recurrent, limit: 1e-4})
	for _, t := range kernels.DTypes() {
		if t.Family() == kernels.FamilyNone {
			continue
		}
		add("product/"+t.String(), trial{record: products(t), limit: productLimit})
		if few := t == kernels.Q8_0 || t == kernels.F16 || t.String() == "Q4_K" || t.String() == "MXFP4"; few || !short {
			add("experts/"+t.String(), trial{record: experts(t), limit: productLimit})
			add("heads/"+t.String(), trial{record: heads(t), limit: productLimit})
		}
	}
	return all
}

// trialSeed is where random shapes and inputs begin: $INFER_TRIAL_SEED, or always the same.
func trialSeed(t *testing.T) uint64 {
	said := os.Getenv("INFER_TRIAL_SEED")
	if said == "" {
		return 0
	}
	seed, err := strconv.ParseUint(said, 10, 32)
	require.NoError(t, err, "INFER_TRIAL_SEED")
	return seed
}

// TestOps holds every op against the CPU's reference, on random shapes: each op's values near it, and the same bits in any batch.
func TestOps(t *testing.T) {
	useLibrary(t)
	rounds := uint64(3)
	if !complete() {
		rounds = 1
	}
	for _, c := range trials(!complete()) {
		for seed := range rounds {
			t.Run(fmt.Sprintf("%s/%d", c.name, seed), func(t *testing.T) { c.run(t, trialSeed(t)+seed+1) })
		}
	}
}
