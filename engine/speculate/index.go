package speculate

import "math/bits"

const (
	none       = -1
	minTable   = 64 // entries
	candidates = 4  // earlier places that are compared, the newest first
	longest    = 32 // tokens of agreement that are told apart
)

// index finds earlier places where the last n tokens of a sequence occurred. It does not keep the tokens.
type index struct {
	n     int
	table []int32 // by hash of n tokens: the position after the newest such place, or none
	older []int32 // by position: the position after the next older place of the same hash
}

func newIndex(n, capacity int) index {
	x := index{n: n}
	if capacity > 0 {
		x.older = make([]int32, 0, capacity+1)
	}
	x.resize(max(minTable, capacity))
	return x
}

// resize makes an empty table for so many tokens.
func (x *index) resize(tokens int) {
	x.table = make([]int32, 1<<bits.Len(uint(tokens-1)))
	for i := range x.table {
		x.table[i] = none
	}
	x.older = append(x.older[:0], none)
}

// slot returns the table's entry for n tokens.
func (x *index) slot(tokens []int32) *int32 {
	h := uint64(0)
	for _, t := range tokens {
		h = (h ^ uint64(uint32(t))) * 0x9E3779B97F4A7C15
		h ^= h >> 29
	}
	return &x.table[uint32(h>>32)&uint32(len(x.table)-1)]
}

// update takes in what is new in tokens, or forgets what is not in them any more.
func (x *index) update(tokens []int32) {
	if len(tokens) < len(x.older)-1 {
		x.forget(len(tokens))
	}
	if len(tokens) > len(x.table) {
		x.resize(2 * len(tokens))
	}
	for end := len(x.older); end <= len(tokens); end++ {
		older := int32(none)
		if end >= x.n {
			at := x.slot(tokens[end-x.n : end])
			older, *at = *at, int32(end)
		}
		x.older = append(x.older, older)
	}
}

// forget takes the places behind a length out.
func (x *index) forget(length int) {
	for i, at := range x.table {
		for at > int32(length) {
			at = x.older[at]
		}
		x.table[i] = at
	}
	x.older = x.older[:length+1]
}

// find returns the earlier place after which the end of tokens, which the index has, occurred with the most tokens of agreement,
// the newest of several, and how many those are; none where fewer than n agree.
func (x *index) find(tokens []int32) (place, agrees int) {
	end := len(tokens)
	if end < x.n {
		return none, 0
	}
	best, most := none, 0
	at := x.older[end]
	for range candidates {
		if at <= 0 {
			break
		}
		same := 0
		for p := int(at); same < longest && same < p && tokens[p-1-same] == tokens[end-1-same]; {
			same++
		}
		if same >= x.n && same > most {
			best, most = int(at), same
		}
		at = x.older[at]
	}
	return best, most
}
