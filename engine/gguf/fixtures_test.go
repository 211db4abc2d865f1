package gguf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/internal/fixtures"
)

// fixtureFiles returns every GGUF file in a fixture folder.
func fixtureFiles(t testing.TB, elem ...string) []string {
	root := fixtures.Path(t, elem...)
	var paths []string
	require.NoError(t, filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".gguf") {
			paths = append(paths, path)
		}
		return err
	}))
	require.NotEmpty(t, paths, root)
	return paths
}

func TestOpenFixtures(t *testing.T) {
	for _, folder := range []string{"conformance", "tokenizers", "models"} {
		t.Run(folder, func(t *testing.T) {
			for _, path := range fixtureFiles(t, folder) {
				f, err := Open(path)
				require.NoError(t, err)
				_, present, err := f.Metadata.String("general.architecture")
				assert.True(t, present, path)
				assert.NoError(t, err)
				checkTensors(t, f)
				for _, key := range f.Metadata.Keys() {
					assert.NotNil(t, f.Metadata.Value(key), "%s: %s", path, key)
				}
				require.NoError(t, f.Close())
			}
		})
	}
}

// TestGeometryFillsFiles holds the block sizes of every quantization against files of other writers: tensors lie one
// after the other, padded to the alignment and no more, so that a wrong block size leaves a gap or an overlap.
func TestGeometryFillsFiles(t *testing.T) {
	seen := map[Type]bool{}
	for _, path := range fixtureFiles(t, "conformance") {
		f, err := Open(path)
		require.NoError(t, err)
		end := f.Tensors[0].Offset
		for _, tensor := range f.Tensors {
			assert.Equal(t, end, tensor.Offset, "%s: %s (%s)", path, tensor.Name, tensor.Type)
			end, _ = alignUp(tensor.Offset+tensor.Size, f.Alignment)
			seen[tensor.Type] = true
		}
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, info.Size(), end, path)
		require.NoError(t, f.Close())
	}
	for _, known := range Types() {
		switch known {
		case I8, I16, I32, I64, F64, Q8_1, Q8_K: // models keep no weights in these
		default:
			assert.True(t, seen[known], known)
		}
	}
}

// checkTensors reads the first and the last byte of every tensor and finds each by its name.
func checkTensors(t testing.TB, f *File) {
	sum := 0
	for i := range f.Tensors {
		tensor := &f.Tensors[i]
		data := f.Bytes(tensor)
		require.Len(t, data, int(tensor.Size), tensor.Name)
		sum += int(data[0]) + int(data[len(data)-1])
		found, ok := f.Tensor(tensor.Name)
		require.True(t, ok, tensor.Name)
		require.Same(t, tensor, found)
	}
	_ = sum
}

// BenchmarkOpen opens and closes the fixture with the largest vocabulary (128,256 tokens, 280,147 merges).
func BenchmarkOpen(b *testing.B) {
	path := fixtures.Path(b, "tokenizers", "ggml-vocab-llama-bpe.gguf")
	b.ReportAllocs()
	for b.Loop() {
		f, err := Open(path)
		require.NoError(b, err)
		require.NoError(b, f.Close())
	}
}

// BenchmarkStrings unpacks its 280,147 merges.
func BenchmarkStrings(b *testing.B) {
	f, err := Open(fixtures.Path(b, "tokenizers", "ggml-vocab-llama-bpe.gguf"))
	require.NoError(b, err)
	defer f.Close()
	b.ReportAllocs()
	for b.Loop() {
		_, _, err := f.Metadata.Strings("tokenizer.ggml.merges")
		require.NoError(b, err)
	}
}
