package arch

import "github.com/infer-go/infer/kernels"

// experts describes a layer's mixture of experts.
type experts struct {
	width      int // of one expert
	act        kernels.Act
	actParam   [2]float32
	gating     kernels.Gating
	normalise  bool    // the chosen experts' weights sum to 1
	scale      float32 // on the weights; 0: none
	groups     int     // experts are chosen within the best groups; 0 or 1: among all
	groupsUsed int
	choiceBias bool // the router may have a bias for the choice alone
	biased     bool // the file must have biases of the router and the experts
}

// expertFFN sends each token through its chosen experts and adds up their results and the residual.
func (p *plan) expertFFN(l *layer, h kernels.Ref, e experts, residual kernels.Ref) kernels.Ref {
	c := p.c
	r := kernels.RouteSpec{Gating: e.gating, Used: c.ExpertsUsed, Groups: e.groups, GroupsUsed: e.groupsUsed, Normalise: e.normalise, Scale: e.scale, Bias: none}
	if e.choiceBias && l.has("exp_probs_b.bias") {
		r.Bias = l.vector("exp_probs_b.bias", c.Experts)
	}
	find, stack := l.linear, l.stack
	if e.biased {
		find, stack = l.biased, l.biasedStack
	}
	router := p.linear(h, find("ffn_gate_inp", c.Dim, c.Experts))
	down := stack("ffn_down_exps", e.width, c.Dim)
	var gate, up linear
	if l.has("ffn_gate_up_exps.weight") {
		gate, up = p.stackHalves(stack("ffn_gate_up_exps", c.Dim, 2*e.width))
	} else {
		gate, up = stack("ffn_gate_exps", c.Dim, e.width), stack("ffn_up_exps", c.Dim, e.width)
	}
	if router == none || up.weight == none {
		return none
	}
	ids, shares := p.Route(router, r)
	s := kernels.NoEpilogue
	s.Bias, s.Act, s.ActParam, s.Up, s.UpBias = gate.bias, e.act, e.actParam, up.weight, up.bias
	inner := p.Experts(h, gate.weight, ids, s)
	s = kernels.NoEpilogue
	s.Bias = down.bias
	return p.ExpertSum(p.Experts(inner, down.weight, ids, s), shares, residual)
}

// stack finds a stack of one matrix [rows, cols] an expert, with the biases that it may have, [experts, rows].
func (l *layer) stack(name string, cols, rows int) linear {
	n := l.experts
	m := linear{weight: l.matrices(l.prefix+name+".weight", cols, rows, n), bias: none, scale: 1, cols: cols, rows: rows}
	if l.has(name + ".bias") {
		m.bias = l.floats(l.prefix+name+".bias", rows, n)
	}
	if l.has(name + ".scale") {
		l.fault(l.prefix+name+".scale", "a scale an expert", "none: experts are not scaled")
	}
	return m
}

// biasedStack is stack with biases that must be there.
func (l *layer) biasedStack(name string, cols, rows int) linear {
	if !l.has(name + ".bias") {
		l.floats(l.prefix+name+".bias", rows, l.experts) // reports it
	}
	return l.stack(name, cols, rows)
}

// stackHalves splits a stack of experts whose matrices hold the gate above up.
func (p *plan) stackHalves(m linear) (gate, up linear) {
	if m.bias != none {
		p.Fail("tensor %s: biases of stacked gates are not split", p.Names[m.bias])
		m.bias = none
	}
	return p.halves(m)
}
