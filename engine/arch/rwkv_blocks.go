package arch

import (
	"slices"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/kernels"
)

// multiply is a * b; b may be a weight.
func (p *plan) multiply(a, b kernels.Ref) kernels.Ref {
	return p.Element(kernels.ElMul, kernels.ActNone, a, b, 1, 0)
}

// squared is the square of ReLU(m h).
func (p *plan) squared(h kernels.Ref, m linear) kernels.Ref {
	s := kernels.NoEpilogue
	s.Bias, s.Scale, s.Act = m.bias, m.scale, kernels.ActReLUSquared
	return p.MatMul(h, m.weight, s)
}

// times repeats each row of h n times beside itself. Result: [tokens, n*cols].
func (p *plan) times(h kernels.Ref, n int) kernels.Ref {
	width := int(p.Cols(h))
	if n == 1 || width == 0 {
		return h
	}
	out := p.Buffer(n * width)
	p.Copy(out, h, n, width, 0, width)
	return out
}

// shifted is n mixtures of h and the same of the token before, side by side: h + share * (before - h), as a convolution of two taps.
func (p *plan) shifted(h kernels.Ref, shares []float32, n int) kernels.Ref {
	if shares == nil {
		return none
	}
	taps := slices.Clone(shares)
	for _, s := range shares {
		taps = append(taps, 1-s)
	}
	return p.Conv(p.times(h, n), p.ConstantRows("token shift", int64(len(shares)), taps), none, kernels.ActNone)
}

func repeated(v float32, n int) []float32 { return slices.Repeat([]float32{v}, n) }

// lowRank is outer(w2 inner(w1 x) + w0), tensors by the name before the digit.
func (p *plan) lowRank(l *layer, name string, rank int, x kernels.Ref, inner, outer kernels.Act) kernels.Ref {
	return p.lowRankOf(x, l.linear(name+"1", p.c.Dim, rank), l.linear(name+"2", rank, p.c.Dim), l.vector(name+"0.weight", p.c.Dim), inner, outer)
}

// lowRankPlain is w2 inner(w1 x).
func (p *plan) lowRankPlain(l *layer, name string, rank int, x kernels.Ref, inner kernels.Act) kernels.Ref {
	return p.lowRankOf(x, l.linear(name+"1", p.c.Dim, rank), l.linear(name+"2", rank, p.c.Dim), none, inner, kernels.ActNone)
}

func (p *plan) lowRankOf(x kernels.Ref, down, up linear, bias kernels.Ref, inner, outer kernels.Act) kernels.Ref {
	s := kernels.NoEpilogue
	s.Scale, s.Act = down.scale, inner
	low := p.MatMul(x, down.weight, s)
	s.Bias, s.Scale, s.Act = bias, up.scale, outer
	return p.MatMul(low, up.weight, s)
}

// headsNormed normalises each head of a state's result.
func (p *plan) headsNormed(l *layer, y kernels.Ref, r rwkv) kernels.Ref {
	if r.hybrid && !l.has("time_mix_ln.weight") {
		return y
	}
	return p.Norm(y, kernels.NormSpec{Kind: kernels.LayerNorm, Weight: l.vector("time_mix_ln.weight", p.c.Dim), Bias: l.vector("time_mix_ln.bias", p.c.Dim), Eps: 64e-5, Groups: r.heads})
}

// bonus is what a token reads of its own values: v times the head's sum of receptance * k * weight. The sum is a product with ones, which
// gives it to every element of the head.
func (p *plan) bonus(receptance, k, v, weight kernels.Ref, r rwkv) kernels.Ref {
	if p.ones == none {
		data := make([]byte, 0, 4*r.heads*r.width*r.width)
		for range r.heads * r.width * r.width {
			data = appendFloat(data, 1)
		}
		p.ones = p.ConstantStack("ones", kernels.F32, int64(r.width), int64(r.width), int64(r.heads), data)
	}
	return p.multiply(v, p.HeadsMatMul(p.multiply(p.multiply(k, receptance), weight), p.ones, r.heads, r.width, 0))
}

// shares reads how much of the token before is mixed in: n sets of dim; nil after a fault.
func (l *layer) shares(name string, dim, n int) []float32 { return l.numbers(name, dim, 1, 1, n) }

// numbers reads a tensor of floats, innermost dimension first; nil after a fault.
func (l *layer) numbers(name string, shape ...int) []float32 {
	full, long := l.prefix+name, make([]int64, len(shape))
	for i, n := range shape {
		long[i] = int64(n)
	}
	t, ok := l.get(full, long...)
	if !ok {
		return nil
	}
	if kernels.DType(t.Type).Family() != kernels.FamilyFloat && t.Type != gguf.F64 {
		l.fault(full, t.Type.String(), "F32, F16, BF16 or F64")
		return nil
	}
	values := l.decode(t)
	l.parameters += int64(len(values))
	return values
}

// row makes one vector of a tensor of floats of any shape.
func (l *layer) row(name string, shape ...int) kernels.Ref {
	values := l.numbers(name, shape...)
	if values == nil {
		return none
	}
	return l.plan.Constant(l.prefix+name, values)
}
