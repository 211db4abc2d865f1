package gguf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// writeSample writes a model of four tensors, split into parts of so many tensors, and returns its first file.
func writeSample(t testing.TB, perPart int) string {
	w := NewFileWriter(filepath.Join(t.TempDir(), "sample.gguf"))
	require.NoError(t, w.SetString("general.architecture", "llama"))
	require.NoError(t, w.Set(keyAlignment, uint32(64)))
	require.NoError(t, w.Split(SplitLimit{Tensors: perPart}))
	for i, name := range []string{"a", "b", "c", "d"} {
		require.NoError(t, w.AddTensorBytes(name, F32, []int64{int64(i + 1)}, bytes.Repeat([]byte(name), 4*(i+1))))
	}
	require.NoError(t, w.Write())
	return w.Paths()[0]
}

func checkSample(t testing.TB, f *File) {
	require.Len(t, f.Tensors, 4)
	for i, name := range []string{"a", "b", "c", "d"} {
		tensor, ok := f.Tensor(name)
		require.True(t, ok)
		assert.Equal(t, bytes.Repeat([]byte(name), 4*(i+1)), f.Bytes(tensor))
		assert.Zero(t, tensor.Offset%64)
	}
	_, ok := f.Tensor("e")
	assert.False(t, ok)
}

var systems = map[string]System{"OS": OS, "InMemory": InMemory}

// TestOpenFailsAtEachCall makes the first call to the system fail, then the second, and so on until opening succeeds:
// an error each time, nothing left open or mapped.
func TestOpenFailsAtEachCall(t *testing.T) {
	for name, system := range systems {
		for perPart, path := range map[int]string{0: writeSample(t, 0), 1: writeSample(t, 1)} {
			before := openResources(t)
			failures := 0
			for failAt := 1; ; failAt++ {
				s := &faulty{System: system, failAt: failAt}
				f, err := OpenWith(path, s)
				if err == nil {
					require.Less(t, s.calls, failAt, "a fault was swallowed")
					checkSample(t, f)
					s.failAt = 0
					require.NoError(t, f.Close())
				} else {
					failures++
					require.ErrorIs(t, err, errInjected)
					require.Contains(t, err.Error(), filepath.Dir(path))
				}
				require.Zero(t, s.handles, "%s: handle left open at call %d", name, failAt)
				require.Zero(t, s.maps, "%s: mapping left at call %d", name, failAt)
				if err == nil {
					break
				}
			}
			assert.Equal(t, before, openResources(t))
			// Five calls open a file; three more look for the other parts.
			assert.Equal(t, map[int]int{0: 5, 1: 4*5 + 3}[perPart], failures)
		}
	}
}

// TestRefusalFailsToUnmap: a refused file whose unmapping fails as well reports both.
func TestRefusalFailsToUnmap(t *testing.T) {
	s := &faulty{System: files{"bad.gguf": []byte("not a model")}, failAt: 6}
	_, err := OpenWith("bad.gguf", s)
	assert.ErrorIs(t, err, ErrNotGGUF)
	assert.ErrorIs(t, err, errInjected)
	assert.Zero(t, s.maps)
}

func TestCloseFails(t *testing.T) {
	path := writeSample(t, 2)
	s := &faulty{System: OS, failAt: 2*5 + 1 + 1}
	f, err := OpenWith(path, s)
	require.NoError(t, err)
	err = f.Close()
	assert.ErrorIs(t, err, errInjected)
	assert.Contains(t, err.Error(), path+": unmapping")
	assert.Zero(t, s.maps, "the second part must be unmapped although the first failed")
	assert.NoError(t, f.Close())
}

func TestCloseIsIdempotent(t *testing.T) {
	before := openResources(t)
	f, err := Open(writeSample(t, 2))
	require.NoError(t, err)
	if runtime.GOOS == "linux" {
		assert.Equal(t, resources{before.descriptors, before.maps + 2}, openResources(t))
	}
	tensor, _ := f.Tensor("a")
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() { assert.NoError(t, f.Close()) })
	}
	group.Wait()
	assert.Nil(t, f.Bytes(tensor))
	assert.Error(t, f.Advise(tensor, WillNeed))
	assert.Equal(t, before, openResources(t))
	assert.Equal(t, "llama", f.Metadata.Value("general.architecture"))
}

func TestBytesOfForeignTensors(t *testing.T) {
	f, err := Open(writeSample(t, 0))
	require.NoError(t, err)
	defer f.Close()
	size := int64(len(f.mappings[0].Bytes()))
	for _, tensor := range []Tensor{
		{Part: 1}, {Part: -1}, {Offset: -1}, {Size: -1}, {Offset: size + 1}, {Offset: 1, Size: size},
		{Offset: 1 << 62, Size: 1 << 62},
	} {
		assert.Nil(t, f.Bytes(&tensor), tensor)
		assert.Error(t, f.Advise(&tensor, WillNeed))
	}
	data := f.Bytes(&f.Tensors[0])
	assert.Equal(t, len(data), cap(data), "appending must not reach the next tensor")
}

func TestAdvise(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large.gguf")
	w := NewFileWriter(path)
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
	for _, name := range []string{"a", "b"} {
		require.NoError(t, w.AddTensorBytes(name, I8, []int64{int64(len(content))}, content))
	}
	require.NoError(t, w.AddTensorBytes("small", I8, []int64{1}, []byte{7}))
	require.NoError(t, w.Write())
	inMemory, err := os.ReadFile(path)
	require.NoError(t, err)
	systems := map[string]System{"OS": OS, "InMemory": InMemory, "files": files{path: inMemory}}
	for name, system := range systems {
		f, err := OpenWith(path, system)
		require.NoError(t, err)
		for _, advice := range []Advice{WillNeed, Sequential, DontNeed} {
			for i := range f.Tensors {
				assert.NoError(t, f.Advise(&f.Tensors[i], advice), name)
			}
			assert.Equal(t, content, f.Bytes(&f.Tensors[0]), name)
			assert.Equal(t, content, f.Bytes(&f.Tensors[1]), name)
			assert.Equal(t, []byte{7}, f.Bytes(&f.Tensors[2]), name)
		}
		require.NoError(t, f.Close())
	}
}

func TestOpenWhatIsNoFile(t *testing.T) {
	folder := t.TempDir()
	_, err := Open(folder)
	assert.ErrorIs(t, err, ErrNotFile)
	assert.ErrorContains(t, err, folder+": not a regular file: found a directory")
	_, err = Open(filepath.Join(folder, "absent.gguf"))
	assert.ErrorIs(t, err, fs.ErrNotExist)
	assert.ErrorContains(t, err, "absent.gguf: stat: no such file")
	_, err = OpenBytes("nothing", nil)
	assert.ErrorIs(t, err, ErrNotGGUF)
}

// swapped is a System whose files turn into something else between the first look and the opening.
type swapped struct{ before, after files }

func (s swapped) Stat(path string) (fs.FileInfo, error) { return s.before.Stat(path) }
func (s swapped) Open(path string) (Handle, error)      { return s.after.Open(path) }

func TestFileBecomesEmptyBeforeOpening(t *testing.T) {
	s := &faulty{System: swapped{files{"m": []byte("GGUF")}, files{"m": nil}}}
	_, err := OpenWith("m", s)
	assert.ErrorIs(t, err, ErrNotGGUF)
	assert.ErrorContains(t, err, "an empty file")
	assert.Zero(t, s.handles)
}

// shrinking maps a file and then cuts it short, so that the first touch of a page is a SIGBUS.
type shrinking struct{ System }

func (s shrinking) Open(path string) (Handle, error) {
	h, err := s.System.Open(path)
	return shrinkingHandle{h, path}, err
}

type shrinkingHandle struct {
	Handle
	path string
}

func (h shrinkingHandle) Map(size int64) (Mapping, error) {
	m, err := h.Handle.Map(size)
	return m, errors.Join(err, os.Truncate(h.path, 0))
}

func TestFileShrinksWhileOpening(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a mapped file cannot be truncated on Windows")
	}
	path := writeSample(t, 0)
	before := openResources(t)
	_, err := OpenWith(path, shrinking{OS})
	assert.ErrorIs(t, err, ErrChanged)
	assert.ErrorContains(t, err, path)
	assert.Equal(t, before, openResources(t))
}

// TestHeaderIsParsedFromItsCopy spoils the file after it was opened.
func TestHeaderIsParsedFromItsCopy(t *testing.T) {
	data := []byte(start(3, 0, 1).keyString("key", "value"))
	f, err := OpenBytes("m", data)
	require.NoError(t, err)
	for i := range data {
		data[i] = 0xff
	}
	assert.Equal(t, "value", f.Metadata.Value("key"))
	assert.Equal(t, []string{"key"}, f.Metadata.Keys())
}

func TestHeaderChangesBesideItsCopy(t *testing.T) {
	_, err := parseCopy("m", start(3, 0, 1), 24)
	assert.ErrorIs(t, err, ErrChanged)
	assert.ErrorIs(t, err, ErrTruncated)
}

func TestSystemFaults(t *testing.T) {
	_, err := OS.Open(filepath.Join(t.TempDir(), "absent"))
	assert.ErrorIs(t, err, fs.ErrNotExist)
	closed, err := os.Create(filepath.Join(t.TempDir(), "closed"))
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	_, err = mapFile(closed, 1)
	assert.Error(t, err)
	_, err = readFile(closed, 1)
	assert.ErrorIs(t, err, fs.ErrClosed)
}

// TestOpenLargeVocabulary bounds the time and the allocations of a vocabulary as large as they come.
func TestOpenLargeVocabulary(t *testing.T) {
	const tokens, mostTime, mostAllocations = 262144, 60 * time.Millisecond * raceSlowdown, 100
	words, scores, kinds := make([]string, tokens), make([]float32, tokens), make([]int32, tokens)
	for i := range words {
		words[i] = fmt.Sprintf("▁token%d", i)
	}
	path := filepath.Join(t.TempDir(), "vocabulary.gguf")
	w := NewFileWriter(path)
	w.SetStrings("tokenizer.ggml.tokens", words)
	w.SetFloat32s("tokenizer.ggml.scores", scores)
	w.SetInt32s("tokenizer.ggml.token_type", kinds)
	require.NoError(t, w.Write())
	elapsed := time.Hour
	for range 5 { // the best of five: other programs share this machine
		started := time.Now()
		f, err := Open(path)
		require.NoError(t, err)
		got, _, err := f.Metadata.Strings("tokenizer.ggml.tokens")
		elapsed = min(elapsed, time.Since(started))
		require.NoError(t, err)
		require.True(t, slices.Equal(words, got))
		require.NoError(t, f.Close())
	}
	assert.Less(t, elapsed, mostTime)
	assert.Less(t, testing.AllocsPerRun(1, func() {
		f, err := Open(path)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}), float64(mostAllocations))
	t.Logf("%d tokens opened and unpacked in %v", tokens, elapsed)
}

func TestReadAll(t *testing.T) {
	content := bytes.Repeat([]byte("abc"), 1000)
	m, err := readAll(bytes.NewReader(content), int64(len(content)))
	require.NoError(t, err)
	assert.Equal(t, content, m.Bytes())
	require.NoError(t, m.Unmap())
	_, err = readAll(bytes.NewReader(content), int64(len(content))+1)
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, err = readAll(bytes.NewReader(content), 1<<62)
	assert.ErrorContains(t, err, "allocating 4611686018427387904 bytes")
}

// brokenDisk fails after some bytes.
type brokenDisk struct{ good int64 }

func (d brokenDisk) ReadAt(b []byte, offset int64) (int, error) {
	if offset >= d.good {
		return 0, errInjected
	}
	return int(min(int64(len(b)), d.good-offset)), nil
}

// TestReadAllGivesMemoryBack fails many large reads: the address space would grow by a gigabyte at each.
func TestReadAllGivesMemoryBack(t *testing.T) {
	before := addressSpace(t)
	for range 64 {
		_, err := readAll(brokenDisk{1 << 16}, 1<<30)
		require.ErrorIs(t, err, errInjected)
	}
	assert.Less(t, addressSpace(t)-before, int64(16<<30))
}
