package arch

import "github.com/infer-go/infer/kernels"

// narrow moves the choice of the wanted rows up: ops after the last attention that work on each row alone then run for the
// rows whose logits are wanted and no others. In a prefill that is one row instead of hundreds for the last layer's network.
// It changes no number.
//
// An op is moved when everything that reads its result is the gather at the end or moved itself. What moved ops read
// of the rest is gathered first.
func narrow(p *kernels.Plan) {
	moved := movable(p)
	chosen := map[kernels.Ref]kernels.Ref{} // BATCH rows to the WANTED ones among them
	var ops []kernels.Op
	predictor := p.Predictor
	for i, o := range p.Ops {
		if p.HasPredictor() && i == p.Predictor.Feed {
			predictor.Feed = len(ops)
		} else if p.HasPredictor() && i == p.Predictor.First {
			predictor.First = len(ops)
		}
		if o.Kind == kernels.OpGather {
			r := o.In[0]
			if c, ok := chosen[r]; ok {
				r = c
			}
			if p.Tensors[r].RowsKind == kernels.RowsWanted { // nothing is left to choose
				chosen[o.Out] = r
				continue
			}
		}
		for j, r := range o.In {
			if r == kernels.None || o.Out == kernels.None {
				continue
			}
			if _, ok := chosen[r]; !ok && moved[i] && p.Tensors[r].RowsKind == kernels.RowsBatch {
				g := gather(p, r, o.Layer)
				ops, chosen[r] = append(ops, g), g.Out
			}
			if c, ok := chosen[r]; ok && o.Kind != kernels.OpPool && (moved[i] || p.Tensors[o.Out].RowsKind == kernels.RowsWanted) {
				o.In[j] = c
			}
		}
		if moved[i] {
			p.Tensors[o.Out].RowsKind = kernels.RowsWanted
		}
		ops = append(ops, o)
	}
	p.Ops, p.Predictor = ops, predictor
	for _, r := range []*kernels.Ref{&p.Logits, &p.Hidden, &p.Predictor.Logits} { // a gather that went may have been the result itself
		if c, ok := chosen[*r]; ok && p.Tensors[*r].RowsKind == kernels.RowsWanted {
			*r = c
		}
	}
}

// movable finds the ops that narrow moves, by their index.
func movable(p *kernels.Plan) map[int]bool {
	moved, kept := map[int]bool{}, map[kernels.Ref]bool{p.Hidden: true, p.Predictor.Hidden: true} // tensors that someone reads for all rows
	writers := map[kernels.Ref]int{}
	for _, o := range p.Ops {
		if o.Out != kernels.None {
			writers[p.Tensors[o.Out].Base]++
		}
	}
	for i := len(p.Ops) - 1; i >= 0; i-- {
		o := p.Ops[i]
		if o.Kind == kernels.OpGather {
			continue
		}
		if movableKind(o.Kind) && o.Out != kernels.None && p.Tensors[o.Out].RowsKind == kernels.RowsBatch && p.Tensors[o.Out].Base == o.Out &&
			!kept[o.Out] && writers[o.Out] == 1 && !viewed(p, o.Out) {
			moved[i] = true
			continue
		}
		if o.Out != kernels.None && p.Tensors[o.Out].RowsKind == kernels.RowsWanted && o.Kind != kernels.OpPool {
			continue // after the gather already
		}
		for _, r := range o.In {
			if r != kernels.None {
				kept[r], kept[p.Tensors[r].Base] = true, true
			}
		}
	}
	return moved
}

// movableKind says which ops give a row's result from that row's inputs alone, without its position or its experts.
func movableKind(k kernels.OpKind) bool {
	return k == kernels.OpNorm || k == kernels.OpMatMul || k == kernels.OpElement || k == kernels.OpHeads
}

// viewed reports whether parts of a tensor are used under other names.
func viewed(p *kernels.Plan, r kernels.Ref) bool {
	for i, t := range p.Tensors {
		if t.Base == r && kernels.Ref(i) != r {
			return true
		}
	}
	return false
}

// gather makes the op that chooses the wanted rows of r, and its result.
func gather(p *kernels.Plan, r kernels.Ref, layer int32) kernels.Op {
	t := p.Tensors[r]
	out := kernels.Ref(len(p.Tensors))
	p.Tensors = append(p.Tensors, kernels.Tensor{Buffer: t.Buffer, DType: t.DType, RowsKind: kernels.RowsWanted, Base: out,
		Stride: (4*t.Cols + 63) / 64 * 64, Cols: t.Cols, Mats: 1})
	p.Names = append(p.Names, p.Names[r]+"w")
	o := kernels.Op{Kind: kernels.OpGather, Layer: layer, Out: out, Out2: kernels.None}
	for i := range o.In {
		o.In[i] = kernels.None
	}
	o.In[0] = r
	return o
}
