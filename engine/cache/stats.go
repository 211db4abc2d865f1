package cache

// counters count events since the cache was made.
type counters struct {
	lookups, promptTokens, hitTokens       uint64
	misses                                 [reasonCount]uint64
	evicted, dropped, deduplicated, copied uint64
	forked, parked, resumed                uint64
	spilled, restored                      uint64
}

func (n *counters) count(s *Sequence, h Hit) {
	n.lookups++
	n.promptTokens += uint64(s.planned)
	n.hitTokens += uint64(h.Tokens)
	n.misses[h.Miss.Reason]++
}

// KindStats says where a kind's pages are. Free, Evictable and Held add up to Total.
type KindStats struct {
	Kind
	PageBytes int64
	Free      int // nobody's
	Evictable int // only the tree's
	Held      int // of open sequences
}

// Stats is a snapshot of a cache, its counters since it was made.
type Stats struct {
	Kinds           []KindStats
	Open, Parked    int // sequences
	Nodes           int // pages of tokens in the tree
	Keys            int
	ParkedMemory    int64 // bytes of parked pages in memory
	ParkedDisk      int64 // and on disk
	Lookups         uint64
	PromptTokens    uint64 // of all prompts looked up
	HitTokens       uint64 // of them, taken over
	Misses          map[Reason]uint64
	Evicted         uint64 // nodes whose pages were given up
	Dropped         uint64 // windowed pages and states given up apart from their node
	Deduplicated    uint64 // pages computed twice, of which one was given back
	Copied          uint64 // partial pages copied before a write
	Forks           uint64
	Parks, Resumes  uint64
	Spilled         uint64 // pages moved out of the device
	Restored        uint64 // and back
	CheckpointEvery int    // tokens; 0 without state kinds
}

// Stats returns a snapshot.
func (c *Cache) Stats() Stats {
	n := &c.counts
	s := Stats{Nodes: c.nodes, Keys: len(c.roots), ParkedMemory: c.spill.memory, ParkedDisk: c.spill.disk,
		Lookups: n.lookups, PromptTokens: n.promptTokens, HitTokens: n.hitTokens, Misses: map[Reason]uint64{},
		Evicted: n.evicted, Dropped: n.dropped, Deduplicated: n.deduplicated, Copied: n.copied, Forks: n.forked,
		Parks: n.parked, Resumes: n.resumed, Spilled: n.spilled, Restored: n.restored, CheckpointEvery: c.interval}
	for reason, count := range n.misses {
		if count > 0 {
			s.Misses[Reason(reason)] = count
		}
	}
	for _, k := range c.shelves {
		s.Kinds = append(s.Kinds, KindStats{Kind: k.Kind, PageBytes: k.bytes, Free: k.Free(), Evictable: k.evictable,
			Held: k.Size() - k.available()})
	}
	for q := c.open; q != nil; q = q.next {
		s.Open++
	}
	for q := c.parked; q != nil; q = q.next {
		s.Parked++
	}
	return s
}
