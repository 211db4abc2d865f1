package arch

import (
	"fmt"
	"strings"

	"github.com/infer-go/infer/kernels"
)

// predictFurther records the predictor of further tokens (multi-token prediction, https://arxiv.org/abs/2412.19437 section 2.2) in the file's
// first layer behind the model's: the embedding of a token and the hidden state of the one before it, each normalised, are projected
// to one row, which passes through a layer of the model's kind, a norm, and the model's output matrix. It comes after logits. block gets
// that layer's weights, its number, the row, and the angles of its rotation.
func (p *plan) predictFurther(w *weights, block func(l *layer, i int, x, angles kernels.Ref) kernels.Ref) {
	c := p.c
	if !p.further || c.Next == 0 || p.Hidden == none || !w.has(fmt.Sprintf("blk.%d.nextn.eh_proj.weight", c.Layers)) {
		return
	}
	l := w.layer(c.Layers)
	states := p.norm(p.Previous(), l.norm("nextn.hnorm", c.Dim))
	p.tables = nil // of a part that runs alone, too
	angles := p.angles(c.Rope, nil)
	table := "token_embd.weight"
	if l.has("nextn.embed_tokens.weight") {
		table = l.prefix + "nextn.embed_tokens.weight"
	}
	tokens := p.norm(p.Embed(w.matrix(table, c.Dim, c.Vocab), 1), l.norm("nextn.enorm", c.Dim))
	both, dim := p.Buffer(2*c.Dim), int64(c.Dim)
	p.Copy(p.Columns(both, 0, dim), tokens, 1, c.Dim, 0, 0)
	p.Copy(p.Columns(both, dim, dim), states, 1, c.Dim, 0, 0)
	x := block(l, c.Layers, p.linear(both, l.linear("nextn.eh_proj", 2*c.Dim, c.Dim)), angles)
	w.end()
	last, m := "output_norm", linear{}
	if l.has("nextn.shared_head_norm.weight") {
		last = l.prefix + "nextn.shared_head_norm"
	}
	if l.has("nextn.shared_head_head.weight") {
		m = l.linear("nextn.shared_head_head", c.Dim, c.Vocab)
	} else {
		m = p.outputMatrix(w)
	}
	s := kernels.NoEpilogue
	s.Bias, s.Scale = m.bias, m.scale
	x = p.norm(x, w.norm(last, c.Dim))
	p.SetPredictor(p.MatMul(p.Wanted(x), m.weight, s), x)
}

// touchFurther marks the tensors of the layers behind the model's as known, used or not.
func (w *weights) touchFurther(c Config) {
	for i := range w.file.Tensors {
		name := w.file.Tensors[i].Name
		var n int
		if rest, ok := strings.CutPrefix(name, "blk."); ok {
			if _, err := fmt.Sscanf(rest, "%d.", &n); err == nil && n >= c.Layers && n < c.Layers+c.Next {
				w.touch(name)
			}
		}
	}
}
