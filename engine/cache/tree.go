package cache

import "slices"

// node is one page of tokens below its parent's. Whole pages have children; a partial page, left behind by a sequence that
// ended there, has none. The tree owns the pages of nodes; what a node lacks of a kind has page -1.
type node struct {
	parent   *node
	children []*node // sorted by tokens, no two equal
	inline   [1]*node
	tokens   [PageTokens]int32
	count    int // tokens
	depth    int // pages from the root down to this one
	pages    []int32
	key      string // of a root

	pins  int       // open sequences of which this is the last whole page
	ends  *Sequence // these sequences
	live  int       // children that have the pages of kinds without a window
	used  uint64    // the clock when it was last let go
	place int       // in the heap of evictable nodes; -1: not in it
	hash  uint64    // fingerprint of all tokens from the root on

	keeps  []int32 // by kind: parked sequences that need its page; nil: none
	keeper int     // their sum
	blobs  []*blob // by kind: where its page is kept while it is not on the device; nil: none
}

func (n *node) text() []int32 { return n.tokens[:n.count] }

// end returns how many tokens a prefix has that ends with this node.
func (n *node) end() int {
	if n.parent == nil {
		return 0
	}
	return (n.depth-1)*PageTokens + n.count
}

func (n *node) kept(kind int) int32 {
	if n.keeps == nil {
		return 0
	}
	return n.keeps[kind]
}

// search returns a text's place among the children, and whether it is there.
func (n *node) search(text []int32) (int, bool) {
	return slices.BinarySearchFunc(n.children, text, func(child *node, text []int32) int { return slices.Compare(child.text(), text) })
}

// child returns the child that has exactly these tokens, nil where there is none.
func (n *node) child(text []int32) *node {
	if i, found := n.search(text); found {
		return n.children[i]
	}
	return nil
}

// nearest returns the child that has most tokens in common with text, and how many.
func (n *node) nearest(text []int32) (*node, int) {
	i, _ := n.search(text)
	var best *node
	length := 0
	for _, j := range [2]int{i, i - 1} { // neighbours in the order share the most
		if j < 0 || j >= len(n.children) {
			continue
		}
		if same := common(n.children[j].text(), text); same > length {
			best, length = n.children[j], same
		}
	}
	return best, length
}

// common returns how many tokens two texts share at their beginning.
func common(a, b []int32) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// fingerprint extends a prefix's hash by a text.
func fingerprint(hash uint64, text []int32) uint64 {
	for _, id := range text {
		hash = (hash ^ uint64(uint32(id))) * 0x9e3779b97f4a7c15
		hash ^= hash >> 29
	}
	return hash | 1 // 0 marks an empty place
}

// reserveNodes makes nodes ahead of their use.
func (c *Cache) reserveNodes(n int) {
	if n <= 0 {
		return
	}
	nodes, pages := make([]node, n), make([]int32, n*len(c.shelves))
	for i := range nodes {
		nodes[i].pages = pages[i*len(c.shelves) : (i+1)*len(c.shelves) : (i+1)*len(c.shelves)]
		nodes[i].parent, c.recycled = c.recycled, &nodes[i]
	}
}

func (c *Cache) newNode() *node {
	if c.recycled == nil {
		c.reserveNodes(256)
	}
	n := c.recycled
	c.recycled = n.parent
	n.parent, n.children = nil, n.children[:0]
	if cap(n.children) == 0 {
		n.children = n.inline[:0]
	}
	n.count, n.depth, n.pins, n.live, n.used, n.place, n.hash, n.key = 0, 0, 0, 0, c.clock, -1, 0, ""
	for i := range n.pages {
		n.pages[i] = -1
	}
	return n
}

func (c *Cache) recycle(n *node) {
	n.parent, c.recycled = c.recycled, n
	n.keeps, n.blobs = nil, nil
}

func keyHash(key string) uint64 {
	hash := uint64(0xcbf29ce484222325)
	for _, b := range []byte(key) {
		hash = (hash ^ uint64(b)) * 0x100000001b3
	}
	return hash
}

// root returns the tree of a key, which it makes where there is none.
func (c *Cache) root(key string) *node {
	if r := c.rootOf[key]; r != nil {
		return r
	}
	r := c.newNode()
	r.key, r.hash = key, keyHash(key)
	c.rootOf[key] = r
	c.roots = append(c.roots, r)
	return r
}

// insert adds a child without pages.
func (c *Cache) insert(parent *node, text []int32) *node {
	n := c.newNode()
	n.parent, n.depth, n.count = parent, parent.depth+1, len(text)
	copy(n.tokens[:], text)
	n.hash = fingerprint(parent.hash, text)
	i, _ := parent.search(text)
	parent.children = slices.Insert(parent.children, i, n)
	c.nodes++
	return n
}

// resident tells whether a node has its pages of the kinds without a window, which come and go together.
func (c *Cache) resident(n *node) bool { return len(c.full) > 0 && n.pages[c.full[0].index] >= 0 }

// give makes a page in use the node's own.
func (c *Cache) give(n *node, s *shelf, page int32) {
	s.adopt(page, n)
	n.pages[s.index] = page
	c.dropBlob(n, s.index)
	if len(c.full) > 0 && s == c.full[0] {
		n.parent.live++
		c.refresh(n)
		c.refresh(n.parent)
	}
}

// take ends a node's hold on its page of a kind.
func (c *Cache) take(n *node, s *shelf) {
	page := n.pages[s.index]
	if page < 0 {
		return
	}
	s.disown(page)
	n.pages[s.index] = -1
	if len(c.full) > 0 && s == c.full[0] {
		n.parent.live--
		c.refresh(n)
		c.refresh(n.parent)
	}
}

// move pins another node as the last whole page of a sequence; nil: none any more.
func (c *Cache) move(s *Sequence, to *node) {
	from := s.pinned
	if from == to {
		return
	}
	if from != nil {
		from.pins--
		if s.before != nil {
			s.before.after = s.after
		} else {
			from.ends = s.after
		}
		if s.after != nil {
			s.after.before = s.before
		}
		s.before, s.after = nil, nil
	}
	s.pinned = to
	if to != nil {
		to.pins++
		s.after = to.ends
		if s.after != nil {
			s.after.before = s
		}
		to.ends = s
		c.refresh(to)
	}
	if from != nil {
		c.clock++
		from.used = c.clock
		c.settle(from)
	}
}

// refresh puts a node into the heap of evictable nodes, or takes it out, or moves it, as its state says.
func (c *Cache) refresh(n *node) {
	if n.parent != nil && n.pins == 0 && n.live == 0 && c.resident(n) {
		c.evictable.put(n)
	} else {
		c.evictable.remove(n)
	}
}

// settle removes a node that can serve nobody any more, and then its ancestors for which that holds.
func (c *Cache) settle(n *node) {
	for n.parent != nil && c.useless(n) {
		parent := n.parent
		c.remove(n)
		n = parent
	}
	if n.parent != nil {
		c.refresh(n)
	} else if len(n.children) == 0 && n.pins == 0 && n.keeper == 0 {
		delete(c.rootOf, n.key)
		c.roots = slices.DeleteFunc(c.roots, func(r *node) bool { return r == n })
		c.recycle(n)
	}
}

// useless: no prefix that ends in this node can be hit, and none goes on below it.
func (c *Cache) useless(n *node) bool {
	if n.pins > 0 || len(n.children) > 0 || n.keeper > 0 {
		return false
	}
	return !c.complete(n) || !c.hasStates(n)
}

// complete tells whether a node has the pages that a token needs which comes next, or inside of it.
func (c *Cache) complete(n *node) bool {
	for _, k := range c.paged {
		if n.pages[k.index] < 0 && k.Window != 1 { // which sees itself only
			return false
		}
	}
	return true
}

// remove takes a leaf that nobody pins or keeps out of the tree, with its pages.
func (c *Cache) remove(n *node) {
	for _, s := range c.shelves {
		c.take(n, s)
		c.dropBlob(n, s.index)
	}
	c.evictable.remove(n)
	parent := n.parent
	parent.used = max(parent.used, n.used)
	i, _ := parent.search(n.text())
	parent.children = slices.Delete(parent.children, i, i+1)
	if n.count == PageTokens {
		c.ghosts[n.hash%ghostCount] = n.hash
	}
	c.nodes--
	c.recycle(n)
}

// evict gives up the pages of a node that nobody pins and that has no resident children. Where parked sequences need
// them they are written elsewhere first, and the node stays.
func (c *Cache) evict(n *node) error {
	for i, s := range c.shelves {
		if err := c.save(n, s); err != nil {
			for _, s := range c.shelves[:i] { // its pages are still there
				if n.pages[s.index] >= 0 {
					c.dropBlob(n, s.index)
				}
			}
			return err
		}
	}
	c.counts.evicted++
	for _, s := range c.shelves {
		c.take(n, s)
	}
	c.settle(n)
	return nil
}

// drop gives up a windowed page or a state of a node, apart from the rest of it.
func (c *Cache) drop(n *node, s *shelf) error {
	if err := c.save(n, s); err != nil {
		return err
	}
	c.counts.dropped++
	c.take(n, s)
	c.settle(n)
	return nil
}

// reclaim gives up what only the tree holds, the least recently used first, until a page of a shelf is free or has one holder
// less. The caller has made sure that there is something.
func (c *Cache) reclaim(s *shelf) error {
	if !s.queued() {
		if n := c.evictable.first(); n != nil {
			return c.evict(n)
		}
	} else if page := s.first(); page >= 0 {
		return c.drop(s.owner[page], s)
	}
	return s.full(1)
}

// obtain returns a free page with the caller as its holder.
func (c *Cache) obtain(s *shelf) (int32, error) {
	for {
		if page, ok := s.Take(); ok {
			return page, nil
		}
		if err := c.reclaim(s); err != nil {
			return -1, err
		}
	}
}

// Clear gives up everything that no open sequence holds and no parked one needs.
func (c *Cache) Clear() {
	for _, r := range slices.Clone(c.roots) {
		c.clearBelow(r)
		c.settle(r)
	}
}

// Forget is Clear for what was computed under one key.
func (c *Cache) Forget(key string) {
	if r := c.rootOf[key]; r != nil {
		c.clearBelow(r)
		c.settle(r)
	}
}

func (c *Cache) clearBelow(n *node) {
	for _, child := range slices.Clone(n.children) {
		c.clearBelow(child)
		if child.pins == 0 && len(child.children) == 0 && child.keeper == 0 {
			c.remove(child)
		}
	}
}
