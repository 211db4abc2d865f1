package kernels

/*
#include "cpu.h"
*/
import "C"

// Limits of recurrent ops.
const (
	MaxConvTaps = C.CONV_TAPS
	maxStates   = 1 << 10 // of a channel or head: they fit a core's first cache
)

// addState declares a recurrent op's state of rows x cols float32 and returns its cache layer. All of them share slots.
func (p *Plan) addState(rows, cols int64) int {
	kind := -1
	for i, k := range p.PageKinds {
		if k.State {
			kind = i
		}
	}
	if kind < 0 {
		kind = len(p.PageKinds)
		p.PageKinds = append(p.PageKinds, PageKind{State: true})
	}
	if rows <= 0 || cols <= 0 || rows > 1<<24 || cols > 1<<24 {
		p.Fail("cache layer %d: a state of %d x %d", len(p.Cache), rows, cols)
		rows, cols = 1, 1
	}
	p.PageKinds[kind].Layers++
	p.Cache = append(p.Cache, CacheLayer{DType: F32, Kind: uint32(kind), Heads: int32(rows), KDim: int32(cols)})
	return len(p.Cache) - 1
}

// recurrent appends an op over a sequence's rows with a state of its own. Result: [tokens, cols].
func (p *Plan) recurrent(kind OpKind, cols, stateRows, stateCols int64, in ...Ref) (*Op, Ref) {
	for _, r := range in {
		if r != None && p.Tensors[r].RowsKind != RowsFixed && p.Tensors[r].RowsKind != RowsBatch {
			p.Fail("op %d (layer %d): %s needs a row a token", len(p.Ops), p.layer, kind)
		}
	}
	out := p.activation(RowsBatch, cols)
	o := p.op(kind, out, in...)
	o.N[0] = int32(p.addState(stateRows, stateCols))
	return o, out
}

// Conv convolves each column of x with its past: result t is act(bias + sum of weight[k] * x[t-taps+1+k]). The weight is
// [taps, cols]: a row a tap, the oldest first. The bias may be None. Result: the shape of x.
func (p *Plan) Conv(x, weight, bias Ref, act Act) Ref {
	t, ok := p.activationOf("a convolution's input", x)
	w, ok2 := p.tensor(weight)
	if !ok || !ok2 {
		return None
	}
	if w.DType != F32 || w.RowsKind != RowsFixed || w.Cols != t.Cols || w.Rows < 2 || w.Rows > MaxConvTaps {
		p.Fail("tensor %s: expected F32 [%d, 2 to %d] for a convolution, found %s [%d, %d]", p.Names[weight], t.Cols, MaxConvTaps, w.DType, w.Cols, w.Rows)
		return None
	}
	p.vector("a convolution's bias", bias, t.Cols)
	o, out := p.recurrent(OpConv, t.Cols, w.Rows-1, t.Cols, x, weight, bias)
	o.N[1], o.N[2] = int32(act), int32(w.Rows)
	return out
}

// ScanSpec names the inputs of a selective scan, by kernels.h: the step sizes before softplus, the input and output
// projections of the state, and the weights: A, the factor D on the input, for HeadScan the steps' bias.
type ScanSpec struct {
	Step, B, C Ref
	A, D       Ref
	Bias       Ref
	Heads      int // of HeadScan
	Groups     int // of HeadScan: heads that follow each other share B and C
}

// Scan is Mamba 1's selective scan: a state of A's rows for each column of x. A is [states, cols]. Result: the shape of x.
func (p *Plan) Scan(x Ref, s ScanSpec) Ref {
	t, ok := p.activationOf("a scan's input", x)
	step, ok2 := p.activationOf("a scan's steps", s.Step)
	b, ok3 := p.activationOf("a scan's input projection", s.B)
	c, ok4 := p.activationOf("a scan's output projection", s.C)
	a, ok5 := p.tensor(s.A)
	if !ok || !ok2 || !ok3 || !ok4 || !ok5 {
		return None
	}
	p.vector("a scan's D", s.D, t.Cols)
	if step.Cols != t.Cols || a.DType != F32 || a.RowsKind != RowsFixed || a.Cols != t.Cols || b.Cols != a.Rows || c.Cols != a.Rows || a.Rows > maxStates || s.D == None {
		p.Fail("op %d (layer %d): scan of %d columns with %d steps, A [%d, %d], B %d, C %d", len(p.Ops), p.layer, t.Cols, step.Cols, a.Cols, a.Rows, b.Cols, c.Cols)
		return None
	}
	o, out := p.recurrent(OpScan, t.Cols, a.Rows, t.Cols, x, s.Step, s.B, s.C, s.A, s.D)
	o.N[1] = int32(a.Rows)
	return out
}

// HeadScan is Mamba 2's selective scan: x is [tokens, heads*width], steps are one a head, B and C [tokens, groups*states], A,
// D and Bias vectors of one a head. Result: the shape of x.
func (p *Plan) HeadScan(x Ref, s ScanSpec) Ref {
	t, ok := p.activationOf("a scan's input", x)
	step, ok2 := p.activationOf("a scan's steps", s.Step)
	b, ok3 := p.activationOf("a scan's input projection", s.B)
	c, ok4 := p.activationOf("a scan's output projection", s.C)
	if !ok || !ok2 || !ok3 || !ok4 || !p.perHead(s.Heads, s.A, s.D, s.Bias) {
		return None
	}
	heads, groups := int64(s.Heads), int64(max(s.Groups, 1))
	if heads <= 0 || t.Cols%heads != 0 || heads%groups != 0 || step.Cols != heads || b.Cols != c.Cols || b.Cols%groups != 0 || b.Cols/groups > maxStates {
		p.Fail("op %d (layer %d): scan of %d columns in %d heads with %d steps, B %d and C %d in %d groups", len(p.Ops), p.layer, t.Cols, heads, step.Cols, b.Cols, c.Cols, groups)
		return None
	}
	states := b.Cols / groups
	o, out := p.recurrent(OpHeadScan, t.Cols, heads, wholeVectors(t.Cols/heads)*states, x, s.Step, s.B, s.C, s.A, s.D, s.Bias)
	o.N[1], o.N[2], o.N[3] = int32(heads), int32(groups), int32(states)
	return out
}

// wholeVectors rounds a width up to 16 lanes.
func wholeVectors(n int64) int64 { return (n + 15) / 16 * 16 }

// perHead checks vectors of one value a head, which must be there.
func (p *Plan) perHead(heads int, all ...Ref) bool {
	for _, r := range all {
		if _, ok := p.tensor(r); !ok {
			return false
		}
		p.vector("a value a head", r, int64(heads))
	}
	return true
}

// DeltaSpec describes a gated delta rule: per value head the decay before softplus, its bias and its factor A, and the writing
// strength before its sigmoid. Value heads share key heads: neighbours one, or where Tiled the n-th has key head n % KeyHeads.
type DeltaSpec struct {
	Decay, Beta     Ref // [tokens, heads]
	A, Bias         Ref // [heads]
	Heads, KeyHeads int
	Tiled           bool
	Scale           float32 // on the result
}

// Delta is the gated delta rule over q and k [tokens, key heads*key width] and v [tokens, heads*width]. Result: the shape of v.
func (p *Plan) Delta(q, k, v Ref, s DeltaSpec) Ref {
	qt, ok := p.activationOf("a delta rule's queries", q)
	kt, ok2 := p.activationOf("a delta rule's keys", k)
	vt, ok3 := p.activationOf("a delta rule's values", v)
	decay, ok4 := p.activationOf("a delta rule's decays", s.Decay)
	beta, ok5 := p.activationOf("a delta rule's strengths", s.Beta)
	if !ok || !ok2 || !ok3 || !ok4 || !ok5 || !p.perHead(s.Heads, s.A, s.Bias) {
		return None
	}
	heads, keyHeads := int64(s.Heads), int64(s.KeyHeads)
	if heads <= 0 || keyHeads <= 0 || heads%keyHeads != 0 || qt.Cols != kt.Cols || kt.Cols%keyHeads != 0 || vt.Cols%heads != 0 ||
		decay.Cols != heads || beta.Cols != heads || kt.Cols/keyHeads > maxStates {
		p.Fail("op %d (layer %d): delta rule of %d value heads in %d columns, %d key heads in %d and %d, %d decays, %d strengths",
			len(p.Ops), p.layer, heads, vt.Cols, keyHeads, qt.Cols, kt.Cols, decay.Cols, beta.Cols)
		return None
	}
	o, out := p.recurrent(OpDelta, vt.Cols, heads, wholeVectors(vt.Cols/heads)*(kt.Cols/keyHeads), q, k, v, s.Decay, s.Beta, s.A, s.Bias)
	o.N[1], o.N[2] = int32(heads), int32(keyHeads)
	if s.Tiled {
		o.N[3] = 1
	}
	o.F[0] = orOne(s.Scale)
	return out
}

// WKVSpec describes a state whose rows, one an element of a key, decay each at a rate of its own: by e^Decay. A and B [tokens, heads*key
// width] make the correction of rank one that kernels.h gives, or are both None. Before reads a row's result before the row changes the state.
type WKVSpec struct {
	Decay, A, B Ref
	Heads       int
	Before      bool
}

// WKV reads with r what k and v [tokens, heads*width] have written. r and k have the keys' width. Result: the shape of v.
func (p *Plan) WKV(r, k, v Ref, s WKVSpec) Ref {
	kt, ok := p.activationOf("a wkv's keys", k)
	vt, ok2 := p.activationOf("a wkv's values", v)
	if !ok || !ok2 {
		return None
	}
	all := []Ref{r, s.Decay}
	if s.A != None || s.B != None {
		all = append(all, s.A, s.B)
	}
	for _, x := range all {
		if t, ok := p.activationOf("a wkv's input", x); !ok || !p.sameShape("a wkv's input", kt, t) {
			return None
		}
	}
	heads := int64(s.Heads)
	if heads <= 0 || kt.Cols%heads != 0 || vt.Cols%heads != 0 || kt.Cols/heads > maxStates {
		p.Fail("op %d (layer %d): wkv of %d heads over keys of %d columns and values of %d", len(p.Ops), p.layer, heads, kt.Cols, vt.Cols)
		return None
	}
	o, out := p.recurrent(OpWKV, vt.Cols, heads, wholeVectors(vt.Cols/heads)*(kt.Cols/heads), r, s.Decay, k, v, s.A, s.B)
	o.N[1] = int32(heads)
	if s.Before {
		o.N[2] = 1
	}
	return out
}
