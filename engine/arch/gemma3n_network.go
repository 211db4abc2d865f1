package arch

import (
	"math"

	"github.com/infer-go/infer/kernels"
)

// network is the gated network; where it is sparse, gates below so many standard deviations above their mean are closed. With z the gates'
// layer norm and s their deviation, relu(gate - mean - k s) is s relu(z - k), and s the mean of gate * z.
func (g *gemma3n) network(p *plan, l *layer, i int, h kernels.Ref) kernels.Ref {
	c, n := p.c, p.c.FF[i]
	if g.sparsity[i] != g.sparsity[i] {
		return p.gatedFFN(l, h, ffnDense, n, kernels.ActGELU, 1, none)
	}
	gate, up := p.linear(h, l.linear("ffn_gate", c.Dim, n)), p.linear(h, l.linear("ffn_up", c.Dim, n))
	z := p.Norm(gate, kernels.NormSpec{Kind: kernels.LayerNorm, Weight: none, Bias: none, Eps: 1e-30})
	cut := float32(g.sparsity[i] * math.Sqrt(float64(n)/float64(max(1, n-1)))) // the deviation that models were trained with divides by n - 1
	open := p.Element(kernels.ElAct, kernels.ActReLU, p.Element(kernels.ElAdd, kernels.ActNone, z, p.Constant("cut", repeated(cut, n)), 1, -1), none, 1, 0)
	deviation := p.rowSum(p.multiply(gate, z), 1/float32(n))
	gated := p.Element(kernels.ElActMul, kernels.ActGELU, p.multiply(open, deviation), up, 1, 0)
	return p.linear(gated, l.linear("ffn_down", n, c.Dim))
}

// rowSum is factor * the sum of each row. Result: [tokens, 1].
func (p *plan) rowSum(x kernels.Ref, factor float32) kernels.Ref {
	return p.MatMul(x, p.ConstantRows("sum", p.Cols(x), repeated(factor, int(p.Cols(x)))), kernels.NoEpilogue)
}
