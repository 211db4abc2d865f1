package quantize

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/kernels"
)

// skeleton is a model of testdata/types_gen.py: names, shapes and the keys that the rules read.
type skeleton struct {
	arch                            string
	layers, heads, kvHeads, experts int
	output                          bool
	cols                            int64
	names                           string
}

const (
	dense     = "attn_norm attn_q attn_k attn_v attn_output ffn_norm ffn_gate ffn_up ffn_down"
	fused     = "attn_norm attn_qkv attn_output ffn_up ffn_down"
	experts   = "attn_norm attn_q attn_k attn_v attn_output ffn_norm ffn_gate_inp ffn_gate_exps ffn_up_exps ffn_down_exps"
	latent    = "attn_norm attn_q attn_kv_a_mqa attn_kv_a_norm attn_k_b attn_v_b attn_output ffn_norm ffn_gate_inp ffn_gate_exps ffn_up_exps ffn_down_exps ffn_gate_shexp ffn_up_shexp ffn_down_shexp"
	oldLatent = "attn_norm attn_q attn_kv_a_mqa attn_kv_b attn_output ffn_norm ffn_gate ffn_up ffn_down"
)

var skeletons = map[string]skeleton{
	"llama-26":           {"llama", 26, 8, 4, 0, true, 256, dense},
	"llama-80-gqa8":      {"llama", 80, 64, 8, 0, true, 256, dense},
	"llama-18-tied-gqa4": {"llama", 18, 8, 2, 0, false, 256, dense},
	"mixtral":            {"llama", 32, 32, 8, 8, true, 256, experts},
	"qwen3moe":           {"qwen3moe", 20, 32, 4, 128, true, 256, experts},
	"falcon":             {"falcon", 32, 64, 1, 0, true, 256, fused},
	"phi2":               {"phi2", 32, 32, 32, 0, true, 256, fused},
	"deepseek2":          {"deepseek2", 10, 16, 16, 64, true, 256, latent},
	"deepseek2-kv_b":     {"deepseek2", 10, 16, 16, 64, true, 256, oldLatent},
	"columns-320":        {"llama", 8, 8, 4, 0, true, 320, dense},
	"columns-40-tied":    {"llama", 8, 8, 4, 0, false, 40, dense},
	"gemma2":             {"gemma2", 26, 8, 4, 0, false, 256, dense},
}

func (s skeleton) file(t *testing.T) *gguf.File {
	t.Helper()
	var out bytes.Buffer
	w := gguf.NewWriter(&out)
	w.SetString("general.architecture", s.arch)
	w.SetUint32(s.arch+".block_count", uint32(s.layers))
	w.SetUint32(s.arch+".attention.head_count", uint32(s.heads))
	w.SetUint32(s.arch+".attention.head_count_kv", uint32(s.kvHeads))
	if s.experts > 0 {
		w.SetUint32(s.arch+".expert_count", uint32(s.experts))
	}
	add := func(name string, shape ...int64) {
		size, err := gguf.SizeOf(gguf.F32, shape)
		require.NoError(t, err)
		w.AddTensorBytes(name, gguf.F32, shape, make([]byte, size))
	}
	add("token_embd.weight", s.cols, 4)
	for i := range s.layers {
		for _, name := range strings.Fields(s.names) {
			full := fmt.Sprintf("blk.%d.%s.weight", i, name)
			switch {
			case strings.HasSuffix(name, "norm"):
				add(full, s.cols)
			case strings.HasSuffix(name, "exps"):
				add(full, s.cols, 4, 2)
			default:
				add(full, s.cols, 4)
			}
		}
	}
	add("output_norm.weight", s.cols)
	if s.output {
		add("output.weight", s.cols, 4)
	}
	require.NoError(t, w.Write())
	f, err := gguf.OpenBytes("skeleton", out.Bytes())
	require.NoError(t, err)
	return f
}

// typeRuns writes the types of each kind of tensor, layer after layer, as types.json has them.
func typeRuns(t *testing.T, assignments []Assignment) map[string]string {
	t.Helper()
	byLayer := map[string]map[int]string{}
	for _, a := range assignments {
		kind, layer := strings.Split(a.Tensor.Name, ".")[0], max(0, layerOf(a.Tensor.Name))
		if kind == "blk" {
			kind = strings.Split(a.Tensor.Name, ".")[2]
		}
		if byLayer[kind] == nil {
			byLayer[kind] = map[int]string{}
		}
		byLayer[kind][layer] = a.Type.String()
	}
	out := map[string]string{}
	for kind, types := range byLayer {
		var runs []string
		for layer := 0; layer < len(types); {
			n := 1
			for layer+n < len(types) && types[layer+n] == types[layer] {
				n++
			}
			runs = append(runs, types[layer]+"*"+strconv.Itoa(n))
			layer += n
		}
		out[kind] = strings.Join(runs, " ")
	}
	return out
}

func TestAssignAsOthersDo(t *testing.T) {
	var golden map[string]map[string]map[string]string
	data, err := os.ReadFile("testdata/types.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &golden))
	require.Len(t, golden, len(skeletons))
	for name, s := range skeletons {
		f := s.file(t)
		for _, mix := range Mixes() {
			assignments, err := Assign(f, Options{Mix: mix})
			require.NoError(t, err)
			require.Contains(t, golden[name], mix.Name)
			assert.Equal(t, golden[name][mix.Name], typeRuns(t, assignments), "%s, %s", name, mix.Name)
		}
		require.NoError(t, f.Close())
	}
}

func TestAssignChoices(t *testing.T) {
	f := skeletons["llama-26"].file(t)
	defer f.Close()
	mix, err := ParseMix("q4_k_m")
	require.NoError(t, err)
	types := func(o Options) map[string]string {
		o.Mix = mix
		assignments, err := Assign(f, o)
		require.NoError(t, err)
		return typeRuns(t, assignments)
	}
	q8, f16 := kernels.Q8_0, kernels.F16
	pure := types(Options{Pure: true})
	assert.Equal(t, "Q4_K*1", pure["output"])
	assert.Equal(t, "Q4_K*26", pure["attn_v"])
	assert.Equal(t, "F32*26", pure["attn_norm"])
	assert.Equal(t, "F32*1", types(Options{KeepOutput: true})["output"])
	chosen := types(Options{OutputType: &q8, EmbeddingType: &f16, Overrides: []Override{
		{regexp.MustCompile(`^blk\.[01]\.attn_q`), kernels.F16}, {regexp.MustCompile("attn_q"), kernels.Q2_K},
	}})
	assert.Equal(t, "Q8_0*1", chosen["output"])
	assert.Equal(t, "F16*1", chosen["token_embd"])
	assert.Equal(t, "F16*2 Q2_K*24", chosen["attn_q"])

	mix, err = ParseMix("Q4_0")
	require.NoError(t, err)
	assert.Equal(t, "Q4_1*3 Q4_0*23", types(Options{Importance: &Importance{}})["ffn_down"])
	assert.Equal(t, "Q4_0*26", types(Options{})["ffn_down"])
}

func TestParseMix(t *testing.T) {
	for name, want := range map[string]string{"q4_k_m": "Q4_K_M", "Q5_K": "Q5_K_M", "q3_k": "Q3_K_M", "bf16": "BF16"} {
		mix, err := ParseMix(name)
		require.NoError(t, err)
		assert.Equal(t, want, mix.Name)
	}
	_, err := ParseMix("Q4_K_X")
	assert.ErrorContains(t, err, `unknown quantization type "Q4_K_X", expected one of F32, F16`)
	for _, mix := range Mixes() {
		assert.True(t, mix.Base.Quantizable(), mix.Name)
	}
}

// A file whose keys have wrong types is refused, one without them gets the plain rules.
func TestAssignOddKeys(t *testing.T) {
	build := func(set func(w *gguf.Writer)) *gguf.File {
		var out bytes.Buffer
		w := gguf.NewWriter(&out)
		set(w)
		w.AddTensor("blk.x.attn_v.weight", gguf.F32, []int64{256, 2}, func(out io.Writer) error {
			_, err := out.Write(make([]byte, 2048))
			return err
		})
		require.NoError(t, w.Write())
		f, err := gguf.OpenBytes("odd", out.Bytes())
		require.NoError(t, err)
		return f
	}
	mix, err := ParseMix("Q4_K_M")
	require.NoError(t, err)
	assignments, err := Assign(build(func(w *gguf.Writer) {}), Options{Mix: mix})
	require.NoError(t, err)
	assert.Equal(t, kernels.Q6_K, assignments[0].Type)
	for key, value := range map[string]any{
		"general.architecture": uint32(1), ".block_count": "many", ".expert_count": "few", ".attention.head_count": "some",
		".attention.head_count_kv": []string{"a"},
	} {
		_, err := Assign(build(func(w *gguf.Writer) { require.NoError(t, w.Set(key, value)) }), Options{Mix: mix})
		assert.ErrorIs(t, err, gguf.ErrValueType, key)
	}
	perLayer := build(func(w *gguf.Writer) {
		w.SetString("general.architecture", "x")
		w.SetInt32s("x.attention.head_count", []int32{8, 8})
		w.SetInt32s("x.attention.head_count_kv", []int32{2, 4})
	})
	m, err := describeModel(perLayer)
	require.NoError(t, err)
	assert.EqualValues(t, 4, m.grouped)
}
