package arch

import "github.com/infer-go/infer/kernels"

// plan records a model: the kernels' plan with the blocks that models share.
type plan struct {
	*kernels.Plan
	c       Config
	tables  []angleTable
	ones    kernels.Ref            // a stack of matrices of ones, which sum up heads
	columns map[[2]int]kernels.Ref // of ones, which give a head's value to its elements, by heads and width
	tied    bool                   // the embedding table is the output matrix, whatever the file has

	further bool // a predictor of further tokens is wanted

	tokenTypes int // rows of the table of token types
}

// none is the absent tensor.
const none = kernels.None

// embed looks the tokens up. Result: [tokens, dim].
func (p *plan) embed(w *weights, scale float32) kernels.Ref {
	return p.Embed(w.matrix("token_embd.weight", p.c.Dim, p.c.Vocab), scale)
}

// norm normalises x as the architecture does: RMS norm or layer norm.
func (p *plan) norm(x kernels.Ref, n norm) kernels.Ref {
	return p.Norm(x, kernels.NormSpec{Kind: p.c.Norm, Weight: n.weight, Bias: n.bias, Eps: p.c.Eps})
}

// headNorm normalises each of x's heads on its own.
func (p *plan) headNorm(x, weight kernels.Ref, heads int) kernels.Ref {
	return p.Norm(x, kernels.NormSpec{Kind: p.c.Norm, Weight: weight, Bias: none, Eps: p.c.Eps, Groups: heads})
}

// linear is x W^T + bias.
func (p *plan) linear(x kernels.Ref, m linear) kernels.Ref { return p.project(x, m, 1, none) }

// project is scale * (x W^T + bias) + residual.
func (p *plan) project(x kernels.Ref, m linear, scale float32, residual kernels.Ref) kernels.Ref {
	s := kernels.NoEpilogue
	s.Bias, s.Scale, s.Residual = m.bias, m.scale*scale, residual
	return p.MatMul(x, m.weight, s)
}

// qkNorm says how queries and keys are normalised before they are rotated.
type qkNorm int

const (
	noQKNorm          qkNorm = iota
	headNorm                 // each head, all with the same weight
	headNormIfPresent        // the same, where the file has the weights
	headNormRotated          // each head after its rotation
	unitNormRotated          // the same, without weights
	headsNorm                // each head with a weight of its own, where the file has them
	rowNorm                  // all heads of a token together
	rowNormIfPresent         // the same, with a bias, where the file has them
)

// attention describes a layer's attention.
type attention struct {
	heads, kvHeads   int
	keyDim, valueDim int
	biased           bool // the file must have biases of q, k and v
	norm             qkNorm
	angles           kernels.Ref // of rope; none: not rotated
	style            kernels.RopeStyle
	window           int  // positions seen, 0: all
	bothWays         bool // later positions are seen too; a window then reaches half as far to each side
	scale            float32
	scales           kernels.Ref // on each token's queries beside it, [tokens, 1]; none: 1
	softcap          float32
	alibi            float32 // the largest slope's bias, 0: none
	sinks            kernels.Ref
	bias             kernels.Ref // by distance, as AttentionSpec has it
	chunks           bool        // the window is a chunk's length
	clamp            float32     // queries, keys and values stay within it; 0: free
	gated            bool        // q's tensor makes a gate behind each head's query; its sigmoid multiplies the result
}

// attend projects h to queries, keys and values, writes the cache and attends. Result: [tokens, heads*valueDim].
func (p *plan) attend(l *layer, h kernels.Ref, a attention) kernels.Ref {
	q, k, v, gate := none, none, none, none
	if a.gated {
		q, k, v, gate = p.gatedQKV(l, h, a)
	} else {
		q, k, v = p.qkv(l, h, a)
	}
	if a.clamp > 0 {
		for _, x := range []*kernels.Ref{&q, &k, &v} {
			*x = p.Element(kernels.ElClamp, kernels.ActNone, *x, none, -a.clamp, a.clamp)
		}
	}
	q, k = p.normQK(l, q, k, a)
	if a.angles != none {
		q = p.Rope(q, a.angles, a.heads, a.keyDim, 0, a.style)
		k = p.Rope(k, a.angles, a.kvHeads, a.keyDim, 0, a.style)
	}
	switch a.norm {
	case headNormRotated:
		q, k = p.normHeads(l, q, k, a)
	case unitNormRotated:
		q, k = p.headNorm(q, none, a.heads), p.headNorm(k, none, a.kvHeads)
	}
	if a.scales != none {
		q = p.multiply(q, a.scales)
	}
	s := kernels.AttentionSpec{Heads: a.heads, Scale: a.scale, Softcap: a.softcap, ALiBi: a.alibi, Sinks: a.sinks, Bias: a.bias, BothWays: a.bothWays, Chunks: a.chunks}
	if window := a.window; a.bothWays {
		s.Layer, s.Around = p.AddCacheLayer(a.kvHeads, a.keyDim, a.valueDim, a.valueDim, 0), window
	} else {
		s.Layer = p.AddCacheLayer(a.kvHeads, a.keyDim, a.valueDim, a.valueDim, window)
	}
	p.Store(s.Layer, k, v)
	if out := p.Attention(q, s); !a.gated {
		return out
	} else {
		return p.Element(kernels.ElMulAct, kernels.ActSigmoid, out, gate, 1, 0)
	}
}

// normQK normalises queries and keys before their rotation.
func (p *plan) normQK(l *layer, q, k kernels.Ref, a attention) (kernels.Ref, kernels.Ref) {
	hasQ, hasK := l.has("attn_q_norm.weight"), l.has("attn_k_norm.weight")
	switch a.norm {
	case headNorm:
		return p.normHeads(l, q, k, a)
	case headNormIfPresent:
		if hasQ || hasK {
			return p.normHeads(l, q, k, a)
		}
	case headsNorm:
		if hasQ {
			q = p.headNorm(q, l.floats(l.prefix+"attn_q_norm.weight", a.keyDim, a.heads), a.heads)
		}
		if hasK {
			k = p.headNorm(k, l.floats(l.prefix+"attn_k_norm.weight", a.keyDim, a.kvHeads), a.kvHeads)
		}
	case rowNorm:
		q = p.headNorm(q, l.vector("attn_q_norm.weight", a.heads*a.keyDim), 1)
		k = p.headNorm(k, l.vector("attn_k_norm.weight", a.kvHeads*a.keyDim), 1)
	case rowNormIfPresent:
		if hasQ {
			q = p.norm(q, l.norm("attn_q_norm", a.heads*a.keyDim))
		}
		if hasK {
			k = p.norm(k, l.norm("attn_k_norm", a.kvHeads*a.keyDim))
		}
	}
	return q, k
}

func (p *plan) normHeads(l *layer, q, k kernels.Ref, a attention) (kernels.Ref, kernels.Ref) {
	q = p.headNorm(q, l.vector("attn_q_norm.weight", a.keyDim), a.heads)
	return q, p.headNorm(k, l.vector("attn_k_norm.weight", a.keyDim), a.kvHeads)
}

// gatedQKV projects h to queries, keys, values and a gate of the queries' width.
func (p *plan) gatedQKV(l *layer, h kernels.Ref, a attention) (q, k, v, gate kernels.Ref) {
	n := a.heads * a.keyDim
	both := p.linear(h, l.linear("attn_q", p.c.Dim, 2*n))
	k = p.linear(h, l.linear("attn_k", p.c.Dim, a.kvHeads*a.keyDim))
	v = p.linear(h, l.linear("attn_v", p.c.Dim, a.kvHeads*a.valueDim))
	q, gate = p.Buffer(n), p.Buffer(n)
	p.Copy(q, both, a.heads, a.keyDim, 2*a.keyDim, a.keyDim)
	p.Copy(gate, p.Columns(both, int64(a.keyDim), int64(2*n-a.keyDim)), a.heads, a.keyDim, 2*a.keyDim, a.keyDim)
	return q, k, v, gate
}

// qkv projects h to queries, keys and values: from one tensor that stacks the three, or from three.
func (p *plan) qkv(l *layer, h kernels.Ref, a attention) (q, k, v kernels.Ref) {
	find := l.linear
	if a.biased {
		find = l.biased
	}
	nq, nk, nv := a.heads*a.keyDim, a.kvHeads*a.keyDim, a.kvHeads*a.valueDim
	if l.has("attn_qkv.weight") {
		all := p.linear(h, find("attn_qkv", p.c.Dim, nq+nk+nv))
		if all == none {
			return none, none, none
		}
		return p.Columns(all, 0, int64(nq)), p.Columns(all, int64(nq), int64(nk)), p.Columns(all, int64(nq+nk), int64(nv))
	}
	q = p.linear(h, find("attn_q", p.c.Dim, nq))
	k = p.linear(h, find("attn_k", p.c.Dim, nk))
	v = p.linear(h, find("attn_v", p.c.Dim, nv))
	return q, k, v
}

// output projects attention's result back to the residual stream.
func (p *plan) output(l *layer, mixed kernels.Ref, a attention, scale float32, residual kernels.Ref) kernels.Ref {
	return p.project(mixed, l.linear("attn_output", a.heads*a.valueDim, p.c.Dim), scale, residual)
}

// biasedOutput is output with a bias that the file must have.
func (p *plan) biasedOutput(l *layer, mixed kernels.Ref, a attention, residual kernels.Ref) kernels.Ref {
	return p.project(mixed, l.biased("attn_output", a.heads*a.valueDim, p.c.Dim), 1, residual)
}

// ffnNames are the tensors of a gated network; shared experts have names of their own.
type ffnNames struct{ gate, up, down string }

var (
	ffnDense  = ffnNames{"ffn_gate", "ffn_up", "ffn_down"}
	ffnShared = ffnNames{"ffn_gate_shexp", "ffn_up_shexp", "ffn_down_shexp"}
)

// gatedFFN is scale * down(act(gate h) * up h) + residual. A file may stack the gate on up in one tensor, up's.
func (p *plan) gatedFFN(l *layer, h kernels.Ref, n ffnNames, width int, act kernels.Act, scale float32, residual kernels.Ref) kernels.Ref {
	var gate, up linear
	if !l.has(n.gate+".weight") && l.rows(n.up+".weight") == int64(2*width) {
		gate, up = p.halves(l.linear(n.up, p.c.Dim, 2*width))
	} else {
		gate, up = l.linear(n.gate, p.c.Dim, width), l.linear(n.up, p.c.Dim, width)
	}
	down := l.linear(n.down, width, p.c.Dim)
	s := kernels.NoEpilogue
	s.Bias, s.Scale, s.Act, s.Up, s.UpBias = gate.bias, gate.scale, act, up.weight, up.bias
	if gate.weight == none || up.weight == none { // reported; a missing up would be taken for a network without gate
		return none
	}
	return p.project(p.MatMul(h, gate.weight, s), down, scale*up.scale, residual) // up's scale passes through down
}

// halves splits a tensor that stacks a gate on an up matrix.
func (p *plan) halves(m linear) (gate, up linear) {
	half := m.rows / 2
	gate, up = m, m
	gate.rows, up.rows = half, half
	if m.weight == none {
		return gate, up
	}
	gate.weight, up.weight = p.WeightRows(m.weight, 0, int64(half)), p.WeightRows(m.weight, int64(half), int64(half))
	if m.bias != none {
		gate.bias, up.bias = p.WeightSpan(m.bias, 0, int64(half)), p.WeightSpan(m.bias, int64(half), int64(half))
	}
	return gate, up
}

// plainFFN is down(act(up h)) + residual; biased says that the file must have biases.
func (p *plan) plainFFN(l *layer, h kernels.Ref, width int, act kernels.Act, biased bool, residual kernels.Ref) kernels.Ref {
	find := l.linear
	if biased {
		find = l.biased
	}
	up, down := find("ffn_up", p.c.Dim, width), find("ffn_down", width, p.c.Dim)
	s := kernels.NoEpilogue
	s.Bias, s.Scale, s.Act = up.bias, up.scale, act
	return p.project(p.MatMul(h, up.weight, s), down, 1, residual)
}

// logits normalises the wanted rows and multiplies them by the output matrix, which is the embedding table where the file
// has no other. The logits are scaled, and capped where softcap is not 0.
func (p *plan) logits(w *weights, x kernels.Ref, n norm, scale, softcap float32) {
	w.end()
	if p.c.Pooling != NoPooling {
		w.touch("output.weight")
		w.touch("output.bias")
		for _, k := range p.PageKinds {
			if k.State {
				p.c.fault("pooling_type", string(p.c.Pooling), "none: recurrent layers give no vectors of texts")
			}
		}
		p.pooled(w, p.norm(x, n))
		return
	}
	if !p.c.causal {
		p.c.fault("attention.causal", "false", "true for a model without a pooling_type: one that sees what follows does not predict it")
		return
	}
	m := p.outputMatrix(w)
	s := kernels.NoEpilogue
	s.Bias, s.Scale = m.bias, m.scale*scale
	if softcap != 0 {
		s.Act, s.ActParam[0] = kernels.ActSoftcap, softcap
	}
	if !p.further {
		p.SetLogits(p.MatMul(p.norm(p.Wanted(x), n), m.weight, s))
		return
	}
	states := p.norm(x, n) // of every token: the predictor goes on from them
	p.SetHidden(states)
	p.SetLogits(p.MatMul(p.Wanted(states), m.weight, s))
}

// outputMatrix gives logits; it is the embedding table where the file has no other.
func (p *plan) outputMatrix(w *weights) linear {
	if w.has("output.weight") && !p.tied {
		return w.linear("output", p.c.Dim, p.c.Vocab)
	}
	m := linear{scale: 1, bias: none, weight: w.matrix("token_embd.weight", p.c.Dim, p.c.Vocab)}
	if w.has("output.bias") {
		m.bias = w.vector("output.bias", p.c.Vocab)
	}
	return m
}
