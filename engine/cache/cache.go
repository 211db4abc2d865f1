// Package cache owns the memory that keys, values and recurrent states live in, and knows which prefixes of token
// sequences it holds, so that nothing is computed twice.
//
// Memory comes in pages of [PageTokens] tokens, in pools by [Kind]: layers that see everything, layers with a sliding
// window, and recurrent layers, whose "page" is a slot with one whole state. A [Sequence] owns a table of pages for each
// kind. Whole pages go into a tree keyed by tokens as soon as they are computed, where other sequences find and share them;
// pages are reference-counted, and a sequence that would write into a shared one copies it first. What no sequence holds
// stays in the tree until its memory is needed: least recently used first.
//
// A prefix is usable at token n where all of this exists: the pages of every layer that sees everything, the pages
// of windowed layers that token n's window reaches, and the recurrent state after exactly n tokens. States are kept at some
// page boundaries (see [Options.CheckpointTokens]); windowed pages and states are given up apart from the rest.
//
// Nothing here is safe for several goroutines: the loop that runs steps owns the cache. Reserve, Park, Resume, Save and Load may use the
// device, and are called between its steps; the others touch the books alone.
package cache

import (
	"errors"
	"fmt"
)

// PageTokens is how many tokens a page holds.
const PageTokens = 32

// Errors; use errors.Is.
var (
	ErrFull   = errors.New("no cache memory is left")
	ErrClosed = errors.New("the sequence is closed")
	ErrParked = errors.New("the sequence is parked")
	ErrUsage  = errors.New("wrong use of the cache")
)

// FullError says what was needed and where the memory is. It is an [ErrFull].
type FullError struct {
	Kind      int // which kind ran out
	Need      int // pages
	Free      int // pages in nobody's hands
	Evictable int // pages that only the tree holds
	Total     int
}

func (e *FullError) Error() string {
	return fmt.Sprintf("%v: %d pages of kind %d needed, %d free, %d evictable, %d held by running sequences, %d in all",
		ErrFull, e.Need, e.Kind, e.Free, e.Evictable, e.Total-e.Free-e.Evictable, e.Total)
}

// Is makes a FullError an ErrFull.
func (e *FullError) Is(target error) bool { return target == ErrFull }

// Kind is a set of cache layers with tables of their own.
type Kind struct {
	Pages  int  // pages, or slots of a state kind
	Window int  // positions a layer can see, its own included; 0: all
	State  bool // recurrent: a page holds the state after all tokens so far, not tokens
}

// Device is what the cache asks of the device, always between steps.
type Device interface {
	PageBytes(kind int) int64
	CopyPage(kind, from, to int) error
	ReadPage(kind, page int, data []byte) error  // data: PageBytes(kind) bytes
	WritePage(kind, page int, data []byte) error // the same bits that ReadPage gave
}

// Options tune a cache. The zero value is a good default.
type Options struct {
	// Context is the most tokens a sequence will have, for reserving its tables at once; 0: unknown.
	Context int
	// CheckpointTokens is the distance in tokens at which recurrent states are kept along a sequence, besides those at
	// the end of a prompt, where prompts part, and at the end of a sequence; rounded up to whole pages. 0: from
	// CheckpointShare, and every sixteenth of a prompt where slots are free. Less means more memory in checkpoints, and fewer tokens computed again after a partial hit.
	CheckpointTokens int
	// CheckpointShare is the cost that a regular checkpoint may have: its bytes divided by those of the pages of the stretch
	// that it ends. 0: DefaultCheckpointShare.
	CheckpointShare float64

	ParkBytes     int64  // host memory for parked sequences; 0: as much as it takes
	ParkDir       string // where parked pages go when ParkBytes are used; empty: nowhere, parking then fails
	ParkDiskBytes int64  // disk space for them; 0: as much as it takes
}

// DefaultCheckpointShare lets checkpoints add a quarter to the memory of a prefix.
const DefaultCheckpointShare = 0.25

// pureStateDistance is the distance of checkpoints in tokens where no pages are there to compare their cost with.
const pureStateDistance = 512

// Cache holds pages and the prefix tree.
type Cache struct {
	device  Device
	options Options
	shelves []*shelf
	paged   []*shelf // of shelves: those with tokens in pages
	full    []*shelf // of paged: those without a window
	windows []*shelf // of paged: those with one
	states  []*shelf // the others

	roots     []*node // one a key, in order of appearance
	rootOf    map[string]*node
	nodes     int
	recycled  *node // nodes for reuse, linked by parent
	evictable lru
	clock     uint64
	ghosts    []uint64 // fingerprints of evicted prefixes, by their low bits
	interval  int      // tokens between regular checkpoints

	open   *Sequence // the open sequences, the newest first
	parked *Sequence
	lastID uint64

	found  search // scratch of lookups
	had    []int  // scratch of Reserve
	spill  spill
	counts counters
}

const ghostCount = 1 << 14

// New makes an empty cache over a device's pages.
func New(kinds []Kind, device Device, o Options) (*Cache, error) {
	if o.Context < 0 || o.CheckpointTokens < 0 || o.CheckpointShare < 0 || o.ParkBytes < 0 || o.ParkDiskBytes < 0 {
		return nil, fmt.Errorf("%w: negative options %+v", ErrUsage, o)
	}
	c := &Cache{device: device, options: o, rootOf: map[string]*node{}, ghosts: make([]uint64, ghostCount)}
	pages := 0
	for i, k := range kinds {
		if k.Pages < 0 || k.Pages > 1<<30 || k.Window < 0 || k.State && k.Window > 0 {
			return nil, fmt.Errorf("%w: kind %d has %d pages and window %d, state %v", ErrUsage, i, k.Pages, k.Window, k.State)
		}
		s := newShelf(k, i, device.PageBytes(i))
		c.shelves = append(c.shelves, s)
		switch {
		case k.State:
			c.states = append(c.states, s)
		case k.Window > 0:
			c.windows = append(c.windows, s)
			c.paged = append(c.paged, s)
		default:
			c.full = append(c.full, s)
			c.paged = append(c.paged, s)
		}
		pages = max(pages, k.Pages)
	}
	c.had = make([]int, len(kinds))
	c.interval = c.checkpointInterval()
	c.reserveNodes(min(pages, 1<<16))
	c.spill.init(c)
	return c, nil
}

// checkpointInterval is the distance of regular checkpoints in tokens.
func (c *Cache) checkpointInterval() int {
	if len(c.states) == 0 {
		return 0
	}
	if n := c.options.CheckpointTokens; n > 0 {
		return (n + PageTokens - 1) / PageTokens * PageTokens
	}
	share := c.options.CheckpointShare
	if share == 0 {
		share = DefaultCheckpointShare
	}
	kinds := make([]Footprint, len(c.shelves))
	for i, k := range c.shelves {
		kinds[i] = Footprint{k.Window, k.State, k.bytes}
	}
	return checkpointDistance(kinds, share)
}

// CheckpointInterval returns the distance in tokens of regular checkpoints of recurrent states; 0 without state kinds.
func (c *Cache) CheckpointInterval() int { return c.interval }
