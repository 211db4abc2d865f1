package gguf

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hostile is a file that must be refused. Its content is made only when its turn comes.
type hostile struct {
	name  string
	file  func() raw
	size  int64    // the file's size where it is more than its content: the rest is a hole
	is    error    // what the error must wrap
	words []string // what the error must say, besides the path
}

const (
	allowedTime   = 100 * time.Millisecond * raceSlowdown
	allowedMemory = 64 << 20
)

// TestHostile opens each file of the tables and checks the refusal: its kind, its words, its time, its memory, and that
// nothing stays open or mapped.
func TestHostile(t *testing.T) {
	tables := map[string][]hostile{"not gguf": foreignFiles, "preamble": hostilePreambles, "keys": hostileKeys,
		"tensors": hostileTensors, "split": hostileSplits, "large": hostileLarge}
	total := 0
	for group, table := range tables {
		total += len(table)
		for _, h := range table {
			t.Run(group+"/"+h.name, func(t *testing.T) { checkRefused(t, h) })
		}
	}
	assert.GreaterOrEqual(t, total, 60)
}

func checkRefused(t *testing.T, h hostile) {
	path := filepath.Join(t.TempDir(), "hostile.gguf")
	content := h.file()
	require.NoError(t, os.WriteFile(path, content, 0o600))
	if h.size > 0 {
		require.NoError(t, os.Truncate(path, h.size))
	}
	resources := openResources(t)
	var err error
	elapsed, allocated := time.Hour, uint64(1<<63)
	for range 5 { // the best of five: other programs share this machine
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		started := time.Now()
		var f *File
		f, err = Open(path)
		elapsed = min(elapsed, time.Since(started))
		runtime.ReadMemStats(&after)
		allocated = min(allocated, after.TotalAlloc-before.TotalAlloc)
		require.True(t, f == nil, "the file was opened") // not require.Nil, which would print the model
		require.Error(t, err)
		if elapsed < allowedTime {
			break
		}
	}
	assert.ErrorIs(t, err, h.is)
	var fault *FormatError
	require.ErrorAs(t, err, &fault)
	assert.Equal(t, path, fault.Path)
	for _, words := range append(h.words, path) {
		assert.Contains(t, err.Error(), words)
	}
	assert.Less(t, len(err.Error()), 1000+len(path))
	assert.NotContains(t, err.Error(), "\n")
	assert.Less(t, elapsed, allowedTime)
	assert.Less(t, allocated, uint64(allowedMemory))
	assert.Equal(t, resources, openResources(t))
	t.Logf("%v, %d bytes: %v", elapsed, allocated, err)
}

func fixed(r raw) func() raw { return func() raw { return r } }

func text(s string) func() raw { return fixed(raw(s)) }

var foreignFiles = []hostile{
	{name: "empty", file: text(""), is: ErrNotGGUF, words: []string{"an empty file", "GGUF at the start"}},
	{name: "one byte", file: text("G"), is: ErrNotGGUF, words: []string{`text that begins with "G"`}},
	{name: "text", file: text("Hello, I am a model"), is: ErrNotGGUF, words: []string{`"Hello, I am a model"`}},
	{name: "text cut inside a letter", file: text("a" + strings.Repeat("é", 300)), is: ErrNotGGUF, words: []string{`"aéé`}},
	{name: "binary", file: text("\x01\x02\x03\x04\x05\x06\x07\x08"), is: ErrNotGGUF, words: []string{"bytes 01 02 03"}},
	{name: "zeros", file: fixed(raw{}.zero(4096)), is: ErrNotGGUF, words: []string{"zero bytes only", "download"}},
	{name: "html", file: text("\n<!DOCTYPE html><html><body>Log in"), is: ErrNotGGUF, words: []string{"HTML page", "log-in"}},
	{name: "html without doctype", file: text("<HTML><head>"), is: ErrNotGGUF, words: []string{"HTML page"}},
	{name: "xml", file: text(`<?xml version="1.0"?><Error><Code>AccessDenied`), is: ErrNotGGUF, words: []string{"XML"}},
	{name: "json", file: text(`{"error":"Repository not found"}`), is: ErrNotGGUF, words: []string{"JSON"}},
	{name: "git-lfs", file: text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"), is: ErrNotGGUF,
		words: []string{"git-LFS pointer", "git lfs pull"}},
	{name: "zip", file: text("PK\x03\x04rest of it"), is: ErrNotGGUF, words: []string{"zip archive", "PyTorch"}},
	{name: "gzip", file: text("\x1f\x8b\x08 and more"), is: ErrNotGGUF, words: []string{"gzip"}},
	{name: "safetensors", file: fixed(raw{}.u64(40).str(`{"__metadata__":{}}`)[:8]), is: ErrNotGGUF, words: []string{"bytes 28"}},
	{name: "safetensors with header", file: fixed(append(raw{}.u64(17), `{"weight":{"dtype":"F16"}}`...)), is: ErrNotGGUF,
		words: []string{"safetensors", "convert"}},
	{name: "pickle", file: text("\x80\x02}q\x00(X\x01"), is: ErrNotGGUF, words: []string{"pickle"}},
	{name: "ggml", file: text("lmgg\x00\x00\x00\x00"), is: ErrNotGGUF, words: []string{"before GGUF"}},
	{name: "ggjt", file: text("tjgg\x03\x00\x00\x00"), is: ErrNotGGUF, words: []string{"before GGUF"}},
	{name: "tar", file: fixed(append(raw("model.gguf").zero(247), "ustar\x0000"...)), is: ErrNotGGUF, words: []string{"tar archive"}},
	{name: "lower case magic", file: text("gguf\x03\x00\x00\x00"), is: ErrNotGGUF, words: []string{"bytes 67 67 75 66"}},
}

var hostilePreambles = []hostile{
	{name: "magic only", file: text("GGUF"), is: ErrTruncated, words: []string{"the version", "0 bytes left"}},
	{name: "half a version", file: text("GGUF\x03\x00"), is: ErrTruncated, words: []string{"the version", "2 bytes left"}},
	{name: "version 0", file: fixed(start(0, 0, 0)), is: ErrVersion, words: []string{"version 0"}},
	{name: "version 1", file: fixed(start(1, 0, 0)), is: ErrVersion, words: []string{"version 1", "convert the model again"}},
	{name: "version 4", file: fixed(start(4, 0, 0)), is: ErrVersion, words: []string{"version 4", "version 2 or 3"}},
	{name: "absurd version", file: fixed(start(0xdeadbeef, 0, 0)), is: ErrVersion, words: []string{"3735928559"}},
	{name: "big endian", file: bigEndian, is: ErrBigEndian, words: []string{"version 3 in big-endian", "little-endian"}},
	{name: "reversed magic", file: text("FUGG\x03\x00\x00\x00"), is: ErrBigEndian, words: []string{"reversed"}},
	{name: "no counts", file: text("GGUF\x03\x00\x00\x00"), is: ErrTruncated, words: []string{"the number of tensors"}},
	{name: "one count", file: fixed(start(3, 0, 0)[:20]), is: ErrTruncated, words: []string{"the number of keys", "4 bytes left"}},
	{name: "2^64-1 tensors", file: fixed(start(3, 1<<64-1, 0)), is: ErrLimit, words: []string{"18446744073709551615 tensors"}},
	{name: "2^63 keys", file: fixed(start(3, 0, 1<<63)), is: ErrLimit, words: []string{"9223372036854775808 keys"}},
	{name: "more tensors than bytes", file: fixed(start(3, 1000, 0).zero(99)), is: ErrTruncated, words: []string{"1000 tensors", "download"}},
	{name: "more keys than bytes", file: fixed(start(3, 0, 1000).zero(99)), is: ErrTruncated, words: []string{"1000 keys"}},
	{name: "a key too few", file: fixed(start(3, 0, 2).keyU32("a", 1)), is: ErrTruncated, words: []string{"2 keys"}},
}

var hostileKeys = []hostile{
	{name: "empty key", file: fixed(start(3, 0, 1).keyU32("", 1)), is: ErrName, words: []string{"key 0 without a name"}},
	{name: "key of 2^64-1 bytes", file: fixed(start(3, 0, 1).u64(1<<64 - 1).zero(64)), is: ErrLimit,
		words: []string{"name of 18446744073709551615 bytes", "65535"}},
	{name: "key beyond the end", file: fixed(start(3, 0, 1).u64(1000).zero(64)), is: ErrTruncated, words: []string{"the name of key 0"}},
	{name: "key too long", file: fixed(start(3, 0, 1).keyU32(strings.Repeat("k", 65536), 1)), is: ErrLimit,
		words: []string{"name of 65536 bytes"}},
	{name: "no room for the second key", file: fixed(start(3, 0, 2).keyString("a", "takes what is left").zero(5)), is: ErrTruncated,
		words: []string{"the length of a name", "5 bytes left"}},
	{name: "array without a length", file: fixed(start(3, 0, 1).key("array", ArrayValue).u32(4)), is: ErrTruncated,
		words: []string{`key "array"`, "the length of an array"}},
	{name: "cut before the type", file: fixed(start(3, 0, 1).str("a.long.enough.key")), is: ErrTruncated,
		words: []string{`key "a.long.enough.key"`, "the type of a value"}},
	{name: "value type 13", file: fixed(start(3, 0, 1).key("k", 13).u32(0)), is: ErrValueType,
		words: []string{`key "k"`, "value type 13", "0 (uint8) to 12 (float64)"}},
	{name: "value type 2^32-1", file: fixed(start(3, 0, 1).key("k", 1<<32-1).u32(0)), is: ErrValueType,
		words: []string{"value type 4294967295"}},
	{name: "half a number", file: fixed(start(3, 0, 1).key("k", Uint64Value).u32(7)), is: ErrTruncated,
		words: []string{`key "k"`, "4 bytes left", "1 of uint64"}},
	{name: "bool of 2", file: fixed(start(3, 0, 1).key("k", BoolValue).u8(2)), is: ErrValue, words: []string{"bool of value 2", "0 or 1"}},
	{name: "bool array with 255", file: fixed(start(3, 0, 1).keyArray("k", BoolValue, 3).u8(0).u8(1).u8(255)), is: ErrValue,
		words: []string{"bool of value 255"}},
	{name: "string of 2^64-1 bytes", file: fixed(start(3, 0, 1).key("k", StringValue).u64(1<<64 - 1).zero(64)), is: ErrLimit,
		words: []string{`key "k"`, "string of 18446744073709551615 bytes"}},
	{name: "string beyond the end", file: fixed(start(3, 0, 1).key("k", StringValue).u64(65).zero(64)), is: ErrTruncated,
		words: []string{"64 bytes left", "65 or more"}},
	{name: "duplicate key", file: fixed(start(3, 0, 3).keyU32("a", 1).keyU32("b", 1).keyString("a", "x")), is: ErrDuplicate,
		words: []string{`key "a"`, "each key once"}},
	{name: "array element type 99", file: fixed(start(3, 0, 1).keyArray("k", 99, 1).u32(0)), is: ErrValueType,
		words: []string{"array element type 99"}},
	{name: "array of 2^64-1", file: fixed(start(3, 0, 1).keyArray("k", Uint8Value, 1<<64-1)), is: ErrLimit,
		words: []string{"array of 18446744073709551615 uint8"}},
	{name: "array whose bytes overflow", file: fixed(start(3, 0, 1).keyArray("k", Uint64Value, 1<<61)), is: ErrLimit,
		words: []string{"array of 2305843009213693952 uint64"}},
	{name: "array beyond the end", file: fixed(start(3, 0, 1).keyArray("k", Float32Value, 1000).zero(3999)), is: ErrTruncated,
		words: []string{"1000 of float32", "3999 bytes left"}},
	{name: "bool array beyond the end", file: fixed(start(3, 0, 1).keyArray("k", BoolValue, 10)), is: ErrTruncated,
		words: []string{"10 of bool"}},
	{name: "string array beyond the end", file: fixed(start(3, 0, 1).keyArray("k", StringValue, 3).str("a").str("b")), is: ErrTruncated,
		words: []string{"string 3 of 3"}},
	{name: "long string in an array", file: fixed(start(3, 0, 1).keyArray("k", StringValue, 3).str("a").u64(1 << 40)), is: ErrLimit,
		words: []string{"string of 1099511627776 bytes"}},
	{name: "cut string in an array", file: fixed(start(3, 0, 1).keyArray("k", StringValue, 3).str("a").u64(9)), is: ErrTruncated,
		words: []string{"string 2 of 3"}},
	{name: "nested too deep", file: func() raw {
		r := start(3, 0, 1).key("k", ArrayValue)
		for range 100000 {
			r = r.array(ArrayValue, 1)
		}
		return r
	}, is: ErrLimit, words: []string{"nested 5 deep", "at most 4"}},
	{name: "nested array of 2^60", file: fixed(start(3, 0, 1).keyArray("k", ArrayValue, 1).array(Int8Value, 1<<60)), is: ErrLimit,
		words: []string{"array of 1152921504606846976 int8"}},
	{name: "nested array cut", file: fixed(start(3, 0, 1).keyArray("k", ArrayValue, 2).array(Int8Value, 1).u8(0)), is: ErrTruncated,
		words: []string{"the type of a value"}},
	{name: "hostile key in the error", file: fixed(start(3, 0, 1).key("\x1b[31m\n"+strings.Repeat("x", 5000), 77).u32(0)), is: ErrValueType,
		words: []string{`\x1b[31m\n`, "(5006 bytes)"}},
	{name: "alignment as string", file: fixed(start(3, 0, 1).keyString(keyAlignment, "32")), is: ErrValueType,
		words: []string{keyAlignment, "found string", "expected uint32"}},
	{name: "alignment as uint64", file: fixed(start(3, 0, 1).key(keyAlignment, Uint64Value).u64(32)), is: ErrValueType,
		words: []string{"found uint64", "expected uint32"}},
	{name: "alignment as array", file: fixed(start(3, 0, 1).keyArray(keyAlignment, Uint32Value, 1).u32(32)), is: ErrValueType,
		words: []string{"array of 1 uint32"}},
	{name: "alignment 0", file: fixed(start(3, 0, 1).keyU32(keyAlignment, 0)), is: ErrAlignment, words: []string{"found 0", "power of two"}},
	{name: "alignment 48", file: fixed(start(3, 0, 1).keyU32(keyAlignment, 48)), is: ErrAlignment, words: []string{"found 48"}},
	{name: "alignment 2^31", file: fixed(start(3, 0, 1).keyU32(keyAlignment, 1<<31)), is: ErrAlignment, words: []string{"2147483648"}},
}

var hostileTensors = []hostile{
	{name: "empty name", file: fixed(start(3, 1, 0).tensor("", F32, 0, 8).data(32)), is: ErrName, words: []string{"tensor 0 without a name"}},
	{name: "long name", file: fixed(start(3, 1, 0).tensor(strings.Repeat("n", 1025), F32, 0, 8).data(32)), is: ErrLimit,
		words: []string{"name of 1025 bytes"}},
	{name: "no dimensions", file: fixed(start(3, 1, 0).tensor("w", F32, 0).data(32)), is: ErrShape,
		words: []string{`tensor "w"`, "0 dimensions", "1 to 4"}},
	{name: "five dimensions", file: fixed(start(3, 1, 0).tensor("w", F32, 0, 1, 1, 1, 1, 1).data(32)), is: ErrShape, words: []string{"5 dimensions"}},
	{name: "2^32-1 dimensions", file: fixed(start(3, 1, 0).str("w").u32(1<<32 - 1).zero(64)), is: ErrShape, words: []string{"4294967295 dimensions"}},
	{name: "dimension of 0", file: fixed(start(3, 1, 0).tensor("w", F32, 0, 8, 0).data(32)), is: ErrShape, words: []string{"length 0 in dimension 1"}},
	{name: "dimension of 2^64-1", file: fixed(start(3, 1, 0).tensor("w", F32, 0, 1<<64-1).data(32)), is: ErrShape,
		words: []string{"18446744073709551615"}},
	{name: "elements overflow", file: fixed(start(3, 1, 0).tensor("w", F32, 0, 1<<32, 1<<32).data(32)), is: ErrShape,
		words: []string{"[4294967296 4294967296]", "2^63"}},
	{name: "elements overflow to a small number", file: fixed(start(3, 1, 0).tensor("w", F32, 0, 1<<32, 1<<31, 2).data(32)), is: ErrShape,
		words: []string{"2^63"}},
	{name: "bytes overflow", file: fixed(start(3, 1, 0).tensor("w", F64, 0, 1<<61, 2).data(32)), is: ErrShape, words: []string{"2^63"}},
	{name: "row not whole blocks", file: fixed(start(3, 1, 0).tensor("w", Q4_K, 0, 288, 4).data(4096)), is: ErrShape,
		words: []string{`tensor "w"`, "rows of 288", "multiple of 256", "Q4_K"}},
	{name: "row shorter than a block", file: fixed(start(3, 1, 0).tensor("w", Q8_0, 0, 16, 2).data(4096)), is: ErrShape, words: []string{"multiple of 32"}},
	{name: "type 99", file: fixed(start(3, 1, 0).tensor("w", 99, 0, 8).data(32)), is: ErrTensorType, words: []string{`tensor "w"`, "type 99"}},
	{name: "type 2^32-1", file: fixed(start(3, 1, 0).tensor("w", 1<<32-1, 0, 8).data(32)), is: ErrTensorType, words: []string{"type 4294967295"}},
	{name: "withdrawn type", file: fixed(start(3, 1, 0).tensor("w", 31, 0, 32).data(32)), is: ErrTensorType,
		words: []string{"Q4_0_4_4", "withdrawn"}},
	{name: "offset not aligned", file: fixed(start(3, 1, 0).tensor("w", F32, 4, 8).data(64)), is: ErrAlignment,
		words: []string{`tensor "w"`, "offset 4", "multiple of 32"}},
	{name: "offset off a large alignment", file: fixed(start(3, 1, 1).keyU32(keyAlignment, 4096).tensor("w", F32, 32, 8).zero(8192)),
		is: ErrAlignment, words: []string{"multiple of 4096"}},
	{name: "offset beyond the end", file: fixed(start(3, 1, 0).tensor("w", F32, 1<<20, 8).data(64)), is: ErrTruncated, words: []string{`tensor "w"`}},
	{name: "offset of 2^64-32", file: fixed(start(3, 1, 0).tensor("w", F32, 1<<64-32, 8).data(64)), is: ErrTruncated,
		words: []string{"18446744073709551584"}},
	{name: "offset plus size overflows", file: fixed(start(3, 1, 0).tensor("w", F32, 1<<62, 1<<60).data(64)), is: ErrTruncated, words: []string{`tensor "w"`}},
	{name: "data cut by a byte", file: fixed(start(3, 1, 0).tensor("w", F32, 0, 8).data(31)), is: ErrTruncated,
		words: []string{`tensor "w"`, "32 bytes from byte", "download complete"}},
	{name: "no data at all", file: fixed(start(3, 1, 0).tensor("w", F32, 0, 8)), is: ErrTruncated, words: []string{`tensor "w"`}},
	{name: "duplicate tensor", file: fixed(start(3, 2, 0).tensor("w", F32, 0, 8).tensor("w", F32, 32, 8).data(64)), is: ErrDuplicate,
		words: []string{`tensor "w"`, "each tensor once"}},
	{name: "same offset", file: fixed(start(3, 2, 0).tensor("a", F32, 0, 8).tensor("b", F32, 0, 8).data(64)), is: ErrOverlap,
		words: []string{`tensor "a"`, `tensor "b"`, "shares bytes"}},
	{name: "overlap", file: fixed(start(3, 2, 0).tensor("b", F32, 32, 8).tensor("a", F32, 0, 9).data(64)), is: ErrOverlap,
		words: []string{`tensor "b"`, `tensor "a"`}},
	{name: "table cut in the name", file: fixed(start(3, 1, 0).u64(500).zero(40)), is: ErrTruncated, words: []string{"the name of tensor 0"}},
	{name: "table cut in the shape", file: fixed(start(3, 1, 0).str("a tensor with a long name").u32(4).u64(1)), is: ErrTruncated, words: []string{"a dimension"}},
	{name: "table cut before the type", file: fixed(start(3, 1, 0).str("a tensor with a long name").u32(1).u64(1)), is: ErrTruncated,
		words: []string{"the tensor type"}},
	{name: "table cut before the offset", file: fixed(start(3, 1, 0).str("a tensor with a long name").u32(1).u64(1).u32(0)), is: ErrTruncated,
		words: []string{"the tensor's offset"}},
	{name: "table cut before the dimensions", file: fixed(start(3, 1, 0).str("a tensor with a long name")), is: ErrTruncated,
		words: []string{"the number of dimensions"}},
}

// These are wrong as a set although each file is sound; TestSplitFaults has those that need several files.
var hostileSplits = []hostile{
	{name: "count as string", file: fixed(start(3, 0, 1).keyString(keySplitCount, "3")), is: ErrValueType, words: []string{keySplitCount, "found string"}},
	{name: "negative count", file: fixed(start(3, 0, 1).key(keySplitCount, Int32Value).u32(1<<32 - 1)), is: ErrValue, words: []string{"found -1"}},
	{name: "absurd count", file: fixed(start(3, 0, 2).keyU32(keySplitCount, 1<<31).keyU32(keySplitNo, 0)), is: ErrValue, words: []string{"2147483648", "65535"}},
	{name: "no number", file: fixed(start(3, 0, 1).keyU16(keySplitCount, 3)), is: ErrSplit, words: []string{keySplitNo, "no such key"}},
	{name: "number as string", file: fixed(start(3, 0, 2).keyU16(keySplitCount, 3).keyString(keySplitNo, "0")), is: ErrValueType, words: []string{keySplitNo}},
	{name: "number beyond the count", file: fixed(start(3, 0, 2).keyU16(keySplitCount, 3).keyU16(keySplitNo, 3)), is: ErrValue, words: []string{"found 3", "below 3"}},
	{name: "wrong file name", file: fixed(start(3, 0, 2).keyU16(keySplitCount, 3).keyU16(keySplitNo, 0)), is: ErrSplit,
		words: []string{"part 1 of 3", "-00001-of-00003.gguf"}},
	{name: "wrong total", file: fixed(start(3, 0, 3).keyU16(keySplitCount, 1).keyU16(keySplitNo, 0).keyU32(keySplitTensors, 7)), is: ErrSplit,
		words: []string{keySplitTensors, "0 tensors in 1 parts", "expected 7"}},
	{name: "total as string", file: fixed(start(3, 0, 3).keyU16(keySplitCount, 1).keyU16(keySplitNo, 0).keyString(keySplitTensors, "7")), is: ErrValueType,
		words: []string{keySplitTensors}},
}

// hostileLarge reach for the limits: many entries, long walks, large holes.
var hostileLarge = []hostile{
	{name: "most keys, the last a duplicate", file: func() raw {
		r := start(3, 0, maxKeys)
		for i := range maxKeys - 1 {
			r = r.key(fmt.Sprint(i), Uint8Value).u8(0)
		}
		return r.key("0", Uint8Value).u8(0)
	}, is: ErrDuplicate, words: []string{`key "0"`}},
	{name: "a key too many", file: func() raw { return start(3, 0, maxKeys+1).zero((maxKeys + 1) * 16) }, is: ErrLimit,
		words: []string{"65537 keys", "at most 65536"}},
	{name: "most tensors, the last overlapping", file: func() raw {
		r := start(3, maxTensors, 0)
		for i := range uint64(maxTensors) {
			r = r.tensor(fmt.Sprint(i), F32, min(i, maxTensors-2)*32, 1, 1, 1, 1)
		}
		return r.data(maxTensors * 32)
	}, is: ErrOverlap, words: []string{`"131071"`, `"131070"`}},
	{name: "a tensor too many", file: func() raw { return start(3, maxTensors+1, 0).zero((maxTensors + 1) * 40) }, is: ErrLimit,
		words: []string{"131073 tensors"}},
	{name: "a hole of empty strings", file: fixed(start(3, 0, 2).keyArray("k", StringValue, maxArrayElements)), size: 1 << 40,
		is: ErrLimit, words: []string{`key "k"`, "keys and tensor table of more than 67108864 bytes"}},
	{name: "half a hole of empty strings", file: fixed(start(3, 0, 2).keyArray("k", StringValue, maxHeaderBytes/16)), size: 1 << 40,
		is: ErrName, words: []string{"key 1 without a name"}},
	{name: "a hole of arrays", file: fixed(start(3, 0, 1).keyArray("k", ArrayValue, maxInnerArrays+1)), size: 1 << 40,
		is: ErrLimit, words: []string{`key "k"`, "262145 arrays in arrays"}},
	{name: "most arrays, twice", file: fixed(start(3, 0, 1).keyArray("k", ArrayValue, 2).array(ArrayValue, maxInnerArrays-1)), size: 1 << 40,
		is: ErrLimit, words: []string{`key "k"`}},
	{name: "a hole of tensors", file: fixed(start(3, 100, 0).tensor("w", F32, 0, 8)), size: 1 << 40, is: ErrName,
		words: []string{"tensor 1 without a name"}},
	{name: "string of the whole hole", file: fixed(start(3, 0, 1).key("k", StringValue).u64(1 << 39)), size: 1 << 40, is: ErrLimit,
		words: []string{"string of 549755813888 bytes"}},
}
