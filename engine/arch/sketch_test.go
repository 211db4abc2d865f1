package arch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/internal/modelspec"
	"github.com/infer-go/infer/kernels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sketch is a tiny model made up in memory: its architecture's keys, and tensors of random numbers.
type sketch struct {
	arch    string
	keys    map[string]any // without the architecture's prefix
	tensors map[string]blob
}

// blob is a tensor's content.
type blob struct {
	shape  []int64
	values []float32
	kind   gguf.Type // F32, F16, BF16 or, as raw words, another of 4 bytes
}

// sketchKeys are the keys of a tiny model of an architecture beyond newSketch's; others take them from their spec in testdata/tiny.
var sketchKeys = map[string]map[string]any{
	"bert":            {"pooling_type": uint32(1)},
	"gemma-embedding": {"block_count": uint32(6), "attention.sliding_window": uint32(4), "pooling_type": uint32(1)},
	"nomic-bert":      {"pooling_type": uint32(2)},
	"bloom":           {"attention.head_count_kv": uint32(4)},
	"cohere2":         {"block_count": uint32(4), "attention.sliding_window": uint32(4), "logit_scale": float32(0.25)},
	"command-r":       {"logit_scale": float32(0.5)},
	"deepseek2":       {"attention.kv_lora_rank": uint32(12), "attention.q_lora_rank": uint32(10), "attention.key_length": uint32(12), "attention.value_length": uint32(8), "rope.dimension_count": uint32(4), "leading_dense_block_count": uint32(1), "expert_count": uint32(4), "expert_used_count": uint32(2), "expert_feed_forward_length": uint32(16), "expert_shared_count": uint32(2), "expert_weights_scale": float32(1.5)},
	"falcon":          {"attention.head_count_kv": uint32(1)},
	"gemma":           {},
	"gemma2":          {"attention.sliding_window": uint32(4)},
	"gemma3":          {"block_count": uint32(6), "attention.sliding_window": uint32(4)},
	"glm4":            {"rope.dimension_count": uint32(4)},
	"gpt-oss":         {"attention.sliding_window": uint32(4), "expert_count": uint32(4), "expert_used_count": uint32(2), "expert_feed_forward_length": uint32(16)},
	"gpt2":            {"attention.head_count_kv": uint32(4)},
	"gptneox":         {"attention.head_count_kv": uint32(4), "rope.dimension_count": uint32(4)},
	"granite":         {"logit_scale": float32(2), "residual_scale": float32(0.7), "embedding_scale": float32(3), "attention.scale": float32(0.2)},
	"granitemoe":      {"logit_scale": float32(2), "expert_count": uint32(4), "expert_used_count": uint32(2), "expert_shared_feed_forward_length": uint32(16)},
	"llama":           {},
	"olmo2":           {"attention.sliding_window": uint32(4), "block_count": uint32(4)},
	"olmoe":           {"expert_count": uint32(4), "expert_used_count": uint32(2)},
	"phi2":            {"rope.dimension_count": uint32(4)},
	"phi3":            {},
	"qwen2":           {},
	"qwen2moe":        {"expert_count": uint32(4), "expert_used_count": uint32(2), "expert_shared_feed_forward_length": uint32(24)},
	"qwen3":           {"attention.key_length": uint32(16), "attention.value_length": uint32(16)},
	"qwen3moe":        {"expert_count": uint32(4), "expert_used_count": uint32(2), "expert_feed_forward_length": uint32(16)},
	"smollm3":         {"block_count": uint32(4)},
	"stablelm":        {"rope.dimension_count": uint32(4)},
	"starcoder2":      {},
	"falcon-h1":       {"ssm.conv_kernel": uint32(4), "ssm.inner_size": uint32(40), "ssm.state_size": uint32(8), "ssm.time_step_rank": uint32(4), "ssm.group_count": uint32(2)},
	"granitehybrid":   {"attention.head_count_kv": []int32{0, 2}, "logit_scale": float32(2), "ssm.conv_kernel": uint32(4), "ssm.inner_size": uint32(48), "ssm.state_size": uint32(8), "ssm.time_step_rank": uint32(4), "ssm.group_count": uint32(1)},
	"lfm2":            {"attention.head_count_kv": []int32{0, 2}, "shortconv.l_cache": uint32(3)},
	"mamba":           {"attention.head_count": uint32(0), "attention.head_count_kv": uint32(0), "feed_forward_length": uint32(0), "ssm.conv_kernel": uint32(4), "ssm.inner_size": uint32(72), "ssm.state_size": uint32(8), "ssm.time_step_rank": uint32(4)},
	"mamba2":          {"attention.head_count": uint32(0), "attention.head_count_kv": uint32(0), "feed_forward_length": uint32(0), "ssm.conv_kernel": uint32(4), "ssm.inner_size": uint32(72), "ssm.state_size": uint32(12), "ssm.time_step_rank": uint32(4), "ssm.group_count": uint32(2)},
	"nemotron_h":      {"block_count": uint32(3), "attention.head_count_kv": []int32{0, 2, 0}, "feed_forward_length": []int32{0, 0, 48}, "ssm.conv_kernel": uint32(4), "ssm.inner_size": uint32(40), "ssm.state_size": uint32(8), "ssm.time_step_rank": uint32(4), "ssm.group_count": uint32(2)},
	"qwen35":          {"full_attention_interval": uint32(2), "rope.dimension_count": uint32(4), "ssm.conv_kernel": uint32(4), "ssm.inner_size": uint32(48), "ssm.state_size": uint32(12), "ssm.time_step_rank": uint32(4), "ssm.group_count": uint32(2)},
	"qwen35moe":       {"full_attention_interval": uint32(2), "expert_count": uint32(4), "expert_used_count": uint32(2), "expert_shared_feed_forward_length": uint32(24), "expert_feed_forward_length": uint32(16), "ssm.conv_kernel": uint32(4), "ssm.inner_size": uint32(48), "ssm.state_size": uint32(12), "ssm.time_step_rank": uint32(4), "ssm.group_count": uint32(2)},
	"qwen3next":       {"full_attention_interval": uint32(2), "expert_count": uint32(4), "expert_used_count": uint32(2), "expert_shared_feed_forward_length": uint32(24), "expert_feed_forward_length": uint32(16), "ssm.conv_kernel": uint32(4), "ssm.inner_size": uint32(48), "ssm.state_size": uint32(12), "ssm.time_step_rank": uint32(4), "ssm.group_count": uint32(2)},
}

// newSketch returns a model of the architecture with the given keys on top of sketchKeys, and every tensor that Record asks
// for.
func newSketch(t testing.TB, arch string, keys map[string]any) *sketch {
	t.Helper()
	s := &sketch{arch: arch, tensors: map[string]blob{}, keys: map[string]any{
		"context_length": uint32(64), "embedding_length": uint32(32), "block_count": uint32(2), "feed_forward_length": uint32(48),
		"attention.head_count": uint32(4), "attention.head_count_kv": uint32(2), "vocab_size": uint32(40),
	}}
	row, ok := find(arch)
	require.True(t, ok, arch)
	if row.norm == layerNorm {
		s.keys["attention.layer_norm_epsilon"] = float32(1e-5)
	} else {
		s.keys["attention.layer_norm_rms_epsilon"] = float32(1e-5)
	}
	own, ok := sketchKeys[arch]
	if !ok {
		own = specKeys(t, arch)
	}
	maps.Copy(s.keys, own)
	maps.Copy(s.keys, keys)
	for range 200 { // a report holds some 50 faults
		_, err := Record(s.open(t), Options{})
		if err == nil {
			return s
		}
		added := 0
		for _, fault := range tensorErrors(err) {
			if fault.Found == "nothing" {
				s.random(fault.Tensor, shapeOf(t, fault.Expected)...)
				added++
			}
		}
		require.Positive(t, added, "%s: %v", arch, err)
	}
	t.Fatal("tensors without end")
	return nil
}

// specKeys are the keys of the first model of the architecture's spec in testdata/tiny, with a sketch's sizes.
func specKeys(t testing.TB, arch string) map[string]any {
	t.Helper()
	specs, err := modelspec.Load(os.DirFS("../../testdata/tiny"))
	require.NoError(t, err)
	i := slices.IndexFunc(specs, func(s *modelspec.Spec) bool { return s.Arch == arch })
	require.GreaterOrEqual(t, i, 0, "architecture %s has neither a spec in testdata/tiny nor a line in sketchKeys", arch)
	c := modelspec.Case{Name: arch, Sets: slices.Clone(specs[i].Cases[0].Sets)}
	for _, size := range []struct{ name, value string }{{"dim", "32"}, {"ff", "48"}, {"vocab", "40"}, {"kv", "2"}, {"group", "2"}, {"head", "8"}, {"context", "64"}} {
		c.Sets = append(slices.DeleteFunc(c.Sets, func(s modelspec.Setting) bool { return s.Name == size.name }), modelspec.Setting{Name: size.name, Values: []string{size.value}})
	}
	m, err := specs[i].Model(c)
	require.NoError(t, err)
	return m.Keys()
}

// shapeOf reads the shape that an error expects.
func shapeOf(t testing.TB, text string) []int64 {
	var shape []int64
	for _, word := range strings.Fields(strings.Trim(strings.TrimPrefix(text, "shape "), "[]")) {
		var n int64
		_, err := fmt.Sscan(word, &n)
		require.NoError(t, err, text)
		shape = append(shape, n)
	}
	for len(shape) > 1 && shape[len(shape)-1] == 1 {
		shape = shape[:len(shape)-1]
	}
	return shape
}

// tensorErrors finds the tensor faults in a joined error.
func tensorErrors(err error) []*TensorError {
	var out []*TensorError
	var one *TensorError
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			out = append(out, tensorErrors(e)...)
		}
	} else if inner := errors.Unwrap(err); inner != nil {
		return tensorErrors(inner)
	} else if errors.As(err, &one) {
		out = append(out, one)
	}
	return out
}

// random adds a tensor whose values depend on its name alone: norms near 1, others small.
func (s *sketch) random(name string, shape ...int64) {
	h := fnv.New64a()
	h.Write([]byte(name))
	r := rand.New(rand.NewPCG(h.Sum64(), 1))
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	b := blob{shape: shape, values: make([]float32, n), kind: gguf.F32}
	for i := range b.values {
		b.values[i] = float32(r.NormFloat64()) * 0.3
		if strings.Contains(name, "norm") && strings.HasSuffix(name, ".weight") {
			b.values[i] += 1
		}
	}
	s.tensors[name] = b
}

func (s *sketch) clone() *sketch {
	return &sketch{s.arch, maps.Clone(s.keys), maps.Clone(s.tensors)}
}

// fullKey is a key as a file has it: the architecture's, or one of those that stand outside of it.
func (s *sketch) fullKey(key string) string {
	if strings.HasPrefix(key, "xielu.") {
		return key
	}
	return s.arch + "." + key
}

// bytes returns the model as a GGUF file.
func (s *sketch) bytes(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gguf.NewWriter(&out)
	require.NoError(t, w.SetString("general.architecture", s.arch))
	for _, key := range slices.Sorted(maps.Keys(s.keys)) {
		require.NoError(t, w.Set(s.fullKey(key), s.keys[key]))
	}
	for _, name := range slices.Sorted(maps.Keys(s.tensors)) {
		b := s.tensors[name]
		require.NoError(t, w.AddTensorBytes(name, b.kind, b.shape, b.pack()))
	}
	require.NoError(t, w.Write())
	return out.Bytes()
}

func (b blob) pack() []byte {
	var data []byte
	for _, v := range b.values {
		switch b.kind {
		case gguf.F16:
			data = binary.LittleEndian.AppendUint16(data, kernels.F32ToF16(v))
		case gguf.BF16:
			data = binary.LittleEndian.AppendUint16(data, kernels.F32ToBF16(v))
		default:
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
	}
	return data
}

func (s *sketch) open(t testing.TB) *gguf.File {
	t.Helper()
	f, err := gguf.OpenBytes("sketch.gguf", s.bytes(t))
	require.NoError(t, err)
	return f
}

var sketchTokens = []int{3, 1, 39, 7, 7, 20, 11, 0, 5, 30, 2, 16}

// logits records the model and interprets its plan.
func (s *sketch) logits(t *testing.T) [][]float64 {
	t.Helper()
	f := s.open(t)
	m, err := Record(f, Options{})
	require.NoError(t, err)
	assert.Empty(t, m.Unused.Tensors)
	assert.Empty(t, m.Unused.Keys)
	return interpret(t, m, f, sketchTokens)
}

// distance is the relative L2 distance of two models' logits.
func distance(t *testing.T, a, b *sketch) float64 {
	t.Helper()
	return relativeL2(a.logits(t), slices.Concat(b.logits(t)...))
}
