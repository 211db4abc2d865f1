package kernels

// bothWays marks attention over the whole of a sequence, and the plan as one for whole sequences.
func (p *Plan) bothWays(o *Op, s AttentionSpec) {
	if s.Around < 0 || s.Around > 0 && !s.BothWays || s.BothWays && o.N[2] != 0 {
		p.Fail("op %d (layer %d): attention both ways: %v, around %d, in a cache layer with a window of %d", len(p.Ops)-1, p.layer, s.BothWays, s.Around, o.N[2])
		return
	}
	if s.BothWays {
		o.N[2], o.N[4] = int32(s.Around), 1
		p.Whole = true
	}
}

// Mean is the mean of x over the rows of each wanted row's sequence; all of the sequence is in one batch. Result:
// [wanted, cols].
func (p *Plan) Mean(x Ref) Ref {
	t, ok := p.activationOf("pooling's input", x)
	if !ok {
		return None
	}
	if t.RowsKind != RowsBatch {
		p.Fail("op %d: pooling needs a row a token", len(p.Ops))
		return None
	}
	out := p.activation(RowsWanted, t.Cols)
	p.op(OpPool, out, x)
	p.Whole = true
	return out
}

// Softmax makes each row positive with a sum of 1. Result: the shape of x.
func (p *Plan) Softmax(x Ref) Ref {
	t, ok := p.activationOf("softmax's input", x)
	if !ok {
		return None
	}
	out := p.activation(t.RowsKind, t.Cols)
	p.op(OpSoftmax, out, x)
	return out
}

// SetHidden marks the last state of each token, which [Device.ReadActivation] can read after a step: of every row of the
// batch, or of the wanted ones.
func (p *Plan) SetHidden(x Ref) {
	if _, ok := p.activationOf("hidden states", x); ok {
		p.Hidden = x
	}
}
