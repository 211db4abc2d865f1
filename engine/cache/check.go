package cache

import (
	"errors"
	"fmt"
	"slices"
)

// Check verifies the cache's books against each other and returns all that is wrong. It costs time in proportion to the
// cache: for tests and for hunting faults.
func (c *Cache) Check() error {
	a := audit{c: c, holders: make([][]int32, len(c.shelves)), owner: make([][]*node, len(c.shelves)),
		pins: map[*node]int{}, keeps: map[*node][]int32{}, passes: map[*node]int{}}
	for i, k := range c.shelves {
		a.holders[i], a.owner[i] = make([]int32, k.Size()), make([]*node, k.Size())
	}
	for s := c.open; s != nil; s = s.next {
		a.sequence(s)
	}
	for s := c.parked; s != nil; s = s.next {
		a.parked(s)
	}
	for _, r := range c.roots {
		if c.rootOf[r.key] != r {
			a.fault("key %q has another root", r.key)
		}
		if len(r.children) == 0 && r.pins == 0 && r.keeper == 0 {
			a.fault("key %q has an empty tree", r.key)
		}
		a.node(r)
	}
	if a.nodes != c.nodes || len(c.roots) != len(c.rootOf) {
		a.fault("%d nodes and %d roots found, %d and %d counted", a.nodes, len(c.roots), c.nodes, len(c.rootOf))
	}
	if a.heap != len(c.evictable.nodes) {
		a.fault("%d nodes can be evicted, %d are in the heap", a.heap, len(c.evictable.nodes))
	}
	for i, n := range c.evictable.nodes {
		if n.place != i || i > 0 && before(n, c.evictable.nodes[(i-1)/2]) {
			a.fault("the heap is out of order at %d", i)
		}
	}
	a.spill()
	for _, k := range c.shelves {
		a.shelf(k)
	}
	return errors.Join(a.faults...)
}

// audit recounts everything from the sequences and the trees.
type audit struct {
	c            *Cache
	holders      [][]int32
	owner        [][]*node
	pins         map[*node]int
	keeps        map[*node][]int32
	passes       map[*node]int
	nodes, heap  int
	memory, disk int64
	faults       []error
}

func (a *audit) fault(format string, args ...any) {
	if len(a.faults) < 20 {
		a.faults = append(a.faults, fmt.Errorf(format, args...))
	}
}

func (a *audit) hold(k *shelf, page int32) {
	if page < -1 || int(page) >= k.Size() {
		a.fault("page %d of kind %d, which has %d", page, k.index, k.Size())
	} else if page >= 0 {
		a.holders[k.index][page]++
	}
}

func (a *audit) sequence(s *Sequence) {
	name := fmt.Sprintf("sequence %d", s.id)
	if s.status != statusOpen || s.n > s.planned || s.planned != len(s.tokens) || len(s.path) != s.n/PageTokens {
		a.fault("%s: status %d, %d of %d tokens computed, %d whole pages", name, s.status, s.n, len(s.tokens), len(s.path))
		return
	}
	at := s.root
	for i, n := range s.path {
		if n.parent != at || !slices.Equal(n.text(), s.tokens[i*PageTokens:(i+1)*PageTokens]) {
			a.fault("%s: page %d is not the tree's", name, i)
		}
		if len(a.c.full) > 0 && !a.c.resident(n) {
			a.fault("%s: page %d is not on the device", name, i)
		}
		at = n
	}
	if s.pinned != at {
		a.fault("%s: pins another node", name)
	}
	a.pins[at]++
	for _, k := range a.c.shelves {
		a.table(name, s, k)
	}
}

func (a *audit) table(name string, s *Sequence, k *shelf) {
	table := s.tables[k.index]
	for _, page := range table {
		a.hold(k, page)
	}
	if k.State {
		if (table[0] >= 0) != (s.n > 0) {
			a.fault("%s: state slot %d after %d tokens", name, table[0], s.n)
		}
		if len(table) < 2 || len(table) > 2 && slices.Contains(table[1:], -1) {
			a.fault("%s: state slots %v", name, table)
		}
		return
	}
	if len(table)*PageTokens < s.n {
		a.fault("%s: %d pages of kind %d for %d tokens", name, len(table), k.index, s.n)
		return
	}
	if s.held[k.index] > k.firstNeeded(s.n) {
		a.fault("%s: kind %d is held from page %d on, %d is needed", name, k.index, s.held[k.index], k.firstNeeded(s.n))
	}
	for i, page := range table {
		if i < s.held[k.index] != (page < 0) && !(k.Window == 1 && i == s.n/PageTokens) {
			a.fault("%s: page %d of kind %d is %d, held from %d on", name, i, k.index, page, s.held[k.index])
		}
	}
}

func (a *audit) parked(s *Sequence) {
	if s.status != statusParked || s.parking.node == nil {
		a.fault("parked sequence %d: status %d", s.id, s.status)
		return
	}
	for n := s.parking.node; n != nil; n = n.parent {
		if a.keeps[n] == nil {
			a.keeps[n] = make([]int32, len(a.c.shelves))
		}
		a.passes[n]++
		for _, k := range a.c.shelves {
			if !s.needs(n, k) {
				continue
			}
			a.keeps[n][k.index]++
			if n.parent != nil && n.pages[k.index] < 0 && (n.blobs == nil || n.blobs[k.index] == nil) {
				a.fault("parked sequence %d: its page %d of kind %d is lost", s.id, n.depth-1, k.index)
			}
		}
	}
}

func (a *audit) node(n *node) {
	c := a.c
	if n.pins != a.pins[n] || n.keeper != a.passes[n] {
		a.fault("node %v: %d pins, %d kept, counted %d and %d", n.text(), n.pins, n.keeper, a.pins[n], a.passes[n])
	}
	ends := 0
	for s := n.ends; s != nil; s = s.after {
		ends++
	}
	if ends != n.pins {
		a.fault("node %v: %d sequences end here, %d are listed", n.text(), n.pins, ends)
	}
	if n.parent != nil {
		a.nodes++
		a.inner(n)
	}
	live := 0
	for i, child := range n.children {
		if child.parent != n || child.depth != n.depth+1 || i > 0 && slices.Compare(n.children[i-1].text(), child.text()) >= 0 {
			a.fault("node %v: its child %d is out of place", n.text(), i)
		}
		if c.resident(child) {
			live++
		}
		a.node(child)
	}
	if live != n.live {
		a.fault("node %v: %d children on the device, %d counted", n.text(), live, n.live)
	}
}

func (a *audit) inner(n *node) {
	c := a.c
	if n.count < 1 || n.count > PageTokens || n.count < PageTokens && len(n.children) > 0 || n.hash != fingerprint(n.parent.hash, n.text()) {
		a.fault("node %v: %d children", n.text(), len(n.children))
	}
	if c.useless(n) {
		a.fault("node %v is of no use", n.text())
	}
	can := n.pins == 0 && n.live == 0 && c.resident(n)
	if can != (n.place >= 0) {
		a.fault("node %v: evictable %v, place %d", n.text(), can, n.place)
	}
	if can {
		a.heap++
	}
	for _, k := range c.shelves {
		page := n.pages[k.index]
		a.hold(k, page)
		if page >= 0 {
			if a.owner[k.index][page] != nil {
				a.fault("page %d of kind %d belongs to two nodes", page, k.index)
			}
			a.owner[k.index][page] = n
		}
		if k.Window == 0 && !k.State && page >= 0 != c.resident(n) {
			a.fault("node %v: pages %v", n.text(), n.pages)
		}
		kept := int32(0)
		if a.keeps[n] != nil {
			kept = a.keeps[n][k.index]
		}
		if n.kept(k.index) != kept {
			a.fault("node %v: kept %d times for kind %d, counted %d", n.text(), n.kept(k.index), k.index, kept)
		}
		if n.blobs != nil && n.blobs[k.index] != nil {
			a.blob(n, k, kept)
		}
	}
}

func (a *audit) blob(n *node, k *shelf, kept int32) {
	if kept == 0 || n.pages[k.index] >= 0 {
		a.fault("node %v: a page of kind %d is kept outside of the device for nobody", n.text(), k.index)
	}
	if n.blobs[k.index].data != nil {
		a.memory += k.bytes
	} else {
		a.disk += k.bytes
	}
}

func (a *audit) spill() {
	p := &a.c.spill
	if p.memory != a.memory || p.disk != a.disk {
		a.fault("parked pages: %d bytes in memory, %d on disk, counted %d and %d", p.memory, p.disk, a.memory, a.disk)
	}
	unused := p.size - p.disk
	for i, free := range p.free {
		unused -= int64(len(free)) * a.c.shelves[i].bytes
	}
	if unused != 0 {
		a.fault("parked pages: %d bytes of the file are lost", unused)
	}
}

func (a *audit) shelf(k *shelf) {
	if err := k.Pool.Check(); err != nil {
		a.fault("kind %d: %w", k.index, err)
	}
	evictable, queued := 0, 0
	for page := range k.holders {
		if k.holders[page] != a.holders[k.index][page] || k.owner[page] != a.owner[k.index][page] {
			a.fault("page %d of kind %d has %d holders, %d found; the same owner: %v", page, k.index, k.holders[page],
				a.holders[k.index][page], k.owner[page] == a.owner[k.index][page])
		}
		alone := k.alone(int32(page))
		if alone {
			evictable++
		}
		if k.queued() && alone != (k.in[page] != queueCount) {
			a.fault("page %d of kind %d: alone %v, in queue %d", page, k.index, alone, k.in[page])
		}
	}
	if evictable != k.evictable {
		a.fault("kind %d: %d evictable pages, %d counted", k.index, evictable, k.evictable)
	}
	for which := range k.queues {
		last := int32(-1)
		for page := k.queues[which].front; k.queued() && page >= 0; page = k.links[page].next {
			if int(k.in[page]) != which || k.links[page].previous != last || (which == queueKept) != (k.owner[page].kept(k.index) > 0) {
				a.fault("kind %d: queue %d is broken at page %d", k.index, which, page)
				break
			}
			queued++
			last = page
		}
	}
	if k.queued() && queued != evictable {
		a.fault("kind %d: %d pages in queues, %d evictable", k.index, queued, evictable)
	}
}
