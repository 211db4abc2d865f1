package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// Load brings a saved prefix into the cache, under a key, and returns its tokens: prompts that begin with them find it. It must
// have been saved for the same model and the same layout of the cache. Other prefixes that nobody holds may be evicted for
// it. After an error the cache holds nothing of it.
func (c *Cache) Load(r io.Reader, key, model string) ([]int32, error) {
	info, start, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	if err := c.fits(info, model); err != nil {
		return nil, err
	}
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(1<<40))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	sum := sha256.New()
	sum.Write(start)
	body := io.TeeReader(z, sum)
	tokens, err := readTokens(body, info.Tokens)
	if err != nil {
		return nil, err
	}
	s := c.newSequence(c.root(key), tokens)
	if err := errors.Join(s.reserveLoaded(), s.readPages(body)); err != nil {
		s.abandon()
		return nil, fmt.Errorf("loading %d tokens: %w", info.Tokens, err)
	}
	if err := checkEnd(z, sum.Sum(nil)); err != nil {
		s.abandon()
		return nil, err
	}
	s.n = len(tokens)
	for (len(s.path)+1)*PageTokens <= s.n {
		s.seal()
	}
	s.swapStates()
	for _, k := range c.windows {
		s.held[k.index] = min(k.firstNeeded(s.n), len(s.path))
	}
	s.Close()
	return tokens, nil
}

// fits holds a header against the cache.
func (c *Cache) fits(info FileInfo, model string) error {
	if info.Model != model {
		return fmt.Errorf("%w: %.100q, this is %.100q", ErrOtherModel, info.Model, model)
	}
	if kinds := c.fileKinds(); info.PageTokens != PageTokens || !slices.Equal(info.Kinds, kinds) {
		return fmt.Errorf("%w: pages of %d tokens, kinds %+v; here %d, %+v", ErrOtherShape, info.PageTokens, info.Kinds, PageTokens, kinds)
	}
	for _, k := range c.shelves {
		first, end := k.span(info.Tokens)
		if end-first > k.available() {
			return fmt.Errorf("loading %d tokens: %w", info.Tokens, k.full(end-first))
		}
	}
	return nil
}

// readTokens reads as much as is there before it trusts how much there should be.
func readTokens(r io.Reader, count int) ([]int32, error) {
	const chunk = 1 << 14
	var tokens []int32
	buffer := make([]byte, 4*chunk)
	for len(tokens) < count {
		part := buffer[:4*min(chunk, count-len(tokens))]
		if _, err := io.ReadFull(r, part); err != nil {
			return nil, fmt.Errorf("%w: token %d of %d: %w", ErrNotSaved, len(tokens), count, err)
		}
		for ; len(part) > 0; part = part[4:] {
			tokens = append(tokens, int32(binary.LittleEndian.Uint32(part)))
		}
	}
	return tokens, nil
}

// reserveLoaded takes the pages that a prefix needs to be gone on from, and no others.
func (s *Sequence) reserveLoaded() error {
	c := s.cache
	for _, k := range c.shelves {
		first, end := k.span(len(s.tokens))
		if k.State {
			first, end = 1, 2 // the slot to be written
		}
		table := s.tables[k.index]
		for !k.State && len(table) < pagesOf(len(s.tokens)) {
			table = append(table, -1)
		}
		s.tables[k.index] = table
		for i := first; i < end; i++ {
			page, err := c.obtain(k)
			if err != nil {
				return err
			}
			table[i] = page
		}
	}
	return nil
}

func (s *Sequence) readPages(r io.Reader) error {
	c := s.cache
	for _, k := range c.shelves {
		data := c.spill.buffer(k)
		for i, page := range s.tables[k.index] {
			if page < 0 {
				continue
			}
			if _, err := io.ReadFull(r, data); err != nil {
				return fmt.Errorf("%w: page %d of kind %d: %w", ErrNotSaved, i, k.index, err)
			}
			if err := c.device.WritePage(k.index, int(page), data); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkEnd reads the checksum, behind which nothing may follow.
func checkEnd(r io.Reader, want []byte) error {
	have := make([]byte, len(want))
	if n, err := io.ReadFull(r, have); err != nil {
		return fmt.Errorf("%w: it ends %d bytes before its end: %w", ErrNotSaved, len(want)-n, err)
	}
	if n, err := r.Read(make([]byte, 1)); n > 0 {
		return fmt.Errorf("%w: something follows its end", ErrNotSaved)
	} else if err != io.EOF {
		return fmt.Errorf("%w: after its end: %w", ErrNotSaved, err)
	}
	if !slices.Equal(have, want) {
		return fmt.Errorf("%w: it is %x, expected %x", ErrChecksum, want, have)
	}
	return nil
}

// abandon ends a sequence whose pages hold nothing.
func (s *Sequence) abandon() {
	s.letGo()
	s.unlink(&s.cache.open)
	s.cache.move(s, nil)
	s.status = statusClosed
}
