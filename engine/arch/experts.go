package arch

import (
	"fmt"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/kernels"
)

// experts describes a layer's mixture of experts.
type experts struct {
	width      int // of one expert
	act        kernels.Act
	actParam   [3]float32
	gating     kernels.Gating
	normalise  bool    // the chosen experts' weights sum to 1
	scale      float32 // on the weights; 0: none
	groups     int     // experts are chosen within the best groups; 0 or 1: among all
	groupsUsed int
	choiceBias bool // the router may have a bias for the choice alone
	biased     bool // the file must have biases of the router and the experts
	plain      bool // experts have no gate
}

// gating is the router's function that the file names, or the architecture's.
func (c Config) gating(otherwise kernels.Gating) kernels.Gating {
	switch n := c.countOr("expert_gating_func", 0, 0); n {
	case 0:
		return otherwise
	case 1:
		return kernels.GateSoftmax
	case 2:
		return kernels.GateSigmoid
	case 3:
		return kernels.GateSoftmaxChosen
	default:
		c.fault("expert_gating_func", fmt.Sprint(n), "1 (softmax), 2 (sigmoid) or 3 (softmax of the chosen)")
		return otherwise
	}
}

// expertFFN sends each token through its chosen experts and adds up their results and the residual.
func (p *plan) expertFFN(l *layer, h kernels.Ref, e experts, residual kernels.Ref) kernels.Ref {
	find := l.linear
	if e.biased {
		find = l.biased
	}
	router := none
	if p.c.Experts > 0 {
		router = p.linear(h, find("ffn_gate_inp", p.c.Dim, p.c.Experts))
	}
	return p.routed(l, h, router, e, residual)
}

// routed is expertFFN with the router's logits given; the experts' width of input and result is h's.
func (p *plan) routed(l *layer, h, router kernels.Ref, e experts, residual kernels.Ref) kernels.Ref {
	c, dim := p.c, int(p.Cols(h))
	if c.Experts == 0 {
		c.fault("expert_count", "no experts", "at least 1")
		return none
	}
	r := kernels.RouteSpec{Gating: e.gating, Used: c.ExpertsUsed, Groups: e.groups, GroupsUsed: e.groupsUsed, Normalise: e.normalise, Scale: e.scale, Bias: none}
	if e.choiceBias && l.has("exp_probs_b.bias") {
		r.Bias = l.vector("exp_probs_b.bias", c.Experts)
	} else if e.choiceBias && l.has("exp_probs_b") { // as some converters write it
		r.Bias = l.vector("exp_probs_b", c.Experts)
	}
	findStack := l.stack
	if e.biased {
		findStack = l.biasedStack
	}
	if h == none {
		return none
	}
	down := findStack("ffn_down_exps", e.width, dim)
	var gate, up stack
	if e.plain {
		gate, up = findStack("ffn_up_exps", dim, e.width), stack{weight: none, bias: none, scales: none}
	} else if l.has("ffn_gate_up_exps.weight") {
		gate, up = p.stackHalves(l, findStack("ffn_gate_up_exps", dim, 2*e.width))
	} else {
		gate, up = findStack("ffn_gate_exps", dim, e.width), findStack("ffn_up_exps", dim, e.width)
	}
	if router == none || gate.weight == none || up.weight == none && !e.plain {
		return none
	}
	ids, shares := p.Route(router, r)
	inner := p.expertGate(h, ids, gate, up, e)
	plain := kernels.NoEpilogue
	plain.Bias = down.bias
	return p.ExpertSum(p.scaled(p.Experts(inner, down.weight, ids, plain), h, ids, down), shares, residual)
}

// mixture is a network in the first leading layers; then experts, with shared ones of that width together beside them where it is not 0.
func (p *plan) mixture(l *layer, h kernels.Ref, i, leading int, e experts, shared int, residual kernels.Ref) kernels.Ref {
	if i < leading {
		return p.gatedFFN(l, h, ffnDense, p.c.FF[i], e.act, 1, residual)
	}
	x := p.expertFFN(l, h, e, residual)
	if shared > 0 {
		x = p.gatedFFN(l, h, ffnShared, shared, e.act, 1, x)
	}
	return x
}

// expertGate is act(gate h) * up h, for each chosen expert.
func (p *plan) expertGate(h, ids kernels.Ref, gate, up stack, e experts) kernels.Ref {
	s := kernels.NoEpilogue
	s.Bias = gate.bias
	if gate.scales == none && up.scales == none {
		s.Act, s.ActParam, s.Up, s.UpBias = e.act, e.actParam, up.weight, up.bias
		return p.Experts(h, gate.weight, ids, s)
	}
	if e.act == kernels.ActSwiGLUOAI {
		p.Fail("tensor %s: scales of experts with a clamped gate are not supported", p.Names[gate.weight])
		return none
	}
	g := p.scaled(p.Experts(h, gate.weight, ids, s), h, ids, gate)
	if e.plain {
		return p.Element(kernels.ElAct, e.act, g, none, 1, 0)
	}
	s.Bias = up.bias
	return p.Element(kernels.ElActMul, e.act, g, p.scaled(p.Experts(h, up.weight, ids, s), h, ids, up), 1, 0)
}

// scaled multiplies the results of the chosen experts by their experts' scales, where the stack has some. The scales are
// looked up by a product of their own: as matrices of one element, with an input of 1.
func (p *plan) scaled(y, h, ids kernels.Ref, m stack) kernels.Ref {
	if m.scales == none || y == none {
		return y
	}
	one := p.Element(kernels.ElClamp, kernels.ActNone, p.Columns(h, 0, 1), none, 1, 1)
	return p.Element(kernels.ElMul, kernels.ActNone, y, p.Experts(one, m.scales, ids, kernels.NoEpilogue), 1, 0)
}

// stack is one matrix [rows, cols] an expert, with what a file may attach to it.
type stack struct {
	weight, bias kernels.Ref // bias: [experts, rows]
	scales       kernels.Ref // on the product and its bias, one an expert
	rows         int
}

// stack finds the experts' matrices by the name before ".weight".
func (l *layer) stack(name string, cols, rows int) stack {
	n := l.experts
	m := stack{weight: l.matrices(l.prefix+name+".weight", cols, rows, n), bias: none, scales: none, rows: rows}
	if l.has(name + ".bias") {
		m.bias = l.floats(l.prefix+name+".bias", rows, n)
	}
	if l.has(name + ".scale") {
		m.scales = l.scales(name+".scale", n)
	}
	return m
}

// biasedStack is stack with biases that must be there.
func (l *layer) biasedStack(name string, cols, rows int) stack {
	if !l.has(name + ".bias") {
		l.floats(l.prefix+name+".bias", rows, l.experts) // reports it
	}
	return l.stack(name, cols, rows)
}

// scales registers a vector of one factor an expert as a stack of matrices of one element.
func (l *layer) scales(name string, n int) kernels.Ref {
	full := l.prefix + name
	if r, ok := l.refs[full]; ok {
		return r
	}
	t, ok := l.get(full, int64(n))
	if !ok {
		return none
	}
	if t.Type != gguf.F32 {
		l.fault(full, t.Type.String(), "F32")
		return none
	}
	return l.register(t, 1, 1, int64(n))
}

// stackHalves splits a stack of experts whose matrices hold the gate above up. Its scales are up's name's, for both.
func (p *plan) stackHalves(l *layer, m stack) (gate, up stack) {
	if m.bias != none {
		p.Fail("tensor %s: biases of stacked gates are not supported", p.Names[m.bias])
	}
	if m.scales == none && l.has("ffn_up_exps.scale") {
		m.scales = l.scales("ffn_up_exps.scale", l.experts)
	}
	half := m.rows / 2
	gate, up = m, m
	gate.rows, up.rows, gate.bias, up.bias = half, half, none, none
	if m.weight != none {
		gate.weight, up.weight = p.WeightRows(m.weight, 0, int64(half)), p.WeightRows(m.weight, int64(half), int64(half))
	}
	return gate, up
}
