package gguf

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestSplitRoundTrip(t *testing.T) {
	folder := t.TempDir()
	count := 0
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t)
		count++
		w := NewFileWriter(filepath.Join(folder, fmt.Sprintf("m%d.gguf", count)))
		m.fill(t, w)
		limit := SplitLimit{Bytes: rapid.Int64Range(0, 2000).Draw(t, "bytes"), Tensors: rapid.IntRange(0, 3).Draw(t, "tensors")}
		require.NoError(t, w.Split(limit))
		require.NoError(t, w.Write())
		f, err := Open(w.Paths()[0])
		require.NoError(t, err)
		require.Equal(t, w.Paths(), f.Paths)
		m.check(t, f)
		checkLimit(t, f, limit)
		require.NoError(t, f.Close())
		for _, path := range w.Paths() {
			require.NoError(t, os.Remove(path))
		}
	})
}

// checkLimit: a part with more than one tensor keeps to the limit.
func checkLimit(t require.TestingT, f *File, limit SplitLimit) {
	counts := make([]int, len(f.Paths))
	for _, tensor := range f.Tensors {
		counts[tensor.Part]++
	}
	for part, path := range f.Paths {
		info, err := os.Stat(path)
		require.NoError(t, err)
		if counts[part] > 1 {
			require.True(t, limit.Bytes == 0 || info.Size() <= limit.Bytes)
			require.True(t, limit.Tensors == 0 || counts[part] <= limit.Tensors)
		}
	}
}

func TestSplitFiles(t *testing.T) {
	path := writeSample(t, 3)
	assert.Equal(t, "sample-00001-of-00002.gguf", filepath.Base(path))
	f, err := Open(path)
	require.NoError(t, err)
	defer f.Close()
	checkSample(t, f)
	assert.Equal(t, 0, f.Tensors[2].Part)
	assert.Equal(t, 1, f.Tensors[3].Part)
	assert.Equal(t, uint16(2), f.Metadata.Value(keySplitCount))
	assert.Equal(t, uint16(0), f.Metadata.Value(keySplitNo))
	assert.Equal(t, int32(4), f.Metadata.Value(keySplitTensors))
	assert.Equal(t, "llama", f.Metadata.Value("general.architecture"))

	whole := NewFileWriter(filepath.Join(t.TempDir(), "whole.gguf"))
	require.NoError(t, whole.CopyMetadata(f.Metadata, "general.architecture"))
	require.NoError(t, whole.Write())
	g, err := Open(whole.Paths()[0])
	require.NoError(t, err)
	defer g.Close()
	assert.Equal(t, []string{keyAlignment}, g.Metadata.Keys(), "a copy is no longer part of a set")
}

func TestSplitOfOnePart(t *testing.T) {
	path := writeSample(t, 4)
	assert.Equal(t, "sample.gguf", filepath.Base(path))
	f, err := Open(path)
	require.NoError(t, err)
	defer f.Close()
	checkSample(t, f)
	assert.False(t, f.Metadata.Has(keySplitCount))
}

func TestSplitRefusesNamesAndLimits(t *testing.T) {
	assert.ErrorIs(t, NewFileWriter("model.bin").Split(SplitLimit{Tensors: 1}), ErrSplit)
	assert.ErrorIs(t, NewFileWriter("model.gguf").Split(SplitLimit{Tensors: -1}), ErrSplit)
	assert.ErrorIs(t, NewFileWriter("model.gguf").Split(SplitLimit{Bytes: -1}), ErrSplit)
	w := NewFileWriter(filepath.Join(t.TempDir(), "model.gguf"))
	require.NoError(t, w.Split(SplitLimit{Tensors: 1}))
	for i := range maxParts + 1 {
		require.NoError(t, w.AddTensor(fmt.Sprint(i), I8, []int64{1}, nil))
	}
	assert.ErrorIs(t, w.Write(), ErrLimit)
}

// TestSplitOfHugeTensors: sizes near the end of int64 must not wrap while the parts are planned.
func TestSplitOfHugeTensors(t *testing.T) {
	w := NewFileWriter(filepath.Join(t.TempDir(), "model.gguf"))
	require.NoError(t, w.Split(SplitLimit{Bytes: 1 << 62}))
	for i := range 9 {
		require.NoError(t, w.AddTensor(fmt.Sprint(i), I8, []int64{1<<63 - 1}, nil))
	}
	assert.ErrorIs(t, w.Write(), ErrLimit)
	assertEmptyFolder(t, filepath.Dir(w.path))
}

// partFile is a part with one tensor.
func partFile(no, count uint16, total uint32, tensor string) []byte {
	return start(3, 1, 3).keyU16(keySplitNo, no).keyU16(keySplitCount, count).keyU32(keySplitTensors, total).
		tensor(tensor, F32, 0, 1).data(4)
}

const first, second, third = "dir/m-00001-of-00003.gguf", "dir/m-00002-of-00003.gguf", "dir/m-00003-of-00003.gguf"

func TestSplitFaults(t *testing.T) {
	good := files{first: partFile(0, 3, 3, "a"), second: partFile(1, 3, 3, "b"), third: partFile(2, 3, 3, "c")}
	f, err := OpenWith(first, good)
	require.NoError(t, err)
	assert.Equal(t, []string{first, second, third}, f.Paths)
	require.NoError(t, f.Close())
	for _, c := range []struct {
		name   string
		change files // nil removes
		open   string
		is     error
		words  []string
	}{
		{"a part missing", files{second: nil}, first, ErrSplit, []string{first, "no m-00002-of-00003.gguf,", "all 3 parts"}},
		{"two parts missing", files{second: nil, third: nil}, first, fs.ErrNotExist,
			[]string{"m-00002-of-00003.gguf, m-00003-of-00003.gguf"}},
		{"not the first part", nil, second, ErrSplit, []string{second, "part 2 of 3", "the first part: " + first}},
		{"renamed", files{"m.gguf": partFile(0, 3, 3, "a")}, "m.gguf", ErrSplit, []string{"a name that ends in -00001-of-00003.gguf"}},
		{"a part twice", files{third: partFile(1, 3, 3, "c")}, first, ErrSplit, []string{third, "part 2 of 3 by its keys", "part 3 of 3 by its name"}},
		{"a part of another set", files{second: partFile(1, 4, 3, "b")}, first, ErrSplit, []string{second, "part 2 of 4"}},
		{"a whole model as a part", files{second: start(3, 1, 0).tensor("b", F32, 0, 1).data(4)}, first, ErrSplit,
			[]string{second, "no split.count", "part 2 of 3 by its name"}},
		{"a tensor in two parts", files{third: partFile(2, 3, 3, "a")}, first, ErrDuplicate, []string{third, `tensor "a"`, "also in " + first}},
		{"wrong total", files{first: partFile(0, 3, 4, "a")}, first, ErrSplit, []string{keySplitTensors, "3 tensors in 3 parts", "expected 4"}},
		{"a broken part", files{second: []byte("<html>")}, first, ErrNotGGUF, []string{second, "HTML"}},
		{"an empty part", files{second: {}}, first, ErrNotGGUF, []string{second, "empty"}},
		{"a truncated part", files{second: partFile(1, 3, 3, "b")[:60]}, first, ErrTruncated, []string{second}},
		{"part number of the wrong type", files{second: start(3, 0, 2).keyU16(keySplitCount, 3).keyString(keySplitNo, "1")}, first, ErrValueType,
			[]string{second, keySplitNo}},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := maps.Clone(good)
			for path, data := range c.change {
				set[path] = data
				if data == nil {
					delete(set, path)
				}
			}
			s := &faulty{System: set}
			_, err := OpenWith(c.open, s)
			require.ErrorIs(t, err, c.is)
			for _, words := range c.words {
				assert.Contains(t, err.Error(), words)
			}
			assert.Zero(t, s.handles)
			assert.Zero(t, s.maps)
		})
	}
	_, err = OpenBytes(first, good[first])
	assert.ErrorIs(t, err, ErrSplit)
	assert.ErrorContains(t, err, "opened from memory")
}

// TestManyMissingParts must not list, nor look for, thousands.
func TestManyMissingParts(t *testing.T) {
	name := "m-00001-of-60000.gguf"
	s := &faulty{System: files{name: partFile(0, 60000, 1, "a")}}
	_, err := OpenWith(name, s)
	require.ErrorIs(t, err, ErrSplit)
	assert.Less(t, len(err.Error()), 500)
	assert.Less(t, s.calls, 20)
}

// TestTooManyTensorsInParts: the limit holds for the set.
func TestTooManyTensorsInParts(t *testing.T) {
	half := func(no uint16) []byte {
		r := start(3, maxTensors/2+1, 2).keyU16(keySplitNo, no).keyU16(keySplitCount, 2)
		for i := range uint64(maxTensors/2 + 1) {
			r = r.tensor(fmt.Sprintf("%d.%d", no, i), I8, i*32, 1)
		}
		return r.data((maxTensors/2 + 1) * 32)
	}
	_, err := OpenWith("m-00001-of-00002.gguf", files{"m-00001-of-00002.gguf": half(0), "m-00002-of-00002.gguf": half(1)})
	assert.ErrorIs(t, err, ErrLimit)
	assert.ErrorContains(t, err, "131074 tensors in parts 1 to 2")
}
