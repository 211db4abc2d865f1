package cache

import (
	"fmt"
	"slices"
)

type status uint8

const (
	statusOpen status = iota
	statusParked
	statusClosed
)

// Sequence is one sequence of tokens and the pages that hold them. Tokens are computed at its end: Reserve, a step of the
// device over Table, Commit.
type Sequence struct {
	cache  *Cache
	id     uint64
	root   *node
	status status

	tokens  []int32 // computed ones, then those of the prompt that are not computed yet
	n       int     // computed
	planned int     // len(tokens), at least n
	prompt  int     // tokens of the prompt, as far as they were not rewound

	path    []*node   // of its whole pages
	pinned  *node     // the last of path, or the root
	tables  [][]int32 // by kind: pages, -1 where given back; of a state kind: read slot, write slot, a slot for the state after each guess
	held    []int     // by kind: index of the first page held
	guesses int       // that the next step has behind its certain tokens
	owned   bool      // the last page, where it is partial, may be written to

	marks      []int // page boundaries where a state is to be kept, ascending
	checkpoint int   // where the last regular one was kept, or one was found

	next, previous *Sequence // of all open, or of all parked sequences
	after, before  *Sequence // of those with the same last whole page

	parking parking
}

// Open starts a sequence for a prompt: the longest prefix of it that is in the cache, but never all of it, is taken over at once.
// key separates what must not be shared: models, adapters, tenants. Open never fails and needs no free memory: where there is
// none, Reserve says so.
func (c *Cache) Open(key string, tokens []int32) (*Sequence, Hit) {
	s := c.newSequence(c.root(key), tokens)
	limit := max(0, len(tokens)-1)
	f := c.search(s.root, tokens, limit, s)
	s.takeOver(f)
	hit := s.report(f, limit)
	c.counts.count(s, hit)
	return s, hit
}

// Explain looks a prompt up as Open does, and changes nothing.
func (c *Cache) Explain(key string, tokens []int32) Hit {
	root := c.rootOf[key]
	if root == nil {
		root = &node{hash: keyHash(key)}
	}
	limit := max(0, len(tokens)-1)
	f := c.search(root, tokens, limit, nil)
	return Hit{Tokens: f.tokens, Miss: c.miss(root, f, tokens, limit)}
}

// Extend looks for more of a prompt than the sequence has, and takes it over. tokens begin with those that were computed;
// they are the prompt from now on, so that a conversation can go on in an open sequence. Who waits for a [Hit]'s Leader calls it when
// that has come to Pending tokens, or has been closed or parked.
func (s *Sequence) Extend(tokens []int32) (Hit, error) {
	if err := s.usable(); err != nil {
		return Hit{}, err
	}
	if same := common(tokens, s.tokens[:s.n]); same < s.n {
		return Hit{Tokens: s.n}, fmt.Errorf("%w: the sequence has %d tokens computed, only %d of them are the prompt's", ErrUsage, s.n, same)
	}
	c := s.cache
	s.tokens = append(s.tokens[:s.n], tokens[s.n:]...)
	s.planned, s.prompt = len(tokens), len(tokens)
	limit := max(0, len(tokens)-1)
	f := c.search(s.root, tokens, limit, s)
	before := s.n
	if f.tokens > s.n {
		s.takeOver(f)
	} else {
		f.tokens = s.n
	}
	c.counts.hitTokens += uint64(s.n - before)
	return s.report(f, limit), nil
}

// report tells of a search, after which the sequence has s.n tokens, and plans which states are to be kept.
func (s *Sequence) report(f *search, limit int) Hit {
	c, tokens := s.cache, s.tokens[:s.planned]
	hit := Hit{Tokens: s.n, Miss: c.miss(s.root, f, tokens, limit)}
	hit.Pending, hit.Leader = c.pending(s, f, limit)
	if len(c.states) > 0 {
		s.checkpointAt(limit / PageTokens * PageTokens)
		s.checkpointAt(min(f.common, limit) / PageTokens * PageTokens)
	}
	return hit
}

func (c *Cache) newSequence(root *node, tokens []int32) *Sequence {
	c.lastID++
	room := max(len(tokens), min(c.options.Context, 1<<16)) + PageTokens
	pages := room/PageTokens + 1
	s := &Sequence{cache: c, id: c.lastID, root: root, planned: len(tokens), prompt: len(tokens), owned: true}
	s.tokens = append(make([]int32, 0, room), tokens...)
	s.path = make([]*node, 0, pages)
	s.tables, s.held = make([][]int32, len(c.shelves)), make([]int, len(c.shelves))
	for i, k := range c.shelves {
		if k.State {
			s.tables[i] = []int32{-1, -1}
		} else {
			s.tables[i] = make([]int32, 0, pages)
		}
	}
	c.move(s, root)
	s.link(&c.open)
	return s
}

func (s *Sequence) link(list **Sequence) {
	s.next, s.previous = *list, nil
	if s.next != nil {
		s.next.previous = s
	}
	*list = s
}

func (s *Sequence) unlink(list **Sequence) {
	if s.previous != nil {
		s.previous.next = s.next
	} else {
		*list = s.next
	}
	if s.next != nil {
		s.next.previous = s.previous
	}
	s.next, s.previous = nil, nil
}

// takeOver replaces what the sequence holds by what a search found.
func (s *Sequence) takeOver(f *search) {
	c := s.cache
	for _, k := range c.paged { // the new pages are held before the old ones are let go
		for i := k.firstNeeded(f.tokens); i < f.pages; i++ {
			s.share(k, f.path[i].pages[k.index])
		}
		if f.useTail {
			s.share(k, f.tail.page(k.index))
		}
	}
	for _, k := range c.states {
		s.share(k, f.state(k))
	}
	s.letGo()
	for _, k := range c.paged {
		table := s.tables[k.index][:0]
		first := min(k.firstNeeded(f.tokens), f.pages)
		for i := range f.pages {
			if i < first {
				table = append(table, -1)
			} else {
				table = append(table, f.path[i].pages[k.index])
			}
		}
		if f.useTail {
			table = append(table, f.tail.page(k.index))
		}
		s.tables[k.index], s.held[k.index] = table, first
	}
	for _, k := range c.states {
		s.tables[k.index][0] = f.state(k)
	}
	s.path = append(s.path[:0], f.path[:f.pages]...)
	s.n, s.owned, s.checkpoint = f.tokens, !f.useTail, f.tokens
	s.marks = s.marksAhead()
	c.move(s, s.lastNode())
}

// state returns the slot with the state after the found tokens, -1 where there are none.
func (f *search) state(k *shelf) int32 {
	switch {
	case f.useTail:
		return f.tail.page(k.index)
	case f.pages > 0:
		return f.path[f.pages-1].pages[k.index]
	}
	return -1
}

// share holds a page that was found, which makes it worth keeping.
func (s *Sequence) share(k *shelf, page int32) {
	if page >= 0 {
		k.hold(page)
		k.warms(page)
	}
}

// letGo releases all pages and states, from the end: the end is of no use without the beginning.
func (s *Sequence) letGo() {
	for _, k := range s.cache.shelves {
		table := s.tables[k.index]
		for i := len(table) - 1; i >= 0; i-- {
			if table[i] >= 0 {
				k.release(table[i])
				table[i] = -1
			}
		}
		if !k.State {
			s.tables[k.index], s.held[k.index] = table[:0], 0
		} else {
			s.tables[k.index] = table[:2]
		}
	}
}

func (s *Sequence) lastNode() *node {
	if len(s.path) == 0 {
		return s.root
	}
	return s.path[len(s.path)-1]
}

// tailText returns the computed tokens after the last whole page.
func (s *Sequence) tailText() []int32 { return s.tokens[len(s.path)*PageTokens : s.n] }

// last returns the page of the last computed token, or the slot of the state after it; -1 where there is none.
func (s *Sequence) last(kind int) int32 {
	table := s.tables[kind]
	if s.cache.shelves[kind].State {
		return table[0]
	}
	if i := s.n / PageTokens; s.n%PageTokens > 0 && i < len(table) {
		return table[i]
	}
	return -1
}

func (s *Sequence) usable() error {
	switch s.status {
	case statusParked:
		return ErrParked
	case statusClosed:
		return ErrClosed
	}
	return nil
}

// Key returns the key that the sequence was opened with.
func (s *Sequence) Key() string {
	if s.status == statusClosed {
		return ""
	}
	return s.root.key
}

// Len returns how many tokens are computed.
func (s *Sequence) Len() int { return s.n }

// Tokens returns the computed tokens; they must not be changed, and are valid until the next call.
func (s *Sequence) Tokens() []int32 { return s.tokens[:s.n] }

// Table returns a kind's pages for the batch, -1 where they were given back or never needed. Of a state kind it is the slot to read,
// -1 where no token was computed yet, the slot to write, and where ReserveGuesses was called one more for each guess. It is valid until the next call.
func (s *Sequence) Table(kind int) []int32 { return s.tables[kind] }

// ChunkEnd returns where a step should stop that would otherwise compute up to end: a state can be kept only at the end of a step.
func (s *Sequence) ChunkEnd(end int) int {
	c := s.cache
	if len(c.states) == 0 || end <= s.n {
		return end
	}
	regular := (s.checkpoint + c.interval + PageTokens - 1) / PageTokens * PageTokens
	end = min(end, max(regular, (s.n/PageTokens+1)*PageTokens))
	if stride := s.stride(); stride > 0 && s.n < s.prompt {
		end = min(end, (s.n/stride+1)*stride)
		if whole := end / PageTokens * PageTokens; end < s.prompt && whole > s.n {
			end = whole
		}
	}
	if len(s.marks) > 0 {
		end = min(end, s.marks[0])
	}
	return end
}

// A prompt that shares most of another one, for the first time, ends nowhere where a regular checkpoint of a large state may be. In slots
// that are free, or hold older states of this kind, a prompt therefore leaves its state every sixteenth of its length: what is
// shared is then computed again from there, at most a sixteenth more than what is not. Steps end there too; of fewer than leastStride
// tokens they would cost more than they save.
const (
	stridesOfPrompt = 16
	leastStride     = 2 * PageTokens
)

// stride is the distance in tokens of the states that a prompt leaves beside the regular ones; 0: none, where their distance was chosen.
func (s *Sequence) stride() int {
	if s.cache.options.CheckpointTokens > 0 {
		return 0
	}
	return max(leastStride, s.prompt/stridesOfPrompt/PageTokens*PageTokens)
}

// strides tells whether the sequence is where a prompt leaves a state.
func (s *Sequence) strides() bool {
	stride := s.stride()
	return stride > 0 && s.n <= s.prompt && s.n%stride == 0
}

// checkpointAt asks for the state to be kept at a page boundary, where the sequence is not past it.
func (s *Sequence) checkpointAt(n int) {
	if n <= s.n {
		return
	}
	if i, found := slices.BinarySearch(s.marks, n); !found {
		s.marks = slices.Insert(s.marks, i, n)
	}
}

// marksAhead returns the marks that are still ahead of the sequence.
func (s *Sequence) marksAhead() []int {
	i, found := slices.BinarySearch(s.marks, s.n)
	if found {
		i++
	}
	return slices.Delete(s.marks, 0, i)
}
