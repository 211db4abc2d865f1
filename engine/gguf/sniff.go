package gguf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// signatures are the first bytes of files that people hand over in place of a GGUF file.
var signatures = []struct{ prefix, what string }{
	{"version https://git-lfs", "a git-LFS pointer: the file itself was not fetched (git lfs pull)"},
	{"PK\x03\x04", "a zip archive, perhaps a PyTorch checkpoint or a Python wheel"},
	{"\x1f\x8b", "gzip data"},
	{"\x28\xb5\x2f\xfd", "zstd data"},
	{"\xfd7zXZ\x00", "xz data"},
	{"BZh", "bzip2 data"},
	{"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"},
	{"lmgg", "a GGML file from before GGUF: convert the model again"},
	{"fmgg", "a GGML file from before GGUF: convert the model again"},
	{"tjgg", "a GGML file from before GGUF: convert the model again"},
	{"algg", "a GGLA adapter from before GGUF: convert it again"},
	{"\x89HDF", "an HDF5 file"},
	{"\x93NUMPY", "a NumPy array"},
	{"PAR1", "a Parquet file"},
	{"\x7fELF", "an executable or shared library"},
	{"MZ", "a Windows executable"},
	{"%PDF", "a PDF document"},
	{"<?xml", "XML, perhaps a server's error message"},
	{"<Error", "XML, perhaps a server's error message"},
}

// looksLike says what the beginning of a file that is not GGUF looks like.
func looksLike(data []byte) string {
	head := data[:min(len(data), 512)]
	for _, s := range signatures {
		if bytes.HasPrefix(head, []byte(s.prefix)) {
			return s.what
		}
	}
	text := bytes.ToLower(bytes.TrimLeft(head, "\ufeff \t\r\n"))
	switch {
	case len(data) == 0:
		return "an empty file"
	case bytes.HasPrefix(text, []byte("<!doctype html")) || bytes.HasPrefix(text, []byte("<html")):
		return "an HTML page, perhaps a web site's log-in or error page"
	case isSafetensors(head):
		return "a safetensors file: convert the model to GGUF"
	case len(head) >= 262 && string(head[257:262]) == "ustar":
		return "a tar archive"
	case head[0] == 0x80 && len(head) > 1 && head[1] >= 2 && head[1] <= 5:
		return "a Python pickle, perhaps a PyTorch checkpoint"
	case len(bytes.Trim(head, "\x00")) == 0:
		return "zero bytes only: a download that never filled its file?"
	case bytes.HasPrefix(text, []byte("{")) || bytes.HasPrefix(text, []byte("[")):
		return "JSON"
	case isText(head):
		return fmt.Sprintf("text that begins with %q", firstRunes(head, 40))
	}
	return fmt.Sprintf("bytes % x", head[:min(len(head), 8)])
}

// isSafetensors: the length of a JSON header in 8 bytes, then the JSON.
func isSafetensors(head []byte) bool {
	return len(head) > 8 && head[8] == '{' && binary.LittleEndian.Uint64(head) < 1<<32
}

func isText(head []byte) bool {
	for len(head) > 0 {
		r, n := utf8.DecodeRune(head)
		if r == utf8.RuneError && n == 1 {
			return len(head) < utf8.UTFMax // a rune cut at the end of what was looked at
		}
		if r < ' ' && r != '\n' && r != '\r' && r != '\t' {
			return false
		}
		head = head[n:]
	}
	return true
}

func firstRunes(text []byte, most int) string {
	runes := []rune(string(text))
	return string(runes[:min(len(runes), most)])
}
