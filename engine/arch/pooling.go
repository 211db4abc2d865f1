package arch

import (
	"fmt"
	"slices"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/kernels"
)

// Pooling is how the states of a text's tokens become one vector.
type Pooling string

// The kinds of pooling. A model without one predicts tokens.
const (
	NoPooling Pooling = ""
	Mean      Pooling = "mean" // of all tokens
	CLS       Pooling = "cls"  // the first token's
	Last      Pooling = "last" // the last token's
	Rank      Pooling = "rank" // a classifier on the first token's state, of causal models the last one's
)

// GenerateAnyway, as [Options.Pooling], opens a causal model for predicting tokens although its file names a pooling.
const GenerateAnyway Pooling = "none"

// poolings are the kinds by the file's number.
var poolings = []Pooling{NoPooling, Mean, CLS, Last, Rank}

// readPooling returns the pooling asked for, or else the file's.
func readPooling(k *keys, asked Pooling) Pooling {
	n := k.countOr("pooling_type", 0, 0)
	if n >= len(poolings) {
		k.fault("pooling_type", fmt.Sprint(n), "0 (none), 1 (mean), 2 (cls), 3 (last) or 4 (rank)")
		return NoPooling
	}
	switch {
	case asked == NoPooling:
		return poolings[n]
	case asked == GenerateAnyway:
		return NoPooling
	case asked == Rank && poolings[n] != Rank:
		k.fault("pooling_type", fmt.Sprint(n), "4: only a model that was trained for it ranks")
	case !slices.Contains(poolings, asked):
		k.fault("pooling_type", fmt.Sprintf("%q asked for", asked), "mean, cls, last, rank or none")
	}
	return asked
}

// encoded ends the plan of an encoder, which has nothing but its states.
func (p *plan) encoded(w *weights, h kernels.Ref) {
	w.end()
	if p.c.Pooling == NoPooling {
		p.c.fault("pooling_type", "nothing", "mean, cls, last or rank: name one when the model is opened")
		return
	}
	p.pooled(w, h)
}

// pooled ends a plan with one vector for each wanted row, from the states h of all tokens.
func (p *plan) pooled(w *weights, h kernels.Ref) {
	var out kernels.Ref
	if p.c.Pooling == Mean {
		p.SetHidden(h)
		out = p.Mean(h)
	} else {
		out = p.Wanted(h)
		p.SetHidden(out)
	}
	if p.c.Pooling == Rank {
		p.SetLogits(p.rank(w, out))
		return
	}
	for _, name := range []string{"dense_2", "dense_3"} { // projections of sentence-transformers, without activations
		rows := p.c.countOr(name+"_feat_out", 1, int(w.rows(name+".weight")))
		if cols := p.c.countOr(name+"_feat_in", 1, int(p.Cols(out))); w.has(name+".weight") && out != none {
			if int64(cols) != p.Cols(out) {
				p.c.fault(name+"_feat_in", fmt.Sprint(cols), fmt.Sprintf("%d, the width of what it projects", p.Cols(out)))
				return
			}
			out = p.linear(out, w.linear(name, cols, rows))
		}
	}
	p.SetLogits(out)
}

// rank records the classifier of a reranker: a dense layer where the file has one, and a score for each label.
func (p *plan) rank(w *weights, x kernels.Ref) kernels.Ref {
	if w.has("cls.weight") {
		m := w.linear("cls", p.c.Dim, p.c.Dim)
		s := kernels.NoEpilogue
		s.Bias, s.Scale, s.Act = m.bias, m.scale, kernels.ActTanh
		if p.c.rankAct != kernels.ActNone {
			s.Act = p.c.rankAct
		}
		x = p.MatMul(x, m.weight, s)
		if w.has("cls.norm.weight") {
			x = p.norm(x, w.norm("cls.norm", p.c.Dim))
		}
	}
	labels := 1
	if n := len(p.c.labels()); n > 0 {
		labels = n
	}
	x = p.linear(x, w.linear("cls.output", p.c.Dim, labels))
	if p.c.causal && labels > 1 { // "yes" and "no" of a causal model's vocabulary: probabilities
		x = p.Softmax(x)
	}
	return x
}

// labels are what a classifier's scores are of; none for a single score.
func (c Config) labels() []string {
	const key = "classifier.output_labels"
	info, ok := c.meta.Info(c.name(key))
	if !ok || info.Type != gguf.ArrayValue {
		return nil
	}
	all, _, err := c.meta.Strings(c.name(key))
	c.keep(err)
	return all
}
