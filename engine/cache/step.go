package cache

import (
	"fmt"
	"slices"
)

// Reserve makes sure that the tokens before end have pages that may be written to, and that states have a slot to go to. Where memory
// is short, prefixes that nobody holds are evicted, the least recently used first. Where that would not suffice it returns a
// [FullError] and nothing was evicted; after any error the sequence has the pages that it had.
func (s *Sequence) Reserve(end int) error { return s.ReserveGuesses(end, 0) }

// ReserveGuesses is Reserve for a step whose last tokens are guesses. A state cannot forget a wrong one: the step leaves the state before the
// guesses, and the one after each of them, in slots of their own. Commit then takes the certain tokens together and each guess
// that came true alone; ForgetGuesses gives the other slots back. After an error no guesses are reserved for.
func (s *Sequence) ReserveGuesses(end, guesses int) error {
	if err := s.usable(); err != nil {
		return err
	}
	s.ForgetGuesses()
	if end <= s.n {
		return nil
	}
	s.guesses = guesses
	err := s.reserve(end)
	if err != nil {
		s.ForgetGuesses()
	}
	return err
}

// ForgetGuesses gives the slots of guesses back that did not come true.
func (s *Sequence) ForgetGuesses() {
	s.guesses = 0
	if s.status != statusOpen {
		return
	}
	for _, k := range s.cache.states {
		table := s.tables[k.index]
		for i := 2; i < len(table); i++ {
			s.drop(k, i)
		}
		s.tables[k.index] = table[:2]
	}
}

func (s *Sequence) reserve(end int) error {
	c := s.cache
	for _, k := range c.shelves {
		if need := s.missing(k, end); need > k.available() {
			return k.full(need)
		}
	}
	if err := s.ownLast(end); err != nil {
		return err
	}
	for _, k := range c.shelves {
		c.had[k.index] = s.had(k)
	}
	for _, k := range c.shelves {
		if err := s.grow(k, end); err != nil { // a parked page could not be moved
			for _, k := range c.shelves {
				s.shrink(k, c.had[k.index])
			}
			return err
		}
	}
	return nil
}

// had returns how many entries of a kind's table are in use.
func (s *Sequence) had(k *shelf) int {
	table := s.tables[k.index]
	if k.State && table[1] < 0 {
		return 1
	}
	return len(table)
}

func (s *Sequence) grow(k *shelf, end int) error {
	for s.missing(k, end) > 0 {
		page, err := s.cache.obtain(k)
		if err != nil {
			return err
		}
		if table := s.tables[k.index]; k.State && table[1] < 0 {
			table[1] = page
		} else {
			s.tables[k.index] = append(table, page)
		}
	}
	return nil
}

// shrink gives back the entries of a kind's table from had on.
func (s *Sequence) shrink(k *shelf, had int) {
	table := s.tables[k.index]
	for i := had; i < len(table); i++ {
		s.drop(k, i)
	}
	if k.State {
		had = max(had, 2)
	}
	s.tables[k.index] = table[:had]
}

// missing counts the pages of a kind that a sequence must get before it can compute up to end.
func (s *Sequence) missing(k *shelf, end int) int {
	table := s.tables[k.index]
	if k.State {
		written := len(table) - 1
		if table[1] < 0 {
			written = 0
		}
		return max(0, 1+s.guesses-written)
	}
	need := max(0, (end+PageTokens-1)/PageTokens-len(table))
	if s.mustCopy(k) {
		if page := table[s.n/PageTokens]; page < 0 || k.holders[page] > 2 || s.lender() == nil {
			need++
		}
	}
	return need
}

// mustCopy tells whether the last page of a kind is partial and others hold it, or is not there.
func (s *Sequence) mustCopy(k *shelf) bool {
	if s.owned || s.n%PageTokens == 0 {
		return false
	}
	page := s.tables[k.index][s.n/PageTokens]
	return page < 0 || k.holders[page] > 1
}

// lender returns the node whose page the sequence would have to copy, where the node can give way instead: nobody else goes
// on from it.
func (s *Sequence) lender() *node {
	for _, k := range s.cache.paged {
		if page := s.tables[k.index][s.n/PageTokens]; page >= 0 {
			if n := k.owner[page]; n != nil && n.pins == 0 && len(n.children) == 0 && n.keeper == 0 {
				return n
			}
		}
	}
	return nil
}

// ownLast makes the last page, where it is partial and shared, the sequence's own: copy on write. A node that the sequence
// only goes on from gives its page up instead, and so does any other that stands in the way of the last free page.
func (s *Sequence) ownLast(end int) error {
	if s.owned || s.n%PageTokens == 0 {
		return nil
	}
	c := s.cache
	if n := s.lender(); n != nil {
		scarce := len(c.states) == 0 && n.end() == s.n
		for _, k := range c.paged {
			scarce = scarce || s.mustCopy(k) && k.Free() <= (end+PageTokens-1)/PageTokens-len(s.tables[k.index])
		}
		if scarce {
			parent := n.parent
			c.remove(n)
			c.settle(parent)
		}
	}
	for _, k := range c.paged {
		for s.mustCopy(k) {
			if k.Free() > 0 {
				if err := s.copyLast(k); err != nil {
					return err
				}
			} else if err := c.reclaim(k); err != nil { // which may also end the other's hold
				return err
			}
		}
	}
	s.owned = true
	return nil
}

func (s *Sequence) copyLast(k *shelf) error {
	at := &s.tables[k.index][s.n/PageTokens]
	page, _ := k.Take()
	if *at >= 0 {
		if err := s.cache.device.CopyPage(k.index, int(*at), int(page)); err != nil {
			k.release(page)
			return err
		}
		s.cache.counts.copied++
		k.release(*at)
	}
	*at = page
	return nil
}

// Commit says that these tokens were computed at the end of the sequence. Whole pages can be found and shared from now on;
// windowed pages that no later token sees are given back to the tree; the state that was written is the one to read next.
// A step that fails or is abandoned is not committed, and has then changed nothing.
func (s *Sequence) Commit(ids []int32) error {
	if err := s.usable(); err != nil {
		return err
	}
	if len(ids) == 0 {
		return nil
	}
	c := s.cache
	for _, k := range c.shelves {
		if s.missing(k, s.n+len(ids)) > 0 {
			return fmt.Errorf("%w: %d tokens computed after %d, pages of kind %d were not reserved for them", ErrUsage, len(ids), s.n, k.index)
		}
	}
	s.append(ids)
	for (len(s.path)+1)*PageTokens <= s.n {
		s.seal()
	}
	s.swapStates()
	s.shed()
	return nil
}

// append writes computed tokens over the planned ones, which end where they differ.
func (s *Sequence) append(ids []int32) {
	end := s.n + len(ids)
	if end > s.planned || common(s.tokens[s.n:end], ids) < len(ids) {
		s.tokens = append(s.tokens[:s.n], ids...)
		s.planned = end
	}
	s.n = end
}

// seal puts the next whole page into the tree. Where it is there already, computed by somebody else, the sequence goes on with
// that one and gives its own back.
func (s *Sequence) seal() {
	c, i := s.cache, len(s.path)
	text := s.tokens[i*PageTokens : (i+1)*PageTokens]
	parent := s.lastNode()
	n := parent.child(text)
	if n == nil {
		n = c.insert(parent, text)
	}
	s.path = append(s.path, n)
	c.move(s, n) // pinned before it has pages
	for _, k := range c.paged {
		own := &s.tables[k.index][i]
		switch have := n.pages[k.index]; {
		case *own < 0: // behind a window, of a prefix that was loaded
		case have < 0:
			c.give(n, k, *own)
		case have != *own:
			k.hold(have)
			k.release(*own)
			*own = have
			if k == c.paged[0] {
				c.counts.deduplicated++
			}
		}
	}
	s.forgetShorter(parent, n)
}

// forgetShorter removes partial pages that n has all tokens of: they were left by sequences that ended inside of it.
func (s *Sequence) forgetShorter(parent, n *node) {
	c := s.cache
	if len(c.states) > 0 {
		return // each of them has a state of its own
	}
	for i, _ := parent.search(n.text()); i > 0; i-- {
		p := parent.children[i-1]
		if p.count == PageTokens || p.keeper > 0 || common(p.text(), n.text()) < p.count {
			return
		}
		c.remove(p)
	}
}

// swapStates makes the states that were written first the current ones, and keeps them where that is due.
func (s *Sequence) swapStates() {
	c := s.cache
	s.guesses = max(0, s.guesses-1)
	if len(c.states) == 0 {
		return
	}
	marked := slices.Contains(s.marks, s.n)
	regular := marked || s.n-s.checkpoint >= c.interval
	due := s.n%PageTokens == 0 && (regular || s.strides())
	for _, k := range c.states {
		table := s.tables[k.index]
		if table[0] >= 0 {
			k.release(table[0])
		}
		last := len(table) - 1
		copy(table, table[1:])
		table[last] = -1
		s.tables[k.index] = table[:max(2, last)]
		if n := s.lastNode(); due && n.pages[k.index] < 0 {
			c.give(n, k, table[0])
			switch {
			case marked:
				k.warms(table[0])
			case !regular:
				k.spares(table[0])
			}
		}
	}
	if due && regular {
		s.checkpoint = s.n
	}
	s.marks = s.marksAhead()
}

// shed gives back the windowed pages that no later token sees.
func (s *Sequence) shed() {
	for _, k := range s.cache.windows {
		table := s.tables[k.index]
		first := min(k.firstNeeded(s.n), len(s.path))
		for i := s.held[k.index]; i < first; i++ {
			if (i+1)*PageTokens > s.prompt-k.Window && i*PageTokens < s.prompt {
				k.warms(table[i]) // the end of the prompt: others, or the next turn, go on from there
			}
			k.release(table[i])
			table[i] = -1
		}
		s.held[k.index] = first
	}
}
