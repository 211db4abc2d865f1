package tokenizer

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync/atomic"
)

const (
	cacheSlots    = 1 << 14
	longestCached = 48 // bytes of a word
	mostCachedIDs = 24
)

// wordCache remembers the ids of recent words. A word has one slot, and the last word takes it. It is safe for concurrent
// use and bounded: at most cacheSlots words of longestCached bytes.
type wordCache struct {
	seed  maphash.Seed
	slots []atomic.Pointer[cachedWord]
}

type cachedWord struct {
	word string
	ids  []int32
}

func newWordCache() *wordCache {
	return &wordCache{seed: maphash.MakeSeed(), slots: make([]atomic.Pointer[cachedWord], cacheSlots)}
}

// find appends the ids of a word to out where they are known. slot is where to put them where they are not; nil for words
// that are not kept.
func (c *wordCache) find(word string, out []int32) (ids []int32, found bool, slot *atomic.Pointer[cachedWord]) {
	if len(word) > longestCached {
		return out, false, nil
	}
	slot = &c.slots[maphash.String(c.seed, word)%cacheSlots]
	if w := slot.Load(); w != nil && w.word == word {
		return append(out, w.ids...), true, slot
	}
	return out, false, slot
}

// keep stores the ids of a word in the slot that find gave.
func keep(slot *atomic.Pointer[cachedWord], word string, ids []int32) {
	if slot == nil || len(ids) > mostCachedIDs {
		return
	}
	slot.Store(&cachedWord{word: strings.Clone(word), ids: slices.Clone(ids)})
}
