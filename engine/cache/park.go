package cache

// parking is what a parked sequence needs: the pages of kinds up to this node are kept on the device or outside of it.
type parking struct {
	node *node // of the last token; nil where the sequence has none
}

// Park lets a sequence rest: its pages and states stay on the device until their memory is needed, and move to memory
// and then to disk before it is used. What is shared is moved once. A parked sequence computes nothing until Resume.
func (s *Sequence) Park() error {
	if err := s.usable(); err != nil {
		return err
	}
	c := s.cache
	n := s.leaveTail()
	if n == nil { // the last page is borrowed: without one of its own its tokens are computed again
		if s.Reserve(s.n+1) == nil {
			n = s.leaveTail()
		}
		if n == nil {
			s.Rewind(s.n / PageTokens * PageTokens)
			n = s.leaveTail()
		}
	}
	s.parking.node = n
	for at := n; at != nil; at = at.parent {
		c.keep(s, at, +1)
	}
	s.warmWindows()
	s.letGo()
	s.unlink(&c.open)
	s.link(&c.parked)
	c.move(s, nil)
	c.settle(n)
	s.status = statusParked
	c.counts.parked++
	return nil
}

// needs tells whether a sequence that goes on needs a node's page of a kind.
func (s *Sequence) needs(n *node, k *shelf) bool {
	if k.State {
		return n == s.parking.node
	}
	return k.Window != 1 && n.depth > k.firstNeeded(s.n)
}

// keep counts a parked sequence in or out on a node that it needs.
func (c *Cache) keep(s *Sequence, n *node, by int32) {
	if n.keeps == nil {
		n.keeps = make([]int32, len(c.shelves))
	}
	n.keeper += int(by) // nodes behind all windows are kept in the tree too
	for _, k := range c.shelves {
		if !s.needs(n, k) {
			continue
		}
		n.keeps[k.index] += by
		if n.keeps[k.index] == 0 {
			c.dropBlob(n, k.index)
		}
		if page := n.pages[k.index]; page >= 0 {
			k.requeue(page)
		}
	}
	c.refresh(n)
}

// Resume brings a parked sequence back, with the same bits on the device. Where there is no memory for it, it stays parked.
func (s *Sequence) Resume() error {
	switch s.status {
	case statusClosed:
		return ErrClosed
	case statusOpen:
		return nil
	}
	c, last := s.cache, s.parking.node
	pages := (s.n + PageTokens - 1) / PageTokens
	nodes := s.parkedNodes(pages)
	c.move(s, s.root)
	for _, k := range c.paged {
		s.tables[k.index] = s.tables[k.index][:0]
		for range pages {
			s.tables[k.index] = append(s.tables[k.index], -1)
		}
		s.held[k.index] = min(k.firstNeeded(s.n), s.n/PageTokens)
	}
	for _, n := range nodes { // what is back already must not be evicted for the rest
		n.pins++
		c.refresh(n)
	}
	err := s.fetchAll(nodes)
	for _, n := range nodes {
		n.pins--
		c.refresh(n)
	}
	if err != nil {
		s.letGo()
		c.move(s, nil)
		return err
	}
	s.path = append(s.path[:0], nodes[:s.n/PageTokens]...)
	s.owned = s.n%PageTokens == 0
	c.move(s, s.lastNode())
	s.status = statusOpen
	s.unlink(&c.parked)
	s.link(&c.open)
	s.forsake(last)
	c.counts.resumed++
	return nil
}

// parkedNodes returns the nodes that a parked sequence's tokens are in, in order.
func (s *Sequence) parkedNodes(count int) []*node {
	nodes := make([]*node, count)
	for n := s.parking.node; n != nil && n.parent != nil; n = n.parent {
		nodes[n.depth-1] = n
	}
	return nodes
}

// fetchAll holds the pages that are on the device and brings back the others.
func (s *Sequence) fetchAll(nodes []*node) error {
	c := s.cache
	away := make([]int, len(c.shelves))
	each := func(do func(n *node, k *shelf, at *int32) error) error {
		for i, n := range nodes {
			for _, k := range c.shelves {
				if !s.needs(n, k) {
					continue
				}
				at := &s.tables[k.index][0]
				if !k.State {
					at = &s.tables[k.index][i]
				}
				if err := do(n, k, at); err != nil {
					return err
				}
			}
		}
		return nil
	}
	_ = each(func(n *node, k *shelf, at *int32) error {
		if page := n.pages[k.index]; page >= 0 {
			k.hold(page)
			*at = page
		} else {
			away[k.index]++
		}
		return nil
	})
	for _, k := range c.shelves {
		if away[k.index] > k.available() {
			return k.full(away[k.index])
		}
	}
	return each(func(n *node, k *shelf, at *int32) error {
		if *at >= 0 {
			return nil
		}
		page, err := c.obtain(k)
		if err != nil {
			return err
		}
		*at = page
		if err := c.restore(n.blobs[k.index], k, page); err != nil {
			return err
		}
		c.give(n, k, page)
		c.counts.restored++
		return nil
	})
}

// forsake ends what a parked sequence keeps, from its last node up.
func (s *Sequence) forsake(last *node) {
	c := s.cache
	for n := last; n != nil; n = n.parent {
		c.keep(s, n, -1)
	}
	s.parking.node = nil
	c.settle(last)
}

// unpark ends a sequence that is parked.
func (s *Sequence) unpark() {
	s.unlink(&s.cache.parked)
	s.forsake(s.parking.node)
}
