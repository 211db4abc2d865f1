package cache

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// fake is a device whose pages hold, for each token, a hash of all tokens up to and including it: whoever reads the wrong page,
// or one that was overwritten, sees it. A state is the hash of all tokens so far.
type fake struct {
	kinds []Kind
	pages [][][]byte
	fail  error // what the next page operations return
}

const hashBytes = 8

func newFake(kinds []Kind) *fake {
	f := &fake{kinds: kinds, pages: make([][][]byte, len(kinds))}
	for i, k := range kinds {
		f.pages[i] = make([][]byte, k.Pages)
		for j := range f.pages[i] {
			f.pages[i][j] = make([]byte, f.PageBytes(i))
		}
	}
	return f
}

func (f *fake) PageBytes(kind int) int64 {
	if f.kinds[kind].State {
		return hashBytes
	}
	return hashBytes * PageTokens
}

func (f *fake) CopyPage(kind, from, to int) error {
	copy(f.pages[kind][to], f.pages[kind][from])
	return f.fail
}

func (f *fake) ReadPage(kind, page int, data []byte) error {
	if len(data) != int(f.PageBytes(kind)) {
		return errors.New("wrong size")
	}
	copy(data, f.pages[kind][page])
	return f.fail
}

func (f *fake) WritePage(kind, page int, data []byte) error {
	if len(data) != int(f.PageBytes(kind)) {
		return errors.New("wrong size")
	}
	copy(f.pages[kind][page], data)
	return f.fail
}

func (f *fake) put(kind int, page int32, at int, hash uint64) {
	binary.LittleEndian.PutUint64(f.pages[kind][page][at*hashBytes:], hash)
}

func (f *fake) get(kind int, page int32, at int) uint64 {
	return binary.LittleEndian.Uint64(f.pages[kind][page][at*hashBytes:])
}

// runner drives sequences over a fake device as an engine does, and proves what they read.
type runner struct {
	cache  *Cache
	device *fake
}

func newRunner(t rapid.TB, o Options, kinds ...Kind) *runner {
	t.Helper()
	r := &runner{device: newFake(kinds)}
	var err error
	r.cache, err = New(kinds, r.device, o)
	require.NoError(t, err)
	return r
}

// hashes returns the hash after each token; [0] is the key's.
func hashes(key string, tokens []int32) []uint64 {
	all := make([]uint64, 1, len(tokens)+1)
	all[0] = keyHash(key)
	for _, id := range tokens {
		all = append(all, (all[len(all)-1]^uint64(uint32(id)))*0x100000001b3+12345)
	}
	return all
}

// verify proves that all that the next token of a sequence reads is what its own tokens gave.
func (r *runner) verify(s *Sequence) error {
	want := hashes(s.root.key, s.Tokens())
	n := s.Len()
	for i, k := range r.device.kinds {
		table := s.Table(i)
		if k.State {
			if n == 0 {
				continue
			}
			if table[0] < 0 || r.device.get(i, table[0], 0) != want[n] {
				return fmt.Errorf("sequence %d: the state after %d tokens (slot %d) is another", s.id, n, table[0])
			}
			continue
		}
		first := 0
		if k.Window > 0 {
			first = max(0, n-k.Window+1)
		}
		for at := first; at < n; at++ {
			page := table[at/PageTokens]
			if page < 0 || r.device.get(i, page, at%PageTokens) != want[at+1] {
				return fmt.Errorf("sequence %d: token %d of %d, page %d of kind %d, holds something else", s.id, at, n, page, i)
			}
		}
	}
	return nil
}

// write does what a step does on the device: all of ids are written behind the sequence, into its own pages only.
func (r *runner) write(s *Sequence, ids []int32) error {
	n := s.Len()
	all := hashes(s.root.key, append(append([]int32(nil), s.Tokens()...), ids...))
	for i, k := range r.device.kinds {
		table := s.Table(i)
		if k.State {
			if table[1] < 0 || table[1] == table[0] {
				return fmt.Errorf("sequence %d: reads slot %d, writes slot %d", s.id, table[0], table[1])
			}
			for j, slot := range table[1:] { // the state before the guesses, and after each
				r.device.put(i, slot, 0, all[len(all)-len(table)+1+j])
			}
			continue
		}
		for at := n; at < n+len(ids); at++ {
			page := table[at/PageTokens]
			if page < 0 {
				return fmt.Errorf("sequence %d: token %d has no page of kind %d", s.id, at, i)
			}
			r.device.put(i, page, at%PageTokens, all[at+1])
		}
	}
	return nil
}

// step computes ids at a sequence's end.
func (r *runner) step(s *Sequence, ids []int32) error {
	if err := s.Reserve(s.Len() + len(ids)); err != nil {
		return err
	}
	if err := r.verify(s); err != nil {
		return err
	}
	if err := r.write(s, ids); err != nil {
		return err
	}
	return s.Commit(ids)
}

// prefill computes a prompt from where a sequence is, in chunks that end where states are to be kept.
func (r *runner) prefill(s *Sequence, tokens []int32, chunk int) error {
	for s.Len() < len(tokens) {
		end := s.ChunkEnd(min(len(tokens), s.Len()+chunk))
		if err := r.step(s, tokens[s.Len():end]); err != nil {
			return err
		}
	}
	return nil
}

// request opens a prompt, computes it and closes it, and returns what was found.
func (r *runner) request(t rapid.TB, key string, tokens []int32) Hit {
	t.Helper()
	s, hit := r.cache.Open(key, tokens)
	require.NoError(t, r.prefill(s, tokens, 64))
	s.Close()
	r.check(t)
	return hit
}

// check verifies the cache's books and what every open sequence would read.
func (r *runner) check(t rapid.TB) {
	t.Helper()
	require.NoError(t, r.cache.Check())
	for s := r.cache.open; s != nil; s = s.next {
		require.NoError(t, r.verify(s))
	}
}

// text makes n tokens, a run of ascending numbers.
func text(first, n int) []int32 {
	tokens := make([]int32, n)
	for i := range tokens {
		tokens[i] = int32(first + i)
	}
	return tokens
}
