package tokenizer

import (
	"slices"
	"sort"
)

// trie finds the tokens that a text begins with. A node's edges are sorted by their byte and stored behind each other.
type trie struct {
	first []int32 // by node: the index of its first edge; one more element than nodes
	bytes []byte  // by edge; the node that edge e leads to is e+1
	token []int32 // by node: the token that ends there, or None
}

// newTrie builds a trie of the texts, which must be sorted and distinct, with their ids.
func newTrie(texts []string, ids []int32) *trie {
	t := &trie{token: []int32{None}}
	type span struct{ from, to, depth int } // the texts below a node, and its depth
	level := []span{{0, len(texts), 0}}
	// Nodes are numbered breadth first, so that a node's edges are together and edge e leads to node e+1.
	for node := 0; node < len(level); node++ {
		s := level[node]
		t.first = append(t.first, int32(len(t.bytes)))
		if s.from < s.to && len(texts[s.from]) == s.depth {
			t.token[node] = ids[s.from]
			s.from++
		}
		for s.from < s.to {
			b := texts[s.from][s.depth]
			n := sort.Search(s.to-s.from, func(i int) bool { return texts[s.from+i][s.depth] > b })
			t.bytes = append(t.bytes, b)
			t.token = append(t.token, None)
			level = append(level, span{s.from, s.from + n, s.depth + 1})
			s.from += n
		}
	}
	t.first = append(t.first, int32(len(t.bytes)))
	return t
}

// child returns the node that b leads to.
func (t *trie) child(node int32, b byte) (int32, bool) {
	first := t.first[node]
	edges := t.bytes[first:t.first[node+1]]
	if len(edges) < 8 {
		for i, edge := range edges {
			if edge == b {
				return first + int32(i) + 1, true
			}
		}
		return 0, false
	}
	i, found := slices.BinarySearch(edges, b)
	return first + int32(i) + 1, found
}
