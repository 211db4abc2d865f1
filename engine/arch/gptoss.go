package arch

import "github.com/infer-go/infer/kernels"

// gptOSS records the gpt-oss forward pass: experts with a clamped SwiGLU, biases everywhere, a sink in each head's softmax,
// and a sliding window on every second layer, the first one included.
func gptOSS(p *plan, w *weights, c Config) {
	x := p.embed(w, 1)
	local := c.Rope
	local.base = c.numberOr("rope.freq_base_swa", c.Rope.base)
	angles, localAngles := p.angles(c.Rope, nil), p.angles(local, nil)
	windows := c.windows(c.count("attention.sliding_window"), 2)
	e := experts{
		width: c.count("expert_feed_forward_length"), act: kernels.ActSwiGLUOAI, actParam: [3]float32{7, 1.702}, // limit, slope
		gating: kernels.GateSoftmaxChosen, scale: c.numberOr("expert_weights_scale", 0), biased: true,
	}
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.style, a.biased, a.window = kernels.RopeHalves, true, windows[i]
		if a.angles = angles; a.window > 0 {
			a.angles = localAngles
		}
		a.sinks = l.vector("attn_sinks.weight", a.heads)
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		x = p.biasedOutput(l, p.attend(l, h, a), a, x)
		h = p.norm(x, l.norm("post_attention_norm", c.Dim))
		x = p.expertFFN(l, h, e, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}
