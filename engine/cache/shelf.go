package cache

// The queues of pages that only the tree holds, of window and state kinds: they are given up apart from the rest of
// their prefix, in this order, each queue from its front.
const (
	queueSpare = iota // states that a prompt's steps ended with, in slots that nobody wants
	queueCold         // passed by, never shared: inner pages that a window left behind, regular checkpoints
	queueWarm         // at the end of a prompt or of a sequence, or shared before
	queueKept         // a parked sequence needs them: they are written elsewhere before they are given up
	queueCount        // also: in no queue
)

type link struct{ previous, next int32 }

type queue struct{ front, back int32 }

// shelf is one kind's pages: who holds them, which of them belong to the tree, and in which order they are given up.
type shelf struct {
	Pool
	Kind
	index     int
	bytes     int64   // of a page
	owner     []*node // by page: the node whose page it is; nil outside of the tree
	worth     []uint8 // by page: queueSpare, queueCold or queueWarm
	links     []link  // by page
	in        []uint8 // by page: its queue
	queues    [queueCount]queue
	evictable int // pages that nobody but a node holds
}

func newShelf(k Kind, index int, bytes int64) *shelf {
	s := &shelf{Pool: *NewPool(k.Pages), Kind: k, index: index, bytes: bytes, owner: make([]*node, k.Pages)}
	if s.queued() {
		s.worth, s.links, s.in = make([]uint8, k.Pages), make([]link, k.Pages), make([]uint8, k.Pages)
		for i := range s.in {
			s.in[i], s.worth[i] = queueCount, queueCold
		}
		for i := range s.queues {
			s.queues[i] = queue{-1, -1}
		}
	}
	return s
}

// queued tells whether pages are given up one by one, apart from their node.
func (s *shelf) queued() bool { return s.State || s.Window > 0 }

// alone tells whether a page's node is its only holder.
func (s *shelf) alone(page int32) bool { return s.owner[page] != nil && s.holders[page] == 1 }

// hold adds a holder to a page.
func (s *shelf) hold(page int32) {
	if s.alone(page) {
		s.evictable--
		s.leave(page)
	}
	s.Hold(page)
}

// release takes a holder away; the page is free, or evictable, where it was the last but for the tree.
func (s *shelf) release(page int32) {
	s.Release(page)
	if s.alone(page) {
		s.evictable++
		s.enter(page)
	} else if s.holders[page] == 0 && s.queued() {
		s.worth[page] = queueCold
	}
}

// adopt makes a page in use a node's page: the node becomes one of its holders.
func (s *shelf) adopt(page int32, n *node) {
	s.hold(page)
	s.owner[page] = n
}

// disown ends a node's hold on its page.
func (s *shelf) disown(page int32) {
	if s.alone(page) {
		s.evictable--
		s.leave(page)
	}
	s.owner[page] = nil
	s.release(page)
}

// warms marks a page as worth more than those that were only passed by.
func (s *shelf) warms(page int32) {
	if s.queued() {
		s.worth[page] = queueWarm
	}
}

// spares marks a page as worth less than any other.
func (s *shelf) spares(page int32) {
	if s.queued() {
		s.worth[page] = queueSpare
	}
}

// enter puts a page at the back of its queue.
func (s *shelf) enter(page int32) {
	if !s.queued() {
		return
	}
	which := s.worth[page]
	if s.owner[page].kept(s.index) > 0 {
		which = queueKept
	}
	q := &s.queues[which]
	s.in[page] = which
	s.links[page] = link{q.back, -1}
	if q.back >= 0 {
		s.links[q.back].next = page
	} else {
		q.front = page
	}
	q.back = page
}

// leave takes a page out of its queue.
func (s *shelf) leave(page int32) {
	if !s.queued() {
		return
	}
	q, l := &s.queues[s.in[page]], s.links[page]
	if l.previous >= 0 {
		s.links[l.previous].next = l.next
	} else {
		q.front = l.next
	}
	if l.next >= 0 {
		s.links[l.next].previous = l.previous
	} else {
		q.back = l.previous
	}
	s.in[page] = queueCount
}

// requeue puts a page that waits in a queue into the one that it belongs to now.
func (s *shelf) requeue(page int32) {
	if s.queued() && s.in[page] != queueCount {
		s.leave(page)
		s.enter(page)
	}
}

// first returns the page to give up next; -1 where none waits.
func (s *shelf) first() int32 {
	for i := range s.queues {
		if page := s.queues[i].front; page >= 0 {
			return page
		}
	}
	return -1
}

// firstNeeded returns the index of the first page that a token at position n reads, besides its own.
func (s *shelf) firstNeeded(n int) int {
	if s.Window == 0 {
		return 0
	}
	return max(0, n-s.Window+1) / PageTokens
}

// available returns how many pages can be had by giving up what only the tree holds.
func (s *shelf) available() int { return s.Free() + s.evictable }

func (s *shelf) full(need int) error {
	return &FullError{Kind: s.index, Need: need, Free: s.Free(), Evictable: s.evictable, Total: s.Size()}
}
