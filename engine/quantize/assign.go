package quantize

import (
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/kernels"
)

// role is what a matrix does in the model, as far as the rules care.
type role int

const (
	roleOther role = iota
	roleEmbedding
	roleOutput
	roleValue // attention values, alone or fused with others: the most sensitive to rounding
	roleKey
	roleAttentionOutput
	roleDown // the feed-forward network's way back
)

var roles = []struct {
	part string
	role role
}{
	{"attn_v.weight", roleValue},
	{"attn_qkv.weight", roleValue},
	{"attn_kv_b.weight", roleValue},
	{"attn_k.weight", roleKey},
	{"attn_output.weight", roleAttentionOutput},
	{"ffn_down", roleDown},
}

func roleOf(name string) role {
	switch name {
	case "token_embd.weight", "per_layer_token_embd.weight":
		return roleEmbedding
	case "output.weight":
		return roleOutput
	}
	for _, r := range roles {
		if strings.Contains(name, r.part) {
			return r.role
		}
	}
	return roleOther
}

// kept are parts of the names of matrices that stay as they are: small, and sensitive or read element by element.
var kept = []string{
	"_norm.weight", "ffn_gate_inp.weight", "altup", "laurel", "per_layer_model_proj", ".position_embd.", "attn_rel_b.weight",
	"ssm_conv1d", "shortconv.conv.weight", "time_mix_first.weight", "time_mix_w0.weight", "time_mix_w1.weight", "time_mix_w2.weight",
	"time_mix_v0.weight", "time_mix_v1.weight", "time_mix_v2.weight", "time_mix_a0.weight", "time_mix_a1.weight",
	"time_mix_a2.weight", "time_mix_g1.weight", "time_mix_g2.weight", "time_mix_decay_w1.weight", "time_mix_decay_w2.weight",
	"time_mix_lerp_fused.weight",
}

// convertible reports whether a tensor is a matrix (or a stack of them) that quantization applies to.
func convertible(t *gguf.Tensor) bool {
	if !strings.HasSuffix(t.Name, "weight") || t.Rows() < 2 || t.Name == "position_embd.weight" || t.Name == "token_types.weight" {
		return false
	}
	for _, part := range kept {
		if strings.Contains(t.Name, part) {
			return false
		}
	}
	return true
}

// layerOf returns the layer in a tensor's name ("blk.7.…"), or -1.
func layerOf(name string) int {
	rest, ok := strings.CutPrefix(name, "blk.")
	if !ok {
		return -1
	}
	number, _, _ := strings.Cut(rest, ".")
	layer, err := strconv.Atoi(number)
	if err != nil || layer < 0 {
		return -1
	}
	return layer
}

// model is what the rules ask of a model.
type model struct {
	arch    string
	layers  int
	experts int64
	grouped int64 // query heads that share a KV head
	wide    bool  // 80 layers of grouped heads: a 70B model, whose value matrices are small and shared by many heads
	tied    bool  // the token embeddings are the output matrix too
	values  int   // matrices of roleValue
}

func describeModel(f *gguf.File) (model, error) {
	arch, _, err := f.Metadata.String("general.architecture")
	if err != nil {
		return model{}, err
	}
	m := model{arch: arch, grouped: 1}
	layers, _, err := f.Metadata.Uint(arch + ".block_count")
	if err != nil {
		return model{}, err
	}
	m.layers = int(min(layers, 1<<20))
	if m.experts, _, err = f.Metadata.Int(arch + ".expert_count"); err != nil {
		return model{}, err
	}
	heads, err := firstInt(f.Metadata, arch+".attention.head_count")
	if err != nil {
		return model{}, err
	}
	kvHeads, err := firstInt(f.Metadata, arch+".attention.head_count_kv")
	if err != nil {
		return model{}, err
	}
	if heads > 0 && kvHeads > 0 {
		m.grouped = heads / kvHeads
	}
	m.wide = m.layers == 80 && m.grouped > 1
	m.tied = true
	for i := range f.Tensors {
		t := &f.Tensors[i]
		if t.Name == "output.weight" {
			m.tied = false
		}
		if convertible(t) && roleOf(t.Name) == roleValue {
			m.values++
		}
	}
	return m, nil
}

// firstInt returns a number that some files give once and others for each layer; 0 where it is absent.
func firstInt(m *gguf.Metadata, key string) (int64, error) {
	info, present := m.Info(key)
	if !present {
		return 0, nil
	}
	if info.Type != gguf.ArrayValue {
		v, _, err := m.Int(key)
		return v, err
	}
	all, _, err := m.Ints(key)
	if err != nil || len(all) == 0 {
		return 0, err
	}
	return all[0], nil
}

// Override gives the tensors whose names match a type of the user's choice.
type Override struct {
	Pattern *regexp.Regexp
	Type    kernels.DType
}

// Assignment is one tensor and the type that it will have.
type Assignment struct {
	Tensor *gguf.Tensor
	Type   kernels.DType
	Wanted kernels.DType // by the rules; differs from Type where a row is not a whole number of Wanted's blocks
}

// Changes reports whether the tensor is converted rather than copied.
func (a Assignment) Changes() bool { return kernels.DType(a.Tensor.Type) != a.Type }

// Bytes returns the size of the tensor in its new type.
func (a Assignment) Bytes() (int64, error) { return gguf.SizeOf(gguf.Type(a.Type), a.Tensor.Shape) }

// Assign chooses the type of every tensor of a model, in the order of the file. The rules are llama.cpp's, so that a name
// means the same file size and quality everywhere.
func Assign(f *gguf.File, o Options) ([]Assignment, error) {
	m, err := describeModel(f)
	if err != nil {
		return nil, err
	}
	order := make([]int, len(f.Tensors)) // layer after layer: the rules count the matrices of a role
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool {
		return layerOf(f.Tensors[order[a]].Name) < layerOf(f.Tensors[order[b]].Name)
	})
	out := make([]Assignment, len(f.Tensors))
	seen := map[role]int{}
	for _, i := range order {
		t := &f.Tensors[i]
		out[i] = Assignment{t, kernels.DType(t.Type), kernels.DType(t.Type)}
		if !convertible(t) || (o.KeepOutput && t.Name == "output.weight") {
			continue
		}
		r := roleOf(t.Name)
		out[i].Wanted = o.typeOf(m, t, r, seen[r])
		out[i].Type = fit(out[i].Wanted, t.Shape[0])
		seen[r]++
		if err := o.check(out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ErrQuantized: a matrix is quantized already, and [Options.AllowRequantize] is not set. Quantizing it again costs more
// quality than quantizing the original would.
var ErrQuantized = errors.New("already quantized")

func (o Options) check(a Assignment) error {
	from := kernels.DType(a.Tensor.Type)
	switch {
	case !a.Changes():
		return nil
	case from.Family() == kernels.FamilyNone:
		return fmt.Errorf("tensor %s: a matrix of type %s cannot be converted", a.Tensor.Name, a.Tensor.Type)
	case from.Family() != kernels.FamilyFloat && !o.AllowRequantize:
		return fmt.Errorf("tensor %s is %s: %w", a.Tensor.Name, a.Tensor.Type, ErrQuantized)
	case !a.Type.Quantizable():
		return fmt.Errorf("tensor %s: quantizing to %s is not supported", a.Tensor.Name, a.Type)
	}
	return nil
}

// typeOf chooses a type before its block is fitted to the tensor; i counts the tensor's role.
func (o Options) typeOf(m model, t *gguf.Tensor, r role, i int) kernels.DType {
	switch {
	case r == roleEmbedding && o.EmbeddingType != nil:
		return *o.EmbeddingType
	case r == roleOutput && o.OutputType != nil:
		return *o.OutputType
	}
	for _, override := range o.Overrides {
		if override.Pattern.MatchString(t.Name) {
			return override.Type
		}
	}
	if o.Pure || o.Mix.Base.Family() == kernels.FamilyFloat {
		return o.Mix.Base
	}
	if o.Mix.Name == "MXFP4_MOE" { // the experts alone; the rest stays near the original
		if len(t.Shape) > 2 && t.Shape[2] > 1 {
			return kernels.MXFP4
		}
		return kernels.Q8_0
	}
	switch r {
	case roleOutput:
		return m.outputType(o.Mix, t.Shape[0])
	case roleEmbedding:
		if m.tied {
			return m.outputType(o.Mix, t.Shape[0])
		}
		if o.Mix.Base == kernels.TQ1_0 || o.Mix.Base == kernels.TQ2_0 {
			return kernels.Q4_K
		}
	case roleValue:
		return m.valueType(o.Mix, i)
	case roleKey:
		if m.experts == 8 {
			return kernels.Q8_0
		}
	case roleAttentionOutput:
		return m.attentionOutputType(o.Mix)
	case roleDown:
		if m.experts > 1 { // several matrices of this role a layer
			i = layerOf(t.Name)
		}
		return m.downType(o.Mix, i, o.Importance != nil)
	}
	return o.Mix.Base
}

// moreBits marks the layers that the M mixes spend more on: the first and last eighth, and every third between.
func moreBits(layer, layers int) bool {
	return layer < layers/8 || layer >= 7*layers/8 || (layer-layers/8)%3 == 2
}

func (m model) outputType(mix Mix, cols int64) kernels.DType {
	switch {
	case m.arch == "falcon" || cols%mix.Base.Block() != 0 || mix.Base == kernels.Q8_0:
		return kernels.Q8_0
	default:
		return kernels.Q6_K
	}
}

func (m model) valueType(mix Mix, i int) kernels.DType {
	t := mix.Base
	switch mix.Name {
	case "Q2_K":
		t = kernels.Q3_K
		if m.grouped >= 4 {
			t = kernels.Q4_K
		}
	case "Q3_K_M":
		t = kernels.Q4_K
		if i < 2 {
			t = kernels.Q5_K
		}
	case "Q3_K_L":
		t = kernels.Q5_K
	case "Q4_K_S":
		if i < 4 {
			t = kernels.Q5_K
		}
	case "IQ4_NL", "IQ4_XS":
		if m.grouped >= 4 {
			t = kernels.Q5_K
		}
	case "Q4_K_M", "Q5_K_M":
		if moreBits(i, m.values) {
			t = kernels.Q6_K
		}
	}
	if m.wide && (t == kernels.Q3_K || t == kernels.Q4_K) {
		t = kernels.Q5_K
	}
	if m.experts == 8 { // next to eight experts these matrices are small
		t = kernels.Q8_0
	}
	return t
}

func (m model) attentionOutputType(mix Mix) kernels.DType {
	falcon := m.arch == "falcon"
	if m.experts == 8 && !falcon {
		switch mix.Name {
		case "Q2_K", "Q3_K_S", "Q3_K_M", "Q4_K_S", "Q4_K_M", "IQ4_NL", "IQ4_XS":
			return kernels.Q5_K
		}
		return mix.Base
	}
	switch {
	case mix.Name == "Q2_K" && !falcon:
		return kernels.Q3_K
	case mix.Name == "Q3_K_M" && !falcon, mix.Name == "Q3_K_L" && falcon:
		return kernels.Q4_K
	case mix.Name == "Q3_K_L":
		return kernels.Q5_K
	}
	return mix.Base
}

func (m model) downType(mix Mix, layer int, importance bool) kernels.DType {
	falcon, more, first := m.arch == "falcon", moreBits(layer, m.layers), layer < m.layers/8
	choose := func(condition bool, yes, no kernels.DType) kernels.DType {
		if condition {
			return yes
		}
		return no
	}
	switch mix.Name {
	case "Q2_K":
		return kernels.Q3_K
	case "Q3_K_M":
		return choose(layer < m.layers/16, kernels.Q5_K, choose(!falcon || more, kernels.Q4_K, kernels.Q3_K))
	case "Q3_K_L":
		return choose(falcon, kernels.Q4_K, kernels.Q5_K)
	case "Q4_K_S":
		return choose(first && !falcon, kernels.Q5_K, kernels.Q4_K)
	case "Q4_K_M":
		if falcon {
			return choose(layer < m.layers/16, kernels.Q6_K, choose(more, kernels.Q5_K, kernels.Q4_K))
		}
		return choose(more, kernels.Q6_K, kernels.Q4_K)
	case "Q5_K_M":
		return choose(more, kernels.Q6_K, kernels.Q5_K)
	case "IQ4_NL", "IQ4_XS":
		return choose(first && !importance, kernels.Q5_K, mix.Base)
	case "Q4_0":
		return choose(first && importance, kernels.Q4_1, kernels.Q4_0)
	case "Q5_0":
		return choose(first && importance, kernels.Q5_1, kernels.Q5_0)
	}
	return mix.Base
}

// fit replaces a type whose block does not divide the row: 256-blocks by the nearest 32-blocks, 32-blocks by F16.
func fit(t kernels.DType, cols int64) kernels.DType {
	if cols%t.Block() == 0 {
		return t
	}
	fallback := map[kernels.DType]kernels.DType{
		kernels.Q2_K: kernels.Q4_0, kernels.Q3_K: kernels.Q4_0, kernels.Q4_K: kernels.Q5_0, kernels.Q5_K: kernels.Q5_1, kernels.Q6_K: kernels.Q8_0,
		kernels.IQ4_XS: kernels.IQ4_NL, kernels.TQ1_0: kernels.Q4_0, kernels.TQ2_0: kernels.Q4_0,
	}
	if f, ok := fallback[t]; ok && cols%f.Block() == 0 {
		return f
	}
	return kernels.F16
}
