package cache

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Errors of saved prefixes; use errors.Is.
var (
	ErrNotCached  = errors.New("nothing of these tokens is in the cache")
	ErrNotSaved   = errors.New("not a saved cache")
	ErrOtherModel = errors.New("saved for another model")
	ErrOtherShape = errors.New("saved for another layout of the cache")
	ErrChecksum   = errors.New("the checksum does not match")
)

// A saved prefix is
//
//	magic, with the format's version (8 bytes)
//	length of the header (4 bytes, little endian), the header (JSON)
//	a zstd frame:
//	  the tokens (4 bytes each, little endian)
//	  by kind, in order: the pages that a sequence needs which goes on from here
//	  SHA-256 of everything before, uncompressed
var fileMagic = []byte("inferkv\x01")

const (
	maxHeader = 1 << 16
	maxTokens = 1 << 26
	maxWindow = 8 << 20 // of the zstd frame: memory that reading takes
)

// FileInfo is a saved prefix's header.
type FileInfo struct {
	Model      string     `json:"model"`       // as given to Save: the hash of the model's file
	PageTokens int        `json:"page_tokens"` // 32
	Tokens     int        `json:"tokens"`
	Kinds      []FileKind `json:"kinds"`
}

// FileKind is the layout of one kind in a saved prefix.
type FileKind struct {
	Window    int   `json:"window"`
	State     bool  `json:"state"`
	PageBytes int64 `json:"page_bytes"`
}

// span returns the pages of a kind that a sequence needs which goes on after n tokens: first to end-1.
func (k Kind) span(n int) (first, end int) {
	switch {
	case k.State:
		return 0, 1
	case k.Window == 1: // sees itself only
		return 0, 0
	}
	s := shelf{Kind: k}
	return s.firstNeeded(n), (n + PageTokens - 1) / PageTokens
}

func (c *Cache) fileKinds() []FileKind {
	kinds := make([]FileKind, len(c.shelves))
	for i, k := range c.shelves {
		kinds[i] = FileKind{k.Window, k.State, k.bytes}
	}
	return kinds
}

// Save writes the longest prefix of tokens that is in the cache, and returns how many tokens that is. model names what computed
// it: the hash of the model's file.
func (c *Cache) Save(w io.Writer, key string, tokens []int32, model string) (int, error) {
	root := c.rootOf[key]
	if root == nil || len(tokens) > maxTokens {
		return 0, fmt.Errorf("%w: %d tokens under the key %q", ErrNotCached, len(tokens), key)
	}
	f := c.search(root, tokens, len(tokens), nil)
	if f.tokens == 0 {
		return 0, fmt.Errorf("%w: %d tokens under the key %q: %v", ErrNotCached, len(tokens), key, c.miss(root, f, tokens, len(tokens)))
	}
	header, err := json.Marshal(FileInfo{model, PageTokens, f.tokens, c.fileKinds()})
	if err != nil || len(header) > maxHeader {
		return 0, fmt.Errorf("%w: a header of %d bytes: %v", ErrUsage, len(header), err)
	}
	start := binary.LittleEndian.AppendUint32(bytes.Clone(fileMagic), uint32(len(header)))
	start = append(start, header...)
	if _, err := w.Write(start); err != nil {
		return 0, err
	}
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(maxWindow/2))
	if err != nil {
		return 0, err
	}
	sum := sha256.New()
	sum.Write(start)
	if err := errors.Join(c.saveBody(io.MultiWriter(z, sum), f, tokens[:f.tokens]), writeSum(z, sum), z.Close()); err != nil {
		return 0, fmt.Errorf("saving %d tokens: %w", f.tokens, err)
	}
	return f.tokens, nil
}

func writeSum(w io.Writer, sum hash.Hash) error {
	_, err := w.Write(sum.Sum(nil))
	return err
}

func (c *Cache) saveBody(w io.Writer, f *search, tokens []int32) error {
	if err := binary.Write(w, binary.LittleEndian, tokens); err != nil {
		return err
	}
	for _, k := range c.shelves {
		first, end := k.span(len(tokens))
		data := c.spill.buffer(k)
		for i := first; i < end; i++ {
			if err := c.device.ReadPage(k.index, int(f.page(k, i)), data); err != nil {
				return err
			}
			if _, err := w.Write(data); err != nil {
				return err
			}
		}
	}
	return nil
}

// page returns page i of what was found; of a state kind, the state after it.
func (f *search) page(k *shelf, i int) int32 {
	switch {
	case k.State:
		return f.state(k)
	case i < f.pages:
		return f.path[i].pages[k.index]
	}
	return f.tail.page(k.index)
}

// ReadInfo reads the header of a saved prefix and leaves the rest unread and unchecked.
func ReadInfo(r io.Reader) (FileInfo, error) {
	info, _, err := readHeader(r)
	return info, err
}

// readHeader returns the header, and the bytes up to its end.
func readHeader(r io.Reader) (FileInfo, []byte, error) {
	var info FileInfo
	start := make([]byte, len(fileMagic)+4)
	if n, err := io.ReadFull(r, start); err != nil {
		return info, nil, fmt.Errorf("%w: it ends after %d bytes: %w", ErrNotSaved, n, err)
	}
	if !bytes.Equal(start[:len(fileMagic)], fileMagic) {
		return info, nil, fmt.Errorf("%w: it begins with %q, expected %q", ErrNotSaved, start[:len(fileMagic)], fileMagic)
	}
	length := binary.LittleEndian.Uint32(start[len(fileMagic):])
	if length > maxHeader {
		return info, nil, fmt.Errorf("%w: a header of %d bytes, at most %d are expected", ErrNotSaved, length, maxHeader)
	}
	header := make([]byte, length)
	if n, err := io.ReadFull(r, header); err != nil {
		return info, nil, fmt.Errorf("%w: its header ends after %d of %d bytes: %w", ErrNotSaved, n, length, err)
	}
	if err := json.Unmarshal(header, &info); err != nil {
		return info, nil, fmt.Errorf("%w: header: %w", ErrNotSaved, err)
	}
	if info.Tokens < 1 || info.Tokens > maxTokens {
		return info, nil, fmt.Errorf("%w: %d tokens, expected 1 to %d", ErrNotSaved, info.Tokens, maxTokens)
	}
	return info, append(start, header...), nil
}
