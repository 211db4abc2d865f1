package arch

import (
	"math"

	"github.com/infer-go/infer/kernels"
)

func (in *interpreter) conv(o *kernels.Op) {
	x, taps := in.read(o.In[0]), int(o.N[2])
	for t, out := range in.read(o.Out) {
		for c := range out {
			var sum float64
			for k := range taps {
				if from := t - taps + 1 + k; from >= 0 {
					sum += in.row(o.In[1], 0, k)[c] * x[from][c]
				}
			}
			if bias := in.row(o.In[2], 0, 0); bias != nil {
				sum += bias[c]
			}
			out[c] = activate(kernels.Act(o.N[1]), sum)
		}
	}
}

func softplus(x float64) float64 { return math.Log1p(math.Exp(x)) }

func (in *interpreter) scan(o *kernels.Op) {
	x, step, b, c := in.read(o.In[0]), in.read(o.In[1]), in.read(o.In[2]), in.read(o.In[3])
	state := make([][]float64, o.N[1])
	for s := range state {
		state[s] = make([]float64, len(x[0]))
	}
	for t, out := range in.read(o.Out) {
		for i := range out {
			d := softplus(step[t][i])
			out[i] = in.row(o.In[5], 0, 0)[i] * x[t][i]
			for s := range state {
				state[s][i] = state[s][i]*math.Exp(d*in.row(o.In[4], 0, s)[i]) + d*x[t][i]*b[t][s]
				out[i] += state[s][i] * c[t][s]
			}
		}
	}
}

func (in *interpreter) headScan(o *kernels.Op) {
	x, step, b, c := in.read(o.In[0]), in.read(o.In[1]), in.read(o.In[2]), in.read(o.In[3])
	heads, groups, states := int(o.N[1]), int(o.N[2]), int(o.N[3])
	width := len(x[0]) / heads
	state := make([]float64, len(x[0])*states)
	for t, out := range in.read(o.Out) {
		for i := range out {
			h := i / width
			shared := h / (heads / groups) * states
			d := softplus(step[t][h] + in.row(o.In[6], 0, 0)[h])
			out[i] = in.row(o.In[5], 0, 0)[h] * x[t][i]
			for s := range states {
				at := &state[i*states+s]
				*at = *at*math.Exp(d*in.row(o.In[4], 0, 0)[h]) + d*x[t][i]*b[t][shared+s]
				out[i] += *at * c[t][shared+s]
			}
		}
	}
}

func (in *interpreter) delta(o *kernels.Op) {
	q, k, v, decay, beta := in.read(o.In[0]), in.read(o.In[1]), in.read(o.In[2]), in.read(o.In[3]), in.read(o.In[4])
	heads, keyHeads := int(o.N[1]), int(o.N[2])
	keys, width := len(k[0])/keyHeads, len(v[0])/heads
	state := make([]float64, heads*keys*width) // [heads][width][keys]
	for t, out := range in.read(o.Out) {
		for i := range out {
			h := i / width
			shared := h / (heads / keyHeads)
			if o.N[3] == 1 {
				shared = h % keyHeads
			}
			key, query, row := k[t][shared*keys:][:keys], q[t][shared*keys:][:keys], state[i*keys:][:keys]
			g := math.Exp(in.row(o.In[5], 0, 0)[h] * softplus(decay[t][h]+in.row(o.In[6], 0, 0)[h]))
			for j := range row {
				row[j] *= g
			}
			change := (v[t][i] - dot(key, row)) / (1 + math.Exp(-beta[t][h]))
			for j := range row {
				row[j] += key[j] * change
			}
			out[i] = dot(query, row) * float64(o.F[0])
		}
	}
}

func (in *interpreter) wkv(o *kernels.Op) {
	r, w, k, v := in.read(o.In[0]), in.read(o.In[1]), in.read(o.In[2]), in.read(o.In[3])
	var a, b [][]float64
	if o.In[4] != kernels.None {
		a, b = in.read(o.In[4]), in.read(o.In[5])
	}
	heads := int(o.N[1])
	keys, width := len(k[0])/heads, len(v[0])/heads
	state := make([]float64, heads*keys*width) // [heads][width][keys]
	for t, out := range in.read(o.Out) {
		for i := range out {
			h, row := i/width, state[i*keys:][:keys]
			before := dot(row, r[t][h*keys:])
			var seen float64
			if a != nil {
				seen = dot(row, a[t][h*keys:])
			}
			for j := range row {
				at := h*keys + j
				row[j] = row[j]*math.Exp(w[t][at]) + k[t][at]*v[t][i]
				if b != nil {
					row[j] -= b[t][at] * seen
				}
			}
			if out[i] = dot(row, r[t][h*keys:]); o.N[2] == 1 {
				out[i] = before
			}
		}
	}
}
