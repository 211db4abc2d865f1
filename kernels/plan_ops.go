package kernels

/*
#include "kernels.h"
*/
import "C"

// OpKind is what an op does; kernels.h defines each.
type OpKind uint32

// The ops of a plan.
const (
	OpEmbed     OpKind = C.INFER_OP_EMBED
	OpNorm      OpKind = C.INFER_OP_NORM
	OpMatMul    OpKind = C.INFER_OP_MATMUL
	OpHeads     OpKind = C.INFER_OP_HEADS
	OpAngles    OpKind = C.INFER_OP_ANGLES
	OpRope      OpKind = C.INFER_OP_ROPE
	OpStore     OpKind = C.INFER_OP_STORE
	OpAttention OpKind = C.INFER_OP_ATTENTION
	OpRoute     OpKind = C.INFER_OP_ROUTE
	OpExperts   OpKind = C.INFER_OP_EXPERTS
	OpExpertSum OpKind = C.INFER_OP_EXPERT_SUM
	OpElement   OpKind = C.INFER_OP_ELEMENT
	OpCopy      OpKind = C.INFER_OP_COPY
	OpGather    OpKind = C.INFER_OP_GATHER
	OpConv      OpKind = C.INFER_OP_CONV
	OpScan      OpKind = C.INFER_OP_SCAN
	OpHeadScan  OpKind = C.INFER_OP_HEAD_SCAN
	OpDelta     OpKind = C.INFER_OP_DELTA
	OpWKV       OpKind = C.INFER_OP_WKV
	OpPool      OpKind = C.INFER_OP_POOL
	OpSoftmax   OpKind = C.INFER_OP_SOFTMAX
	OpPrevious  OpKind = C.INFER_OP_PREVIOUS
)

// Norm is a kind of normalisation.
type Norm int32

// The norms.
const (
	RMSNorm   Norm = C.INFER_NORM_RMS
	LayerNorm Norm = C.INFER_NORM_LAYER
	L2Norm    Norm = C.INFER_NORM_L2 // to length 1
)

// Act is an activation function.
type Act int32

// The activation functions; kernels.h gives their formulas.
const (
	ActNone        Act = C.INFER_ACT_NONE
	ActSiLU        Act = C.INFER_ACT_SILU
	ActGELU        Act = C.INFER_ACT_GELU
	ActGELUErf     Act = C.INFER_ACT_GELU_ERF
	ActGELUQuick   Act = C.INFER_ACT_GELU_QUICK
	ActReLU        Act = C.INFER_ACT_RELU
	ActReLUSquared Act = C.INFER_ACT_RELU_SQUARED
	ActSigmoid     Act = C.INFER_ACT_SIGMOID
	ActTanh        Act = C.INFER_ACT_TANH
	ActSoftcap     Act = C.INFER_ACT_SOFTCAP
	ActSwiGLUOAI   Act = C.INFER_ACT_SWIGLU_OAI
	ActXIELU       Act = C.INFER_ACT_XIELU
	ActSoftplus    Act = C.INFER_ACT_SOFTPLUS
	ActExp         Act = C.INFER_ACT_EXP
)

// RopeStyle says which elements of a head rotate together.
type RopeStyle int32

// The rope styles.
const (
	RopePairs  RopeStyle = C.INFER_ROPE_PAIRS  // neighbours (0,1), (2,3)
	RopeHalves RopeStyle = C.INFER_ROPE_HALVES // (i, i+n/2)
)

// Gating is how router logits become expert weights.
type Gating int32

// The gatings.
const (
	GateSoftmax       Gating = C.INFER_GATE_SOFTMAX
	GateSigmoid       Gating = C.INFER_GATE_SIGMOID
	GateSoftmaxChosen Gating = C.INFER_GATE_SOFTMAX_CHOSEN // softmax over the chosen only
)

// Element is an elementwise operation; kernels.h gives the formulas.
type Element int32

// The elementwise operations.
const (
	ElAdd    Element = C.INFER_EL_ADD
	ElMul    Element = C.INFER_EL_MUL
	ElAct    Element = C.INFER_EL_ACT
	ElActMul Element = C.INFER_EL_ACT_MUL
	ElClamp  Element = C.INFER_EL_CLAMP
	ElMulAct Element = C.INFER_EL_MUL_ACT
)

// op appends an op with all tensors absent but those given.
func (p *Plan) op(kind OpKind, out Ref, in ...Ref) *Op {
	o := Op{Kind: kind, Layer: p.layer, Out: out, Out2: None}
	for i := range o.In {
		o.In[i] = None
	}
	copy(o.In[:], in)
	p.Ops = append(p.Ops, o)
	return &p.Ops[len(p.Ops)-1]
}

// activationOf returns the tensor if it is an F32 activation; otherwise it records the fault.
func (p *Plan) activationOf(what string, r Ref) (Tensor, bool) {
	t, ok := p.tensor(r)
	if ok && (t.RowsKind == RowsFixed || t.DType != F32) {
		p.Fail("op %d (layer %d): %s must be an activation, %s is %s", len(p.Ops), p.layer, what, p.Names[r], t.DType)
		return t, false
	}
	return t, ok
}

// vector checks an optional F32 weight vector of n elements.
func (p *Plan) vector(what string, r Ref, n int64) {
	if r == None {
		return
	}
	t, ok := p.tensor(r)
	if ok && (t.RowsKind != RowsFixed || t.DType != F32 || t.Cols != n || t.Rows != 1) {
		p.Fail("tensor %s: expected as %s F32 [%d], found %s [%d, %d]", p.Names[r], what, n, t.DType, t.Cols, t.Rows)
	}
}

// sameShape checks that two activations have the same rows and width.
func (p *Plan) sameShape(what string, a, b Tensor) bool {
	if a.RowsKind != b.RowsKind || a.Cols != b.Cols {
		p.Fail("op %d (layer %d): %s: rows %d x %d, expected rows %d x %d", len(p.Ops), p.layer, what, b.RowsKind, b.Cols, a.RowsKind, a.Cols)
		return false
	}
	return true
}

// Embed looks each token's row up in the table [vocab, dim] and multiplies it by scale. Result: [tokens, dim].
func (p *Plan) Embed(table Ref, scale float32) Ref {
	return p.embed(table, scale, 0)
}

// EmbedPosition looks each token's position up in the table [positions, dim]. Result: [tokens, dim].
func (p *Plan) EmbedPosition(table Ref) Ref { return p.embed(table, 1, 1) }

// EmbedType looks each token's type (which of several texts it belongs to) up in the table [types, dim]. Result: [tokens, dim].
func (p *Plan) EmbedType(table Ref) Ref { return p.embed(table, 1, 2) }

func (p *Plan) embed(table Ref, scale float32, by int32) Ref {
	t, ok := p.tensor(table)
	if !ok || t.RowsKind != RowsFixed {
		return None
	}
	out := p.activation(RowsBatch, t.Cols)
	o := p.op(OpEmbed, out, table)
	o.N[0], o.F[0] = by, scale
	return out
}

// NormSpec describes a normalisation. Weight and Bias may be None. Groups > 1 normalises that many equal parts of a row
// (heads) on their own; the weight then has a part's width, or the row's.
type NormSpec struct {
	Kind         Norm
	Weight, Bias Ref
	Eps          float32
	Groups       int
}

// Norm normalises each row, or each of its groups. Result: the shape of x.
func (p *Plan) Norm(x Ref, s NormSpec) Ref {
	t, ok := p.activationOf("a norm's input", x)
	if !ok {
		return None
	}
	groups := int64(max(s.Groups, 1))
	if t.Cols%groups != 0 {
		p.Fail("op %d (layer %d): norm of %d columns in %d groups", len(p.Ops), p.layer, t.Cols, groups)
		return None
	}
	for _, w := range []Ref{s.Weight, s.Bias} {
		if w == None {
			continue
		}
		if wt, ok := p.tensor(w); ok && wt.Cols*wt.Rows == t.Cols {
			if wt.DType != F32 || wt.RowsKind != RowsFixed {
				p.Fail("tensor %s: a norm's weight must be F32, found %s", p.Names[w], wt.DType)
			}
		} else if ok {
			p.vector("a norm's weight", w, t.Cols/groups)
		}
	}
	out := p.activation(t.RowsKind, t.Cols)
	o := p.op(OpNorm, out, x, s.Weight, s.Bias)
	o.N[0], o.N[1], o.F[0] = int32(s.Kind), int32(groups), s.Eps
	return out
}

// MatMulSpec is the epilogue of a matrix product: v = Scale*(W x + Bias); v = Act(v) [* (Gate's partner W2 x + Bias2)];
// result v + Residual. Zero Scale means 1; absent tensors must be None: start from [NoEpilogue].
type MatMulSpec struct {
	Bias     Ref
	Residual Ref
	Up       Ref // second matrix: the product Act(W x) * (Up x)
	UpBias   Ref
	Act      Act
	ActParam [3]float32
	Scale    float32
}

// NoEpilogue is the plain product.
var NoEpilogue = MatMulSpec{Bias: None, Residual: None, Up: None, UpBias: None}

// MatMul multiplies each row of x by the matrix w [rows, cols]. Result: [rows of x, rows of w].
func (p *Plan) MatMul(x, w Ref, s MatMulSpec) Ref {
	t, ok := p.activationOf("a product's input", x)
	wt, ok2 := p.tensor(w)
	if !ok || !ok2 {
		return None
	}
	p.matrixFits(w, wt, t.Cols, 1)
	p.vector("a bias", s.Bias, wt.Rows)
	if s.Up != None {
		if ut, ok := p.tensor(s.Up); ok {
			p.matrixFits(s.Up, ut, t.Cols, 1)
			if ut.Rows != wt.Rows {
				p.Fail("tensor %s: %d rows, expected %d as %s has", p.Names[s.Up], ut.Rows, wt.Rows, p.Names[w])
			}
		}
		p.vector("a bias", s.UpBias, wt.Rows)
	}
	out := p.activation(t.RowsKind, wt.Rows)
	if s.Residual != None {
		if rt, ok := p.activationOf("a residual", s.Residual); !ok || !p.sameShape("residual of "+p.Names[w], p.Tensors[out], rt) {
			return None
		}
	}
	o := p.op(OpMatMul, out, x, w, s.Bias, s.Residual, s.Up, s.UpBias)
	o.N[0] = int32(s.Act)
	o.F = [4]float32{orOne(s.Scale), s.ActParam[0], s.ActParam[1], s.ActParam[2]}
	return out
}

func orOne(f float32) float32 {
	if f == 0 {
		return 1
	}
	return f
}

func (p *Plan) matrixFits(w Ref, t Tensor, cols, mats int64) {
	if t.RowsKind != RowsFixed || t.Cols != cols || t.Mats != mats {
		p.Fail("tensor %s: expected %d columns in %d matrices, found %d in %d", p.Names[w], cols, mats, t.Cols, t.Mats)
	}
}

// HeadsMatMul multiplies each head of x by its own matrix w[head] [rows, cols]. Heads of x lie xStep elements apart.
// Result: [tokens, heads*rows], heads outStep elements apart where outStep > 0 (a wider result to be completed by Copy).
func (p *Plan) HeadsMatMul(x, w Ref, heads int, xStep, outStep int) Ref {
	t, ok := p.activationOf("a head product's input", x)
	wt, ok2 := p.tensor(w)
	if !ok || !ok2 {
		return None
	}
	if outStep == 0 {
		outStep = int(wt.Rows)
	}
	if wt.Mats != int64(heads) || t.Cols < int64(heads-1)*int64(xStep)+wt.Cols || int64(outStep) < wt.Rows {
		p.Fail("tensor %s: %d matrices of [%d, %d] for %d heads %d apart in %d columns", p.Names[w], wt.Mats, wt.Cols, wt.Rows, heads, xStep, t.Cols)
		return None
	}
	out := p.activation(t.RowsKind, int64(heads)*int64(outStep))
	o := p.op(OpHeads, out, x, w)
	o.N[0], o.N[1], o.N[2] = int32(heads), int32(xStep), int32(outStep)
	return out
}

// Angles computes the cosine and sine of position * freqs[i], times magnitude, for each token. freqs is a vector made by
// Constant, one frequency a rotated pair. Result: [tokens, 2*pairs], used by Rope. Record it once a distinct table.
func (p *Plan) Angles(freqs Ref, magnitude float32) Ref {
	t, ok := p.tensor(freqs)
	if !ok {
		return None
	}
	out := p.activation(RowsBatch, 2*t.Cols)
	p.op(OpAngles, out, freqs).F[0] = magnitude
	return out
}

// Rope rotates, in place, the first 2*pairs elements after first of each of x's heads, which lie step elements apart.
func (p *Plan) Rope(x, angles Ref, heads, step, first int, style RopeStyle) Ref {
	t, ok := p.activationOf("rope's input", x)
	at, ok2 := p.activationOf("rope's angles", angles)
	if !ok || !ok2 {
		return None
	}
	if heads <= 0 || int64(heads-1)*int64(step)+int64(first)+at.Cols > t.Cols || first+int(at.Cols) > step && heads > 1 {
		p.Fail("op %d (layer %d): rope of %d elements from %d in %d heads %d apart, in %d columns", len(p.Ops), p.layer, at.Cols, first, heads, step, t.Cols)
		return None
	}
	o := p.op(OpRope, x, x, angles)
	o.N[0], o.N[1], o.N[2], o.N[3], o.N[4] = int32(heads), int32(step), int32(at.Cols), int32(style), int32(first)
	return x
}

// Store writes keys [tokens, heads*k_dim] and values [tokens, heads*v_dim] into a cache layer; v is None where the
// layer reads values from its keys. It must be recorded before the layer's Attention.
func (p *Plan) Store(layer int, k, v Ref) {
	kt, ok := p.activationOf("a cache write's keys", k)
	if !ok {
		return
	}
	if layer < 0 || layer >= len(p.Cache) {
		p.Fail("op %d: cache layer %d of %d", len(p.Ops), layer, len(p.Cache))
		return
	}
	c := p.Cache[layer]
	if kt.Cols != int64(c.Heads)*int64(c.KDim) {
		p.Fail("op %d (layer %d): keys of %d columns for %d heads of %d", len(p.Ops), p.layer, kt.Cols, c.Heads, c.KDim)
	}
	if c.VDim > 0 {
		if vt, ok := p.activationOf("a cache write's values", v); ok && vt.Cols != int64(c.Heads)*int64(c.VDim) {
			p.Fail("op %d (layer %d): values of %d columns for %d heads of %d", len(p.Ops), p.layer, vt.Cols, c.Heads, c.VDim)
		}
	}
	p.op(OpStore, None, k, v).N[0] = int32(layer)
}

// AttentionSpec describes attention over a cache layer. Scale multiplies scores; Softcap and ALiBi (the maximum bias)
// are off at 0; Sinks is a vector of one logit a head, or None; VFirst is where values start in keys (layers without own
// values). Bias is a matrix [heads, 2m+1] added by distance, or None. The window is the cache layer's; with Chunks it is a chunk's length, and a
// row sees none before its own chunk's first. BothWays attends to later positions too: all of a sequence is in one batch, the
// cache layer has no window, and Around, where it is above 0, limits a row to positions at most Around/2 from its own.
type AttentionSpec struct {
	Layer   int
	Heads   int
	Scale   float32
	Softcap float32
	ALiBi   float32
	Sinks   Ref
	VFirst  int
	Bias    Ref
	Chunks  bool

	BothWays bool
	Around   int
}

// Attention attends each query row [tokens, heads*k_dim] over its sequence. Result: [tokens, heads*v_dim].
func (p *Plan) Attention(q Ref, s AttentionSpec) Ref {
	t, ok := p.activationOf("attention's queries", q)
	if !ok {
		return None
	}
	if s.Layer < 0 || s.Layer >= len(p.Cache) {
		p.Fail("op %d: cache layer %d of %d", len(p.Ops), s.Layer, len(p.Cache))
		return None
	}
	c := p.Cache[s.Layer]
	if t.Cols != int64(s.Heads)*int64(c.KDim) || s.Heads%int(c.Heads) != 0 || s.VFirst+int(c.VWidth) > int(c.KDim) && c.VDim == 0 {
		p.Fail("op %d (layer %d): attention of %d heads over %d of %d, %d query columns", len(p.Ops), p.layer, s.Heads, c.Heads, c.KDim, t.Cols)
		return None
	}
	p.vector("attention sinks", s.Sinks, int64(s.Heads))
	if s.Bias != None {
		if bt, ok := p.tensor(s.Bias); !ok || bt.DType != F32 || bt.RowsKind != RowsFixed || bt.Rows != int64(s.Heads) || bt.Cols%2 != 1 || bt.Stride != 4*bt.Cols {
			p.Fail("tensor %s: expected as attention's bias F32 [%d, an odd number], found %s [%d, %d]", p.label(s.Bias), s.Heads, bt.DType, bt.Rows, bt.Cols)
			return None
		}
	}
	out := p.activation(t.RowsKind, int64(s.Heads)*int64(c.VWidth))
	o := p.op(OpAttention, out, q, s.Sinks, s.Bias)
	if s.Chunks {
		o.N[5] = 1
	}
	o.N[0], o.N[1], o.N[2], o.N[3] = int32(s.Layer), int32(s.Heads), int32(p.PageKinds[c.Kind].Window), int32(s.VFirst)
	o.F[0], o.F[1], o.F[2] = s.Scale, s.Softcap, s.ALiBi
	p.bothWays(o, s)
	return out
}

// RouteSpec describes the choice of experts: Used of them a token, after Bias (None or one a expert) is added for the
// choice alone, within the GroupsUsed best of Groups where Groups > 1.
type RouteSpec struct {
	Gating             Gating
	Used               int
	Groups, GroupsUsed int
	Normalise          bool
	Scale              float32
	Bias               Ref
}

// refine gives the layer's products so far finer activations. The choice of experts is the one place where a small error
// becomes a large one: what decides it is computed with about 15 bits, at the cost of a second product for a layer's attention
// matrices. Experts keep 8 bits.
func (p *Plan) refine() {
	for i := len(p.Ops) - 1; i >= 0 && p.Ops[i].Layer == p.layer; i-- {
		if o := &p.Ops[i]; o.Kind == OpMatMul && o.In[4] == None {
			o.N[1] = 1
		}
	}
}

// Route chooses experts from router logits [tokens, experts]. Results: ids and weights, both [tokens, used].
func (p *Plan) Route(logits Ref, s RouteSpec) (ids, weights Ref) {
	t, ok := p.activationOf("router logits", logits)
	if !ok {
		return None, None
	}
	if s.Used <= 0 || int64(s.Used) > t.Cols || t.Cols > 1024 || s.Groups > 1 && t.Cols%int64(s.Groups) != 0 || p.ExpertsUsed != 0 && p.ExpertsUsed != s.Used {
		p.Fail("op %d (layer %d): %d of %d experts used, in %d groups", len(p.Ops), p.layer, s.Used, t.Cols, s.Groups)
		return None, None
	}
	p.vector("a router's selection bias", s.Bias, t.Cols)
	p.ExpertsUsed = s.Used
	p.refine()
	ids = p.typedActivation(t.RowsKind, int64(s.Used), I32)
	weights = p.activation(t.RowsKind, int64(s.Used))
	o := p.op(OpRoute, ids, logits, s.Bias)
	o.Out2 = weights
	o.N[0], o.N[1], o.N[2], o.N[3] = int32(s.Gating), int32(s.Used), int32(s.Groups), int32(s.GroupsUsed)
	if s.Normalise {
		o.N[4] = 1
	}
	o.F[0] = orOne(s.Scale)
	return ids, weights
}

// Experts multiplies by the chosen experts' matrices: x is [tokens, cols] or [tokens*used, cols], w holds a matrix an
// expert. Biases are matrices [experts, rows]. The residual of the spec is not allowed. Result: [tokens*used, rows].
func (p *Plan) Experts(x, w, ids Ref, s MatMulSpec) Ref {
	t, ok := p.activationOf("experts' input", x)
	wt, ok2 := p.tensor(w)
	if !ok || !ok2 {
		return None
	}
	p.matrixFits(w, wt, t.Cols, wt.Mats)
	p.expertBias(s.Bias, wt)
	if s.Up != None {
		if ut, ok := p.tensor(s.Up); ok {
			p.matrixFits(s.Up, ut, t.Cols, wt.Mats)
			if ut.Rows != wt.Rows {
				p.Fail("tensor %s: %d rows, expected %d as %s has", p.Names[s.Up], ut.Rows, wt.Rows, p.Names[w])
			}
		}
		p.expertBias(s.UpBias, wt)
	}
	if s.Residual != None {
		p.Fail("op %d (layer %d): a residual on an expert product", len(p.Ops), p.layer)
	}
	out := p.activation(RowsExperts, wt.Rows)
	o := p.op(OpExperts, out, x, w, s.Bias, ids, s.Up, s.UpBias)
	o.N[0] = int32(s.Act)
	o.F = [4]float32{orOne(s.Scale), s.ActParam[0], s.ActParam[1], s.ActParam[2]}
	return out
}

func (p *Plan) expertBias(b Ref, w Tensor) {
	if b == None {
		return
	}
	if t, ok := p.tensor(b); ok && (t.DType != F32 || t.Cols != w.Rows || t.Rows != w.Mats) {
		p.Fail("tensor %s: expected F32 [%d, %d], found %s [%d, %d]", p.Names[b], w.Rows, w.Mats, t.DType, t.Cols, t.Rows)
	}
}

// ExpertSum adds up a token's expert results by their weights, and the residual where there is one. Result: [tokens, cols].
func (p *Plan) ExpertSum(y, weights, residual Ref) Ref {
	t, ok := p.activationOf("expert results", y)
	if !ok {
		return None
	}
	if t.RowsKind != RowsExperts {
		p.Fail("op %d (layer %d): expert results must have a row a token and expert", len(p.Ops), p.layer)
		return None
	}
	out := p.activation(RowsBatch, t.Cols)
	if residual != None {
		if rt, ok := p.activationOf("a residual", residual); !ok || !p.sameShape("residual of experts", p.Tensors[out], rt) {
			return None
		}
	}
	p.op(OpExpertSum, out, y, weights, residual)
	return out
}

// Element applies an elementwise operation; b is None for those of one input, or a weight that is the same for all rows. Result: the
// shape of a.
func (p *Plan) Element(e Element, act Act, a, b Ref, f0, f1 float32) Ref {
	t, ok := p.activationOf("an elementwise input", a)
	if !ok {
		return None
	}
	if b != None {
		if bt, ok := p.tensor(b); ok && bt.RowsKind == RowsFixed {
			p.vector("an elementwise input", b, t.Cols)
		} else if bt, ok := p.activationOf("an elementwise input", b); !ok || bt.Cols != 1 && !p.sameShape("elementwise input", t, bt) {
			return None
		}
	}
	out := p.activation(t.RowsKind, t.Cols)
	o := p.op(OpElement, out, a, b)
	o.N[0], o.N[1] = int32(e), int32(act)
	o.F[0], o.F[1] = f0, f1
	return out
}

// Add returns a + b.
func (p *Plan) Add(a, b Ref) Ref { return p.Element(ElAdd, ActNone, a, b, 1, 1) }

// Scale returns a * f.
func (p *Plan) Scale(a Ref, f float32) Ref { return p.Element(ElAct, ActNone, a, None, f, 0) }

// Buffer makes an activation of BATCH rows to be filled by Copy.
func (p *Plan) Buffer(cols int) Ref { return p.activation(RowsBatch, int64(cols)) }

// Copy copies heads of width elements into out (a whole activation or a view): in's heads lie inStep apart (0: the same
// one is repeated), out's outStep.
func (p *Plan) Copy(out, in Ref, heads, width, inStep, outStep int) {
	ot, ok := p.activationOf("a copy's result", out)
	it, ok2 := p.activationOf("a copy's input", in)
	if !ok || !ok2 {
		return
	}
	if heads <= 0 || width <= 0 || int64(heads-1)*int64(inStep)+int64(width) > it.Cols || int64(heads-1)*int64(outStep)+int64(width) > ot.Cols {
		p.Fail("op %d (layer %d): copy of %d heads of %d, %d apart in %d columns, to %d apart in %d", len(p.Ops), p.layer, heads, width, inStep, it.Cols, outStep, ot.Cols)
		return
	}
	o := p.op(OpCopy, out, in)
	o.N[0], o.N[1], o.N[2], o.N[3] = int32(heads), int32(width), int32(inStep), int32(outStep)
}

// Wanted keeps the rows whose logits are wanted. Result: [wanted, cols].
func (p *Plan) Wanted(x Ref) Ref {
	t, ok := p.activationOf("gather's input", x)
	if !ok {
		return None
	}
	out := p.activation(RowsWanted, t.Cols)
	p.op(OpGather, out, x)
	return out
}

// SetLogits marks the plan's result: [wanted, vocab].
func (p *Plan) SetLogits(x Ref) {
	t, ok := p.activationOf("logits", x)
	if ok && t.RowsKind != RowsWanted {
		p.Fail("logits must have WANTED rows")
	}
	p.Logits = x
}
