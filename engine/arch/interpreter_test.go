package arch

import (
	"math"
	"slices"
	"testing"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/kernels"
	"github.com/stretchr/testify/require"
)

// interpreter runs a recorded plan in float64, one op after the other, over one whole sequence: no pages, no threads, no
// batches. It follows the definitions in kernels.h and shares no code with the backends, so that a plan can be held
// against other programs' logits without them, and they against it. Quantized weights count as what they stand for.
type interpreter struct {
	t       *testing.T
	p       *kernels.Plan
	file    *gguf.File
	tokens  []int
	values  map[kernels.Ref][][]float64 // of activations that own their memory, [rows][cols]
	weights map[kernels.Ref][]float64   // of weights that own their memory
	cache   []cached
}

// cached is one layer's keys and values, [tokens][width].
type cached struct{ keys, values [][]float64 }

// interpret returns the logits of every token, [tokens][vocab], or the vectors.
func interpret(t *testing.T, m *Model, f *gguf.File, tokens []int) [][]float64 {
	return newInterpreter(t, m, f, tokens).read(m.Plan.Logits)
}

// newInterpreter runs the plan.
func newInterpreter(t *testing.T, m *Model, f *gguf.File, tokens []int) *interpreter {
	in := &interpreter{t: t, p: m.Plan, file: f, tokens: tokens, values: map[kernels.Ref][][]float64{},
		weights: map[kernels.Ref][]float64{}, cache: make([]cached, len(m.Plan.Cache))}
	for i := range m.Plan.Ops {
		in.run(&m.Plan.Ops[i])
	}
	return in
}

// read returns the rows of an activation; of a view, parts of its base's rows.
func (in *interpreter) read(r kernels.Ref) [][]float64 {
	t := in.p.Tensors[r]
	rows, ok := in.values[t.Base]
	if !ok {
		n := map[kernels.RowsKind]int{kernels.RowsBatch: 1, kernels.RowsWanted: 1, kernels.RowsExperts: in.p.ExpertsUsed}[t.RowsKind] * len(in.tokens)
		rows = make([][]float64, n)
		for i := range rows {
			rows[i] = make([]float64, in.p.Tensors[t.Base].Cols)
		}
		in.values[t.Base] = rows
	}
	if t.Base == r {
		return rows
	}
	first := (t.Offset - in.p.Tensors[t.Base].Offset) / 4
	view := make([][]float64, len(rows))
	for i := range rows {
		view[i] = rows[i][first : first+t.Cols]
	}
	return view
}

// row returns one row of a weight's matrix; for an absent weight nil.
func (in *interpreter) row(r kernels.Ref, mat, row int) []float64 {
	if r == kernels.None {
		return nil
	}
	t := in.p.Tensors[r]
	base := in.p.Tensors[t.Base]
	all, ok := in.weights[t.Base]
	if !ok {
		values := in.p.ConstantValues(t.Base)
		if values == nil {
			source, found := in.file.Tensor(in.p.Names[t.Base])
			require.True(in.t, found)
			values = (&weights{file: in.file, plan: in.p}).decode(source)
			require.NotNil(in.t, values, "%s: %s", source.Name, source.Type)
		}
		for _, v := range values {
			all = append(all, float64(v))
		}
		in.weights[t.Base] = all
	}
	first := t.Offset - base.Offset + int64(mat)*t.MatStride + int64(row)*t.Stride // bytes
	if t.DType == kernels.F32 {
		first /= 4 // a view may begin inside a row
	} else {
		first = first / base.Stride * base.Cols
	}
	return all[first : first+t.Cols]
}

func (in *interpreter) run(o *kernels.Op) {
	switch o.Kind {
	case kernels.OpEmbed:
		for i, out := range in.read(o.Out) {
			index := in.tokens[i]
			switch o.N[0] {
			case 1:
				index = i
			case 2:
				index = 0 // one text: the first type
			}
			for j, v := range in.row(o.In[0], 0, index) {
				out[j] = v * float64(o.F[0])
			}
		}
	case kernels.OpNorm:
		in.norm(o)
	case kernels.OpMatMul:
		in.matMul(o)
	case kernels.OpHeads:
		x, rows := in.read(o.In[0]), int(in.p.Tensors[o.In[1]].Rows)
		for i, out := range in.read(o.Out) {
			for h := range int(o.N[0]) {
				for r := range rows {
					out[h*int(o.N[2])+r] = dot(in.row(o.In[1], h, r), x[i][h*int(o.N[1]):])
				}
			}
		}
	case kernels.OpAngles:
		for position, out := range in.read(o.Out) {
			for j, f := range in.row(o.In[0], 0, 0) {
				sin, cos := math.Sincos(float64(position) * f)
				out[2*j], out[2*j+1] = cos*float64(o.F[0]), sin*float64(o.F[0])
			}
		}
	case kernels.OpRope:
		in.rope(o)
	case kernels.OpStore:
		c := &in.cache[o.N[0]]
		c.keys = clone(in.read(o.In[0]))
		if o.In[1] != kernels.None {
			c.values = clone(in.read(o.In[1]))
		}
	case kernels.OpAttention:
		in.attention(o)
	case kernels.OpRoute:
		in.route(o)
	case kernels.OpExperts:
		in.experts(o)
	case kernels.OpExpertSum:
		in.expertSum(o)
	case kernels.OpElement:
		in.element(o)
	case kernels.OpCopy:
		x, out := in.read(o.In[0]), in.read(o.Out)
		for i := range out {
			for h := range int(o.N[0]) {
				copy(out[i][h*int(o.N[3]):][:o.N[1]], x[i][h*int(o.N[2]):])
			}
		}
	case kernels.OpGather:
		for i, out := range in.read(o.Out) {
			copy(out, in.read(o.In[0])[i])
		}
	case kernels.OpPool: // each wanted row's sequence is all there is
		x := in.read(o.In[0])
		for _, out := range in.read(o.Out) {
			for j := range out {
				out[j] = 0
				for i := range x {
					out[j] += x[i][j] / float64(len(x))
				}
			}
		}
	case kernels.OpSoftmax:
		for i, out := range in.read(o.Out) {
			copy(out, in.read(o.In[0])[i])
			softmax(out)
		}
	case kernels.OpConv:
		in.conv(o)
	case kernels.OpScan:
		in.scan(o)
	case kernels.OpHeadScan:
		in.headScan(o)
	case kernels.OpDelta:
		in.delta(o)
	case kernels.OpWKV:
		in.wkv(o)
	default:
		in.t.Fatalf("op %s", o.Kind)
	}
}

func clone(rows [][]float64) [][]float64 {
	out := make([][]float64, len(rows))
	for i := range rows {
		out[i] = slices.Clone(rows[i])
	}
	return out
}

func dot(a, b []float64) float64 {
	var sum float64
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

func (in *interpreter) norm(o *kernels.Op) {
	x, out, groups := in.read(o.In[0]), in.read(o.Out), int(o.N[1])
	weight := func(r kernels.Ref, j, width int) (float64, bool) {
		if r == kernels.None {
			return 0, false
		}
		t := in.p.Tensors[r]
		if t.Cols*t.Rows == int64(width) { // one set for all groups
			return in.row(r, 0, 0)[j%width], true
		}
		return in.row(r, 0, j/int(t.Cols))[j%int(t.Cols)], true
	}
	for i := range x {
		width := len(x[i]) / groups
		for g := range groups {
			part := x[i][g*width : (g+1)*width]
			var mean, squares float64
			if kernels.Norm(o.N[0]) == kernels.LayerNorm {
				for _, v := range part {
					mean += v / float64(width)
				}
			}
			for _, v := range part {
				squares += (v - mean) * (v - mean)
			}
			factor := 1 / math.Sqrt(squares/float64(width)+float64(o.F[0]))
			if kernels.Norm(o.N[0]) == kernels.L2Norm {
				factor = 1 / math.Sqrt(squares+float64(o.F[0]))
			}
			for j, v := range part {
				y := (v - mean) * factor
				if f, ok := weight(o.In[1], g*width+j, width); ok {
					y *= f
				}
				if f, ok := weight(o.In[2], g*width+j, width); ok {
					y += f
				}
				out[i][g*width+j] = y
			}
		}
	}
}

// product is one element of a matrix product with its gate.
func (in *interpreter) product(o *kernels.Op, x []float64, mat, r int, w, bias, up, upBias kernels.Ref, biasRow int) float64 {
	v := dot(in.row(w, mat, r), x)
	if b := in.row(bias, 0, biasRow); b != nil {
		v += b[r]
	}
	v *= float64(o.F[0])
	act := kernels.Act(o.N[0])
	if up == kernels.None {
		return activate(act, v, o.F[1:]...)
	}
	u := dot(in.row(up, mat, r), x)
	if b := in.row(upBias, 0, biasRow); b != nil {
		u += b[r]
	}
	if act == kernels.ActSwiGLUOAI {
		limit := float64(o.F[1])
		v, u = math.Min(v, limit), math.Max(-limit, math.Min(u, limit))
		return v / (1 + math.Exp(-float64(o.F[2])*v)) * (u + 1)
	}
	return activate(act, v, o.F[1:]...) * u
}

func (in *interpreter) matMul(o *kernels.Op) {
	x, out := in.read(o.In[0]), in.read(o.Out)
	for i := range out {
		for r := range out[i] {
			out[i][r] = in.product(o, x[i], 0, r, o.In[1], o.In[2], o.In[4], o.In[5], 0)
		}
	}
	if o.In[3] != kernels.None {
		for i, residual := range in.read(o.In[3]) {
			for r := range residual {
				out[i][r] += residual[r]
			}
		}
	}
}

func activate(a kernels.Act, v float64, param ...float32) float64 {
	switch a {
	case kernels.ActNone:
		return v
	case kernels.ActSiLU:
		return v / (1 + math.Exp(-v))
	case kernels.ActGELU:
		return 0.5 * v * (1 + math.Tanh(math.Sqrt(2/math.Pi)*v*(1+0.044715*v*v)))
	case kernels.ActGELUErf:
		return 0.5 * v * (1 + math.Erf(v/math.Sqrt2))
	case kernels.ActReLUSquared:
		return math.Pow(math.Max(v, 0), 2)
	case kernels.ActTanh:
		return math.Tanh(v)
	case kernels.ActSigmoid:
		return 1 / (1 + math.Exp(-v))
	case kernels.ActSoftcap:
		limit := float64(param[0])
		return limit * math.Tanh(v/limit)
	case kernels.ActXIELU:
		if v > 0 {
			return float64(param[0])*v*v + float64(param[2])*v
		}
		return float64(param[1])*(math.Expm1(v)-v) + float64(param[2])*v
	case kernels.ActSoftplus:
		return softplus(v)
	case kernels.ActExp:
		return math.Exp(v)
	case kernels.ActReLU:
		return math.Max(v, 0)
	case kernels.ActGELUQuick:
		return v / (1 + math.Exp(-1.702*v))
	default:
		panic("activation not interpreted")
	}
}

func (in *interpreter) rope(o *kernels.Op) {
	x, angles := in.read(o.In[0]), in.read(o.In[1])
	half := int(o.N[2]) / 2
	for i := range x {
		for h := range int(o.N[0]) {
			head := x[i][h*int(o.N[1])+int(o.N[4]):]
			for j := range half {
				a, b := 2*j, 2*j+1
				if kernels.RopeStyle(o.N[3]) == kernels.RopeHalves {
					a, b = j, j+half
				}
				cos, sin := angles[i][2*j], angles[i][2*j+1]
				head[a], head[b] = head[a]*cos-head[b]*sin, head[a]*sin+head[b]*cos
			}
		}
	}
}

func (in *interpreter) attention(o *kernels.Op) {
	q, out, layer, cache := in.read(o.In[0]), in.read(o.Out), in.p.Cache[o.N[0]], in.cache[o.N[0]]
	heads, keyDim, width := int(o.N[1]), int(layer.KDim), int(layer.VWidth)
	for i := range q {
		first, last := 0, i
		if w := int(o.N[2]); w > 0 {
			if first = max(0, i-w+1); o.N[5] == 1 {
				first = i - i%w
			}
		}
		if o.N[4] == 1 {
			first, last = 0, len(q)-1
			if half := int(o.N[2]) / 2; half > 0 {
				first, last = max(0, i-half), min(last, i+half)
			}
		}
		for h := range heads {
			kv := h / (heads / int(layer.Heads))
			weight, total := make([]float64, last+1), 0.0
			for j := first; j <= last; j++ {
				s := dot(q[i][h*keyDim:(h+1)*keyDim], cache.keys[j][kv*keyDim:]) * float64(o.F[0])
				if o.F[1] != 0 {
					s = activate(kernels.ActSoftcap, s, o.F[1])
				}
				if o.In[2] != kernels.None {
					bias := in.row(o.In[2], 0, h)
					reach := len(bias) / 2
					s += bias[reach+max(-reach, min(i-j, reach))]
				}
				weight[j] = math.Exp(s - alibi(h, heads, float64(o.F[2]))*math.Abs(float64(i-j))) // scores of these models are small
				total += weight[j]
			}
			if sinks := in.row(o.In[1], 0, 0); sinks != nil {
				total += math.Exp(sinks[h])
			}
			for d := range width {
				var sum float64
				for j := first; j <= last; j++ {
					if layer.VDim == 0 {
						sum += weight[j] * cache.keys[j][kv*keyDim+int(o.N[3])+d]
					} else {
						sum += weight[j] * cache.values[j][kv*width+d]
					}
				}
				out[i][h*width+d] = sum / total
			}
		}
	}
}

// alibi is a head's slope: a geometric series over the largest power of two of heads, the rest between its terms.
func alibi(head, heads int, most float64) float64 {
	if most == 0 {
		return 0
	}
	power := 1
	for power*2 <= heads {
		power *= 2
	}
	if head < power {
		return math.Pow(2, -most/float64(power)*float64(head+1))
	}
	return math.Pow(2, -most/2/float64(power)*float64(2*(head-power)+1))
}

func (in *interpreter) route(o *kernels.Op) {
	logits, ids, shares := in.read(o.In[0]), in.read(o.Out), in.read(o.Out2)
	for i, row := range logits {
		p := slices.Clone(row)
		switch kernels.Gating(o.N[0]) {
		case kernels.GateSoftmax:
			softmax(p)
		case kernels.GateSigmoid:
			for j := range p {
				p[j] = activate(kernels.ActSigmoid, p[j])
			}
		}
		choice := slices.Clone(p)
		for j, b := range in.row(o.In[1], 0, 0) {
			choice[j] += b
		}
		maskGroups(choice, int(o.N[2]), int(o.N[3]))
		chosen := make([]float64, o.N[1])
		for k := range chosen {
			best := 0
			for j := range choice {
				if choice[j] > choice[best] {
					best = j
				}
			}
			ids[i][k], chosen[k] = float64(best), p[best]
			choice[best] = math.Inf(-1)
		}
		if kernels.Gating(o.N[0]) == kernels.GateSoftmaxChosen {
			softmax(chosen)
		}
		sum := 1.0
		if o.N[4] == 1 {
			sum = 0
			for _, v := range chosen {
				sum += v
			}
		}
		for k, v := range chosen {
			shares[i][k] = v / sum * float64(o.F[0])
		}
	}
}

// maskGroups leaves the groups whose two best experts are worth most.
func maskGroups(choice []float64, groups, used int) {
	if groups < 2 {
		return
	}
	width := len(choice) / groups
	worth := make([]float64, groups)
	for g := range worth {
		part := slices.Clone(choice[g*width : (g+1)*width])
		slices.Sort(part)
		worth[g] = part[width-1] + part[width-2]
	}
	sorted := slices.Clone(worth)
	slices.Sort(sorted)
	for j := range choice {
		if worth[j/width] < sorted[groups-used] {
			choice[j] = math.Inf(-1)
		}
	}
}

func softmax(p []float64) {
	most, sum := slices.Max(p), 0.0
	for i := range p {
		p[i] = math.Exp(p[i] - most)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
}

func (in *interpreter) experts(o *kernels.Op) {
	x, ids, out, used := in.read(o.In[0]), in.read(o.In[3]), in.read(o.Out), in.p.ExpertsUsed
	shared := in.p.Tensors[o.In[0]].RowsKind != kernels.RowsExperts
	for i := range out {
		source := x[i/used]
		if !shared {
			source = x[i]
		}
		id := int(ids[i/used][i%used])
		for r := range out[i] {
			out[i][r] = in.product(o, source, id, r, o.In[1], o.In[2], o.In[4], o.In[5], id)
		}
	}
}

func (in *interpreter) expertSum(o *kernels.Op) {
	y, shares, used := in.read(o.In[0]), in.read(o.In[1]), in.p.ExpertsUsed
	for i, out := range in.read(o.Out) {
		for j := range out {
			out[j] = 0
			for k := range used {
				out[j] += shares[i][k] * y[i*used+k][j]
			}
		}
	}
	if o.In[2] != kernels.None {
		for i, residual := range in.read(o.In[2]) {
			for j := range residual {
				in.read(o.Out)[i][j] += residual[j]
			}
		}
	}
}

func (in *interpreter) element(o *kernels.Op) {
	a, b := in.read(o.In[0]), [][]float64(nil)
	switch r := o.In[1]; {
	case r == kernels.None:
	case in.p.Tensors[r].RowsKind == kernels.RowsFixed:
		for range a {
			b = append(b, in.row(r, 0, 0))
		}
	default:
		b = in.read(r)
	}
	f0, f1, act := float64(o.F[0]), float64(o.F[1]), kernels.Act(o.N[1])
	for i, out := range in.read(o.Out) {
		for j := range out {
			v, u := a[i][j], 0.0
			if b != nil {
				u = b[i][j%len(b[i])]
			}
			switch kernels.Element(o.N[0]) {
			case kernels.ElAdd:
				out[j] = v*f0 + u*f1
			case kernels.ElMul:
				out[j] = v * u * f0
			case kernels.ElAct:
				out[j] = activate(act, v*f0, o.F[1:]...)
			case kernels.ElActMul:
				out[j] = activate(act, v*f0, o.F[1:]...) * u
			case kernels.ElClamp:
				out[j] = math.Max(f0, math.Min(v, f1))
			case kernels.ElMulAct:
				out[j] = v * activate(act, u, o.F[1:]...)
			}
		}
	}
}
