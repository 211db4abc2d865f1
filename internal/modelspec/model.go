package modelspec

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/infer-go/infer/engine/gguf"
)

// Tokens of every case: more than a page of the cache, so that what is wrong beyond one shows.
const Tokens = 40

// Model is a case with its variables worked out.
type Model struct {
	Arch, Name string
	keys       []key
	tensors    []tensor
	vocab      int
	Encoder    bool // gives vectors instead of logits
}

type key struct {
	name  string
	value any
}

type tensor struct {
	name            string
	shape           []int64
	mean, deviation float64
}

// Model works a case out.
func (s *Spec) Model(c Case) (*Model, error) {
	m := &Model{Arch: s.Arch, Name: c.Name}
	v := newScope(s, c)
	layers, err := v.whole("layers", 1)
	if err != nil {
		return nil, fmt.Errorf("case %s: %w", c.Name, err)
	}
	for _, l := range s.lines {
		counts := true
		for _, condition := range l.when {
			v.layer = 0
			x, err := v.eval(condition)
			if err != nil {
				return nil, fmt.Errorf("%s: case %s: %w", l.where, c.Name, err)
			}
			counts = counts && x != 0
		}
		if !counts {
			continue
		}
		add := m.addTensors
		if l.words[0] == "key" {
			add = m.addKey
		}
		if err := add(v, l.words[1:], layers); err != nil {
			return nil, fmt.Errorf("%s: case %s: %w", l.where, c.Name, err)
		}
	}
	v.layer = 0
	if m.vocab, err = v.whole("vocab", 2); err != nil {
		return nil, fmt.Errorf("case %s: %w", c.Name, err)
	}
	encoder, err := v.eval("encoder")
	m.Encoder = encoder != 0
	return m, err
}

func (m *Model) addKey(v *scope, words []string, layers int) error {
	name := words[0]
	if !slices.ContainsFunc([]string{"tokenizer.", "general.", "xielu."}, func(other string) bool { return strings.HasPrefix(name, other) }) {
		name = m.Arch + "." + name
	}
	for i := range m.keys {
		if m.keys[i].name == name {
			m.keys = append(m.keys[:i], m.keys[i+1:]...)
			break
		}
	}
	if words[1] == "none" {
		return nil
	}
	kind, array := strings.CutSuffix(words[1], "[]")
	values := words[2:]
	if len(values) == 1 && array { // an expression for each layer
		for len(values) < layers {
			values = append(values, values[0])
		}
	}
	if len(values) == 0 || !array && len(values) > 1 {
		return fmt.Errorf("key %s: found %d values for %s", name, len(values), words[1])
	}
	value, err := keyValue(v, kind, values, array)
	m.keys = append(m.keys, key{name, value})
	return err
}

// keyValue works the values of a key out; of an array, value i at layer i.
func keyValue(v *scope, kind string, values []string, array bool) (any, error) {
	if kind == "str" {
		if array {
			return values, nil
		}
		return values[0], nil
	}
	var numbers []float64
	for i, text := range values {
		v.layer = i
		x, err := v.eval(text)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, x)
	}
	switch kind {
	case "u32":
		return oneOrAll(numbers, array, func(x float64) uint32 { return uint32(x) }), nil
	case "i32":
		return oneOrAll(numbers, array, func(x float64) int32 { return int32(x) }), nil
	case "bool":
		return oneOrAll(numbers, array, func(x float64) bool { return x != 0 }), nil
	default:
		return oneOrAll(numbers, array, func(x float64) float32 { return float32(x) }), nil
	}
}

func oneOrAll[T any](numbers []float64, array bool, convert func(float64) T) any {
	var all []T
	for _, x := range numbers {
		all = append(all, convert(x))
	}
	if array {
		return all
	}
	return all[0]
}

func (m *Model) addTensors(v *scope, words []string, layers int) error {
	for i, word := range words {
		if word != "~" {
			continue
		}
		if len(words) != i+3 {
			return fmt.Errorf("tensor %s: expected ~ MEAN DEVIATION at the end", words[0])
		}
	}
	v.layer = 0
	pattern, err := layersOf(v, words[0], layers)
	if err != nil {
		return err
	}
	for _, i := range pattern.layers {
		v.layer = i
		t := tensor{name: pattern.name(i)}
		at := 1
		for ; at < len(words) && words[at] != "~"; at++ {
			n, err := v.whole(words[at], 0)
			if err != nil {
				return fmt.Errorf("tensor %s: %w", t.name, err)
			}
			t.shape = append(t.shape, int64(n))
		}
		if t.mean, t.deviation = usual(t); at < len(words) {
			if t.mean, err = v.eval(words[at+1]); err == nil {
				t.deviation, err = v.eval(words[at+2])
			}
			if err != nil {
				return fmt.Errorf("tensor %s: %w", t.name, err)
			}
		}
		m.tensors = append(m.tensors, t)
	}
	return nil
}

// usual is the mean and the deviation of a tensor's numbers by its name.
func usual(t tensor) (mean, deviation float64) {
	switch {
	case strings.HasSuffix(t.name, ".bias"):
		return 0, 0.3
	case strings.Contains(t.name, "norm"):
		return 1, 0.2
	case strings.Contains(t.name, "_embd") || strings.HasPrefix(t.name, "token_types"):
		return 0, 1
	default:
		return 0, 1 / math.Sqrt(float64(t.shape[0]))
	}
}

// pattern is a tensor's name for some layers.
type pattern struct {
	before, after string
	layers        []int
}

func (p pattern) name(i int) string {
	if p.after == "" {
		return p.before
	}
	return fmt.Sprintf("%s%d%s", p.before, i, p.after)
}

func layersOf(v *scope, name string, layers int) (pattern, error) {
	if rest, ok := strings.CutPrefix(name, "blk.*."); ok {
		p := pattern{before: "blk.", after: "." + rest}
		for i := range layers {
			p.layers = append(p.layers, i)
		}
		return p, nil
	}
	open, end := strings.IndexByte(name, '{'), strings.IndexByte(name, '}')
	if open < 0 || end < open {
		return pattern{before: name, layers: []int{0}}, nil
	}
	p := pattern{before: name[:open], after: name[end+1:]}
	bounds := []int{0, 0, 1}
	texts := strings.Split(name[open+1:end], ":")
	if len(texts) < 2 || len(texts) > 3 {
		return p, fmt.Errorf("tensor %s: expected {A:B} or {A:B:STEP}", name)
	}
	for i, text := range texts {
		n, err := v.whole(text, i/2)
		if err != nil {
			return p, fmt.Errorf("tensor %s: %w", name, err)
		}
		bounds[i] = n
	}
	for i := bounds[0]; i < bounds[1]; i += bounds[2] {
		p.layers = append(p.layers, i)
	}
	return p, nil
}

// Keys are the architecture's keys, without its name before them, and those that stand outside of it.
func (m *Model) Keys() map[string]any {
	keys := map[string]any{}
	for _, k := range m.keys {
		if name, ok := strings.CutPrefix(k.name, m.Arch+"."); ok || strings.HasPrefix(name, "xielu.") {
			keys[name] = k.value
		}
	}
	return keys
}

// Ids are the tokens that golden logits are of.
func (m *Model) Ids() []int32 {
	r := m.random("tokens")
	out := make([]int32, Tokens)
	for i := range out {
		out[i] = int32(r.IntN(m.vocab))
	}
	return out
}

// random is the source of one tensor's numbers.
func (m *Model) random(name string) *rand.Rand {
	h := fnv.New64a()
	io.WriteString(h, m.Name)
	seed := h.Sum64()
	io.WriteString(h, " "+name)
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// Write writes the model as a GGUF file of F32 tensors without a vocabulary.
func (m *Model) Write(out io.Writer) error {
	w := gguf.NewWriter(out)
	w.SetString("general.architecture", m.Arch)
	w.SetString("general.name", "random "+m.Name)
	w.SetString("tokenizer.ggml.model", "no_vocab")
	w.SetUint32(m.Arch+".vocab_size", uint32(m.vocab))
	for _, k := range m.keys {
		if err := w.Set(k.name, k.value); err != nil {
			return err
		}
	}
	for _, t := range m.tensors {
		w.AddTensor(t.name, gguf.F32, t.shape, func(out io.Writer) error { return m.fill(out, t) })
	}
	return w.Write()
}

// Bytes is the model as a file.
func (m *Model) Bytes() ([]byte, error) {
	var out bytes.Buffer
	err := m.Write(&out)
	return out.Bytes(), err
}

// fill writes a tensor's numbers: a sum of four equal distributions, which needs no function that rounds otherwise elsewhere.
func (m *Model) fill(out io.Writer, t tensor) error {
	r := m.random(t.name)
	n := int64(1)
	for _, d := range t.shape {
		n *= d
	}
	data := make([]byte, 0, 4*n)
	for range n {
		z := (r.Float64() + r.Float64() + r.Float64() + r.Float64() - 2) * math.Sqrt(3) // variance 1
		value := float64(z*t.deviation) + t.mean                                        // the conversion keeps the two roundings apart
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(value)))
	}
	_, err := out.Write(data)
	return err
}
