package tokenizer_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// fileMetadata is the metadata of a GGUF file, read as plainly as a test may.
type fileMetadata map[string]any

func readGGUF(t testing.TB, path string) fileMetadata {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "GGUF", string(data[:4]))
	r := &ggufReader{data: data, at: 16}
	m := fileMetadata{}
	for range r.uint(8) {
		key := r.value(8).(string)
		m[key] = r.value(uint32(r.uint(4)))
	}
	return m
}

type ggufReader struct {
	data []byte
	at   int
}

func (r *ggufReader) uint(width int) uint64 {
	var b [8]byte
	copy(b[:], r.data[r.at:r.at+width])
	r.at += width
	return binary.LittleEndian.Uint64(b[:])
}

func (r *ggufReader) value(kind uint32) any {
	switch kind {
	case 0, 1:
		return int64(r.uint(1))
	case 2, 3:
		return int64(r.uint(2))
	case 4:
		return int64(r.uint(4))
	case 5:
		return int64(int32(r.uint(4)))
	case 6:
		return float64(math.Float32frombits(uint32(r.uint(4))))
	case 7:
		return r.uint(1) != 0
	case 8:
		n := int(r.uint(8))
		r.at += n
		return string(r.data[r.at-n : r.at])
	case 9:
		element := uint32(r.uint(4))
		all := make([]any, r.uint(8))
		for i := range all {
			all[i] = r.value(element)
		}
		return all
	case 10, 11:
		return int64(r.uint(8))
	case 12:
		return math.Float64frombits(r.uint(8))
	}
	panic(fmt.Sprintf("value type %d", kind))
}

func metadataValue[T any](m fileMetadata, key string) (value T, present bool, err error) {
	found, present := m[key]
	if !present {
		return value, false, nil
	}
	value, ok := found.(T)
	if !ok {
		return value, true, fmt.Errorf("%s is a %T, expected a %T", key, found, value)
	}
	return value, true, nil
}

func metadataArray[T any](m fileMetadata, key string) (values []T, present bool, err error) {
	all, present, err := metadataValue[[]any](m, key)
	for i, v := range all {
		one, ok := v.(T)
		if !ok {
			return nil, true, fmt.Errorf("%s[%d] is a %T, expected a %T", key, i, v, one)
		}
		values = append(values, one)
	}
	return values, present, err
}

func (m fileMetadata) String(key string) (string, bool, error) { return metadataValue[string](m, key) }
func (m fileMetadata) Bool(key string) (bool, bool, error)     { return metadataValue[bool](m, key) }
func (m fileMetadata) Strings(key string) ([]string, bool, error) {
	return metadataArray[string](m, key)
}
func (m fileMetadata) Ints(key string) ([]int64, bool, error) { return metadataArray[int64](m, key) }
func (m fileMetadata) Floats(key string) ([]float64, bool, error) {
	return metadataArray[float64](m, key)
}
func (m fileMetadata) Uint(key string) (uint64, bool, error) {
	v, present, err := metadataValue[int64](m, key)
	return uint64(v), present, err
}
