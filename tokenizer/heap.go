package tokenizer

// mergeQueue is a binary min-heap of candidate merges. The upper half of a key is the merge's priority, the lower half the
// index of its left symbol, so that equal merges happen from left to right.
type mergeQueue []uint64

func mergeKey(priority uint32, left int) uint64 { return uint64(priority)<<32 | uint64(uint32(left)) }

func (q *mergeQueue) push(key uint64) {
	h := append(*q, key)
	i := len(h) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if h[parent] <= key {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = key
	*q = h
}

func (q *mergeQueue) pop() uint64 {
	h := *q
	top, last := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	i := 0
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h[child+1] < h[child] {
			child++
		}
		if last <= h[child] {
			break
		}
		h[i] = h[child]
		i = child
	}
	if len(h) > 0 {
		h[i] = last
	}
	*q = h
	return top
}

// symbols is a word as a linked list of symbols that are merged in the order of their priority.
type symbols struct {
	id       []int32 // what a symbol is, in the numbering of the merger; gone once merged into its left neighbour
	end      []int32 // offset behind the symbol in the word
	next     []int32 // index of the symbol on the right; len(id) behind the last
	previous []int32 // -1 before the first
	priority []uint32
	merged   []int32 // what the symbol and its right neighbour become; gone where they do not merge
	queue    mergeQueue
}

const gone int32 = -1 << 31

// merger says what two neighbouring symbols, the second of which begins at the first's end, merge to.
type merger interface {
	// merge returns the priority, the lowest first, and the id of the merged symbol. start and end delimit the pair.
	merge(word string, left, right int32, start, end int) (priority uint32, id int32, ok bool)
}

func (y *symbols) reset() {
	y.id, y.end = y.id[:0], y.end[:0]
	y.queue = y.queue[:0]
}

func (y *symbols) add(id int32, end int) {
	y.id = append(y.id, id)
	y.end = append(y.end, int32(end))
}

// link prepares the list of the symbols added so far.
func (y *symbols) link() {
	n := len(y.id)
	y.next, y.previous = grown(y.next, n), grown(y.previous, n)
	y.priority, y.merged = grown(y.priority, n), grown(y.merged, n)
	for i := range n {
		y.next[i], y.previous[i], y.merged[i] = int32(i+1), int32(i-1), gone
	}
}

func grown[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// mergeAll merges until nothing merges any more.
func (y *symbols) mergeAll(word string, m merger) {
	y.link()
	for i := range len(y.id) - 1 {
		y.offer(word, m, int32(i))
	}
	for len(y.queue) > 0 {
		key := y.queue.pop()
		left := int32(uint32(key))
		// Candidates are not taken out of the queue when one of their symbols changes: they are passed over here.
		if y.id[left] == gone || y.merged[left] == gone || y.priority[left] != uint32(key>>32) {
			continue
		}
		right := y.next[left]
		y.id[left], y.end[left], y.next[left] = y.merged[left], y.end[right], y.next[right]
		y.id[right] = gone
		if after := y.next[left]; int(after) < len(y.id) {
			y.previous[after] = left
		}
		y.offer(word, m, left)
		if before := y.previous[left]; before >= 0 {
			y.offer(word, m, before)
		}
	}
}

// offer queues the merge of a symbol with its right neighbour where there is one.
func (y *symbols) offer(word string, m merger, left int32) {
	y.merged[left] = gone
	right := y.next[left]
	if int(right) >= len(y.id) {
		return
	}
	start := 0
	if left > 0 {
		start = y.startOf(left)
	}
	priority, id, ok := m.merge(word, y.id[left], y.id[right], start, int(y.end[right]))
	if !ok {
		return
	}
	y.merged[left], y.priority[left] = id, priority
	y.queue.push(mergeKey(priority, int(left)))
}

func (y *symbols) startOf(i int32) int {
	if before := y.previous[i]; before >= 0 {
		return int(y.end[before])
	}
	return 0
}
