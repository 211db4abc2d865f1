package arch

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/kernels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// record returns the error of recording a sketch, which must be one.
func (s *sketch) refused(t *testing.T) error {
	t.Helper()
	m, err := Record(s.open(t), Options{})
	require.Error(t, err)
	require.Nil(t, m)
	return err
}

func TestUnknownArchitecture(t *testing.T) {
	s := newSketch(t, "llama", nil)
	s.arch = "gargantua"
	err := s.refused(t)
	var unknown *UnknownArchitectureError
	require.ErrorAs(t, err, &unknown)
	assert.Equal(t, "gargantua", unknown.Name)
	for _, row := range Known() {
		assert.Contains(t, err.Error(), row.Name)
	}
	_, err = Record(newSketch(t, "llama", nil).open(t), Options{Context: -1})
	assert.ErrorContains(t, err, "-1")
}

func TestTableIsSorted(t *testing.T) {
	assert.True(t, slices.IsSorted(names()))
	assert.Len(t, Known(), len(slices.Compact(names())))
}

// Each tensor in turn is missing, has another shape, another type: the error names it and what was expected.
func TestTensorFaults(t *testing.T) {
	for _, row := range Known() {
		t.Run(row.Name, func(t *testing.T) {
			whole := newSketch(t, row.Name, nil)
			for name, b := range whole.tensors {
				if _, part, ok := strings.Cut(strings.TrimPrefix(name, "blk."), "."); ok && !strings.HasPrefix(name, "blk.0.") {
					if _, same := whole.tensors["blk.0."+part]; same {
						continue // the first layer stands for all that are like it
					}
				}
				s := whole.clone()
				delete(s.tensors, name)
				s.names(t, name, "found nothing")

				longer := slices.Clone(b.shape)
				longer[len(longer)-1]++
				s = whole.clone()
				s.random(name, longer...)
				s.names(t, name, "expected shape")

				s = whole.clone()
				b.kind = gguf.I32
				s.tensors[name] = b
				s.names(t, name, "found I32")
			}
		})
	}
}

// names checks that a sketch is refused with an error about one tensor.
func (s *sketch) names(t *testing.T, tensor, what string) {
	t.Helper()
	err := s.refused(t)
	faults := tensorErrors(err)
	found := slices.IndexFunc(faults, func(e *TensorError) bool { return e.Tensor == tensor })
	require.GreaterOrEqual(t, found, 0, "%s: %v", tensor, err)
	assert.Contains(t, faults[found].Error(), what)
	for _, f := range faults { // nothing else is blamed, but what only makes sense together with it
		assert.Equal(t, tensor, f.Tensor, "%v", err)
	}
}

// All faults come at once.
func TestFaultsComeTogether(t *testing.T) {
	s := newSketch(t, "qwen3", nil)
	delete(s.tensors, "blk.0.attn_q.weight")
	delete(s.tensors, "blk.1.ffn_down.weight")
	s.random("output_norm.weight", 33)
	err := s.refused(t)
	for _, name := range []string{"sketch.gguf", "qwen3", "blk.0.attn_q.weight", "blk.1.ffn_down.weight", "output_norm.weight"} {
		assert.Contains(t, err.Error(), name)
	}
	assert.Len(t, tensorErrors(err), 3)

	s = newSketch(t, "qwen3", nil)
	s.keys = map[string]any{"attention.head_count": "four"}
	err = s.refused(t)
	for _, key := range []string{"context_length", "embedding_length", "block_count", "attention.head_count", "feed_forward_length", "vocab_size", "attention.layer_norm_rms_epsilon"} {
		assert.Contains(t, err.Error(), "qwen3."+key)
	}
}

// Each key that an architecture needs is named where it is missing.
func TestMissingKeys(t *testing.T) {
	optional := map[string][]string{ // sketches set them to be more interesting
		"":                {"attention.head_count_kv"},
		"gemma-embedding": {"attention.sliding_window"},
		"command-r":       {"logit_scale"},
		"deepseek2":       {"attention.q_lora_rank", "attention.key_length", "attention.value_length", "rope.dimension_count", "leading_dense_block_count", "expert_shared_count", "expert_weights_scale"},
		"gemma2":          {"attention.sliding_window"},
		"gemma3":          {"attention.sliding_window"},
		"glm4":            {"rope.dimension_count"},
		"gptneox":         {"rope.dimension_count"},
		"granite":         {"residual_scale", "embedding_scale", "attention.scale"},
		"granitemoe":      {"expert_shared_feed_forward_length"},
		"olmo2":           {"attention.sliding_window"},
		"phi2":            {"rope.dimension_count"},
		"qwen2moe":        {"expert_shared_feed_forward_length"},
		"qwen3":           {"attention.key_length", "attention.value_length"},
		"qwen3moe":        {"expert_feed_forward_length"},
		"stablelm":        {"rope.dimension_count"},
		"qwen35":          {"rope.dimension_count", "full_attention_interval"},
		"qwen35moe":       {"full_attention_interval", "expert_feed_forward_length", "expert_shared_feed_forward_length", "feed_forward_length"},
		"qwen3next":       {"full_attention_interval", "expert_feed_forward_length", "expert_shared_feed_forward_length", "feed_forward_length"},
	}
	for _, row := range Known() {
		whole := newSketch(t, row.Name, nil)
		for key := range whole.keys {
			if slices.Contains(optional[""], key) || slices.Contains(optional[row.Name], key) {
				continue
			}
			s := whole.clone()
			delete(s.keys, key)
			_, err := Record(s.open(t), Options{})
			if _, listed := sketchKeys[row.Name]; !listed && (err == nil || len(tensorErrors(err)) > 0) {
				continue // it has a default, with which other tensors may be missing: specs do not say
			}
			var fault *KeyError
			require.ErrorAs(t, err, &fault, "%s: %s", row.Name, key)
			assert.Equal(t, s.fullKey(key), fault.Key)
			assert.Equal(t, "nothing", fault.Found)
		}
	}
}

// Values that no model has are refused by the key's name.
func TestBadKeys(t *testing.T) {
	cases := []struct {
		arch, key string
		value     any
	}{
		{"llama", "block_count", uint32(0)},
		{"llama", "block_count", uint32(1 << 20)},
		{"llama", "embedding_length", int32(-32)},
		{"llama", "embedding_length", uint64(1 << 40)},
		{"llama", "embedding_length", "wide"},
		{"llama", "context_length", uint32(0)},
		{"llama", "attention.head_count", uint32(0)},
		{"llama", "attention.head_count", uint32(5)},
		{"llama", "attention.head_count", []int32{4}},
		{"llama", "attention.head_count", []int32{4, 0}},
		{"llama", "attention.head_count_kv", uint32(3)},
		{"llama", "attention.head_count_kv", []int32{2, -2}},
		{"llama", "attention.key_length", uint32(1 << 25)},
		{"llama", "attention.value_length", uint32(1 << 25)},
		{"llama", "attention.layer_norm_rms_epsilon", float32(inf())},
		{"llama", "attention.layer_norm_rms_epsilon", "small"},
		{"llama", "rope.dimension_count", uint32(7)},
		{"llama", "rope.dimension_count", uint32(10)},
		{"llama", "rope.freq_base", float32(0)},
		{"llama", "rope.freq_base", float32(-3)},
		{"llama", "rope.scaling.type", "dynamic"},
		{"llama", "rope.scaling.type", uint32(1)},
		{"llama", "rope.scaling.factor", float32(-4)},
		{"llama", "vocab_size", uint32(0)},
		{"qwen3moe", "expert_used_count", uint32(5)},
		{"qwen3moe", "expert_used_count", uint32(0)},
		{"gemma3", "attention.sliding_window_pattern", []bool{true}},
		{"gemma3", "attention.sliding_window_pattern", "often"},
		{"qwen3moe", "expert_count", uint32(0)},
		{"granite", "logit_scale", float32(0)},
		{"granite", "rope.scaling.finetuned", "yes"},
		{"deepseek2", "expert_gating_func", uint32(9)},
		{"deepseek2", "rope.dimension_count", uint32(12)},
		{"glm4", "rope.dimension_sections", "two"},
	}
	for _, c := range cases {
		s := newSketch(t, c.arch, nil)
		s.keys[c.key] = c.value
		assert.ErrorContains(t, s.refused(t), c.arch+"."+c.key, "%v", c.value)
	}
}

// An architecture of experts without any is told once, not for each layer.
func TestNoExperts(t *testing.T) {
	s := newSketch(t, "olmoe", nil)
	delete(s.keys, "expert_count")
	delete(s.keys, "expert_used_count")
	err := s.refused(t)
	assert.Equal(t, 1, strings.Count(err.Error(), "olmoe.expert_count"), "%v", err)
}

func inf() float64 { return 1 / zero }

var zero = 0.0

// Factors of rope must be positive, scales finite and not 0.
func TestBadTables(t *testing.T) {
	whole := newSketch(t, "llama", nil)
	for name, values := range map[string][]float32{
		"rope_freqs.weight":        {1, 2, 0, 4},
		"rope_factors_long.weight": {1, 2, -1, 4},
		"blk.0.attn_q.scale":       {0},
		"blk.1.ffn_up.scale":       {float32(inf())},
	} {
		s := whole.clone()
		s.keys["rope.scaling.original_context_length"] = uint32(16)
		s.tensors[name] = blob{[]int64{int64(len(values))}, values, gguf.F32}
		s.names(t, name, "expected")
	}
}

// What the architecture does not know is reported, not refused.
func TestUnused(t *testing.T) {
	s := newSketch(t, "llama", nil)
	s.random("blk.0.attn_elephant.weight", 3)
	s.keys["attention.elephants"] = uint32(1)
	m, err := Record(s.open(t), Options{})
	require.NoError(t, err)
	assert.Equal(t, []string{"blk.0.attn_elephant.weight"}, m.Unused.Tensors)
	assert.Equal(t, []string{"llama.attention.elephants"}, m.Unused.Keys)
}

func TestWithoutArchitecture(t *testing.T) {
	s := newSketch(t, "llama", nil)
	data := s.bytes(t)
	at := strings.Index(string(data), "general.architecture")
	require.Positive(t, at)
	copy(data[at:], "general.arkitecture")
	f, err := gguf.OpenBytes("odd.gguf", data)
	require.NoError(t, err)
	_, err = Record(f, Options{})
	var fault *KeyError
	require.True(t, errors.As(err, &fault))
	assert.Equal(t, "general.architecture", fault.Key)
}

// Whatever the keys hold, recording gives a plan that can be laid out, or an error.
func TestHostileKeys(t *testing.T) {
	sketches := map[string]*sketch{}
	keys := map[string][]string{}
	for _, row := range Known() {
		s := newSketch(t, row.Name, nil)
		f := s.open(t)
		k := newKeys(f, row.Name)
		c := readConfig(k, row, Options{})
		p := &plan{Plan: kernels.NewPlan(), c: c, ones: none}
		row.record(p, newWeights(f, p.Plan, c.Experts), c)
		for key := range k.asked {
			keys[row.Name] = append(keys[row.Name], strings.TrimPrefix(key, row.Name+"."))
		}
		slices.Sort(keys[row.Name])
		sketches[row.Name] = s
	}
	rapid.Check(t, func(r *rapid.T) {
		s := sketches[rapid.SampledFrom(names()).Draw(r, "arch")].clone()
		for range rapid.IntRange(1, 3).Draw(r, "changes") {
			key := rapid.SampledFrom(keys[s.arch]).Draw(r, "key")
			s.keys[key] = rapid.OneOf(
				rapid.Custom(func(r *rapid.T) any { return rapid.Int64().Draw(r, "int64") }),
				rapid.Custom(func(r *rapid.T) any { return rapid.Uint32Range(0, 70).Draw(r, "small") }),
				rapid.Custom(func(r *rapid.T) any { return rapid.Uint32().Draw(r, "uint32") }),
				rapid.Custom(func(r *rapid.T) any { return rapid.Float32().Draw(r, "float32") }),
				rapid.Custom(func(r *rapid.T) any { return rapid.Bool().Draw(r, "bool") }),
				rapid.Custom(func(r *rapid.T) any { return rapid.SampledFrom([]string{"yarn", "longrope", ""}).Draw(r, "text") }),
				rapid.Custom(func(r *rapid.T) any { return rapid.SliceOfN(rapid.Int32(), 0, 8).Draw(r, "int32s") }),
				rapid.Custom(func(r *rapid.T) any { return rapid.SliceOfN(rapid.Bool(), 0, 8).Draw(r, "bools") }),
			).Draw(r, "value")
		}
		m, err := Record(s.open(t), Options{})
		if err != nil {
			return
		}
		l := kernels.Limits{MaxRows: 2, MaxWanted: 1, CacheDType: kernels.F32, Pages: make([]int, len(m.Plan.PageKinds))}
		for i := range l.Pages {
			l.Pages[i] = 1
		}
		if err := m.Plan.Finish(l); err != nil {
			r.Fatalf("recorded, but not laid out: %v", err)
		}
	})
}

// FuzzRecord feeds files that the format accepts: recording them gives a plan or an error, never a panic.
func FuzzRecord(f *testing.F) {
	for _, name := range slices.Sorted(maps.Keys(sketchKeys)) {
		s := newSketch(f, name, nil)
		for tensor, b := range s.tensors { // headers matter, data does not
			b.values = make([]float32, len(b.values))
			s.tensors[tensor] = b
		}
		f.Add(s.bytes(f))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := gguf.OpenBytes("fuzz.gguf", data)
		if err != nil {
			return
		}
		m, err := Record(file, Options{})
		if (m == nil) == (err == nil) {
			t.Fatalf("model %v, error %v", m, err)
		}
	})
}
