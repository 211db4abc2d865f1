// Package cache owns the pages that keys and values live in: which are free, and how many hold each of the others.
package cache

import "fmt"

// Pool counts the pages of one kind. A page in use has one or more holders; the last release frees it. It is not safe for
// several goroutines.
type Pool struct {
	holders []int32
	free    []int32 // a stack: what was used last is used next, while it is in the processor's caches
}

// NewPool makes a pool of n free pages.
func NewPool(n int) *Pool {
	p := &Pool{holders: make([]int32, n), free: make([]int32, n)}
	for i := range p.free {
		p.free[i] = int32(n - 1 - i)
	}
	return p
}

// Size returns how many pages there are, Free how many of them nobody holds.
func (p *Pool) Size() int { return len(p.holders) }

// Free returns how many pages nobody holds.
func (p *Pool) Free() int { return len(p.free) }

// Take hands out a free page with one holder; false where there is none.
func (p *Pool) Take() (int32, bool) {
	if len(p.free) == 0 {
		return -1, false
	}
	page := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	p.holders[page] = 1
	return page, true
}

// Hold adds a holder to a page in use.
func (p *Pool) Hold(page int32) { p.holders[page]++ }

// Release takes one holder away and frees the page where it was the last.
func (p *Pool) Release(page int32) {
	p.holders[page]--
	if p.holders[page] == 0 {
		p.free = append(p.free, page)
	}
}

// Check verifies the pool's books: every page is either free, once, or held. For tests.
func (p *Pool) Check() error {
	isFree := make([]bool, len(p.holders))
	for _, page := range p.free {
		if isFree[page] {
			return fmt.Errorf("page %d is free twice", page)
		}
		isFree[page] = true
	}
	for page, n := range p.holders {
		if n < 0 || (n == 0) != isFree[page] {
			return fmt.Errorf("page %d has %d holders and free is %v", page, n, isFree[page])
		}
	}
	return nil
}
