package arch

import (
	"fmt"
	"math"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/kernels"
)

// ssm are the sizes of a model's recurrent layers, as files call them.
type ssm struct {
	taps   int // of the convolution
	inner  int // columns of the layer
	states int // of a column (Mamba), or a key head's width (delta rule)
	rank   int // Mamba 1: columns that steps are projected from; else heads
	groups int // Mamba 2: of heads that share projections; delta rule: key heads
}

// readSSM reads the sizes; grouped ones have heads and groups, whose counts must divide each other.
func readSSM(c Config, grouped bool) ssm {
	s := ssm{taps: c.count("ssm.conv_kernel"), inner: c.count("ssm.inner_size"), states: c.count("ssm.state_size"), rank: c.count("ssm.time_step_rank"), groups: 1}
	if s.taps < 2 || s.taps > kernels.MaxConvTaps {
		c.fault("ssm.conv_kernel", fmt.Sprint(s.taps), fmt.Sprintf("2 to %d", kernels.MaxConvTaps))
		s.taps = 2
	}
	if !grouped {
		return s
	}
	if s.groups = c.count("ssm.group_count"); s.rank%s.groups != 0 {
		c.fault("ssm.group_count", fmt.Sprint(s.groups), fmt.Sprintf("a divisor of the %d heads of ssm.time_step_rank", s.rank))
		s.groups = 1
	}
	if s.inner%s.rank != 0 {
		c.fault("ssm.inner_size", fmt.Sprint(s.inner), fmt.Sprintf("a multiple of the %d heads of ssm.time_step_rank", s.rank))
		s.inner = s.rank
	}
	if s.inner%s.groups != 0 {
		c.fault("ssm.group_count", fmt.Sprint(s.groups), fmt.Sprintf("a divisor of ssm.inner_size, %d", s.inner))
		s.groups = 1
	}
	return s
}

// transposed registers a matrix [cols, rows] of floats the other way round, [rows, cols]: recurrent ops read a value of every
// column at a time.
func (l *layer) transposed(name string, rows, cols int) kernels.Ref {
	full := l.prefix + name
	shape := []int64{int64(rows), int64(cols)}
	if t, ok := l.file.Tensor(full); ok && sameShape(t.Shape, []int64{int64(rows), 1, int64(cols)}) { // as convolutions are stored
		shape = t.Shape
	}
	t, ok := l.get(full, shape...)
	if !ok {
		return none
	}
	if kernels.DType(t.Type).Family() != kernels.FamilyFloat && t.Type != gguf.F64 {
		l.fault(full, t.Type.String(), "F32, F16, BF16 or F64")
		return none
	}
	values := l.decode(t)
	if values == nil {
		return none
	}
	out := make([]float32, len(values))
	for c := range cols {
		for r := range rows {
			out[r*cols+c] = values[c*rows+r]
		}
	}
	l.parameters += int64(rows) * int64(cols)
	return l.plan.ConstantRows(full, int64(cols), out)
}

// column registers a matrix of one column as a vector.
func (l *layer) column(name string, n int) kernels.Ref {
	full := l.prefix + name
	t, ok := l.get(full, 1, int64(n))
	if !ok {
		return none
	}
	if t.Type != gguf.F32 {
		l.fault(full, t.Type.String(), "F32")
		return none
	}
	return l.register(t, int64(n), 1, 1)
}

// convolve is SiLU of x's causal convolution.
func (p *plan) convolve(l *layer, x kernels.Ref, s ssm, width int, biased bool) kernels.Ref {
	bias := none
	if biased {
		bias = l.vector("ssm_conv1d.bias", width)
	}
	return p.Conv(x, l.transposed("ssm_conv1d.weight", s.taps, width), bias, kernels.ActSiLU)
}

// mamba2 is a Mamba 2 layer on h: projected to a gate, what is convolved (values, input and output projections) and steps.
// The gated result is normalised by groups: normed says that the file must have that norm. Result: scale * out + residual.
func (p *plan) mamba2(l *layer, h kernels.Ref, s ssm, normed bool, scale float32, residual kernels.Ref) kernels.Ref {
	inner, shared := int64(s.inner), int64(s.groups*s.states)
	all := p.linear(h, l.linear("ssm_in", p.c.Dim, 2*s.inner+2*s.groups*s.states+s.rank))
	mixed := p.convolve(l, p.Columns(all, inner, inner+2*shared), s, s.inner+2*s.groups*s.states, true)
	y := p.HeadScan(p.Columns(mixed, 0, inner), kernels.ScanSpec{
		Step: p.Columns(all, 2*inner+2*shared, int64(s.rank)), B: p.Columns(mixed, inner, shared), C: p.Columns(mixed, inner+shared, shared),
		A: l.column("ssm_a", s.rank), D: l.column("ssm_d", s.rank), Bias: l.vector("ssm_dt.bias", s.rank), Heads: s.rank, Groups: s.groups,
	})
	y = p.Element(kernels.ElActMul, kernels.ActSiLU, p.Columns(all, 0, inner), y, 1, 0)
	if normed || l.has("ssm_norm.weight") {
		y = p.headNorm(y, l.floats(l.prefix+"ssm_norm.weight", s.inner/s.groups, s.groups), s.groups)
	}
	return p.project(y, l.linear("ssm_out", s.inner, p.c.Dim), scale, residual)
}

// deltaNet is a layer of the gated delta rule on h: queries and keys of s.groups heads, normalised, values of s.rank heads. Each
// head's result is normalised and gated. decay and strength have a column a value head.
func (p *plan) deltaNet(l *layer, h kernels.Ref, s ssm, decay, strength kernels.Ref, tiled bool, residual kernels.Ref) kernels.Ref {
	keys := int64(s.groups * s.states)
	mixed := p.convolve(l, p.linear(h, l.linear("attn_qkv", p.c.Dim, 2*s.groups*s.states+s.inner)), s, 2*s.groups*s.states+s.inner, false)
	unit := kernels.NormSpec{Kind: kernels.L2Norm, Weight: none, Bias: none, Eps: p.c.Eps, Groups: s.groups}
	y := p.Delta(p.Norm(p.Columns(mixed, 0, keys), unit), p.Norm(p.Columns(mixed, keys, keys), unit), p.Columns(mixed, 2*keys, int64(s.inner)), kernels.DeltaSpec{
		Decay: decay, Beta: strength, A: l.vector("ssm_a", s.rank), Bias: l.vector("ssm_dt.bias", s.rank),
		Heads: s.rank, KeyHeads: s.groups, Tiled: tiled, Scale: float32(1 / math.Sqrt(float64(s.states))),
	})
	y = p.headNorm(y, l.vector("ssm_norm.weight", s.inner/s.rank), s.rank)
	gate := p.linear(h, l.linear("attn_gate", p.c.Dim, s.inner))
	return p.project(p.Element(kernels.ElActMul, kernels.ActSiLU, gate, y, 1, 0), l.linear("ssm_out", s.inner, p.c.Dim), 1, residual)
}
