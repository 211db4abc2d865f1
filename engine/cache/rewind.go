package cache

// Rewind forgets the tokens from n on, as far as that is possible, and returns how many stay: n, or fewer where windowed pages or
// the recurrent state that the next token would need are gone.
func (s *Sequence) Rewind(n int) int {
	if s.usable() != nil || n >= s.n {
		return s.n
	}
	c := s.cache
	s.ForgetGuesses()
	n = s.rewindTo(max(n, 0))
	whole, pages := n/PageTokens, (n+PageTokens-1)/PageTokens
	wasWhole := len(s.path) > whole // the page that n is in
	for _, k := range c.paged {
		s.holdAgain(k, n, pages)
		s.shrink(k, pages)
		table := s.tables[k.index]
		if pages > whole && !wasWhole && table[whole] >= 0 && k.holders[table[whole]] > 1 {
			s.owned = false // others read what would be overwritten
		}
	}
	if pages > whole && wasWhole {
		s.owned = false
	}
	for _, k := range c.states {
		s.rewindState(k, n)
	}
	s.path = s.path[:whole]
	s.n, s.planned, s.prompt = n, n, min(s.prompt, n)
	s.tokens = s.tokens[:n]
	s.checkpoint = min(s.checkpoint, n/PageTokens*PageTokens)
	s.marks = s.marks[:0]
	c.move(s, s.lastNode())
	return n
}

// rewindTo returns the last place, at most n, where every kind has what the next token needs.
func (s *Sequence) rewindTo(n int) int {
	c := s.cache
	for n > 0 {
		missing := s.missingAt(n)
		if missing < 0 && (len(c.states) == 0 || n%PageTokens == 0 && c.hasStates(s.path[n/PageTokens-1])) {
			return n
		}
		switch {
		case missing >= 0:
			n = missing * PageTokens
		case n%PageTokens > 0:
			n -= n % PageTokens
		default:
			n -= PageTokens
		}
	}
	return 0
}

// missingAt returns the last page that a token at position n needs and that neither the sequence nor the tree has; -1: none.
func (s *Sequence) missingAt(n int) int {
	worst := -1
	for _, k := range s.cache.windows {
		for i := (n+PageTokens-1)/PageTokens - 1; i >= k.firstNeeded(n); i-- {
			if s.tables[k.index][i] < 0 && (i >= len(s.path) || s.path[i].pages[k.index] < 0) {
				worst = max(worst, i)
				break
			}
		}
	}
	return worst
}

// holdAgain takes windowed pages back from the tree that had been given back to it.
func (s *Sequence) holdAgain(k *shelf, n, pages int) {
	table := s.tables[k.index]
	for i := k.firstNeeded(n); i < min(pages, s.held[k.index]); i++ {
		table[i] = s.path[i].pages[k.index]
		k.hold(table[i])
	}
	s.held[k.index] = min(s.held[k.index], k.firstNeeded(n))
}

func (s *Sequence) drop(k *shelf, i int) {
	table := s.tables[k.index]
	if table[i] >= 0 {
		k.release(table[i])
		table[i] = -1
	}
}

// rewindState goes back to the state that is kept after n tokens.
func (s *Sequence) rewindState(k *shelf, n int) {
	table := s.tables[k.index]
	s.drop(k, 1)
	s.drop(k, 0)
	if n > 0 {
		table[0] = s.path[n/PageTokens-1].pages[k.index]
		k.hold(table[0])
	}
}

// Fork returns a second sequence with the same tokens, which shares all pages: whichever writes into the partial last one first
// owns it, and the other copies it at its next Reserve.
func (s *Sequence) Fork() (*Sequence, error) {
	if err := s.usable(); err != nil {
		return nil, err
	}
	c := s.cache
	f := c.newSequence(s.root, s.tokens[:s.n])
	f.n, f.prompt, f.checkpoint = s.n, min(s.prompt, s.n), s.checkpoint
	f.path = append(f.path, s.path...)
	pages := (s.n + PageTokens - 1) / PageTokens
	for _, k := range c.shelves {
		table := s.tables[k.index]
		if k.State {
			f.tables[k.index][0] = table[0]
			table = table[:1]
		} else {
			table = table[:pages]
			f.tables[k.index] = append(f.tables[k.index], table...)
			f.held[k.index] = s.held[k.index]
		}
		for _, page := range table {
			f.share(k, page)
		}
	}
	f.owned = s.n%PageTokens == 0
	c.move(f, f.lastNode())
	c.counts.forked++
	return f, nil
}

// Close ends a sequence and gives its memory back. What it computed stays findable, its partial last page included, until the
// memory is needed. Closing twice is allowed.
func (s *Sequence) Close() {
	c := s.cache
	switch s.status {
	case statusClosed:
		return
	case statusParked:
		s.unpark()
	default:
		s.leaveTail()
		s.warmWindows()
		s.letGo()
		s.unlink(&c.open)
		c.move(s, nil)
	}
	s.status = statusClosed
	s.path, s.tokens, s.n, s.planned = nil, nil, 0, 0
}

// leaveTail puts the partial last page into the tree, and the states after the last token, where they are not there yet. It
// returns the node of the last token; nil where the tree has none.
func (s *Sequence) leaveTail() *node {
	c, n := s.cache, s.lastNode()
	if text := s.tailText(); len(text) > 0 {
		next, same := n.nearest(text)
		if same == len(text) && (next.count == same || len(c.states) == 0) && c.complete(next) {
			n = next // what is there serves as well
		} else {
			n = s.insertTail(n, text)
		}
	}
	for _, k := range c.states {
		if slot := s.tables[k.index][0]; n.parent != nil && slot >= 0 && n.pages[k.index] < 0 {
			c.give(n, k, slot)
			k.warms(slot)
		}
	}
	if n != s.lastNode() && c.useless(n) {
		c.settle(n)
		return nil
	}
	return n
}

func (s *Sequence) insertTail(parent *node, text []int32) *node {
	c := s.cache
	n := parent.child(text)
	if n == nil {
		n = c.insert(parent, text)
	}
	for _, k := range c.paged {
		page := s.last(k.index)
		if page < 0 || n.pages[k.index] >= 0 || k.owner[page] != nil || !s.owned && k.holders[page] > 1 {
			continue // not ours to give
		}
		c.give(n, k, page)
	}
	c.clock++
	n.used = c.clock
	c.refresh(n)
	s.forgetShorter(parent, n)
	return n
}

func (s *Sequence) warmWindows() {
	for _, k := range s.cache.windows {
		for _, page := range s.tables[k.index] {
			if page >= 0 {
				k.warms(page)
			}
		}
	}
}
