package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/kernels"
)

// config is what of config.json counts.
type config struct {
	Architectures []string          `json:"architectures"`
	Name          string            `json:"_name_or_path"`
	Type          string            `json:"model_type"`
	Act           string            `json:"hidden_act"`
	Positions     string            `json:"position_embedding_type"`
	Dim           uint32            `json:"hidden_size"`
	Network       uint32            `json:"intermediate_size"`
	Context       uint32            `json:"max_position_embeddings"`
	Heads         uint32            `json:"num_attention_heads"`
	Layers        uint32            `json:"num_hidden_layers"`
	Types         uint32            `json:"type_vocab_size"`
	Vocab         int               `json:"vocab_size"`
	Eps           float32           `json:"layer_norm_eps"`
	Labels        map[string]string `json:"id2label"`
}

// pooling is 1_Pooling/config.json of sentence-transformers.
type pooling struct {
	CLS  bool `json:"pooling_mode_cls_token"`
	Mean bool `json:"pooling_mode_mean_tokens"`
	Last bool `json:"pooling_mode_lasttoken"`
}

func convert(dir, out, kind string) error {
	if kind != "f16" && kind != "f32" {
		return fmt.Errorf("-type %q: expected f16 or f32", kind)
	}
	var c config
	if err := readJSON(filepath.Join(dir, "config.json"), &c); err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, "config.json"), err)
	}
	source, err := openSafetensors(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		return err
	}
	w := gguf.NewFileWriter(out)
	number, err := c.poolingType(dir)
	if err != nil {
		return err
	}
	c.keys(w, number)
	if err := vocabulary(w, dir, c); err != nil {
		return err
	}
	if err := tensors(w, source, c, kind); err != nil {
		return err
	}
	return w.Write()
}

func readJSON(path string, into any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (c *config) check() error {
	switch {
	case c.Type != "bert":
		return fmt.Errorf("model_type is %q, expected bert", c.Type)
	case c.Act != "gelu":
		return fmt.Errorf("hidden_act is %q, expected gelu", c.Act)
	case c.Positions != "" && c.Positions != "absolute":
		return fmt.Errorf("position_embedding_type is %q, expected absolute", c.Positions)
	case c.Dim == 0 || c.Layers == 0 || c.Heads == 0 || c.Network == 0 || c.Context == 0 || c.Vocab <= 0 || c.Eps <= 0:
		return fmt.Errorf("a size is missing: %+v", *c)
	}
	return nil
}

// ranks says whether the model is a classifier.
func (c *config) ranks() bool {
	return slices.Contains(c.Architectures, "BertForSequenceClassification")
}

// poolingType is the file's number: 1 mean, 2 the first token, 3 the last, 4 a classifier.
func (c *config) poolingType(dir string) (uint32, error) {
	if c.ranks() {
		return 4, nil
	}
	path := filepath.Join(dir, "1_Pooling", "config.json")
	var p pooling
	if err := readJSON(path, &p); errors.Is(err, fs.ErrNotExist) {
		return 0, nil // plain BERT: whoever opens it chooses
	} else if err != nil {
		return 0, err
	}
	switch p {
	case pooling{Mean: true}:
		return 1, nil
	case pooling{CLS: true}:
		return 2, nil
	case pooling{Last: true}:
		return 3, nil
	}
	return 0, fmt.Errorf("%s: found %+v, expected one of mean, cls and last", path, p)
}

func (c *config) keys(w *gguf.Writer, pooling uint32) {
	w.SetString("general.architecture", "bert")
	w.SetString("general.name", filepath.Base(c.Name))
	for key, value := range map[string]uint32{"context_length": c.Context, "embedding_length": c.Dim, "block_count": c.Layers, "feed_forward_length": c.Network,
		"attention.head_count": c.Heads, "pooling_type": pooling} {
		w.SetUint32("bert."+key, value)
	}
	w.SetFloat32("bert.attention.layer_norm_epsilon", c.Eps)
	w.SetBool("bert.attention.causal", false)
	if labels := c.labels(); len(labels) > 1 {
		w.SetStrings("bert.classifier.output_labels", labels)
	}
}

func (c *config) labels() []string {
	if !c.ranks() {
		return nil
	}
	out := make([]string, len(c.Labels))
	for i := range out {
		out[i] = c.Labels[fmt.Sprint(i)]
	}
	return out
}

// vocabulary writes the WordPiece vocabulary as GGUF has it: a mark at the beginning of words in place of "##" inside.
func vocabulary(w *gguf.Writer, dir string, c config) error {
	path := filepath.Join(dir, "vocab.txt")
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSuffix(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n"), "\n")
	if len(lines) != c.Vocab {
		return fmt.Errorf("%s: %d tokens, expected the %d of vocab_size", path, len(lines), c.Vocab)
	}
	special := map[string]string{"[PAD]": "padding", "[UNK]": "unknown", "[CLS]": "bos", "[SEP]": "seperator", "[MASK]": "mask"} // GGUF's spelling
	tokens, kinds := make([]string, len(lines)), make([]int32, len(lines))
	for i, token := range lines {
		kinds[i] = 1 // normal
		if inner, ok := strings.CutPrefix(token, "##"); ok {
			tokens[i] = inner
		} else if strings.HasPrefix(token, "[") && strings.HasSuffix(token, "]") {
			tokens[i] = token
		} else {
			tokens[i] = "\u2581" + token
		}
		if key, ok := special[token]; ok {
			kinds[i] = 3 // control
			w.SetUint32("tokenizer.ggml."+key+"_token_id", uint32(i))
			if key == "bos" {
				w.SetUint32("tokenizer.ggml.cls_token_id", uint32(i))
			}
			delete(special, token)
		}
	}
	if len(special) > 0 {
		return fmt.Errorf("%s: found no %v", path, special)
	}
	w.SetString("tokenizer.ggml.model", "bert")
	w.SetStrings("tokenizer.ggml.tokens", tokens)
	w.SetInt32s("tokenizer.ggml.token_type", kinds)
	w.SetUint32("tokenizer.ggml.token_type_count", max(c.Types, 1))
	return settings(w, dir)
}

// settings writes what texts lose before they are looked up. Without a file, BERT's defaults hold.
func settings(w *gguf.Writer, dir string) error {
	var s struct {
		Lowercase    *bool `json:"do_lower_case"`
		StripAccents *bool `json:"strip_accents"`
	}
	if err := readJSON(filepath.Join(dir, "tokenizer_config.json"), &s); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if s.Lowercase != nil {
		w.SetBool("tokenizer.ggml.normalizer.lowercase", *s.Lowercase)
	}
	if s.StripAccents != nil {
		w.SetBool("tokenizer.ggml.normalizer.strip_accents", *s.StripAccents)
	}
	return nil
}

// tensors writes the weights under GGUF's names.
func tensors(w *gguf.Writer, source *safetensors, c config, kind string) error {
	names := map[string]string{"embeddings.word_embeddings": "token_embd", "embeddings.position_embeddings": "position_embd",
		"embeddings.token_type_embeddings": "token_types", "embeddings.LayerNorm": "token_embd_norm"}
	for i := range c.Layers {
		from, to := fmt.Sprintf("encoder.layer.%d.", i), fmt.Sprintf("blk.%d.", i)
		for a, b := range map[string]string{"attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v",
			"attention.output.dense": "attn_output", "attention.output.LayerNorm": "attn_output_norm", "intermediate.dense": "ffn_up",
			"output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm"} {
			names[from+a] = to + b
		}
	}
	if c.ranks() {
		names["pooler.dense"], names["classifier"] = "cls", "cls.output"
	}
	var missing []string
	for _, from := range slices.Sorted(maps.Keys(names)) {
		found := 0
		for _, part := range []string{".weight", ".bias"} {
			t, ok := source.find(from + part)
			if !ok {
				continue
			}
			found++
			if err := add(w, names[from]+part, t, kind); err != nil {
				return fmt.Errorf("%s: tensor %s: %w", source.path, from+part, err)
			}
		}
		if found == 0 {
			missing = append(missing, from)
		}
	}
	if missing != nil {
		return fmt.Errorf("%s: found no tensors for %s", source.path, strings.Join(missing, ", "))
	}
	return nil
}

// find looks a tensor up, with the prefixes and the names of norms that files differ in.
func (s *safetensors) find(name string) (safetensor, bool) {
	old := strings.NewReplacer("LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta").Replace(name)
	for _, n := range []string{name, "bert." + name, old, "bert." + old} {
		if t, ok := s.tensors[n]; ok {
			return t, true
		}
	}
	return safetensor{}, false
}

// add writes one tensor: matrices in the type asked for, what is looked up or added as F32.
func add(w *gguf.Writer, name string, t safetensor, kind string) error {
	values, err := t.floats()
	if err != nil {
		return err
	}
	shape := slices.Clone(t.Shape)
	slices.Reverse(shape)
	if kind == "f32" || len(shape) < 2 || name == "position_embd.weight" || name == "token_types.weight" {
		var data []byte
		for _, v := range values {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
		return w.AddTensorBytes(name, gguf.F32, shape, data)
	}
	var data []byte
	for _, v := range values {
		data = binary.LittleEndian.AppendUint16(data, kernels.F32ToF16(v))
	}
	return w.AddTensorBytes(name, gguf.F16, shape, data)
}
