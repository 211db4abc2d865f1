package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/internal/fixtures"
)

// inMemory is a gguf.System with one file.
type inMemory struct{ content []byte }

func (m inMemory) Stat(string) (fs.FileInfo, error)     { return memoryInfo{int64(len(m.content))}, nil }
func (m inMemory) Open(string) (gguf.Handle, error)     { return memoryHandle(m), nil }
func (m inMemory) Bytes() []byte                        { return m.content }
func (inMemory) Advise(int64, int64, gguf.Advice) error { return nil }
func (inMemory) Unmap() error                           { return nil }

type memoryHandle inMemory

func (m memoryHandle) Stat() (fs.FileInfo, error)           { return memoryInfo{int64(len(m.content))}, nil }
func (m memoryHandle) Map(size int64) (gguf.Mapping, error) { return inMemory{m.content[:size]}, nil }
func (memoryHandle) Close() error                           { return nil }

type memoryInfo struct{ size int64 }

func (memoryInfo) Name() string       { return "hostile.gguf" }
func (i memoryInfo) Size() int64      { return i.size }
func (memoryInfo) Mode() fs.FileMode  { return 0o444 }
func (memoryInfo) ModTime() time.Time { return time.Time{} }
func (memoryInfo) IsDir() bool        { return false }
func (memoryInfo) Sys() any           { return nil }

// victim is a model that is to be spoiled.
type victim struct {
	name string
	file *gguf.File
	keys []string // that matter: the architecture's and the vocabulary's
}

func newVictim(t testing.TB, name string, content []byte) victim {
	f, err := gguf.OpenBytes(name, content)
	require.NoError(t, err)
	return victim{name, f, f.Metadata.Keys()}
}

// victims are tiny models made here, and those of the corpus where it is there.
func victims(t testing.TB) []victim {
	var all []victim
	add := func(path string) {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		all = append(all, newVictim(t, path, content))
	}
	add(tiny.write(t))
	add(tinyModel{layers: 2, dim: 32, heads: 4, kvHeads: 2, ff: 32, window: 16}.write(t))
	add(tinyModel{layers: 1, dim: 32, heads: 4, kvHeads: 2, ff: 32, experts: 4, used: 2}.write(t))
	add(tinyModel{layers: 1, dim: 32, heads: 4, kvHeads: 4, ff: 32, noVocabulary: true}.write(t))
	paths, err := filepath.Glob(filepath.Join(fixtures.Root(t), "..", "shared", "conformance", "cases", "*", "model.gguf"))
	require.NoError(t, err)
	for _, path := range paths {
		if !strings.Contains(path, "quant-") || strings.Contains(path, "-mix-") {
			add(path)
		}
	}
	return all
}

// script reads decisions from a fuzzer's bytes; it goes on with zeros when they end.
type script struct{ data []byte }

func (s *script) byte() byte {
	if len(s.data) == 0 {
		return 0
	}
	b := s.data[0]
	s.data = s.data[1:]
	return b
}

func (s *script) below(n int) int {
	if n <= 1 {
		return 0
	}
	return (int(s.byte()) | int(s.byte())<<8) % n
}

// numbers are those that checks forget.
var hostileNumbers = []uint64{0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 128, 255, 256, 257, 511, 512, 1000, 1023, 1024, 1025, 4096, 4097, 16384, 16385,
	1 << 16, 1<<16 + 1, 1<<20 + 1, 1<<26 - 1, 1 << 26, 1<<26 + 1, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<53 + 1, 1<<63 - 1, 1 << 63, math.MaxUint64}

var hostileFloats = []float64{0, 1, -1, 1e-30, 1e30, 1e-5, 0.5, 2, 10000, math.Inf(1), math.Inf(-1), math.NaN(), math.SmallestNonzeroFloat32, math.MaxFloat32}

func (s *script) number() uint64 {
	if n := s.byte(); int(n) < 2*len(hostileNumbers) {
		return hostileNumbers[int(n)%len(hostileNumbers)]
	}
	return uint64(s.byte()) | uint64(s.byte())<<8
}

func (s *script) float() float64 { return hostileFloats[s.below(len(hostileFloats))] }

// value is a new value for a key, most often of the type it had.
func (s *script) value(old any) any {
	switch choice := s.byte(); {
	case choice < 200:
		switch v := old.(type) {
		case uint32:
			return uint32(s.number())
		case int32:
			return int32(s.number())
		case uint64:
			return s.number()
		case float32:
			return float32(s.float())
		case bool:
			return !v
		case string:
			return []string{"", "none", "linear", "yarn", "longrope", "llama", "gpt2", "bert", "t5", "no_vocab", "gemma2", v + "x"}[s.below(12)]
		case []int32:
			return s.spoilInts(v)
		case []float32:
			return s.spoilFloats(v)
		case []string:
			return s.spoilStrings(v)
		}
		return uint32(s.number())
	case choice < 220:
		return []uint32{uint32(s.number()), uint32(s.number()), uint32(s.number())}[:s.below(4)]
	case choice < 230:
		return "text"
	case choice < 240:
		return []bool{true, false, true, true, false, true}[:s.below(7)]
	default:
		return float32(s.float())
	}
}

func (s *script) spoilInts(v []int32) []int32 {
	v = append([]int32(nil), v...)
	if len(v) > 0 && s.byte()&1 == 0 {
		v[s.below(len(v))] = int32(s.number())
		return v
	}
	return v[:s.below(len(v)+1)]
}

func (s *script) spoilFloats(v []float32) []float32 {
	v = append([]float32(nil), v...)
	if len(v) > 0 && s.byte()&1 == 0 {
		v[s.below(len(v))] = float32(s.float())
		return v
	}
	return v[:s.below(len(v)+1)]
}

func (s *script) spoilStrings(v []string) []string {
	v = append([]string(nil), v...)
	if len(v) > 0 && s.byte()&1 == 0 {
		v[s.below(len(v))] = []string{"", "\xff\xfe", "a", "<0x00>", "a b", strings.Repeat("ab", 300)}[s.below(6)]
		return v
	}
	return v[:s.below(len(v)+1)]
}

// hintKeys are keys that a file may have and many do not.
var hintKeys = []string{"attention.key_length", "attention.value_length", "attention.sliding_window", "attention.sliding_window_pattern", "attention.scale", "rope.dimension_count",
	"rope.freq_base", "rope.scaling.type", "rope.scaling.factor", "rope.scaling.original_context_length", "rope.scaling.yarn_ext_factor", "rope.scaling.yarn_beta_fast",
	"expert_count", "expert_used_count", "expert_shared_count", "expert_group_count", "expert_group_used_count", "expert_weights_scale", "expert_gating_func", "expert_weights_norm",
	"expert_feed_forward_length", "expert_shared_feed_forward_length", "leading_dense_block_count", "nextn_predict_layers", "attention.q_lora_rank", "attention.kv_lora_rank", "logit_scale",
	"residual_scale", "embedding_scale", "attn_logit_softcapping", "final_logit_softcapping", "attention.max_alibi_bias", "attention.clamp_kqv", "use_parallel_residual", "vocab_size"}

// spoil writes the victim with some of its keys and tensors changed.
func (s *script) spoil(v victim) []byte {
	var out bytes.Buffer
	w := gguf.NewWriter(&out)
	if w.CopyMetadata(v.file.Metadata) != nil {
		return nil
	}
	arch, _, _ := v.file.Metadata.String("general.architecture")
	for range s.below(5) {
		key := v.keys[s.below(len(v.keys))]
		switch s.byte() % 8 {
		case 0:
			w.Delete(key)
		case 1, 2:
			key = arch + "." + hintKeys[s.below(len(hintKeys))]
			fallthrough
		default:
			_ = w.Set(key, s.value(v.file.Metadata.Value(key))) // the writer refuses what no file may have
		}
	}
	changes := map[int]byte{}
	for range s.below(4) {
		changes[s.below(len(v.file.Tensors))] = 1 + s.byte()%6
	}
	for i := range v.file.Tensors {
		if !s.tensor(w, v.file, i, changes[i]) {
			return nil
		}
	}
	if w.Write() != nil {
		return nil
	}
	return s.patch(out.Bytes())
}

// tensor writes a tensor, changed in one of several ways.
func (s *script) tensor(w *gguf.Writer, f *gguf.File, i int, change byte) bool {
	t := f.Tensors[i]
	name, kind, shape, data := t.Name, t.Type, append([]int64(nil), t.Shape...), f.Bytes(&t)
	switch change {
	case 1:
		return true // left out
	case 2:
		shape[s.below(len(shape))] = int64(s.number() % 5000)
	case 3:
		kind = gguf.Types()[s.below(len(gguf.Types()))]
	case 4:
		name = f.Tensors[s.below(len(f.Tensors))].Name // often twice, which is refused
	case 5:
		shape = append(shape, int64(1+s.below(3)))[:min(4, len(shape)+1)]
	case 6:
		data = spoilData(data, s.float())
	}
	size, err := gguf.SizeOf(kind, shape)
	if err != nil || size > 1<<22 {
		return false
	}
	if int64(len(data)) != size {
		data = append(append([]byte(nil), data...), make([]byte, max(0, size-int64(len(data))))...)[:size]
	}
	_ = w.AddTensor(name, kind, shape, func(out io.Writer) error { _, err := out.Write(data); return err })
	return true
}

// spoilData overwrites some values: what is read as a scale, too.
func spoilData(data []byte, f float64) []byte {
	data = append([]byte(nil), data...)
	for i := 0; i+4 <= len(data); i += 4 * 61 {
		binary.LittleEndian.PutUint32(data[i:], math.Float32bits(float32(f)))
	}
	return data
}

// patch changes bytes of the header, or cuts the file short.
func (s *script) patch(content []byte) []byte {
	for range s.below(3) {
		content[s.below(min(len(content), 1<<16))] = s.byte()
	}
	if s.byte() == 255 {
		content = content[:s.below(1<<16)%len(content)]
	}
	return content
}

// tryOpen opens a hostile file and runs it for a few tokens: an error or a success, and nothing else.
func tryOpen(t testing.TB, content []byte, flags byte) (opened bool) {
	return tryPath(t, "hostile.gguf", Options{System: inMemory{content}, Backend: BackendNative}, flags)
}

func tryPath(t testing.TB, path string, o Options, flags byte) (opened bool) {
	o.Sequences, o.StepRows, o.Threads, o.Context, o.NoRepack = 1, 8, 1, 40, flags&1 != 0
	if flags&2 != 0 {
		o.CacheType = "f32"
	}
	if flags&4 != 0 {
		o.Context = 0
	}
	e, err := Open(path, o)
	if err != nil {
		require.NotEmpty(t, err.Error())
		return false
	}
	n := 0
	for _, err := range e.Generate(context.Background(), Request{Tokens: []int32{0, int32(e.Model().Vocab - 1), 0}, MaxTokens: 3, IgnoreEnd: true}) {
		if n++; err != nil {
			require.False(t, errors.Is(err, ErrCacheFull))
			break
		}
	}
	if e.Tokenizer() != nil {
		_, _ = e.Tokenize("ab \xff<s>", true)
		_, _ = e.Render([]Message{{Role: "user", Content: "hi"}}, nil)
	}
	require.NoError(t, e.checkCache())
	require.NoError(t, e.Close())
	return true
}

// FuzzOpen spoils models as its bytes say.
func FuzzOpen(f *testing.F) {
	all := victims(f)
	for i := range all {
		f.Add([]byte{byte(i), 0, 0})
		f.Add([]byte{byte(i), 0, 1, 1, 0, byte(i), byte(3 * i), 3, 9, byte(i)})
		f.Add([]byte{byte(i), 0, 4, 0, 0, 1, 2, 0, 0, 6, 2, byte(7 * i), byte(i)})
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := script{data}
		v := all[s.below(len(all))]
		flags := s.byte()
		if content := s.spoil(v); content != nil {
			tryOpen(t, content, flags)
		}
	})
}

const hostileSeed = 3

// TestHostile runs random scripts, the same ones each time: some of them open, most do not.
func TestHostile(t *testing.T) {
	runHostile(t, hostileScripts(t), tryOpen)
}

func runHostile(t *testing.T, scripts int, try func(testing.TB, []byte, byte) bool) {
	all := victims(t)
	random := rand.New(rand.NewPCG(hostileSeed, 3))
	opened, refused := 0, 0
	for range scripts {
		data := make([]byte, 60)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		s := script{data}
		v := all[s.below(len(all))]
		flags := s.byte()
		content := s.spoil(v)
		if content == nil {
			continue
		}
		if try(t, content, flags) {
			opened++
		} else {
			refused++
		}
	}
	t.Logf("%d opened, %d refused", opened, refused)
	require.Positive(t, opened)
	require.Positive(t, refused)
}

// hostileScripts is how many are run: 500, or as many as $INFER_HOSTILE says.
func hostileScripts(t *testing.T) int {
	text := os.Getenv("INFER_HOSTILE")
	if text == "" {
		return 500
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}
