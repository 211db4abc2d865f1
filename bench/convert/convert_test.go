package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine"
	"github.com/infer-go/infer/engine/gguf"
)

// tensorFile packs F32 tensors of numbers that depend on their names.
func tensorFile(t *testing.T, shapes map[string][]int64) []byte {
	t.Helper()
	header, data := map[string]any{"__metadata__": map[string]string{"format": "pt"}}, []byte(nil)
	for name, shape := range shapes {
		n, from := int64(1), len(data)
		for _, d := range shape {
			n *= d
		}
		for i := range n {
			v := math.Sin(float64(i)*0.7+float64(len(name))) * 0.3
			if strings.HasSuffix(name, "LayerNorm.weight") {
				v++
			}
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(v)))
		}
		header[name] = map[string]any{"dtype": "F32", "shape": shape, "data_offsets": []int{from, len(data)}}
	}
	text, err := json.Marshal(header)
	require.NoError(t, err)
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), data...)
}

// hugging writes a tiny BERT as Hugging Face does; classifier: one that ranks.
func hugging(t *testing.T, classifier bool) string {
	t.Helper()
	dir := t.TempDir()
	c := map[string]any{"model_type": "bert", "hidden_act": "gelu", "hidden_size": 16, "intermediate_size": 24, "max_position_embeddings": 32,
		"num_attention_heads": 2, "num_hidden_layers": 1, "type_vocab_size": 2, "vocab_size": 8, "layer_norm_eps": 1e-12, "_name_or_path": "org/tiny"}
	shapes := map[string][]int64{"embeddings.word_embeddings.weight": {8, 16}, "embeddings.position_embeddings.weight": {32, 16},
		"embeddings.token_type_embeddings.weight": {2, 16}, "embeddings.position_ids": {1}}
	for name, rows := range map[string]int64{"attention.self.query": 16, "attention.self.key": 16, "attention.self.value": 16, "attention.output.dense": 16, "intermediate.dense": 24} {
		shapes["encoder.layer.0."+name+".weight"], shapes["encoder.layer.0."+name+".bias"] = []int64{rows, 16}, []int64{rows}
	}
	shapes["encoder.layer.0.output.dense.weight"], shapes["encoder.layer.0.output.dense.bias"] = []int64{16, 24}, []int64{16}
	for _, name := range []string{"embeddings.LayerNorm", "encoder.layer.0.attention.output.LayerNorm", "encoder.layer.0.output.LayerNorm"} {
		shapes[name+".weight"], shapes[name+".bias"] = []int64{16}, []int64{16}
	}
	if classifier {
		c["architectures"], c["id2label"] = []string{"BertForSequenceClassification"}, map[string]string{"0": "LABEL_0"}
		prefixed := map[string][]int64{"classifier.weight": {1, 16}, "classifier.bias": {1}, "bert.pooler.dense.weight": {16, 16}, "bert.pooler.dense.bias": {16}}
		for name, shape := range shapes {
			prefixed["bert."+name] = shape
		}
		shapes = prefixed
	}
	write(t, dir, "config.json", c)
	write(t, dir, "1_Pooling/config.json", map[string]any{"pooling_mode_mean_tokens": true, "word_embedding_dimension": 16})
	write(t, dir, "tokenizer_config.json", map[string]any{"do_lower_case": true})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "vocab.txt"), []byte("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n##b\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "model.safetensors"), tensorFile(t, shapes), 0o600))
	return dir
}

func write(t *testing.T, dir, name string, v any) {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
}

func TestConvert(t *testing.T) {
	for _, kind := range []string{"f16", "f32"} {
		out := filepath.Join(t.TempDir(), "out.gguf")
		require.NoError(t, convert(hugging(t, false), out, kind))
		e, err := engine.Open(out, engine.Options{Threads: 1})
		require.NoError(t, err)
		defer e.Close()
		assert.Equal(t, "mean", string(e.Model().Pooling))
		assert.Equal(t, 2, e.Model().TokenTypes)
		assert.Empty(t, e.Model().Unused.Tensors)
		assert.Empty(t, e.Model().Unused.Keys)
		ids, err := e.Tokenize("A bb c", true)
		require.NoError(t, err)
		assert.Equal(t, []int32{2, 5, 6, 7, 1, 3}, ids)
		got, err := e.Embed(context.Background(), []string{"a b"}, engine.EmbedOptions{})
		require.NoError(t, err)
		assert.Len(t, got[0].Vector, 16)
		f, err := gguf.Open(out)
		require.NoError(t, err)
		defer f.Close()
		for name, want := range map[string]string{"token_embd.weight": strings.ToUpper(kind), "position_embd.weight": "F32", "blk.0.ffn_up.bias": "F32"} {
			tensor, ok := f.Tensor(name)
			require.True(t, ok)
			assert.Equal(t, want, tensor.Type.String(), name)
		}
	}
}

func TestConvertReranker(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.gguf")
	require.NoError(t, convert(hugging(t, true), out, "f16"))
	e, err := engine.Open(out, engine.Options{Threads: 1})
	require.NoError(t, err)
	defer e.Close()
	got, err := e.Rerank(context.Background(), "a", []string{"b", "a b"}, engine.RerankOptions{})
	require.NoError(t, err)
	assert.Len(t, got, 2)
}

func TestConvertRefuses(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.gguf")
	change := func(file string, v any) string {
		dir := hugging(t, false)
		write(t, dir, file, v)
		return dir
	}
	for want, dir := range map[string]string{
		`model_type is "gpt2"`:      change("config.json", map[string]any{"model_type": "gpt2"}),
		`hidden_act is "relu"`:      change("config.json", map[string]any{"model_type": "bert", "hidden_act": "relu"}),
		`expected absolute`:         change("config.json", map[string]any{"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "relative_key"}),
		`a size is missing`:         change("config.json", map[string]any{"model_type": "bert", "hidden_act": "gelu"}),
		`one of mean, cls and last`: change("1_Pooling/config.json", map[string]any{"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true}),
		`model.safetensors`:         change("model.safetensors", "no tensors"),
		`no such file`:              t.TempDir(),
	} {
		assert.ErrorContains(t, convert(dir, out, "f16"), want)
		assert.NoFileExists(t, out)
	}
	dir := hugging(t, false)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "vocab.txt"), []byte("a\nb\n"), 0o600))
	assert.ErrorContains(t, convert(dir, out, "f16"), "2 tokens, expected the 8")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "vocab.txt"), []byte("1\n2\n3\n4\n5\n6\n7\n8"), 0o600))
	assert.ErrorContains(t, convert(dir, out, "f16"), "[CLS]")
	dir = hugging(t, false)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "model.safetensors"), tensorFile(t, map[string][]int64{"embeddings.word_embeddings.weight": {8, 16}}), 0o600))
	assert.ErrorContains(t, convert(dir, out, "f16"), "encoder.layer.0.attention.self.key")
	assert.ErrorContains(t, convert(dir, out, "q8_0"), "expected f16 or f32")
}

// Whatever the bytes are, the reader returns tensors within them or an error.
func FuzzSafetensors(f *testing.F) {
	f.Add([]byte(`0000000`))
	for _, header := range []string{`{}`, `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, `{"a":{"dtype":"F16","shape":[2,-1],"data_offsets":[0,8]}}`,
		`{"a":{"dtype":"F64","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`, `{"a":{"dtype":"BF16","shape":[],"data_offsets":[6,8]}}`} {
		f.Add(append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), make([]byte, 8)...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseSafetensors(data)
		if err != nil {
			return
		}
		for _, tensor := range s.tensors {
			values, err := tensor.floats()
			n := int64(1)
			for _, d := range tensor.Shape {
				n *= d
			}
			if err == nil {
				assert.Len(t, values, int(n))
			}
		}
	})
}
