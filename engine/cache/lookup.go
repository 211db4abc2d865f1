package cache

import "fmt"

// Reason says why no more of a prompt was found.
type Reason uint8

// The reasons, the first that applies.
const (
	ReasonWhole    Reason = iota // nothing is missing: all but the last token were found
	ReasonParked                 // more of it belongs to a parked sequence, outside of the device
	ReasonWindow                 // more of it is known, but a windowed layer's pages there were given up
	ReasonState                  // more of it is known, but the recurrent state is kept only further ahead
	ReasonEvicted                // more of it was known until its memory was needed
	ReasonDiffers                // what was computed goes on with another token
	ReasonEnds                   // what was computed ends here
	ReasonOtherKey               // it was computed, under another key
	ReasonNew                    // nothing with this beginning was computed
	reasonCount
)

var reasonNames = [reasonCount]string{"whole", "parked", "window", "state", "evicted", "differs", "ends", "other key", "new"}

func (r Reason) String() string {
	if r < reasonCount {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// Miss explains the end of a hit.
type Miss struct {
	Reason Reason
	At     int    // index of the token for which the reason holds; at least the hit's Tokens
	Want   int32  // the prompt's token there
	Have   int32  // ReasonDiffers: the token that was computed there instead
	Kind   int    // ReasonWindow, ReasonState: the kind that lacks something
	Key    string // ReasonOtherKey: the key under which it is found
}

func (m Miss) String() string {
	switch m.Reason {
	case ReasonWhole:
		return "everything was found"
	case ReasonParked:
		return fmt.Sprintf("the tokens up to %d belong to a parked sequence", m.At)
	case ReasonWindow:
		return fmt.Sprintf("the tokens up to %d are known, but the windowed pages (kind %d) before were given up", m.At, m.Kind)
	case ReasonState:
		return fmt.Sprintf("the tokens up to %d are known, but no recurrent state (kind %d) was kept there", m.At, m.Kind)
	case ReasonEvicted:
		return fmt.Sprintf("token %d and what follows were known until their memory was needed", m.At)
	case ReasonDiffers:
		return fmt.Sprintf("token %d is %d, computed was %d", m.At, m.Want, m.Have)
	case ReasonEnds:
		return fmt.Sprintf("what was computed ends at token %d", m.At)
	case ReasonOtherKey:
		return fmt.Sprintf("computed under the key %q", m.Key)
	default:
		return "nothing with this beginning was computed"
	}
}

// Hit is what a lookup found.
type Hit struct {
	Tokens  int       // tokens that need not be computed; always less than the prompt has
	Pending int       // more than Tokens: so many will be there when Leader has gone on; 0: no such sequence
	Leader  *Sequence // the open sequence that computes them
	Miss    Miss      // why Tokens are not all but one
}

// search is the result of a walk down the tree, and its scratch memory.
type search struct {
	path   []*node // whole pages that match
	common int     // tokens that match, whatever the kinds have of them
	tail   tail    // what goes on in part after the path
	have   int32   // the token that was computed at common, where one was
	differ bool    // whether one was
	parked bool    // the path ends at a node whose pages are away

	tokens  int // that can be used
	pages   int // of path that are used
	useTail bool
	short   Reason // why tokens is less than common
	kind    int    // which kind lacked something
}

// tail is a page of which the first tokens match: a node, or the last page of an open sequence.
type tail struct {
	tokens int // that match, within the limit
	node   *node
	open   *Sequence
}

func (t *tail) page(kind int) int32 {
	if t.node != nil {
		return t.node.pages[kind]
	}
	return t.open.last(kind)
}

// search walks down from root along tokens, and finds the most of them, at most limit, that can be used by a new sequence. What
// self has is known to match.
func (c *Cache) search(root *node, tokens []int32, limit int, self *Sequence) *search {
	f := &c.found
	*f = search{path: f.path[:0]}
	n, at := root, 0
	if self != nil && len(self.path)*PageTokens <= limit {
		f.path = append(f.path, self.path...)
		n, at = self.lastNode(), len(self.path)*PageTokens
	}
	for at+PageTokens <= limit {
		child := n.child(tokens[at : at+PageTokens])
		if child == nil {
			break
		}
		if len(c.full) > 0 && !c.resident(child) {
			f.parked = true
			break
		}
		f.path = append(f.path, child)
		n, at = child, at+PageTokens
	}
	rest := tokens[at:min(len(tokens), at+PageTokens)]
	c.nearest(f, n, rest, limit-at, self)
	f.common += at
	if len(c.states) > 0 {
		f.tail = c.stateTail(n, tokens[at:], limit-at, self)
	}
	c.usable(f)
	return f
}

// neighbours is how many children that share as much are tried on either side, for one that has all its pages.
const neighbours = 8

// nearest finds the page below n that has most in common with rest, among its children and the sequences that end there.
func (c *Cache) nearest(f *search, n *node, rest []int32, limit int, self *Sequence) {
	i, _ := n.search(rest)
	for j := i; j < min(len(n.children), i+neighbours); j++ { // neighbours in the order share the most
		if child := n.children[j]; f.better(child.text(), rest) < f.common || f.offer(tail{node: child}, limit, c.complete(child)) {
			break
		}
	}
	for j := i - 1; j >= max(0, i-neighbours); j-- {
		if child := n.children[j]; f.better(child.text(), rest) < f.common || f.offer(tail{node: child}, limit, c.complete(child)) {
			break
		}
	}
	for s := n.ends; s != nil; s = s.after {
		if s != self && f.better(s.tailText(), rest) == f.common {
			f.offer(tail{open: s}, limit, true)
		}
	}
}

// better notes how much of a page is common with rest, where none had more, and how it goes on.
func (f *search) better(text, rest []int32) int {
	same := common(text, rest)
	if same > f.common {
		f.common, f.differ, f.tail = same, false, tail{}
	}
	if same == f.common && !f.differ && same < min(len(text), len(rest)) {
		f.differ, f.have = true, text[same]
	}
	return same
}

// offer takes a page that has as much in common as any, where none was taken yet and it has all that is needed of it.
func (f *search) offer(t tail, limit int, complete bool) bool {
	if !complete || f.tail.tokens > 0 {
		return false
	}
	t.tokens = min(f.common, limit)
	f.tail = t
	return true
}

// stateTail finds the longest page below n that matches as a whole and has the recurrent states after it.
func (c *Cache) stateTail(n *node, rest []int32, limit int, self *Sequence) tail {
	var best tail
	for length := min(limit, PageTokens-1); length > 0; length-- {
		if child := n.child(rest[:length]); child != nil && c.hasStates(child) && c.complete(child) {
			best = tail{tokens: length, node: child}
			break
		}
	}
	for s := n.ends; s != nil; s = s.after {
		text := s.tailText()
		if s != self && len(text) > best.tokens && len(text) <= limit && common(text, rest) == len(text) {
			best = tail{tokens: len(text), open: s}
		}
	}
	return best
}

func (c *Cache) hasStates(n *node) bool {
	for _, s := range c.states {
		if n.pages[s.index] < 0 {
			return false
		}
	}
	return true
}

// usable finds the last place on the path, its tail included, where every kind has what the next token needs.
func (c *Cache) usable(f *search) {
	if end := len(f.path)*PageTokens + f.tail.tokens; f.tail.tokens > 0 {
		if c.missingWindow(f, end) < 0 {
			f.pages, f.useTail, f.tokens = len(f.path), true, end
			return
		}
		f.short = ReasonWindow
	}
	k := len(f.path)
	for k > 0 {
		if missing := c.missingWindow(f, k*PageTokens); missing >= 0 {
			k, f.short = missing, ReasonWindow // whatever ends behind it needs it too
			continue
		}
		if !c.hasStates(f.path[k-1]) {
			k, f.short, f.kind = k-1, ReasonState, c.states[0].index
			continue
		}
		break
	}
	f.pages, f.tokens = k, k*PageTokens
}

// missingWindow returns the last page on the path that a windowed kind lacks though a token at position end needs it; -1
// where nothing is missing.
func (c *Cache) missingWindow(f *search, end int) int {
	worst := -1
	for _, s := range c.windows {
		for j := min(len(f.path), (end-1)/PageTokens+1) - 1; j >= s.firstNeeded(end); j-- {
			if f.path[j].pages[s.index] < 0 {
				if j > worst || worst < 0 {
					worst, f.kind = j, s.index
				}
				break
			}
		}
	}
	return worst
}

// miss explains why a search found no more.
func (c *Cache) miss(root *node, f *search, tokens []int32, limit int) Miss {
	at := min(f.common, limit)
	m := Miss{At: at}
	if at < len(tokens) {
		m.Want = tokens[at]
	}
	switch {
	case f.tokens >= limit:
		m.Reason = ReasonWhole
	case f.parked:
		m.Reason = ReasonParked
	case f.tokens < at:
		m.Reason, m.Kind = c.whyShort(f)
	case c.wasEvicted(root, f, tokens):
		m.Reason = ReasonEvicted
	case f.differ:
		m.Reason, m.Have = ReasonDiffers, f.have
	default:
		m.Reason = ReasonEnds
	}
	if at == 0 && (m.Reason == ReasonDiffers || m.Reason == ReasonEnds) {
		m.Reason, m.Have = ReasonNew, 0
	}
	if f.common < PageTokens && m.Reason >= ReasonDiffers {
		if key, ok := c.otherKey(root, tokens); ok {
			m.Reason, m.Key = ReasonOtherKey, key
		}
	}
	return m
}

// whyShort says what is missing where more matches than can be used.
func (c *Cache) whyShort(f *search) (Reason, int) {
	switch {
	case f.short != ReasonWhole:
		return f.short, f.kind
	case len(c.states) > 0: // the last page matches in part, and no state is kept inside of it
		return ReasonState, c.states[0].index
	case len(c.windows) > 0:
		return ReasonWindow, c.windows[0].index
	}
	return ReasonParked, 0
}

// wasEvicted tells whether the page after the path was in the tree, as far as is remembered.
func (c *Cache) wasEvicted(root *node, f *search, tokens []int32) bool {
	n := root
	if len(f.path) > 0 {
		n = f.path[len(f.path)-1]
	}
	rest := tokens[n.end():]
	if len(rest) < PageTokens {
		return false
	}
	hash := fingerprint(n.hash, rest[:PageTokens])
	return c.ghosts[hash%ghostCount] == hash
}

const otherKeys = 64 // how many other keys a miss looks at

// otherKey finds another key under which the first page of tokens is known.
func (c *Cache) otherKey(root *node, tokens []int32) (string, bool) {
	first := tokens[:min(len(tokens), PageTokens)]
	for _, r := range c.roots[:min(len(c.roots), otherKeys)] {
		if r == root {
			continue
		}
		if _, same := r.nearest(first); same == len(first) && same > 0 {
			return r.key, true
		}
	}
	return "", false
}

// pending finds the open sequence that will have computed most of tokens, among those that are further than self, or as far
// and opened before it, so that no two wait for each other.
func (c *Cache) pending(self *Sequence, f *search, limit int) (int, *Sequence) {
	tokens := self.tokens[:self.planned]
	most, leader := self.n, (*Sequence)(nil)
	for s := c.open; s != nil; s = s.next {
		if s.root != self.root || s.planned <= max(s.n, most) || s.n < self.n || s.n == self.n && s.id >= self.id {
			continue
		}
		start := min(len(s.path), len(f.path))
		if start > 0 && s.path[start-1] != f.path[start-1] {
			continue
		}
		at := start * PageTokens
		same := min(at+common(s.tokens[at:s.planned], tokens[at:]), limit)
		if len(c.states) > 0 {
			same = same / PageTokens * PageTokens
			if same <= s.n {
				continue // its state is past that already
			}
		}
		if same > most && same > s.n {
			most, leader = same, s
		}
	}
	if leader == nil {
		return 0, nil
	}
	if len(c.states) > 0 {
		leader.checkpointAt(most)
	}
	return most, leader
}
