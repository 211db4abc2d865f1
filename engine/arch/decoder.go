package arch

import (
	"fmt"
	"math"

	"github.com/infer-go/infer/kernels"
)

// decoder is what models vary whose layers are norm, attention, residual; norm, gated network or experts, residual.
type decoder struct {
	style    kernels.RopeStyle
	norm     qkNorm
	factors  []float32 // that divide rope's frequencies
	unturned bool      // queries and keys are not rotated
	alibi    float32
	biased   bool        // the file must have biases of q, k and v
	scales   kernels.Ref // on each token's queries; none: 1
	experts  *experts    // in place of the network
}

// layers records them from the embeddings x on, and the logits.
func (p *plan) layers(w *weights, x kernels.Ref, d decoder) {
	c, angles := p.c, none
	if !d.unturned {
		angles = p.angles(c.Rope, d.factors)
	}
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style, a.norm, a.alibi, a.biased, a.scales = angles, d.style, d.norm, d.alibi, d.biased, d.scales
		if s := c.numberOr("attention.scale", 0); s != 0 {
			a.scale = s
		}
		x = p.output(l, p.attend(l, p.norm(x, l.norm("attn_norm", c.Dim)), a), a, 1, x)
		h := p.norm(x, l.norm("ffn_norm", c.Dim))
		if d.experts != nil {
			x = p.expertFFN(l, h, *d.experts, x)
			continue
		}
		x = p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActSiLU, 1, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}

// qwen2vl records the text half of Qwen2-VL and 2.5-VL: Qwen2. Over text all three sections of a rotation count the same positions.
func qwen2vl(p *plan, w *weights, c Config) {
	c.intsOr("rope.dimension_sections")
	p.layers(w, p.embed(w, 1), decoder{style: kernels.RopeHalves, scales: none})
}

// qwen3vl records the text half of Qwen3-VL: Qwen3, dense or with experts. What images add to the first layers is nothing over text.
func qwen3vl(p *plan, w *weights, c Config) {
	c.intsOr("rope.dimension_sections")
	c.countOr("n_deepstack_layers", 0, 0)
	d := decoder{style: kernels.RopeHalves, norm: headNorm, scales: none}
	if c.Experts > 0 {
		width := c.expertWidth(c.FF[0] / max(1, c.ExpertsUsed))
		d.experts = &experts{width: width, act: kernels.ActSiLU, normalise: true, scale: c.numberOr("expert_weights_scale", 0)}
	}
	p.layers(w, p.embed(w, 1), d)
}

// mistral3 records the Mistral 3 and Ministral 3 forward pass: Llama, with queries that grow with the position where the file says so.
func mistral3(p *plan, w *weights, c Config) {
	if r := &p.c.Rope; r.logScale != 0 {
		r.attention *= yarnMagnitude(r.factor, 1) / yarnMagnitude(r.factor, r.logScale)
	}
	d := decoder{style: kernels.RopePairs, factors: w.ropeFactors(c), scales: none}
	if t := c.numberOr("attention.temperature_scale", 0); t != 0 {
		d.scales = p.temperature(t, 0, c.Rope.original)
	}
	if c.Experts > 0 {
		d.experts = &experts{width: c.FF[0], act: kernels.ActSiLU, normalise: true, scale: c.numberOr("expert_weights_scale", 0)}
	}
	p.layers(w, p.embed(w, 1), d)
}

// temperature is a factor on the queries of each token: 1 + scale*ln(1 + floor((position + offset) / every)). Result: [tokens, 1].
func (p *plan) temperature(scale float32, offset, every int) kernels.Ref {
	const most = 1 << 24
	positions := p.c.Asked
	if positions > most {
		p.c.fault("context_length", fmt.Sprint(positions), fmt.Sprintf("at most %d where scores depend on the position: ask for fewer", most))
		return none
	}
	table := make([]float32, positions)
	for i := range table {
		table[i] = float32(math.Log(math.Floor(float64(i+offset)/float64(every))+1)*float64(scale) + 1)
	}
	return p.EmbedPosition(p.ConstantRows("query scales", 1, table))
}

// baichuan records the Baichuan forward pass: Llama; the model of 40 layers has ALiBi in place of rope.
func baichuan(p *plan, w *weights, c Config) {
	d := decoder{style: kernels.RopePairs, scales: none}
	if c.Layers == 40 {
		d.unturned, d.alibi = true, 8
	}
	p.layers(w, p.embed(w, 1), d)
}

// xverse records the XVERSE forward pass, which is Llama's.
func xverse(p *plan, w *weights, c Config) {
	p.layers(w, p.embed(w, 1), decoder{style: kernels.RopePairs, scales: none})
}

// orion records the Orion forward pass: Llama with layer norms.
func orion(p *plan, w *weights, c Config) {
	p.layers(w, p.embed(w, 1), decoder{style: kernels.RopeHalves, scales: none})
}

// refact records the Refact forward pass: Llama with ALiBi in place of rope.
func refact(p *plan, w *weights, c Config) {
	p.layers(w, p.embed(w, 1), decoder{unturned: true, alibi: 8, scales: none})
}

// pangu records the openPangu Embedded forward pass: Llama with biases in attention.
func pangu(p *plan, w *weights, c Config) {
	p.layers(w, p.embed(w, 1), decoder{style: kernels.RopeHalves, biased: true, scales: none})
}

// chatGLM records the ChatGLM 3 and GLM-4 9B forward pass: Llama with stacked projections and half of each head rotated.
func chatGLM(p *plan, w *weights, c Config) {
	p.layers(w, p.embed(w, 1), decoder{style: kernels.RopePairs, scales: none})
}

// phiMoE records the Phi-3.5-MoE forward pass: Phi-3 with layer norms, biases and experts.
func phiMoE(p *plan, w *weights, c Config) {
	e := experts{width: c.FF[0], act: kernels.ActSiLU, normalise: true, scale: c.numberOr("expert_weights_scale", 0)}
	p.layers(w, p.embed(w, 1), decoder{style: kernels.RopeHalves, factors: w.ropeFactors(c), scales: none, experts: &e})
}
