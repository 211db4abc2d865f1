package tokenizer

import (
	"hash/maphash"
	"sync/atomic"
)

const (
	cacheSlots    = 1 << 15
	longestCached = 40 // bytes of a word
	mostCachedIDs = 5
)

// wordCache remembers the ids of recent words. A word has one slot, and the last word takes it. It is safe for concurrent
// use and bounded: at most cacheSlots words.
type wordCache struct {
	seed  maphash.Seed
	slots []cacheSlot
}

type cacheSlot = atomic.Pointer[cachedWord]

// cachedWord is one cache line without pointers.
type cachedWord struct {
	bytes, count uint8
	ids          [mostCachedIDs]int32
	word         [longestCached]byte
}

func newWordCache() *wordCache {
	return &wordCache{seed: maphash.MakeSeed(), slots: make([]cacheSlot, cacheSlots)}
}

// find appends the ids of a word to out where they are known. slot is where to put them where they are not; nil for words
// that are not kept.
func (c *wordCache) find(word string, out []int32) (ids []int32, found bool, slot *cacheSlot) {
	if len(word) > longestCached {
		return out, false, nil
	}
	slot = &c.slots[maphash.String(c.seed, word)%cacheSlots]
	if w := slot.Load(); w != nil && string(w.word[:w.bytes]) == word {
		return append(out, w.ids[:w.count]...), true, slot
	}
	return out, false, slot
}

// keep stores the ids of a word in the slot that find gave.
func keep(slot *cacheSlot, word string, ids []int32) {
	if slot == nil || len(ids) > mostCachedIDs {
		return
	}
	w := &cachedWord{bytes: uint8(len(word)), count: uint8(len(ids))}
	copy(w.word[:], word)
	copy(w.ids[:], ids)
	slot.Store(w)
}
