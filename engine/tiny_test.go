package engine

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine/gguf"
)

// tinyModel describes a random model that tests make from a seed: a Llama with a byte-fallback vocabulary.
type tinyModel struct {
	layers, dim, heads, kvHeads, ff int64
	experts, used                   uint32
	window                          uint32 // > 0: a Gemma 2, whose even layers have this window
	noVocabulary                    bool
	tied                            bool   // the embedding table is the output matrix
	arch                            string // empty: by the window
	template                        string
	rank                            string // a reranker's template
	further                         bool   // a qwen35 with a predictor of further tokens, often right
	recurrent                       string // mamba2, or granitehybrid or qwen35 whose second layers attend
}

var tiny = tinyModel{layers: 2, dim: 64, heads: 4, kvHeads: 2, ff: 96}

const tinyVocab = 3 + 256 + 5

// write makes the file and returns its path.
func (m tinyModel) write(t testing.TB) string {
	path := filepath.Join(t.TempDir(), "tiny.gguf")
	require.NoError(t, m.writeTo(path))
	return path
}

func (m tinyModel) writeTo(path string) error {
	w := gguf.NewFileWriter(path)
	arch := "llama"
	if m.window > 0 {
		arch = "gemma2"
		w.SetUint32("gemma2.attention.sliding_window", m.window)
		w.SetUint32("gemma2.attention.key_length", uint32(m.dim/m.heads))
		w.SetUint32("gemma2.attention.value_length", uint32(m.dim/m.heads))
	}
	if m.recurrent != "" {
		arch = m.recurrent
	}
	if m.arch != "" {
		arch = m.arch
	}
	w.SetString("general.architecture", arch)
	if m.further {
		w.SetUint32(arch+".nextn_predict_layers", 1)
		m.layers++
	}
	for key, value := range map[string]int64{"context_length": 512, "embedding_length": m.dim, "block_count": m.layers, "feed_forward_length": m.ff,
		"attention.head_count": m.heads, "attention.head_count_kv": m.kvHeads, "vocab_size": tinyVocab} {
		w.SetUint32(arch+"."+key, uint32(value))
	}
	w.SetFloat32(arch+".attention.layer_norm_rms_epsilon", 1e-5)
	if m.recurrent != "" {
		m.recurrentKeys(w)
	}
	if m.experts > 0 {
		w.SetUint32(arch+".expert_count", m.experts)
		w.SetUint32(arch+".expert_used_count", m.used)
	}
	if m.rank != "" {
		w.SetUint32(arch+".pooling_type", 4)
		w.SetStrings(arch+".classifier.output_labels", []string{"yes", "no"})
		w.SetString("tokenizer.chat_template.rerank", m.rank)
	}
	m.vocabulary(w)
	if m.further {
		m.layers--
	}
	m.tensors(w)
	return w.Write()
}

func (m tinyModel) vocabulary(w *gguf.Writer) {
	if m.noVocabulary {
		w.SetString("tokenizer.ggml.model", "no_vocab")
		return
	}
	tokens, scores, types := []string{"<unk>", "<s>", "</s>"}, []float32{0, 0, 0}, []int32{2, 3, 3}
	for b := range 256 {
		tokens, scores, types = append(tokens, fmt.Sprintf("<0x%02X>", b)), append(scores, 0), append(types, 6)
	}
	for i, piece := range []string{"\u2581", "a", "b", "ab", "\u2581a"} {
		tokens, scores, types = append(tokens, piece), append(scores, float32(i)), append(types, 1)
	}
	w.SetString("tokenizer.ggml.model", "llama")
	w.SetStrings("tokenizer.ggml.tokens", tokens)
	w.SetFloat32s("tokenizer.ggml.scores", scores)
	w.SetInt32s("tokenizer.ggml.token_type", types)
	w.SetUint32("tokenizer.ggml.bos_token_id", 1)
	w.SetUint32("tokenizer.ggml.eos_token_id", 2)
	w.SetUint32("tokenizer.ggml.unknown_token_id", 0)
	if m.template != "" {
		w.SetString("tokenizer.chat_template", m.template)
	}
}

func (m tinyModel) tensors(w *gguf.Writer) {
	random := rand.New(rand.NewPCG(7, 7))
	add := func(name string, scale float64, shape ...int64) {
		n := int64(1)
		for _, d := range shape {
			n *= d
		}
		data := make([]byte, 0, 4*n)
		for range n {
			v := float32(random.NormFloat64() * scale)
			if len(shape) == 1 {
				v += 1
			}
			if strings.HasSuffix(name, "ssm_a") { // decays: states fade
				v = -float32(math.Abs(float64(v)))
			}
			if m.further {
				v = m.guessable(name, v, int64(len(data)/4), shape)
			}
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
		w.AddTensor(name, gguf.F32, shape, func(out io.Writer) error { _, err := out.Write(data); return err })
	}
	matrix := func(name string, shape ...int64) { add(name, 1.5/math.Sqrt(float64(shape[0])), shape...) }
	add("token_embd.weight", 1, m.dim, tinyVocab)
	if m.window == 0 && !m.tied {
		matrix("output.weight", m.dim, tinyVocab)
	}
	add("output_norm.weight", 0.1, m.dim)
	if m.rank != "" {
		matrix("cls.output.weight", m.dim, 2)
	}
	head := m.dim / m.heads
	layers := m.layers
	if m.further {
		p := fmt.Sprintf("blk.%d.nextn.", layers)
		matrix(p+"eh_proj.weight", 2*m.dim, m.dim)
		add(p+"enorm.weight", 0.1, m.dim)
		add(p+"hnorm.weight", 0.1, m.dim)
		add(p+"shared_head_norm.weight", 0.1, m.dim)
		layers++
	}
	for i := range layers {
		p := fmt.Sprintf("blk.%d.", i)
		if i == m.layers { // with attention
			i = 1
		}
		add(p+"attn_norm.weight", 0.1, m.dim)
		if m.recurrent != "" && !m.recurrentLayer(p, i, add) {
			continue
		}
		if m.recurrent == "" {
			add(p+"ffn_norm.weight", 0.1, m.dim)
		}
		if m.window > 0 {
			add(p+"post_attention_norm.weight", 0.1, m.dim)
			add(p+"post_ffw_norm.weight", 0.1, m.dim)
		}
		if m.recurrent == "" || i%2 == 1 {
			queries := m.heads * head
			if m.recurrent == "qwen35" {
				queries *= 2 // with gates
			}
			matrix(p+"attn_q.weight", m.dim, queries)
			matrix(p+"attn_k.weight", m.dim, m.kvHeads*head)
			matrix(p+"attn_v.weight", m.dim, m.kvHeads*head)
			matrix(p+"attn_output.weight", m.heads*head, m.dim)
		}
		if m.experts > 0 {
			e := int64(m.experts)
			matrix(p+"ffn_gate_inp.weight", m.dim, e)
			matrix(p+"ffn_gate_exps.weight", m.dim, m.ff, e)
			matrix(p+"ffn_up_exps.weight", m.dim, m.ff, e)
			matrix(p+"ffn_down_exps.weight", m.ff, m.dim, e)
			continue
		}
		matrix(p+"ffn_gate.weight", m.dim, m.ff)
		matrix(p+"ffn_up.weight", m.dim, m.ff)
		matrix(p+"ffn_down.weight", m.ff, m.dim)
	}
}

// guessable makes a token depend little on others than the one before it, for the model as for its predictor.
func (m tinyModel) guessable(name string, v float32, at int64, shape []int64) float32 {
	switch {
	case strings.HasSuffix(name, "eh_proj.weight") && at%shape[0] == at/shape[0]:
		return 1
	case strings.HasSuffix(name, "eh_proj.weight"), strings.HasSuffix(name, "attn_output.weight"), strings.HasSuffix(name, "ssm_out.weight"), strings.HasSuffix(name, "ffn_down.weight"):
		return v / 20
	}
	return v
}

// The sizes of recurrent layers.
const (
	tinyInner, tinyStates, tinyStateHeads, tinyStateGroups = 96, 24, 4, 2
)

func (m tinyModel) recurrentKeys(w *gguf.Writer) {
	for key, value := range map[string]uint32{"ssm.conv_kernel": 4, "ssm.inner_size": tinyInner, "ssm.state_size": tinyStates, "ssm.time_step_rank": tinyStateHeads,
		"ssm.group_count": tinyStateGroups} {
		w.SetUint32(m.recurrent+"."+key, value)
	}
	switch m.recurrent {
	case "qwen35":
		w.SetUint32("qwen35.full_attention_interval", 2)
	case "granitehybrid":
		heads := make([]int32, m.layers)
		for i := range heads {
			heads[i] = int32(i%2) * int32(m.kvHeads)
		}
		w.SetInt32s("granitehybrid.attention.head_count_kv", heads)
		w.SetFloat32("granitehybrid.logit_scale", 1)
	}
}

// recurrentLayer adds a layer's tensors up to its network, and says whether it has one.
func (m tinyModel) recurrentLayer(p string, i int64, add func(name string, scale float64, shape ...int64)) bool {
	matrix := func(name string, shape ...int64) { add(p+name, 1.5/math.Sqrt(float64(shape[0])), shape...) }
	if m.recurrent == "granitehybrid" {
		add(p+"ffn_norm.weight", 0.1, m.dim)
		if i%2 == 1 {
			return true
		}
	}
	shared := int64(2 * tinyStateGroups * tinyStates) // both projections, or queries and keys
	if m.recurrent == "qwen35" {
		add(p+"post_attention_norm.weight", 0.1, m.dim)
		if i%2 == 1 {
			add(p+"attn_q_norm.weight", 0.1, m.dim/m.heads)
			add(p+"attn_k_norm.weight", 0.1, m.dim/m.heads)
			return true
		}
		matrix("attn_qkv.weight", m.dim, shared+tinyInner)
		matrix("attn_gate.weight", m.dim, tinyInner)
		matrix("ssm_alpha.weight", m.dim, tinyStateHeads)
		matrix("ssm_beta.weight", m.dim, tinyStateHeads)
		add(p+"ssm_norm.weight", 0.1, tinyInner/tinyStateHeads)
		add(p+"ssm_a", 0.3, tinyStateHeads)
	} else {
		matrix("ssm_in.weight", m.dim, 2*tinyInner+shared+tinyStateHeads)
		add(p+"ssm_conv1d.bias", 0.1, shared+tinyInner)
		add(p+"ssm_norm.weight", 0.1, tinyInner/tinyStateGroups, tinyStateGroups)
		add(p+"ssm_a", 0.5, 1, tinyStateHeads)
		add(p+"ssm_d", 0.5, 1, tinyStateHeads)
	}
	matrix("ssm_conv1d.weight", 4, shared+tinyInner)
	add(p+"ssm_dt.bias", 0.1, tinyStateHeads)
	matrix("ssm_out.weight", tinyInner, m.dim)
	return m.recurrent != "mamba2"
}
