// Package tinymodel writes small random models with vocabularies of letters, for the tests of packages that open models.
package tinymodel

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine/gguf"
)

const dim, network = 48, 64

// Encoder is a BERT of two layers whose vocabulary has the words a to z and the same as parts of words.
type Encoder struct {
	Pooling uint32 // as files have it: 1 mean, 2 cls, 3 last, 4 rank
	Context uint32 // learned positions; 0: 96
	Types   int64  // token types
	Labels  []string
}

// Word is the id of a word of one letter.
func Word(letter rune) int32 { return 5 + 2*(letter-'a') }

// Write makes the file and returns its path.
func (m Encoder) Write(t testing.TB) string {
	t.Helper()
	if m.Context == 0 {
		m.Context = 96
	}
	path := filepath.Join(t.TempDir(), "encoder.gguf")
	w := newWriter(path, "bert", map[string]uint32{"context_length": m.Context, "pooling_type": m.Pooling})
	w.SetFloat32("bert.attention.layer_norm_epsilon", 1e-6)
	w.SetBool("bert.attention.causal", false)
	if m.Labels != nil {
		w.SetStrings("bert.classifier.output_labels", m.Labels)
	}
	m.vocabulary(w.Writer)
	m.tensors(w)
	require.NoError(t, w.Write())
	return path
}

func (m Encoder) vocabulary(w *gguf.Writer) {
	tokens, kinds := []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}, []int32{3, 2, 3, 3, 3}
	for letter := 'a'; letter <= 'z'; letter++ {
		tokens, kinds = append(tokens, "\u2581"+string(letter), string(letter)), append(kinds, 1, 1)
	}
	w.SetString("tokenizer.ggml.model", "bert")
	w.SetStrings("tokenizer.ggml.tokens", tokens)
	w.SetInt32s("tokenizer.ggml.token_type", kinds)
	for key, id := range map[string]uint32{"unknown": 1, "bos": 2, "seperator": 3, "mask": 4, "padding": 0} {
		w.SetUint32("tokenizer.ggml."+key+"_token_id", id)
	}
}

func (m Encoder) tensors(w *writer) {
	w.add("token_embd.weight", 1, dim, 5+2*26)
	w.add("position_embd.weight", 0.3, dim, int64(m.Context))
	if m.Types > 0 {
		w.add("token_types.weight", 0.5, dim, m.Types)
	}
	w.norm("token_embd_norm")
	for _, p := range []string{"blk.0.", "blk.1."} {
		for _, name := range []string{"attn_q", "attn_k", "attn_v", "attn_output"} {
			w.linear(p+name, dim, dim)
		}
		w.linear(p+"ffn_up", dim, network)
		w.linear(p+"ffn_down", network, dim)
		w.norm(p + "attn_output_norm")
		w.norm(p + "layer_output_norm")
	}
	if m.Pooling == 4 {
		w.linear("cls", dim, dim)
		w.linear("cls.output", dim, max(1, int64(len(m.Labels))))
	}
}

// WriteLlama makes a Llama of one layer whose vocabulary has single bytes, and returns its path.
func WriteLlama(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "llama.gguf")
	w := newWriter(path, "llama", map[string]uint32{"context_length": 512, "block_count": 1})
	w.SetFloat32("llama.attention.layer_norm_rms_epsilon", 1e-6)
	tokens, scores, kinds := []string{"<unk>", "<s>", "</s>"}, make([]float32, 3+256), []int32{2, 3, 3}
	const digits = "0123456789ABCDEF"
	for b := range 256 {
		tokens, kinds = append(tokens, "<0x"+digits[b/16:b/16+1]+digits[b%16:b%16+1]+">"), append(kinds, 6)
	}
	w.SetString("tokenizer.ggml.model", "llama")
	w.SetStrings("tokenizer.ggml.tokens", tokens)
	w.SetFloat32s("tokenizer.ggml.scores", scores)
	w.SetInt32s("tokenizer.ggml.token_type", kinds)
	for key, id := range map[string]uint32{"unknown": 0, "bos": 1, "eos": 2} {
		w.SetUint32("tokenizer.ggml."+key+"_token_id", id)
	}
	matrix := func(name string, cols, rows int64) { w.add(name, 1.5/math.Sqrt(float64(cols)), cols, rows) }
	w.add("token_embd.weight", 1, dim, 3+256)
	for _, name := range []string{"output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"} {
		w.add(name+".weight", 0.1, dim)
	}
	for _, name := range []string{"attn_q", "attn_k", "attn_v", "attn_output"} {
		matrix("blk.0."+name+".weight", dim, dim)
	}
	matrix("blk.0.ffn_gate.weight", dim, network)
	matrix("blk.0.ffn_up.weight", dim, network)
	matrix("blk.0.ffn_down.weight", network, dim)
	require.NoError(t, w.Write())
	return path
}

// writer adds random tensors to a file.
type writer struct {
	*gguf.Writer
	random *rand.Rand
}

func newWriter(path, arch string, keys map[string]uint32) *writer {
	w := &writer{gguf.NewFileWriter(path), rand.New(rand.NewPCG(7, 7))}
	w.SetString("general.architecture", arch)
	all := map[string]uint32{"embedding_length": dim, "block_count": 2, "feed_forward_length": network, "attention.head_count": 3}
	for key, value := range keys {
		all[key] = value
	}
	for key, value := range all {
		w.SetUint32(arch+"."+key, value)
	}
	return w
}

// add makes a tensor of normally distributed numbers, vectors around 1.
func (w *writer) add(name string, scale float64, shape ...int64) {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	var data bytes.Buffer
	for range n {
		v := float32(w.random.NormFloat64() * scale)
		if len(shape) == 1 {
			v++
		}
		data.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)))
	}
	w.AddTensorBytes(name, gguf.F32, shape, data.Bytes())
}

func (w *writer) norm(name string) {
	w.add(name+".weight", 0.1, dim)
	w.add(name+".bias", 0.1, dim)
}

func (w *writer) linear(name string, cols, rows int64) {
	w.add(name+".weight", 1.5/math.Sqrt(float64(cols)), cols, rows)
	w.add(name+".bias", 0.1, rows)
}
