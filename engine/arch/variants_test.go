package arch

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/kernels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every architecture of the table, without the corpus.
func TestEveryArchitecture(t *testing.T) {
	for _, row := range Known() {
		t.Run(row.Name, func(t *testing.T) {
			s := newSketch(t, row.Name, nil)
			f := s.open(t)
			m, err := Record(f, Options{})
			require.NoError(t, err)
			samePlan(t, filepath.Join("testdata", "sketch-"+row.Name+".plan"), m.Plan.String())
			assert.Equal(t, row.Name, m.Arch)
			assert.Equal(t, 40, m.Vocab)
			assert.Equal(t, 32, m.Dim)
			assert.Equal(t, 64, m.ContextLength)
			var elements int64
			for i := range f.Tensors {
				elements += f.Tensors[i].Elements()
			}
			assert.Equal(t, elements, m.Parameters)
			if m.Experts == 0 {
				computed := int64(0) // rope tables, and weights in another form
				for r := range m.Plan.Tensors {
					computed += int64(len(m.Plan.ConstantValues(kernels.Ref(r))))
				}
				assert.LessOrEqual(t, m.WeightBytesPerToken, 4*(elements+32+computed)) // 32: a row of the embeddings
				for _, o := range m.Plan.Ops {
					if o.Kind == kernels.OpEmbed { // rows that are not this token's
						elements -= m.Plan.Tensors[o.In[0]].Rows * m.Plan.Tensors[o.In[0]].Cols
					}
				}
				assert.GreaterOrEqual(t, m.WeightBytesPerToken, 4*elements)
			}
			for _, row := range s.logits(t) {
				for _, v := range row {
					require.False(t, math.IsNaN(v) || math.IsInf(v, 0))
				}
			}
			pages := make([]int, len(m.Plan.PageKinds))
			for i := range pages {
				pages[i] = 4
			}
			require.NoError(t, m.Plan.Finish(kernels.Limits{MaxRows: 8, MaxWanted: 8, CacheDType: kernels.F16, Pages: pages}))
		})
	}
}

// The same weights in another form of the file are the same model.
func TestFormsOfFiles(t *testing.T) {
	split := func(s *sketch, stacked string, axis int, parts ...string) { // stacks tensors of every layer
		for i := 0; ; i++ {
			p := fmt.Sprintf("blk.%d.", i)
			if _, ok := s.tensors[p+parts[0]]; !ok {
				return
			}
			var all []blob
			for _, part := range parts {
				all = append(all, s.tensors[p+part])
				delete(s.tensors, p+part)
			}
			s.tensors[p+stacked] = stackRows(all, axis)
		}
	}
	forms := []struct {
		name, arch string
		keys       map[string]any
		change     func(s *sketch)
	}{
		{"stacked qkv", "llama", nil, func(s *sketch) {
			split(s, "attn_qkv.weight", 1, "attn_q.weight", "attn_k.weight", "attn_v.weight")
		}},
		{"stacked qkv with biases", "phi2", nil, func(s *sketch) {
			split(s, "attn_qkv.weight", 1, "attn_q.weight", "attn_k.weight", "attn_v.weight")
			split(s, "attn_qkv.bias", 0, "attn_q.bias", "attn_k.bias", "attn_v.bias")
		}},
		{"stacked gate and up", "llama", nil, func(s *sketch) {
			split(s, "ffn_up.weight", 1, "ffn_gate.weight", "ffn_up.weight")
		}},
		{"stacked experts", "qwen3moe", nil, func(s *sketch) {
			split(s, "ffn_gate_up_exps.weight", 1, "ffn_gate_exps.weight", "ffn_up_exps.weight")
		}},
		{"tied output written out", "qwen3", nil, func(s *sketch) { s.tensors["output.weight"] = s.tensors["token_embd.weight"] }},
		{"no biases as zeros", "qwen2", nil, func(s *sketch) {
			for i := range 2 {
				s.tensors[fmt.Sprintf("blk.%d.attn_q.bias", i)] = blob{[]int64{32}, make([]float32, 32), gguf.F32}
				s.tensors[fmt.Sprintf("blk.%d.attn_output.bias", i)] = blob{[]int64{32}, make([]float32, 32), gguf.F32}
				s.tensors[fmt.Sprintf("blk.%d.ffn_gate.bias", i)] = blob{[]int64{48}, make([]float32, 48), gguf.F32}
				s.tensors[fmt.Sprintf("blk.%d.ffn_up.bias", i)] = blob{[]int64{48}, make([]float32, 48), gguf.F32}
				s.tensors[fmt.Sprintf("blk.%d.ffn_down.bias", i)] = blob{[]int64{32}, make([]float32, 32), gguf.F32}
			}
			s.tensors["output.bias"] = blob{[]int64{40}, make([]float32, 40), gguf.F32}
		}},
		{"a count for each layer", "llama", nil, func(s *sketch) {
			s.keys["attention.head_count"], s.keys["attention.head_count_kv"] = []int32{4, 4}, []int32{2, 2}
			s.keys["feed_forward_length"] = []int32{48, 48}
		}},
		{"rope factors of 1", "llama", nil, func(s *sketch) { s.tensors["rope_freqs.weight"] = blob{[]int64{4}, []float32{1, 1, 1, 1}, gguf.F32} }},
		{"window pattern as flags", "gemma3", nil, func(s *sketch) {
			s.keys["attention.sliding_window_pattern"] = []bool{true, true, true, true, true, false}
		}},
		{"window pattern as a period", "gemma2", nil, func(s *sketch) { s.keys["attention.sliding_window_pattern"] = uint32(2) }},
		{"old name of linear scaling", "llama", map[string]any{"rope.scale_linear": float32(4)}, func(s *sketch) {
			delete(s.keys, "rope.scale_linear")
			s.keys["rope.scaling.type"], s.keys["rope.scaling.factor"] = "linear", float32(4)
		}},
		{"no scaling", "llama", map[string]any{"rope.scaling.type": "none", "rope.scaling.factor": float32(4)}, func(s *sketch) {
			delete(s.keys, "rope.scaling.type")
			delete(s.keys, "rope.scaling.factor")
		}},
		{"layers for a second token", "llama", nil, func(s *sketch) {
			s.keys["block_count"], s.keys["nextn_predict_layers"] = uint32(3), uint32(1)
		}},
		{"router named", "deepseek2", nil, func(s *sketch) { s.keys["expert_gating_func"] = uint32(1) }},
	}
	for _, form := range forms {
		t.Run(form.name, func(t *testing.T) {
			plain := newSketch(t, form.arch, form.keys)
			other := plain.clone()
			form.change(other)
			assert.Less(t, distance(t, other, plain), 1e-12)
		})
	}
}

// Gate and up stacked in one tensor, each with its bias.
func TestStackedGateWithBias(t *testing.T) {
	apart := newSketch(t, "phi3", nil)
	for i := range 2 {
		apart.random(fmt.Sprintf("blk.%d.ffn_gate.bias", i), 48)
		apart.random(fmt.Sprintf("blk.%d.ffn_up.bias", i), 48)
	}
	stacked := apart.clone()
	for i := range 2 {
		gate, up := fmt.Sprintf("blk.%d.ffn_gate", i), fmt.Sprintf("blk.%d.ffn_up", i)
		stacked.tensors[up+".weight"] = stackRows([]blob{apart.tensors[gate+".weight"], apart.tensors[up+".weight"]}, 1)
		stacked.tensors[up+".bias"] = stackRows([]blob{apart.tensors[gate+".bias"], apart.tensors[up+".bias"]}, 0)
		delete(stacked.tensors, gate+".weight")
		delete(stacked.tensors, gate+".bias")
	}
	assert.Less(t, distance(t, stacked, apart), 1e-12)
}

// What a token reads: of the experts the used share, of the embeddings one row unless they are the output too.
func TestWeightBytesPerToken(t *testing.T) {
	s := newSketch(t, "qwen3moe", nil)
	s.random("output.weight", 32, 40)
	m, err := Record(s.open(t), Options{})
	require.NoError(t, err)
	const rope = 4
	want := 4 * (32 + 32*40 + 32 + rope + 2*( // embedding, output, its norm; in each layer:
	2*32+32*32+2*32*16+32*32+2*8+             // norms, q, k and v, output, head norms
		32*4+2*3*32*16)) // router, two experts of three matrices
	assert.EqualValues(t, want, m.WeightBytesPerToken)
}

// stackRows lays blobs over each other along an axis; of stacks of matrices, each expert's.
func stackRows(all []blob, axis int) blob {
	out := blob{shape: slices.Clone(all[0].shape), kind: all[0].kind}
	out.shape[axis] = 0
	mats := 1
	for _, n := range all[0].shape[axis+1:] {
		mats *= int(n)
	}
	for m := range mats {
		for _, b := range all {
			size := len(b.values) / mats
			out.values = append(out.values, b.values[m*size:(m+1)*size]...)
		}
	}
	for _, b := range all {
		out.shape[axis] += b.shape[axis]
	}
	return out
}

// scaled returns the blob with part i of its rows, or experts, multiplied by factors[i].
func (b blob) scaled(factors ...float32) blob {
	out := blob{b.shape, slices.Clone(b.values), b.kind}
	size := len(out.values) / len(factors)
	for i := range out.values {
		out.values[i] *= factors[i/size]
	}
	return out
}

// A scale beside a tensor counts as if the tensor had it, biases not included.
func TestScales(t *testing.T) {
	for _, arch := range []string{"llama", "qwen3moe", "phi2"} {
		t.Run(arch, func(t *testing.T) {
			plain := newSketch(t, arch, nil)
			beside := plain.clone()
			for name, b := range plain.tensors {
				stem, matrix := strings.CutSuffix(name, ".weight")
				if !matrix || strings.Contains(name, "norm") || name == "token_embd.weight" || strings.Contains(name, "gate_inp") {
					continue
				}
				factors := []float32{0.5}
				if len(b.shape) == 3 {
					factors = []float32{0.5, 2, 4, 0.25}
				}
				inverse := make([]float32, len(factors))
				for i, f := range factors {
					inverse[i] = 1 / f
				}
				beside.tensors[name] = b.scaled(inverse...)
				beside.tensors[stem+".scale"] = blob{[]int64{int64(len(factors))}, factors, gguf.F32}
				beside.tensors[stem+".input_scale"] = blob{[]int64{1}, []float32{1}, gguf.F32} // for another program's activations
			}
			require.Greater(t, len(beside.tensors), len(plain.tensors))
			assert.Less(t, distance(t, beside, plain), 1e-6)
		})
	}
}

// Vectors that are not F32 are converted.
func TestVectorTypes(t *testing.T) {
	plain := newSketch(t, "starcoder2", nil)
	for _, kind := range []gguf.Type{gguf.F16, gguf.BF16} {
		other, rounded := plain.clone(), plain.clone()
		for name, b := range plain.tensors {
			if len(b.shape) != 1 {
				continue
			}
			b.values = slices.Clone(b.values)
			for i, v := range b.values {
				if kind == gguf.F16 {
					b.values[i] = kernels.F16ToF32(kernels.F32ToF16(v))
				} else {
					b.values[i] = kernels.BF16ToF32(kernels.F32ToBF16(v))
				}
			}
			rounded.tensors[name] = b
			b.kind = kind
			other.tensors[name] = b
		}
		assert.Zero(t, distance(t, other, rounded))
	}
}

// Optional parts of architectures do something, and what they should.
func TestOptions(t *testing.T) {
	add := func(s *sketch, layers int, tensors map[string][]int64) *sketch {
		s = s.clone()
		for i := range layers {
			for name, shape := range tensors {
				s.random(fmt.Sprintf("blk.%d.%s", i, name), shape...)
			}
		}
		return s
	}
	set := func(s *sketch, key string, v any) *sketch {
		s = s.clone()
		s.keys[key] = v
		return s
	}
	stable := newSketch(t, "stablelm", nil)
	command := newSketch(t, "command-r", nil)
	neox := newSketch(t, "gptneox", nil)
	granite := newSketch(t, "granite", nil)
	falcon := newSketch(t, "falcon", nil)
	llama := newSketch(t, "llama", nil)
	deepseek := newSketch(t, "deepseek2", nil)
	gemma3 := newSketch(t, "gemma3", nil)
	glm := newSketch(t, "glm4", nil)
	changes := map[string][2]*sketch{
		"stablelm with head norms":      {stable, add(stable, 2, map[string][]int64{"attn_q_norm.weight": {8, 4}, "attn_k_norm.weight": {8, 2}})},
		"stablelm in sequence":          {stable, add(stable, 2, map[string][]int64{"ffn_norm.weight": {32}, "ffn_norm.bias": {32}})},
		"command-r with head norms":     {command, add(command, 2, map[string][]int64{"attn_q_norm.weight": {8, 4}, "attn_k_norm.weight": {8, 2}})},
		"gptneox in sequence":           {neox, set(neox, "use_parallel_residual", false)},
		"granite without rope":          {granite, set(granite, "rope.scaling.finetuned", false)},
		"falcon with two norms":         {falcon, add(falcon, 2, map[string][]int64{"attn_norm_2.weight": {32}, "attn_norm_2.bias": {32}})},
		"llama with biases":             {llama, add(llama, 2, map[string][]int64{"attn_q.bias": {32}, "attn_output.bias": {32}, "ffn_gate.bias": {48}, "ffn_up.bias": {48}, "ffn_down.bias": {32}})},
		"llama with yarn":               {llama, set(set(llama, "rope.scaling.type", "yarn"), "rope.scaling.factor", float32(4))},
		"deepseek with a choice's bias": {deepseek, add(deepseek, 2, map[string][]int64{"exp_probs_b.bias": {4}})},
		"deepseek with sigmoid router":  {deepseek, set(deepseek, "expert_gating_func", uint32(2))},
		"deepseek normalised":           {deepseek, set(deepseek, "expert_weights_norm", true)},
		"deepseek with groups":          {deepseek, set(set(deepseek, "expert_group_count", uint32(2)), "expert_group_used_count", uint32(1))},
		"gemma3 with capped logits":     {gemma3, set(gemma3, "final_logit_softcapping", float32(2))},
		"gemma3 without windows":        {gemma3, set(gemma3, "attention.sliding_window", uint32(0))},
		"glm4 for images":               {glm, set(glm, "rope.dimension_sections", []int32{1, 1, 0, 0})},
	}
	delete(changes["deepseek with a choice's bias"][1].tensors, "blk.0.exp_probs_b.bias") // a dense layer has no router
	for name, pair := range changes {
		t.Run(name, func(t *testing.T) {
			d := distance(t, pair[1], pair[0])
			assert.Greater(t, d, 1e-4)
			assert.Less(t, d, 3.0)
		})
	}
}

// The lite models make queries in one step; keys and values come in two forms.
func TestDeepseekForms(t *testing.T) {
	lite := newSketch(t, "deepseek2", map[string]any{"attention.q_lora_rank": uint32(0)})
	require.NotContains(t, lite.tensors, "blk.0.attn_q_a.weight")
	require.Contains(t, lite.tensors, "blk.0.attn_q.weight")

	// The two forms of keys and values hold the same numbers: kv_b is [rank, heads*(plain+value)], k_b its plain part
	// transposed, [plain, rank, heads], v_b its value part, [rank, value, heads].
	const heads, plain, value, rank, rotated = 4, 8, 8, 12, 4
	absorbed := lite.clone()
	for key, v := range map[string]uint32{"attention.key_length": rank + rotated, "attention.value_length": rank,
		"attention.key_length_mla": plain + rotated, "attention.value_length_mla": value, "attention.head_count_kv": 1} {
		absorbed.keys[key] = v
	}
	for i := range 2 {
		p := fmt.Sprintf("blk.%d.", i)
		both := lite.tensors[p+"attn_kv_b.weight"]
		delete(absorbed.tensors, p+"attn_kv_b.weight")
		keys := blob{[]int64{plain, rank, heads}, make([]float32, plain*rank*heads), gguf.F32}
		values := blob{[]int64{rank, value, heads}, make([]float32, rank*value*heads), gguf.F32}
		for h := range heads {
			for r := range rank {
				for j := range plain {
					keys.values[(h*rank+r)*plain+j] = both.values[(h*(plain+value)+j)*rank+r]
				}
				for j := range value {
					values.values[(h*value+j)*rank+r] = both.values[(h*(plain+value)+plain+j)*rank+r]
				}
			}
		}
		absorbed.tensors[p+"attn_k_b.weight"], absorbed.tensors[p+"attn_v_b.weight"] = keys, values
	}
	assert.Less(t, distance(t, absorbed, lite), 1e-12)

	expanded := lite.clone() // a scale keeps the older form from being absorbed
	for i := range 2 {
		p := fmt.Sprintf("blk.%d.attn_kv_b", i)
		expanded.tensors[p+".weight"] = lite.tensors[p+".weight"].scaled(4)
		expanded.tensors[p+".scale"] = blob{[]int64{1}, []float32{0.25}, gguf.F32}
	}
	m, err := Record(expanded.open(t), Options{})
	require.NoError(t, err)
	require.EqualValues(t, value, m.Plan.Cache[0].VDim)
	assert.Less(t, distance(t, expanded, lite), 1e-12)
}

// Halves are made as the kernels make them.
func TestAppendHalf(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	values := []float32{0, 1, 65504, 65519.99, 65520, 65536, 1e9, 0x1p-14, 0x1p-24, 0x1p-25, 0x1.8p-25, 0x1.002p-14, 0x1.001p0, 0x1.003p0, float32(inf())}
	for range 100000 {
		values = append(values, math.Float32frombits(r.Uint32()))
	}
	for _, v := range values {
		for _, f := range []float32{v, -v} {
			got := binary.LittleEndian.Uint16(appendHalf(nil, f))
			if f != f {
				assert.Equal(t, uint16(0x7e00), got&0x7fff)
				continue
			}
			require.Equal(t, kernels.F32ToF16(f), got, "%x", f)
		}
	}
}

// Long contexts take the long factors.
func TestLongRope(t *testing.T) {
	s := newSketch(t, "phi3", map[string]any{"rope.scaling.original_context_length": uint32(32), "rope.scaling.attn_factor": float32(1.25)})
	s.tensors["rope_factors_short.weight"] = blob{[]int64{4}, []float32{1, 1, 1, 1}, gguf.F32}
	s.tensors["rope_factors_long.weight"] = blob{[]int64{4}, []float32{2, 4, 8, 16}, gguf.F32}
	for o, factor := range map[Options]float64{{}: 2, {Context: 64}: 2, {Context: 33}: 2, {Context: 32}: 1, {Context: 16}: 1,
		{DefaultContext: 32}: 1, {DefaultContext: 33}: 2, {DefaultContext: 900}: 2, {Context: 33, DefaultContext: 32}: 2} {
		m, err := Record(s.open(t), o)
		require.NoError(t, err)
		assert.Empty(t, m.Unused.Tensors)
		for i, o := range m.Plan.Ops {
			if o.Kind == kernels.OpAngles {
				assert.Equal(t, float32(1.25), m.Plan.Ops[i].F[0])
				assert.InDelta(t, 1/factor, m.Plan.ConstantValues(o.In[0])[0], 1e-7, "%+v", o)
			}
		}
	}
}

// YaRN's frequencies, by hand: 8 pairs, 4 times the context of 32, base 10000. Pair 0 turns 32/2pi = 5 times in the original
// context, less than 32: the ramp begins at pair 0, and ends where a pair turns once, ceil(8*ln(32/2pi)/ln 10000) = 2.
func TestYarnFrequencies(t *testing.T) {
	r := ropeScaling{kind: "yarn", base: 10000, factor: 4, attention: 1, original: 32, fast: 32, slow: 1, extrapol: 1}
	got := r.frequencies(16, nil)
	for i, keep := range []float64{1, 0.5, 0, 0, 0, 0, 0, 0} {
		f := math.Pow(10000, -float64(i)/8)
		assert.InEpsilon(t, f*keep+f/4*(1-keep), got[i], 1e-6, "pair %d", i)
	}
	assert.InEpsilon(t, 0.1*math.Log(4)+1, r.magnitude(), 1e-6)
	assert.Equal(t, float32(1), r.unscaled(500).magnitude())
	assert.InEpsilon(t, math.Pow(500, -1.0/8), r.unscaled(500).frequencies(16, nil)[1], 1e-6)
}
