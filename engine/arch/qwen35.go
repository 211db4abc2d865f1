package arch

import "github.com/infer-go/infer/kernels"

// qwen35 records the Qwen 3.5 forward pass, dense or with experts: of each four layers three are gated delta rules, and one is
// attention whose result a sigmoid gates.
func qwen35(p *plan, w *weights, c Config) {
	c.has("rope.dimension_sections") // tell text from images; of text all parts of a position are equal
	p.deltaHybrid(w, c, true, func(l *layer, h kernels.Ref, s ssm) (decay, strength kernels.Ref) {
		return p.linear(h, l.linear("ssm_alpha", c.Dim, s.rank)), p.linear(h, l.linear("ssm_beta", c.Dim, s.rank))
	})
}

// qwen3next records the Qwen 3 Next forward pass. One tensor makes strengths and decays: those of a key head's value heads together.
func qwen3next(p *plan, w *weights, c Config) {
	p.deltaHybrid(w, c, false, func(l *layer, h kernels.Ref, s ssm) (decay, strength kernels.Ref) {
		both := p.linear(h, l.linear("ssm_ba", c.Dim, 2*s.rank))
		each := s.rank / s.groups
		decay, strength = p.Buffer(s.rank), p.Buffer(s.rank)
		p.Copy(strength, both, s.groups, each, 2*each, each)
		p.Copy(decay, p.Columns(both, int64(each), int64(2*s.rank-each)), s.groups, each, 2*each, each)
		return decay, strength
	})
}

// deltaHybrid records layers of the gated delta rule with attention every few layers; tiled says how value heads share key heads. Further
// tokens are predicted by a layer with attention.
func (p *plan) deltaHybrid(w *weights, c Config, tiled bool, gates func(*layer, kernels.Ref, ssm) (decay, strength kernels.Ref)) {
	s := readSSM(c, true)
	interval := c.countOr("full_attention_interval", 1, 4)
	attend := func(l *layer, i int, h, x, angles kernels.Ref) kernels.Ref {
		a := c.attention(i)
		a.angles, a.style, a.norm, a.gated = angles, kernels.RopeHalves, headNorm, true
		return p.output(l, p.attend(l, h, a), a, 1, x)
	}
	network := func(l *layer, i int, x kernels.Ref) kernels.Ref {
		h := p.norm(x, l.norm("post_attention_norm", c.Dim))
		if c.Experts == 0 {
			return p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActSiLU, 1, x)
		}
		return p.qwenExperts(l, h, i, true, x)
	}
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, nil)
	for i := range c.Layers {
		l := w.layer(i)
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		if (i+1)%interval == 0 {
			x = attend(l, i, h, x, angles)
		} else {
			decay, strength := gates(l, h, s)
			x = p.deltaNet(l, h, s, decay, strength, tiled, x)
		}
		x = network(l, i, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
	p.predictFurther(w, func(l *layer, i int, x, angles kernels.Ref) kernels.Ref {
		return network(l, i, attend(l, i, p.norm(x, l.norm("attn_norm", c.Dim)), x, angles))
	})
}
