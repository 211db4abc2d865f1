//go:build llamacpp

package llamacpp

// store mirrors libllama's cache: which tokens each of its sequences holds. Batches name pages, not sequences, so a batch's
// sequence is looked up by its tokens, like a prefix in a cache: in the best case one holds exactly them; otherwise the longest
// common prefix is copied or cut, and the rest computed again.
type store struct {
	sequences []cached
	clock     int64 // of use, for choosing what to overwrite
	state     bool  // sequences have state, which cannot be cut back
}

// cached is one sequence of libllama's cache.
type cached struct {
	tokens []int32
	used   int64
	taken  bool // by the batch in hand
}

func newStore(n int) store { return store{sequences: make([]cached, n)} }

func (s *store) release() {
	for i := range s.sequences {
		s.sequences[i].taken = false
	}
	s.clock++
}

func (s *store) take(i int) int {
	s.sequences[i].taken, s.sequences[i].used = true, s.clock
	return i
}

// exact returns a free sequence that holds exactly these tokens; -1 where there is none.
func (s *store) exact(tokens []int32) int {
	for i := range s.sequences {
		c := &s.sequences[i]
		if !c.taken && len(c.tokens) == len(tokens) && common(c.tokens, tokens) == len(tokens) {
			return i
		}
	}
	return -1
}

// longest returns the sequence that shares the longest prefix with the tokens, and its length. Sequences with state cannot be cut:
// they share all their tokens or none.
func (s *store) longest(tokens []int32) (best, shared int) {
	best = -1
	for i := range s.sequences {
		c := &s.sequences[i]
		n := common(c.tokens, tokens)
		if s.state && n < len(c.tokens) {
			n = 0
		}
		if n > shared {
			best, shared = i, n
		}
	}
	return best, shared
}

// victim returns the free sequence to overwrite: an empty one, else the least recently used; -1 where all are taken.
func (s *store) victim() int {
	best := -1
	for i := range s.sequences {
		c := &s.sequences[i]
		if c.taken {
			continue
		}
		if len(c.tokens) == 0 {
			return i
		}
		if best < 0 || c.used < s.sequences[best].used {
			best = i
		}
	}
	return best
}

// common is the length of the longest common prefix.
func common(a, b []int32) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
