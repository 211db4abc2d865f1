package arch

import "github.com/infer-go/infer/kernels"

// mamba records the Mamba forward pass; Falcon Mamba's files have its name and a flag for norms without weights.
func mamba(p *plan, w *weights, c Config) {
	s := readSSM(c, false)
	norms := noStepNorms
	if c.boolOr("ssm.dt_b_c_rms", false) {
		norms = freeNorms
	}
	x := p.embed(w, 1)
	for i := range c.Layers {
		l := w.layer(i)
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		x = p.mamba1(l, h, s, norms, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}

// stepNorms says how a Mamba 1 layer normalises its steps and projections.
type stepNorms int

const (
	noStepNorms   stepNorms = iota
	freeNorms               // without weights
	weightedNorms           // with weights
)

// mamba1 is a Mamba 1 layer on h: projected to values and a gate; the convolved values are projected to steps, of low rank,
// and to the state's input and output projections.
func (p *plan) mamba1(l *layer, h kernels.Ref, s ssm, norms stepNorms, residual kernels.Ref) kernels.Ref {
	inner := int64(s.inner)
	all := p.linear(h, l.linear("ssm_in", p.c.Dim, 2*s.inner))
	values := p.convolve(l, p.Columns(all, 0, inner), s, s.inner, true)
	low := p.linear(values, l.linear("ssm_x", s.inner, s.rank+2*s.states))
	part := func(name string, from, count int) kernels.Ref {
		r := p.Columns(low, int64(from), int64(count))
		switch norms {
		case freeNorms:
			r = p.headNorm(r, none, 1)
		case weightedNorms:
			r = p.norm(r, l.norm("ssm_"+name+"_norm", count))
		}
		return r
	}
	y := p.Scan(values, kernels.ScanSpec{Step: p.linear(part("dt", 0, s.rank), l.biased("ssm_dt", s.rank, s.inner)),
		B: part("b", s.rank, s.states), C: part("c", s.rank+s.states, s.states), A: l.transposed("ssm_a", s.states, s.inner), D: l.vector("ssm_d", s.inner)})
	gated := p.Element(kernels.ElActMul, kernels.ActSiLU, p.Columns(all, inner, inner), y, 1, 0)
	return p.project(gated, l.linear("ssm_out", s.inner, p.c.Dim), 1, residual)
}

// mamba2 records the Mamba 2 forward pass.
func mamba2(p *plan, w *weights, c Config) {
	s := readSSM(c, true)
	x := p.embed(w, 1)
	for i := range c.Layers {
		l := w.layer(i)
		x = p.mamba2(l, p.norm(x, l.norm("attn_norm", c.Dim)), s, true, 1, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}
