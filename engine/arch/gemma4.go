package arch

import (
	"fmt"
	"math"

	"github.com/infer-go/infer/kernels"
)

// gemma4 is what a Gemma 4 has beside Gemma 3: layers with and without a window have heads of different widths; the last ones read
// keys and values that earlier ones wrote; tokens have embeddings for each layer, and some models experts beside each network.
type gemma4 struct {
	windows   []int
	narrow    Config      // of layers with a window
	angles    kernels.Ref // of layers without a window
	local     kernels.Ref
	fromStart int   // layers that write keys and values
	cache     []int // of each layer that does
	perLayer  kernels.Ref
	width     int // of a layer's own embedding; 0: none
	experts   experts
}

// gemma4Text records the text half of Gemma 4. Norm weights are stored as they are; scores are not scaled.
func gemma4Text(p *plan, w *weights, c Config) {
	g := readGemma4(c)
	x := p.embed(w, float32(math.Sqrt(float64(c.Dim))))
	g.local = p.anglesOf(c.Rope.unscaled(c.numberOr("rope.freq_base_swa", c.Rope.base)), g.narrow.Rotated, nil)
	g.angles = p.anglesOf(c.Rope, c.Rotated, w.ropeFactors(c))
	g.perLayer = p.layerEmbeddings(w, x, g.width)
	for i := range c.Layers {
		l := w.layer(i)
		x = p.Add(x, p.norm(g.attend(p, l, i, p.norm(x, l.norm("attn_norm", c.Dim))), l.norm("post_attention_norm", c.Dim)))
		h := p.gatedFFN(l, p.norm(x, l.norm("ffn_norm", c.Dim)), ffnDense, c.FF[i], kernels.ActGELU, 1, none)
		if c.Experts > 0 && l.has("ffn_gate_inp.weight") {
			h = p.Add(p.norm(h, l.norm("post_ffw_norm_1", c.Dim)), g.mixture(p, l, x))
		}
		x = p.Add(x, p.norm(h, l.norm("post_ffw_norm", c.Dim)))
		if g.width > 0 {
			gate := p.linear(x, l.linear("inp_gate", c.Dim, g.width))
			own := p.Element(kernels.ElActMul, kernels.ActGELU, gate, p.Columns(g.perLayer, int64(i*g.width), int64(g.width)), 1, 0)
			x = p.Add(x, p.norm(p.linear(own, l.linear("proj", g.width, c.Dim)), l.norm("post_norm", c.Dim)))
		}
		if l.has("layer_output_scale.weight") {
			x = p.Scale(x, l.scalar(l.prefix+"layer_output_scale.weight"))
		}
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, c.numberOr("final_logit_softcapping", 0))
}

func readGemma4(c Config) gemma4 {
	g := gemma4{narrow: c, windows: c.windows(c.count("attention.sliding_window"), 6), width: c.countOr("embedding_length_per_layer_input", 0, 0)}
	g.narrow.KeyDim = c.count("attention.key_length_swa")
	g.narrow.ValueDim = c.count("attention.value_length_swa")
	for _, key := range []string{"attention.key_length_swa", "attention.value_length_swa"} {
		if n := c.countOr(key, 1, 1); n > maxHeadWidth {
			c.fault(key, fmt.Sprint(n), fmt.Sprintf("at most %d", maxHeadWidth))
			g.narrow.KeyDim, g.narrow.ValueDim = 2, 2
		}
	}
	g.narrow.Rotated = c.rotatedWithin("rope.dimension_count_swa", g.narrow.KeyDim, g.narrow.KeyDim)
	shared := c.countOr("attention.shared_kv_layers", 0, 0)
	if g.fromStart = c.Layers - shared; g.fromStart < 2 && shared > 0 {
		c.fault("attention.shared_kv_layers", fmt.Sprint(shared), fmt.Sprintf("at most %d, two less than the layers", c.Layers-2))
		g.fromStart = c.Layers
	}
	if c.Experts > 0 {
		g.experts = experts{width: c.expertWidth(c.FF[0]), act: kernels.ActGELU, normalise: true}
	}
	return g
}

// attend is a layer's attention on h, projected back.
func (g *gemma4) attend(p *plan, l *layer, i int, h kernels.Ref) kernels.Ref {
	c, angles := p.c, g.angles
	if g.windows[i] > 0 {
		c, angles = g.narrow, g.local
	}
	a := c.attention(i)
	a.angles, a.style, a.window = angles, kernels.RopeHalves, g.windows[i]
	if a.keyDim != a.valueDim {
		c.fault("attention.value_length", fmt.Sprint(a.valueDim), fmt.Sprintf("%d, the width of a key", a.keyDim))
		return none
	}
	cache := 0
	for _, name := range []string{"attn_k.weight", "attn_v.weight", "attn_k_norm.weight"} { // of layers that read others', files may have them
		l.touch(l.prefix + name)
	}
	if i < g.fromStart {
		cache = g.store(p, l, h, a)
	} else if g.windows[i] > 0 { // the last layer of its kind that writes
		cache = g.cache[g.fromStart-2]
	} else {
		cache = g.cache[g.fromStart-1]
	}
	q := p.linear(h, l.linear("attn_q", p.c.Dim, a.heads*a.keyDim))
	q = p.turned(p.headNorm(q, l.vector("attn_q_norm.weight", a.keyDim), a.heads), a, a.heads)
	mixed := p.Attention(q, kernels.AttentionSpec{Layer: cache, Heads: a.heads, Scale: 1, Sinks: none, Bias: none})
	return p.output(l, mixed, a, 1, none)
}

// store writes a layer's keys and values; without a matrix of their own values are the keys before their norm. It returns the cache layer.
func (g *gemma4) store(p *plan, l *layer, h kernels.Ref, a attention) int {
	k := p.linear(h, l.linear("attn_k", p.c.Dim, a.kvHeads*a.keyDim))
	v := k
	if l.has("attn_v.weight") {
		v = p.linear(h, l.linear("attn_v", p.c.Dim, a.kvHeads*a.valueDim))
	}
	v = p.headNorm(v, none, a.kvHeads)
	k = p.turned(p.headNorm(k, l.vector("attn_k_norm.weight", a.keyDim), a.kvHeads), a, a.kvHeads)
	cache := p.AddCacheLayer(a.kvHeads, a.keyDim, a.valueDim, a.valueDim, a.window)
	g.cache = append(g.cache, cache)
	p.Store(cache, k, v)
	return cache
}

// turned rotates heads, unless the model rotates nothing.
func (p *plan) turned(x kernels.Ref, a attention, heads int) kernels.Ref {
	if a.angles == none {
		return x
	}
	return p.Rope(x, a.angles, heads, a.keyDim, 0, a.style)
}

// mixture is the experts' half of a layer: their router reads the row before the network, normalised and scaled on its own.
func (g *gemma4) mixture(p *plan, l *layer, x kernels.Ref) kernels.Ref {
	s := kernels.NoEpilogue
	s.Scale = float32(1 / math.Sqrt(float64(p.c.Dim)))
	forRouter := p.norm(x, norm{l.vector("ffn_gate_inp.scale", p.c.Dim), none})
	router := p.MatMul(forRouter, l.matrix(l.prefix+"ffn_gate_inp.weight", p.c.Dim, p.c.Experts), s)
	y := p.routed(l, p.norm(x, l.norm("pre_ffw_norm_2", p.c.Dim)), router, g.experts, none)
	return p.norm(y, l.norm("post_ffw_norm_2", p.c.Dim))
}

// layerEmbeddings are each token's embeddings for all layers side by side: looked up, and projected from the row that enters the first
// layer. Result: [tokens, layers*width].
func (p *plan) layerEmbeddings(w *weights, x kernels.Ref, width int) kernels.Ref {
	if width == 0 {
		return none
	}
	all := p.c.Layers * width
	looked := p.Embed(w.matrix("per_layer_token_embd.weight", all, p.c.Vocab), float32(math.Sqrt(float64(width))))
	projected := p.project(x, w.linear("per_layer_model_proj", p.c.Dim, all), float32(1/math.Sqrt(float64(p.c.Dim))), none)
	projected = p.headNorm(projected, w.vector("per_layer_proj_norm.weight", width), p.c.Layers)
	return p.Element(kernels.ElAdd, kernels.ActNone, projected, looked, float32(math.Sqrt2/2), float32(math.Sqrt2/2))
}
