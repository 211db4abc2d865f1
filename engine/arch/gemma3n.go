package arch

import (
	"fmt"
	"math"

	"github.com/infer-go/infer/kernels"
)

// gemma3n is what a Gemma 3n has beside Gemma 4's shared keys and values and embeddings a layer: several rows a token, of which a layer computes
// one and predicts the others (AltUp, https://arxiv.org/abs/2301.13310), a branch of low rank beside attention (LAuReL), and networks most of
// whose gates are closed.
type gemma3n struct {
	gemma4
	rows, active int
	sparsity     []float64 // of each layer: how many standard deviations above its mean a gate opens; NaN: all do
}

// gemma3nText records the text half of Gemma 3n.
func gemma3nText(p *plan, w *weights, c Config) {
	g := readGemma3n(c)
	if len(c.faults) > 0 {
		return
	}
	x := p.embed(w, float32(math.Sqrt(float64(c.Dim))))
	g.local = p.angles(c.Rope.unscaled(c.numberOr("rope.freq_base_swa", 10000)), nil)
	g.angles = p.angles(c.Rope, nil)
	g.perLayer = p.layerEmbeddings(w, x, g.width)
	rows := append([]kernels.Ref{x}, g.projected(p, w, "altup_proj", p.times(x, g.rows-1), x)...)
	for i := range c.Layers {
		rows = g.layer(p, w.layer(i), i, rows)
	}
	w.end()
	others := p.Buffer((g.rows - 1) * c.Dim)
	for i, r := range rows[1:] {
		p.Copy(p.Columns(others, int64(i*c.Dim), int64(c.Dim)), r, 1, c.Dim, 0, 0)
	}
	x = rows[0]
	for _, r := range g.projected(p, w, "altup_unembd_proj", others, rows[g.active]) {
		x = p.Add(x, r)
	}
	p.logits(w, p.Scale(x, 1/float32(g.rows)), w.norm("output_norm", c.Dim), 1, c.numberOr("final_logit_softcapping", 30))
}

func readGemma3n(c Config) gemma3n {
	g := gemma3n{rows: c.countOr("altup.num_inputs", 2, 4), active: c.countOr("altup.active_idx", 0, 0)}
	if g.rows > 16 || g.active >= g.rows {
		c.fault("altup.num_inputs", fmt.Sprint(g.rows), fmt.Sprintf("more than altup.active_idx, %d, and at most 16", g.active))
		g.rows, g.active = 2, 0
	}
	g.windows, g.narrow = c.windows(c.count("attention.sliding_window"), 5), c
	g.width = c.countOr("embedding_length_per_layer_input", 1, 256)
	shared := c.countOr("attention.shared_kv_layers", 0, max(0, c.Layers-20))
	if g.fromStart = c.Layers - shared; g.fromStart < 2 && shared > 0 {
		c.fault("attention.shared_kv_layers", fmt.Sprint(shared), fmt.Sprintf("at most %d, two less than the layers", c.Layers-2))
	}
	const of95Percent = 1.6448533535003662
	all, present, err := c.meta.Floats(c.name("activation_sparsity_scale"))
	c.keep(err)
	for i := range c.Layers {
		s := math.NaN()
		if !present && i < 10 {
			s = of95Percent
		} else if i < len(all) && all[i]-all[i] == 0 { // infinity: no layer of these
			s = all[i]
		}
		g.sparsity = append(g.sparsity, s)
	}
	return g
}

// projected multiplies the rows other than the first, side by side in x, by a matrix each and gives them the length of like.
func (g *gemma3n) projected(p *plan, w *weights, name string, x, like kernels.Ref) []kernels.Ref {
	n, dim := g.rows-1, p.c.Dim
	y := p.HeadsMatMul(x, w.matrices(name+".weight", dim, dim, n), n, dim, 0)
	out := make([]kernels.Ref, n)
	for i := range out {
		out[i] = none
	}
	if y == none || like == none {
		return out
	}
	unit := p.Norm(y, kernels.NormSpec{Kind: kernels.L2Norm, Weight: none, Bias: none, Groups: n})
	length := p.rowSum(p.multiply(like, p.Norm(like, kernels.NormSpec{Kind: kernels.L2Norm, Weight: none, Bias: none, Eps: 1e-30})), 1)
	for i := range out {
		out[i] = p.multiply(p.Columns(unit, int64(i*dim), int64(dim)), length)
	}
	return out
}

// layer computes the active row from what the layer predicts of it, corrects all rows by what came out otherwise, and adds the token's
// own embedding to the inactive ones.
func (g *gemma3n) layer(p *plan, l *layer, i int, rows []kernels.Ref) []kernels.Ref {
	c := p.c
	predicted := g.predict(p, l, rows)
	x := predicted[g.active]
	h := p.norm(x, l.norm("attn_norm", c.Dim))
	rank := max(1, int(l.rows("laurel_l.weight")))
	low := p.linear(p.linear(h, l.linear("laurel_l", c.Dim, rank)), l.linear("laurel_r", rank, c.Dim))
	beside := p.Add(p.norm(low, l.norm("laurel_post_norm", c.Dim)), h)
	x = p.Add(x, p.norm(g.attend(p, l, i, h), l.norm("post_attention_norm", c.Dim)))
	x = p.Element(kernels.ElAdd, kernels.ActNone, x, beside, float32(math.Sqrt2/2), float32(math.Sqrt2/2))
	h = g.network(p, l, i, p.norm(x, l.norm("ffn_norm", c.Dim)))
	x = p.Add(x, p.norm(h, l.norm("post_ffw_norm", c.Dim)))
	corrected := g.correct(p, l, predicted, x)
	own := p.multiply(corrected[g.active], l.vector("altup_correct_scale.weight", c.Dim))
	own = p.linear(own, l.linear("inp_gate", c.Dim, g.width))
	own = p.Element(kernels.ElActMul, kernels.ActGELU, own, p.Columns(g.perLayer, int64(i*g.width), int64(g.width)), 1, 0)
	own = p.norm(p.linear(own, l.linear("proj", g.width, c.Dim)), l.norm("post_norm", c.Dim))
	for j := 1; j < g.rows; j++ {
		corrected[j] = p.Add(corrected[j], own)
	}
	return corrected
}

// shares are what a row says of how rows are mixed: n numbers.
func (g *gemma3n) shares(p *plan, l *layer, x kernels.Ref, name string, n int) kernels.Ref {
	s := kernels.NoEpilogue
	s.Scale, s.Act = 1/float32(p.c.Dim), kernels.ActTanh
	seen := p.MatMul(p.norm(x, l.norm("altup_router_norm", p.c.Dim)), l.matrix(l.prefix+"altup_router.weight", p.c.Dim, g.rows), s)
	return p.linear(seen, l.linear(name, g.rows, n))
}

func (g *gemma3n) predict(p *plan, l *layer, rows []kernels.Ref) []kernels.Ref {
	shares := g.shares(p, l, rows[g.active], "altup_predict_coef", g.rows*g.rows)
	out := make([]kernels.Ref, g.rows)
	for i := range out {
		out[i] = rows[i]
		for j, r := range rows {
			out[i] = p.Add(out[i], p.multiply(r, p.Columns(shares, int64(i*g.rows+j), 1)))
		}
	}
	return out
}

func (g *gemma3n) correct(p *plan, l *layer, predicted []kernels.Ref, x kernels.Ref) []kernels.Ref {
	shares := g.shares(p, l, x, "altup_correct_coef", g.rows)
	news := p.Element(kernels.ElAdd, kernels.ActNone, x, predicted[g.active], 1, -1)
	out := make([]kernels.Ref, g.rows)
	for i := range out {
		out[i] = p.Add(p.Add(predicted[i], news), p.multiply(news, p.Columns(shares, int64(i), 1)))
	}
	return out
}
