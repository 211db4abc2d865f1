package gguf

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzOpen opens two files from memory: the first alone, and both as a split set. Whatever opens must be readable to
// the last key and byte, and must come back the same from the writer.
func FuzzOpen(f *testing.F) {
	for _, table := range [][]hostile{foreignFiles, hostilePreambles, hostileKeys, hostileTensors, hostileSplits} {
		for _, h := range table {
			if content := h.file(); len(content) < 1<<12 {
				f.Add([]byte(content), []byte{})
			}
		}
	}
	f.Add([]byte(start(2, 0, 0)), []byte{})
	f.Add([]byte(start(3, 2, 1).keyU32(keyAlignment, 64).tensor("a", Q4_0, 0, 32, 2).tensor("b", F16, 64, 8).zero(200)), []byte{})
	f.Add(partFile(0, 2, 2, "a"), partFile(1, 2, 2, "b"))
	f.Add(partFile(0, 2, 2, "a"), partFile(1, 2, 2, "a"))
	f.Add(fuzzModel(f), []byte{})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		if alone, err := OpenBytes("alone", first); err == nil {
			readAllOf(t, alone)
			checkRewrite(t, alone)
			require.NoError(t, alone.Close())
		} else {
			require.NotEmpty(t, err.Error())
		}
		s := &faulty{System: files{"m-00001-of-00002.gguf": first, "m-00002-of-00002.gguf": second}}
		if set, err := OpenWith("m-00001-of-00002.gguf", s); err == nil {
			readAllOf(t, set)
			require.NoError(t, set.Close())
		}
		require.Zero(t, s.handles)
		require.Zero(t, s.maps)
	})
}

// fuzzModel has every kind of value and some tensors.
func fuzzModel(f *testing.F) []byte {
	var out bytes.Buffer
	w := NewWriter(&out)
	for _, s := range sampleValues {
		require.NoError(f, w.Set(s.key, s.v))
	}
	for _, kind := range Types() {
		size, err := SizeOf(kind, []int64{256})
		require.NoError(f, err)
		require.NoError(f, w.AddTensorBytes(kind.String(), kind, []int64{256}, make([]byte, size)))
	}
	require.NoError(f, w.Write())
	return out.Bytes()
}

func readAllOf(t *testing.T, f *File) {
	for _, key := range f.Metadata.Keys() {
		require.NotNil(t, f.Metadata.Value(key))
		for _, get := range getters {
			_, present, err := get(f.Metadata, key)
			require.True(t, present)
			if err != nil {
				require.NotEmpty(t, err.Error())
			}
		}
	}
	checkTensors(t, f)
}

// checkRewrite writes the model again and compares what is read back.
func checkRewrite(t *testing.T, f *File) {
	var out bytes.Buffer
	w := NewWriter(&out)
	if f.Metadata.Len() > maxKeys-3 {
		return // the writer keeps room for the keys of a split set
	}
	require.NoError(t, w.CopyMetadata(f.Metadata))
	for i := range f.Tensors {
		tensor := &f.Tensors[i]
		require.NoError(t, w.AddTensorBytes(tensor.Name, tensor.Type, tensor.Shape, f.Bytes(tensor)))
	}
	require.NoError(t, w.Write())
	again, err := OpenBytes("again", out.Bytes())
	require.NoError(t, err)
	require.Len(t, again.Tensors, len(f.Tensors))
	for i := range f.Tensors {
		require.Equal(t, f.Bytes(&f.Tensors[i]), again.Bytes(&again.Tensors[i]))
	}
	for _, key := range again.Metadata.Keys() {
		require.Equal(t, fmt.Sprintf("%#v", f.Metadata.Value(key)), fmt.Sprintf("%#v", again.Metadata.Value(key)))
	}
}
