package gguf

import (
	"bytes"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sampleValues has one value of each kind.
var sampleValues = []struct {
	key string
	v   any
}{
	{"u8", uint8(200)}, {"i8", int8(-100)}, {"u16", uint16(60000)}, {"i16", int16(-30000)},
	{"u32", uint32(4000000000)}, {"i32", int32(-2000000000)}, {"u64", uint64(math.MaxUint64)}, {"i64", int64(math.MinInt64)},
	{"f32", float32(1.5)}, {"f64", -2.25}, {"true", true}, {"false", false}, {"string", "héllo\x00\xff"}, {"empty", ""},
	{"u8s", []uint8{1, 255}}, {"i8s", []int8{-1, 1}}, {"u16s", []uint16{1, 65535}}, {"i16s", []int16{-1, 2}},
	{"u32s", []uint32{1, 1 << 31}}, {"i32s", []int32{-1, 5}}, {"u64s", []uint64{1, 1 << 63}}, {"i64s", []int64{-1, 6}},
	{"f32s", []float32{0.5, -1}}, {"f64s", []float64{0.25, 8}}, {"bools", []bool{true, false}},
	{"strings", []string{"a", "", "ccc"}}, {"none", []uint32{}},
	{"nested", []any{[]int32{1}, []string{"x", "y"}, []any{[]bool{true}, []any{[]uint8{9}}}}},
}

func openSample(t testing.TB) *Metadata {
	var out bytes.Buffer
	w := NewWriter(&out)
	for _, s := range sampleValues {
		require.NoError(t, w.Set(s.key, s.v))
	}
	require.NoError(t, w.Write())
	f, err := OpenBytes("sample.gguf", out.Bytes())
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return f.Metadata
}

func TestValue(t *testing.T) {
	m := openSample(t)
	var keys []string
	for _, s := range sampleValues {
		assert.Equal(t, s.v, m.Value(s.key), s.key)
		assert.True(t, m.Has(s.key))
		keys = append(keys, s.key)
	}
	assert.Equal(t, keys, m.Keys())
	assert.Equal(t, len(keys), m.Len())
	assert.Nil(t, m.Value("absent"))
	assert.False(t, m.Has("absent"))
}

func TestInfo(t *testing.T) {
	m := openSample(t)
	info, ok := m.Info("strings")
	assert.True(t, ok)
	assert.Equal(t, ValueInfo{Type: ArrayValue, Elem: StringValue, Count: 3, Bytes: 3*8 + 4}, info)
	info, ok = m.Info("u16")
	assert.True(t, ok)
	assert.Equal(t, ValueInfo{Type: Uint16Value, Count: 1, Bytes: 2}, info)
	_, ok = m.Info("absent")
	assert.False(t, ok)
	assert.Equal(t, "float64", Float64Value.String())
	assert.Equal(t, "value type 13", ValueType(13).String())
}

// getter is a typed getter without its type.
type getter func(m *Metadata, key string) (any, bool, error)

func of[T any](get func(*Metadata, string) (T, bool, error)) getter {
	return func(m *Metadata, key string) (any, bool, error) { return get(m, key) }
}

var getters = map[string]getter{
	"String": of((*Metadata).String), "Bool": of((*Metadata).Bool), "Uint": of((*Metadata).Uint), "Int": of((*Metadata).Int),
	"Float": of((*Metadata).Float), "Strings": of((*Metadata).Strings), "Ints": of((*Metadata).Ints),
	"Floats": of((*Metadata).Floats), "Bools": of((*Metadata).Bools),
}

func TestGetters(t *testing.T) {
	m := openSample(t)
	for _, c := range []struct {
		getter, key string
		v           any
	}{
		{"String", "string", "héllo\x00\xff"}, {"String", "empty", ""},
		{"Bool", "true", true}, {"Bool", "false", false},
		{"Uint", "u8", uint64(200)}, {"Uint", "u16", uint64(60000)}, {"Uint", "u32", uint64(4000000000)},
		{"Uint", "u64", uint64(math.MaxUint64)},
		{"Int", "u8", int64(200)}, {"Int", "i8", int64(-100)}, {"Int", "i16", int64(-30000)}, {"Int", "i32", int64(-2000000000)},
		{"Int", "i64", int64(math.MinInt64)}, {"Int", "u32", int64(4000000000)},
		{"Float", "f32", 1.5}, {"Float", "f64", -2.25}, {"Float", "i8", -100.0}, {"Float", "u64", float64(math.MaxUint64)},
		{"Strings", "strings", []string{"a", "", "ccc"}}, {"Strings", "none", []string{}},
		{"Ints", "u8s", []int64{1, 255}}, {"Ints", "i8s", []int64{-1, 1}}, {"Ints", "u16s", []int64{1, 65535}},
		{"Ints", "i16s", []int64{-1, 2}}, {"Ints", "u32s", []int64{1, 1 << 31}}, {"Ints", "i32s", []int64{-1, 5}},
		{"Ints", "i64s", []int64{-1, 6}}, {"Ints", "none", []int64{}},
		{"Floats", "f32s", []float64{0.5, -1}}, {"Floats", "f64s", []float64{0.25, 8}}, {"Floats", "i32s", []float64{-1, 5}},
		{"Floats", "none", []float64{}},
		{"Bools", "bools", []bool{true, false}}, {"Bools", "none", []bool{}},
	} {
		v, present, err := getters[c.getter](m, c.key)
		assert.NoError(t, err, "%s of %s", c.getter, c.key)
		assert.True(t, present)
		assert.Equal(t, c.v, v, "%s of %s", c.getter, c.key)
	}
}

func TestGettersOfAbsentKeys(t *testing.T) {
	for name, get := range getters {
		for _, m := range []*Metadata{openSample(t), nil} {
			v, present, err := get(m, "absent")
			assert.NoError(t, err, name)
			assert.False(t, present, name)
			assert.Zero(t, v, name)
		}
	}
}

func TestGetterErrors(t *testing.T) {
	m := openSample(t)
	for _, c := range []struct {
		getter, key string
		is          error
		words       string
	}{
		{"String", "u8", ErrValueType, `found uint8, expected string`},
		{"String", "strings", ErrValueType, `found array of 3 string, expected string`},
		{"Bool", "u8", ErrValueType, `found uint8, expected bool`},
		{"Uint", "i8", ErrValue, `found -100, expected an integer of at least 0`},
		{"Uint", "i64", ErrValue, `found -9223372036854775808`},
		{"Uint", "f32", ErrValueType, `found float32, expected an integer`},
		{"Uint", "true", ErrValueType, `found bool, expected an integer`},
		{"Uint", "u8s", ErrValueType, `found array of 2 uint8, expected an integer`},
		{"Int", "u64", ErrValue, `found 18446744073709551615, expected an integer below 2^63`},
		{"Int", "string", ErrValueType, `found string, expected an integer`},
		{"Float", "string", ErrValueType, `found string, expected a number`},
		{"Float", "true", ErrValueType, `found bool, expected a number`},
		{"Strings", "string", ErrValueType, `found string, expected an array of strings`},
		{"Strings", "u8s", ErrValueType, `found array of 2 uint8, expected an array of strings`},
		{"Ints", "f32s", ErrValueType, `expected an array of integers`},
		{"Ints", "u32", ErrValueType, `expected an array of integers`},
		{"Ints", "u64s", ErrValue, `found 9223372036854775808 in element 1, expected integers below 2^63`},
		{"Floats", "strings", ErrValueType, `expected an array of numbers`},
		{"Floats", "nested", ErrValueType, `found array of 3 array`},
		{"Bools", "u8s", ErrValueType, `expected an array of bools`},
	} {
		v, present, err := getters[c.getter](m, c.key)
		assert.True(t, present)
		assert.Zero(t, v)
		require.ErrorIs(t, err, c.is, "%s of %s", c.getter, c.key)
		assert.Contains(t, err.Error(), c.words)
		assert.Contains(t, err.Error(), `sample.gguf: key "`+c.key+`"`)
	}
}

// TestMetadataOutlivesFile reads strings after the mapped file is gone.
func TestMetadataOutlivesFile(t *testing.T) {
	path := t.TempDir() + "/m.gguf"
	w := NewFileWriter(path)
	w.SetStrings("tokens", []string{"one", "two"})
	require.NoError(t, w.Write())
	f, err := Open(path)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	tokens, _, err := f.Metadata.Strings("tokens")
	require.NoError(t, err)
	assert.Equal(t, []string{"one", "two"}, tokens)
}
