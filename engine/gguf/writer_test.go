package gguf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// model is what a round trip must preserve.
type model struct {
	keys    []string
	values  map[string]any
	tensors []Tensor
	data    map[string][]byte
}

func drawValue(t *rapid.T) any {
	kinds := []*rapid.Generator[any]{
		rapid.Uint8().AsAny(), rapid.Int8().AsAny(), rapid.Uint16().AsAny(), rapid.Int16().AsAny(), rapid.Uint32().AsAny(),
		rapid.Int32().AsAny(), rapid.Uint64().AsAny(), rapid.Int64().AsAny(), rapid.Float32().AsAny(), rapid.Float64().AsAny(),
		rapid.Bool().AsAny(), rapid.String().AsAny(), drawArray(0).AsAny(),
	}
	return rapid.OneOf(kinds...).Draw(t, "value")
}

// drawArray draws a slice of one of the element types.
func drawArray(depth int) *rapid.Generator[any] {
	kinds := []*rapid.Generator[any]{
		rapid.SliceOfN(rapid.Uint8(), 0, 9).AsAny(), rapid.SliceOfN(rapid.Int8(), 0, 9).AsAny(),
		rapid.SliceOfN(rapid.Uint16(), 0, 9).AsAny(), rapid.SliceOfN(rapid.Int16(), 0, 9).AsAny(),
		rapid.SliceOfN(rapid.Uint32(), 0, 9).AsAny(), rapid.SliceOfN(rapid.Int32(), 0, 9).AsAny(),
		rapid.SliceOfN(rapid.Uint64(), 0, 9).AsAny(), rapid.SliceOfN(rapid.Int64(), 0, 9).AsAny(),
		rapid.SliceOfN(rapid.Float32(), 0, 9).AsAny(), rapid.SliceOfN(rapid.Float64(), 0, 9).AsAny(),
		rapid.SliceOfN(rapid.Bool(), 0, 9).AsAny(), rapid.SliceOfN(rapid.String(), 0, 9).AsAny(),
	}
	if depth+1 < maxArrayDepth {
		kinds = append(kinds, rapid.Custom(func(t *rapid.T) any {
			return rapid.SliceOfN(drawArray(depth+1), 0, 3).Draw(t, "arrays")
		}))
	}
	return rapid.OneOf(kinds...)
}

func drawModel(t *rapid.T) model {
	m := model{values: map[string]any{}, data: map[string][]byte{}}
	m.keys = rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z.]{1,12}`), 0, 8, rapid.ID).Draw(t, "keys")
	for _, key := range m.keys {
		m.values[key] = drawValue(t)
	}
	names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,8}\.weight`), 0, 6, rapid.ID).Draw(t, "names")
	for _, name := range names {
		kind := rapid.SampledFrom(Types()).Draw(t, "type")
		shape := rapid.SliceOfN(rapid.Int64Range(1, 3), 1, maxDims).Draw(t, "shape")
		shape[0] *= int64(kind.BlockSize())
		size, err := SizeOf(kind, shape)
		require.NoError(t, err)
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(i + len(m.tensors)*31)
		}
		m.tensors = append(m.tensors, Tensor{Name: name, Type: kind, Shape: shape, Size: size})
		m.data[name] = data
	}
	return m
}

func (m model) fill(t require.TestingT, w *Writer) {
	for _, key := range m.keys {
		require.NoError(t, w.Set(key, m.values[key]))
	}
	for _, tensor := range m.tensors {
		require.NoError(t, w.AddTensorBytes(tensor.Name, tensor.Type, tensor.Shape, m.data[tensor.Name]))
	}
}

// check compares an opened file with the model; keys of split sets and the alignment may have come in addition.
func (m model) check(t require.TestingT, f *File) {
	var keys []string
	for _, key := range f.Metadata.Keys() {
		if !isSplitKey(key) && key != keyAlignment {
			keys = append(keys, key)
		}
	}
	require.Equal(t, len(m.keys), len(keys))
	for i, key := range m.keys {
		require.Equal(t, key, keys[i])
		require.Equal(t, fmt.Sprintf("%#v", m.values[key]), fmt.Sprintf("%#v", f.Metadata.Value(key))) // NaN equals itself in print
	}
	require.Len(t, f.Tensors, len(m.tensors))
	for i, want := range m.tensors {
		got := f.Tensors[i]
		require.Zero(t, got.Offset%int64(f.Alignment))
		require.Equal(t, m.data[want.Name], f.Bytes(&got))
		got.Offset, got.Part = 0, 0
		require.Equal(t, want, got)
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t)
		alignment := rapid.SampledFrom([]uint32{8, 16, 32, 64, 4096}).Draw(t, "alignment")
		var out bytes.Buffer
		w := NewWriter(&out)
		require.NoError(t, w.Set(keyAlignment, alignment))
		m.fill(t, w)
		require.NoError(t, w.Write())
		f, err := OpenBytes("round.gguf", out.Bytes())
		require.NoError(t, err)
		require.Equal(t, int(alignment), f.Alignment)
		require.Equal(t, uint32(3), f.Version)
		m.check(t, f)

		var again bytes.Buffer
		w = NewWriter(&again)
		require.NoError(t, w.CopyMetadata(f.Metadata))
		for i := range f.Tensors {
			tensor := &f.Tensors[i]
			require.NoError(t, w.AddTensorBytes(tensor.Name, tensor.Type, tensor.Shape, f.Bytes(tensor)))
		}
		require.NoError(t, w.Write())
		require.True(t, bytes.Equal(out.Bytes(), again.Bytes()), "a copied file differs")
		require.NoError(t, f.Close())
	})
}

// TestVersion2 reads a file of version 2, which differs from version 3 in its number alone.
func TestVersion2(t *testing.T) {
	f, err := OpenBytes("two", start(2, 1, 1).keyString("a", "b").tensor("w", F32, 0, 2, 4).data(32))
	require.NoError(t, err)
	assert.Equal(t, uint32(2), f.Version)
	assert.Equal(t, []int64{2, 4}, f.Tensors[0].Shape)
	assert.Equal(t, int64(8), f.Tensors[0].Elements())
	assert.Equal(t, int64(4), f.Tensors[0].Rows())
}

// TestGapsAndOrder accepts what is unusual and harmless: tensors out of order, space between them, no last padding.
func TestGapsAndOrder(t *testing.T) {
	f, err := OpenBytes("gaps", start(3, 2, 0).tensor("a", F32, 96, 1).tensor("b", F32, 0, 1).data(100))
	require.NoError(t, err)
	assert.Equal(t, int64(96), f.Tensors[0].Offset-f.Tensors[1].Offset)
}

func TestCopyOfFixtures(t *testing.T) {
	for _, path := range fixtureFiles(t, "conformance", "cases", "quant-mix-q4_k_m") {
		f, err := Open(path)
		require.NoError(t, err)
		defer f.Close()
		var out bytes.Buffer
		w := NewWriter(&out)
		require.NoError(t, w.CopyMetadata(f.Metadata))
		for i := range f.Tensors {
			tensor := &f.Tensors[i]
			require.NoError(t, w.AddTensorBytes(tensor.Name, tensor.Type, tensor.Shape, f.Bytes(tensor)))
		}
		require.NoError(t, w.Write())
		original, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(original, out.Bytes()), "the copy of %s differs", path)
	}
}

func TestSetReplacesAndDeletes(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out)
	require.NoError(t, w.SetString("a", "old"))
	require.NoError(t, w.SetUint32("b", 1))
	require.NoError(t, w.SetInt32("c", -1))
	require.NoError(t, w.SetUint32("a", 2))
	w.Delete("b")
	w.Delete("absent")
	require.NoError(t, w.SetUint64("d", 4))
	require.NoError(t, w.SetFloat32("c", 0.5))
	require.NoError(t, w.SetBool("e", true))
	require.NoError(t, w.SetInt32s("f", []int32{-1}))
	require.NoError(t, w.SetFloat32s("g", []float32{0.5}))
	require.NoError(t, w.SetStrings("h", []string{"x"}))
	require.NoError(t, w.Write())
	f, err := OpenBytes("m", out.Bytes())
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "c", "d", "e", "f", "g", "h"}, f.Metadata.Keys())
	assert.Equal(t, uint32(2), f.Metadata.Value("a"))
	assert.Equal(t, float32(0.5), f.Metadata.Value("c"))
	assert.Empty(t, w.Paths())
}

func TestWriterRefuses(t *testing.T) {
	deep := []any{[]uint8{1}}
	for range maxArrayDepth {
		deep = []any{deep}
	}
	add := func(name string, kind Type, shape ...int64) func(*Writer) error {
		return func(w *Writer) error { return w.AddTensorBytes(name, kind, shape, make([]byte, 32)) }
	}
	set := func(key string, v any) func(*Writer) error { return func(w *Writer) error { return w.Set(key, v) } }
	for _, c := range []struct {
		do    func(*Writer) error
		is    error
		words string
	}{
		{set("k", 1), ErrValueType, `key "k": wrong value type: found a Go value of type int`},
		{set("k", nil), ErrValueType, "<nil>"},
		{set("k", []int{1}), ErrValueType, "[]int"},
		{set("k", []any{1}), ErrValueType, "type int"},
		{set("k", map[string]string{}), ErrValueType, "map[string]string"},
		{set("k", deep), ErrLimit, "nested 5 deep"},
		{set("k", strings.Repeat("x", maxStringBytes+1)), ErrLimit, "16777217 bytes"},
		{set("k", []string{"", strings.Repeat("x", maxStringBytes+1)}), ErrLimit, "in element 1"},
		{set("k", make([]bool, maxArrayElements+1)), ErrLimit, "array of 16777217 bool"},
		{set("", uint32(1)), ErrName, "a key without a name"},
		{set(strings.Repeat("k", 70000), uint32(1)), ErrLimit, "a key of 70000 bytes"},
		{set(keyAlignment, "32"), ErrValueType, "expected uint32"},
		{set(keyAlignment, uint32(33)), ErrAlignment, "found 33"},
		{set(keySplitNo, uint16(0)), ErrName, keySplitNo},
		{add("", F32, 8), ErrName, "a tensor without a name"},
		{add(strings.Repeat("n", 2000), F32, 8), ErrLimit, "a name of 2000 bytes"},
		{add("twice", F32, 8), ErrDuplicate, `tensor "twice"`},
		{add("w", 77, 8), ErrTensorType, "type 77"},
		{add("w", Q4_K, 32), ErrShape, "multiple of 256"},
		{add("w", F32), ErrShape, "0 dimensions"},
		{func(w *Writer) error { return w.Split(SplitLimit{Tensors: 1}) }, ErrSplit, "a writer of files"},
	} {
		w := NewWriter(io.Discard)
		require.NoError(t, add("twice", F32, 8)(w))
		err := c.do(w)
		require.ErrorIs(t, err, c.is)
		assert.Contains(t, err.Error(), c.words)
		assert.Equal(t, err, w.Write(), "Write must return the first error again")
		assert.ErrorIs(t, w.Write(), ErrClosed)
	}
}

func TestWriterLimitsCounts(t *testing.T) {
	w := NewWriter(io.Discard)
	for i := range maxKeys - 3 {
		require.NoError(t, w.Set(fmt.Sprint(i), true))
	}
	assert.ErrorIs(t, w.Set("more", true), ErrLimit)
	assert.ErrorIs(t, w.CopyMetadata(openSample(t)), ErrLimit)
	w = NewWriter(io.Discard)
	for i := range maxTensors {
		require.NoError(t, w.AddTensor(fmt.Sprint(i), I8, []int64{1}, nil))
	}
	assert.ErrorIs(t, w.AddTensor("more", I8, []int64{1}, nil), ErrLimit)
	w = NewWriter(io.Discard)
	for i := range 3 {
		require.NoError(t, w.AddTensor(fmt.Sprint(i), I8, []int64{1 << 61}, nil))
	}
	assert.ErrorIs(t, w.Write(), ErrLimit)
	w = NewWriter(io.Discard)
	for i := range 5 {
		require.NoError(t, w.Set(fmt.Sprint(i), strings.Repeat("x", maxStringBytes)))
	}
	assert.ErrorIs(t, w.Write(), ErrLimit)
}

func TestWriterChecksData(t *testing.T) {
	broken := errors.New("source broke")
	for _, c := range []struct {
		data  func(io.Writer) error
		is    error
		words string
	}{
		{func(out io.Writer) error { _, err := out.Write(make([]byte, 31)); return err }, ErrData, "found 31 bytes, expected 32 for F32 [8]"},
		{func(out io.Writer) error { _, err := out.Write(make([]byte, 33)); return err }, ErrData, "1 bytes too many"},
		{func(out io.Writer) error { out.Write(make([]byte, 33)); return nil }, ErrData, "found 0 bytes"},
		{nil, ErrData, "no data function"},
		{func(io.Writer) error { return broken }, broken, "source broke"},
	} {
		path := filepath.Join(t.TempDir(), "w.gguf")
		w := NewFileWriter(path)
		require.NoError(t, w.AddTensor("w", F32, []int64{8}, c.data))
		err := w.Write()
		require.ErrorIs(t, err, c.is)
		assert.Contains(t, err.Error(), c.words)
		assert.Contains(t, err.Error(), path+`: tensor "w"`)
		assertEmptyFolder(t, filepath.Dir(path))
	}
}

func assertEmptyFolder(t *testing.T, folder string) {
	left, err := os.ReadDir(folder)
	require.NoError(t, err)
	assert.Empty(t, left)
}

// failing is a writer that breaks after some bytes.
type failing struct {
	left int
	err  error
}

func (f *failing) Write(b []byte) (int, error) {
	if len(b) > f.left {
		n := f.left
		f.left = 0
		return n, f.err
	}
	f.left -= len(b)
	return len(b), nil
}

func TestWriterPassesErrorsOn(t *testing.T) {
	full := errors.New("disk full")
	for _, room := range []int{0, 3, 100, 128, 130, 159, 160} {
		w := NewWriter(&failing{room, full})
		require.NoError(t, w.SetString("name", strings.Repeat("x", 20)))
		require.NoError(t, w.AddTensorBytes("w", F32, []int64{1}, make([]byte, 4)))
		err := w.Write()
		if room < 160 {
			assert.ErrorIs(t, err, full, room)
		} else {
			assert.NoError(t, err)
		}
	}
}

func TestFileWriterReplacesWhole(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "m.gguf")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	w := NewFileWriter(path)
	require.NoError(t, w.AddTensor("w", I8, []int64{4}, func(out io.Writer) error {
		old, err := os.ReadFile(path)
		assert.Equal(t, "old", string(old), "the old file must stand until the new one is complete")
		_, writeErr := out.Write([]byte("data"))
		return errors.Join(err, writeErr)
	}))
	require.NoError(t, w.Write())
	assert.Equal(t, []string{path}, w.Paths())
	f, err := Open(path)
	require.NoError(t, err)
	assert.Equal(t, "data", string(f.Bytes(&f.Tensors[0])))
	require.NoError(t, f.Close())

	missing := NewFileWriter(filepath.Join(folder, "no", "such", "m.gguf"))
	assert.ErrorIs(t, missing.Write(), os.ErrNotExist)
	require.NoError(t, os.Mkdir(filepath.Join(folder, "dir.gguf"), 0o700))
	assert.Error(t, NewFileWriter(filepath.Join(folder, "dir.gguf")).Write())
	left, err := os.ReadDir(folder)
	require.NoError(t, err)
	assert.Len(t, left, 2, "nothing partial stays")
}
