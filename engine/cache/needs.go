package cache

// AddAvailable adds, by kind, the pages that can be had: nobody's, and those that only the tree holds.
func (c *Cache) AddAvailable(pages []int) {
	for i, k := range c.shelves {
		pages[i] += k.available()
	}
}

// AddNeed adds, by kind, the pages that a sequence would take from the available ones to have room for the tokens before end. For a
// parked one that is all that it comes back to.
func (s *Sequence) AddNeed(end int, pages []int) {
	switch s.status {
	case statusOpen:
		for i, k := range s.cache.shelves {
			pages[i] += s.missing(k, max(end, s.n))
		}
	case statusParked:
		for n := s.parking.node; n != nil && n.parent != nil; n = n.parent {
			for i, k := range s.cache.shelves {
				if page := n.pages[i]; s.needs(n, k) && (page < 0 || k.alone(page)) {
					pages[i]++
				}
			}
		}
		for i, k := range s.cache.shelves {
			if k.State {
				pages[i]++
			} else if more := pagesOf(end) - s.n/PageTokens; end > s.n {
				pages[i] += more // the last page, where it is partial, may have to be copied
			}
		}
	}
}

// AddHeld adds, by kind, the pages that would be available if a sequence, and others that share with it, sharers in all, let go of them.
func (s *Sequence) AddHeld(sharers int, pages []int) {
	if s.status != statusOpen {
		return
	}
	for i, k := range s.cache.shelves {
		for _, page := range s.tables[i] {
			if page < 0 {
				continue
			}
			holders := int(k.holders[page])
			if k.owner[page] != nil {
				holders--
			}
			if holders <= sharers {
				pages[i]++
			}
		}
	}
}

// ParkRoom returns how many bytes parking can still move out of the device.
func (c *Cache) ParkRoom() int64 {
	const unlimited = 1 << 62
	memory, disk := int64(unlimited), int64(0)
	if c.options.ParkBytes > 0 {
		memory = c.options.ParkBytes - c.spill.memory
	}
	if c.options.ParkDir != "" {
		disk = unlimited
		if c.options.ParkDiskBytes > 0 {
			disk = c.options.ParkDiskBytes - c.spill.disk
		}
	}
	return min(max(memory, 0)+max(disk, 0), unlimited)
}
