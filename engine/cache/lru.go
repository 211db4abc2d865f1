package cache

// lru is a heap of the nodes that can be evicted: those that no parked sequence needs first, then the least recently used.
type lru struct{ nodes []*node }

func before(a, b *node) bool {
	if (a.keeper > 0) != (b.keeper > 0) {
		return b.keeper > 0
	}
	return a.used < b.used
}

func (h *lru) first() *node {
	if len(h.nodes) == 0 {
		return nil
	}
	return h.nodes[0]
}

// put adds a node, or moves it to where its state says.
func (h *lru) put(n *node) {
	if n.place < 0 {
		n.place = len(h.nodes)
		h.nodes = append(h.nodes, n)
	}
	h.up(n.place)
	h.down(n.place)
}

// remove takes a node out, where it is in.
func (h *lru) remove(n *node) {
	i := n.place
	if i < 0 {
		return
	}
	last := h.nodes[len(h.nodes)-1]
	h.nodes = h.nodes[:len(h.nodes)-1]
	n.place = -1
	if last != n {
		h.nodes[i], last.place = last, i
		h.up(i)
		h.down(last.place)
	}
}

func (h *lru) up(i int) {
	for i > 0 && before(h.nodes[i], h.nodes[(i-1)/2]) {
		h.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (h *lru) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h.nodes); child++ {
			if before(h.nodes[child], h.nodes[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		h.swap(i, least)
		i = least
	}
}

func (h *lru) swap(i, j int) {
	h.nodes[i], h.nodes[j] = h.nodes[j], h.nodes[i]
	h.nodes[i].place, h.nodes[j].place = i, j
}
