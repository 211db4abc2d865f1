// Command randommodel writes a model of a known shape, a Llama or a hybrid with recurrent layers, with random weights from a seed: the same bytes everywhere, so
// that anyone can repeat a speed measurement without downloading a model. The text of such a model means nothing.
//
//	go run ./bench/randommodel -shape llama-1b -o llama-1b-f16.gguf
//	infer quantize llama-1b-f16.gguf llama-1b-q4_k_m.gguf Q4_K_M
//
// Types that infer quantize does not write (IQ, TQ, MXFP4) are made from random bits, with scales that keep values small:
//
//	go run ./bench/randommodel -shape llama-1b -type IQ2_XXS -o llama-1b-iq2_xxs.gguf
package main

import (
	"bufio"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/kernels"
)

// shape is a model's dimensions.
type shape struct {
	dim, layers, heads, kvHeads, headDim, ff, vocab int64
	context                                         uint32
	ropeBase                                        float32
	experts, used                                   uint32
	recurrent                                       *recurrent // nil: a Llama
}

var shapes = map[string]shape{
	"llama-1b":    {dim: 2048, layers: 16, heads: 32, kvHeads: 8, headDim: 64, ff: 8192, vocab: 128256, context: 131072, ropeBase: 500000},
	"smollm-135m": {dim: 576, layers: 30, heads: 9, kvHeads: 3, headDim: 64, ff: 1536, vocab: 49152, context: 8192, ropeBase: 100000},
	"moe-1b":      {dim: 1024, layers: 8, heads: 16, kvHeads: 4, headDim: 64, ff: 2816, vocab: 32000, context: 8192, ropeBase: 10000, experts: 8, used: 2},
	"granite-h-1b": {dim: 1536, layers: 40, heads: 12, kvHeads: 4, headDim: 128, ff: 4096, vocab: 100352, context: 131072, ropeBase: 10000,
		recurrent: &recurrent{arch: "granitehybrid", interval: 10, inner: 3072, states: 128, heads: 48, groups: 1}},
	"qwen35-1b": {dim: 1536, layers: 24, heads: 8, kvHeads: 2, headDim: 256, ff: 4096, vocab: 151936, context: 131072, ropeBase: 10000000,
		recurrent: &recurrent{arch: "qwen35", interval: 4, inner: 2048, states: 128, heads: 16, groups: 16}},
	"tiny": {dim: 256, layers: 2, heads: 4, kvHeads: 2, headDim: 64, ff: 512, vocab: 512, context: 1024, ropeBase: 10000},
}

func main() {
	name := flag.String("shape", "llama-1b", "one of "+strings.Join(slices.Sorted(maps.Keys(shapes)), ", "))
	out := flag.String("o", "", "file to write")
	kind := flag.String("type", "F16", "of the matrices: F16, or one of "+strings.Join(slices.Sorted(maps.Keys(scaleOffsets)), ", ")+" (the embedding stays F16)")
	seed := flag.Uint64("seed", 1, "seed of the weights")
	flag.Parse()
	s, ok := shapes[*name]
	if _, known := scaleOffsets[*kind]; !known && *kind != "F16" {
		ok = false
	}
	if !ok || *out == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := write(*out, *name, *kind, s, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "randommodel:", err)
		os.Exit(1)
	}
}

func write(path, name, kind string, s shape, seed uint64) error {
	w := gguf.NewFileWriter(path)
	arch := "llama"
	if s.recurrent != nil {
		arch = s.recurrent.arch
	}
	w.SetString("general.architecture", arch)
	w.SetString("general.name", "random "+name)
	w.SetUint32("general.file_type", 1)
	w.SetUint32(arch+".context_length", s.context)
	w.SetUint32(arch+".embedding_length", uint32(s.dim))
	w.SetUint32(arch+".block_count", uint32(s.layers))
	w.SetUint32(arch+".feed_forward_length", uint32(s.ff))
	w.SetUint32(arch+".attention.head_count", uint32(s.heads))
	if s.recurrent == nil || s.recurrent.arch != "granitehybrid" {
		w.SetUint32(arch+".attention.head_count_kv", uint32(s.kvHeads))
	}
	w.SetFloat32(arch+".attention.layer_norm_rms_epsilon", 1e-5)
	w.SetFloat32(arch+".rope.freq_base", s.ropeBase)
	w.SetUint32(arch+".rope.dimension_count", uint32(s.headDim))
	w.SetUint32(arch+".vocab_size", uint32(s.vocab))
	if s.recurrent != nil {
		s.recurrentKeys(w)
	}
	if s.experts > 0 {
		w.SetUint32(arch+".expert_count", s.experts)
		w.SetUint32(arch+".expert_used_count", s.used)
	}
	w.SetString("tokenizer.ggml.model", "no_vocab")
	add := func(name string, shape ...int64) {
		seed++
		random := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
		scale := 1 / math.Sqrt(float64(shape[0]))
		if offset, ok := scaleOffsets[kind]; ok && name != "token_embd.weight" && !strings.Contains(name, "gate_inp") {
			t, _ := gguf.ParseType(kind) // the table names types of the format
			w.AddTensor(name, t, shape, func(out io.Writer) error { return blocks(out, random, t, offset, shape) })
			return
		}
		w.AddTensor(name, gguf.F16, shape, func(out io.Writer) error { return matrix(out, random, scale, shape) })
	}
	vector := func(name string, value float32, shape ...int64) {
		w.AddTensor(name, gguf.F32, shape, func(out io.Writer) error { return repeated(out, value, shape) })
	}
	norm := func(name string) { vector(name, 1, s.dim) }
	add("token_embd.weight", s.dim, s.vocab)
	norm("output_norm.weight")
	for i := range s.layers {
		p := fmt.Sprintf("blk.%d.", i)
		norm(p + "attn_norm.weight")
		if r := s.recurrent; r != nil {
			s.recurrentLayer(p, i, add, vector)
			continue
		}
		add(p+"attn_q.weight", s.dim, s.heads*s.headDim)
		add(p+"attn_k.weight", s.dim, s.kvHeads*s.headDim)
		add(p+"attn_v.weight", s.dim, s.kvHeads*s.headDim)
		add(p+"attn_output.weight", s.heads*s.headDim, s.dim)
		norm(p + "ffn_norm.weight")
		if s.experts > 0 {
			add(p+"ffn_gate_inp.weight", s.dim, int64(s.experts))
			add(p+"ffn_gate_exps.weight", s.dim, s.ff, int64(s.experts))
			add(p+"ffn_up_exps.weight", s.dim, s.ff, int64(s.experts))
			add(p+"ffn_down_exps.weight", s.ff, s.dim, int64(s.experts))
			continue
		}
		add(p+"ffn_gate.weight", s.dim, s.ff)
		add(p+"ffn_up.weight", s.dim, s.ff)
		add(p+"ffn_down.weight", s.ff, s.dim)
	}
	return w.Write()
}

// scaleOffsets are the places of the F16 scale in the blocks of types whose other bits may all be random; -1 marks MXFP4's
// power of two, -2 IQ1_M's scale in four nibbles.
var scaleOffsets = map[string]int{"IQ1_S": 0, "IQ1_M": -2, "IQ2_XXS": 0, "IQ2_XS": 0, "IQ2_S": 0, "IQ3_XXS": 0, "IQ3_S": 0, "IQ4_NL": 0, "IQ4_XS": 0,
	"TQ1_0": 52, "TQ2_0": 64, "MXFP4": -1}

// blocks writes random blocks whose scale is 2^-12.
func blocks(out io.Writer, random *rand.Rand, t gguf.Type, offset int, shape []int64) error {
	const scale uint16 = 0x0c00 // F16 bits of 2^-12
	w := bufio.NewWriterSize(out, 1<<20)
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	block := make([]byte, (t.BlockBytes()+7)/8*8)
	for range n / int64(t.BlockSize()) {
		for i := 0; i < len(block); i += 8 {
			binary.LittleEndian.PutUint64(block[i:], random.Uint64())
		}
		switch offset {
		case -1:
			block[0] = 127 - 10
		case -2:
			for i := range 4 { // a nibble of the scale on top of each 16 bits, the lowest first
				at := 48 + 2*i + 1
				block[at] = block[at]&15 | byte(scale>>(4*i)&15)<<4
			}
		default:
			binary.LittleEndian.PutUint16(block[offset:], scale)
		}
		if _, err := w.Write(block[:t.BlockBytes()]); err != nil {
			return err
		}
	}
	return w.Flush()
}

// matrix writes normally distributed F16 weights.
func matrix(out io.Writer, random *rand.Rand, scale float64, shape []int64) error {
	w := bufio.NewWriterSize(out, 1<<20)
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	var two [2]byte
	for range n {
		binary.LittleEndian.PutUint16(two[:], kernels.F32ToF16(float32(random.NormFloat64()*scale)))
		if _, err := w.Write(two[:]); err != nil {
			return err
		}
	}
	return w.Flush()
}

func repeated(out io.Writer, value float32, shape []int64) error {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	data := make([]byte, 0, 4*n)
	for range n {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(value))
	}
	_, err := out.Write(data)
	return err
}
