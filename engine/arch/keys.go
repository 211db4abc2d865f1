package arch

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/infer-go/infer/engine/gguf"
)

// keys reads a file's metadata for one architecture: a key "rope.freq_base" is the file's "llama.rope.freq_base". Faults
// are kept, so that all are reported together; a reader that fails returns a value that later code survives.
type keys struct {
	meta   *gguf.Metadata
	arch   string
	asked  map[string]bool
	faults []error
}

func newKeys(f *gguf.File, arch string) *keys {
	return &keys{meta: f.Metadata, arch: arch, asked: map[string]bool{}}
}

func (k *keys) err() error { return errors.Join(k.faults...) }

// name returns the key's full name and remembers that it was asked for.
func (k *keys) name(key string) string {
	full := k.arch + "." + key
	k.asked[full] = true
	return full
}

// fault keeps an error about a key; layers may repeat it.
func (k *keys) fault(key, found, expected string) {
	e := KeyError{k.arch + "." + key, found, expected}
	for _, have := range k.faults {
		if other, ok := have.(*KeyError); ok && *other == e {
			return
		}
	}
	k.faults = append(k.faults, &e)
}

func (k *keys) keep(err error) {
	if err != nil {
		k.faults = append(k.faults, err)
	}
}

func (k *keys) has(key string) bool { return k.meta.Has(k.name(key)) }

// maxCount bounds every count and size read from a file: products of two stay within an int64, and an int32 holds one.
const maxCount = 1 << 26

// count reads an integer of at least 1; the key must be there.
func (k *keys) count(key string) int {
	if !k.meta.Has(k.name(key)) {
		k.fault(key, "nothing", "an integer")
		return 1
	}
	return k.countOr(key, 1, 1)
}

// countOr reads an integer of at least least, or returns the default.
func (k *keys) countOr(key string, least, otherwise int) int {
	n, present, err := k.meta.Uint(k.name(key))
	if err != nil {
		k.keep(err)
		return max(1, least)
	}
	if !present {
		return otherwise
	}
	if n > maxCount || int(n) < least {
		k.fault(key, fmt.Sprint(n), fmt.Sprintf("an integer from %d to %d", least, maxCount))
		return max(1, least)
	}
	return int(n)
}

// number reads a float that must be there.
func (k *keys) number(key string) float32 {
	if !k.meta.Has(k.name(key)) {
		k.fault(key, "nothing", "a number")
		return 1
	}
	return k.numberOr(key, 1)
}

// numberOr reads a float, or returns the default.
func (k *keys) numberOr(key string, otherwise float32) float32 {
	v, present, err := k.meta.Float(k.name(key))
	if err != nil {
		k.keep(err)
		return 1
	}
	if !present {
		return otherwise
	}
	if f := float32(v); f-f == 0 { // neither infinite nor NaN
		return f
	}
	k.fault(key, fmt.Sprint(v), "a finite number")
	return 1
}

func (k *keys) boolOr(key string, otherwise bool) bool {
	b, present, err := k.meta.Bool(k.name(key))
	k.keep(err)
	if !present || err != nil {
		return otherwise
	}
	return b
}

func (k *keys) textOr(key, otherwise string) string {
	s, present, err := k.meta.String(k.name(key))
	k.keep(err)
	if !present || err != nil {
		return otherwise
	}
	return s
}

// intsOr reads an array of integers; nil where it is absent.
func (k *keys) intsOr(key string) []int64 {
	all, _, err := k.meta.Ints(k.name(key))
	k.keep(err)
	return all
}

// perLayer reads a count of at least least for each layer: the file holds one for all, or an array. A nil default makes the key
// required.
func (k *keys) perLayer(key string, layers, least int, otherwise []int) []int {
	info, present := k.meta.Info(k.name(key))
	if present && info.Type == gguf.ArrayValue {
		all, _, err := k.meta.Ints(k.name(key))
		k.keep(err)
		out := repeat(1, layers)
		if err == nil && len(all) < layers {
			k.fault(key, fmt.Sprintf("%d values", len(all)), fmt.Sprintf("%d, one a layer", layers))
			return out
		}
		for i := range min(layers, len(all)) {
			if all[i] < int64(least) || all[i] > maxCount {
				k.fault(key, fmt.Sprintf("%d for layer %d", all[i], i), fmt.Sprintf("an integer from %d to %d", least, maxCount))
				continue
			}
			out[i] = int(all[i])
		}
		return out
	}
	if !present && otherwise != nil {
		return otherwise
	}
	if !present {
		return repeat(k.count(key), layers) // reports it
	}
	return repeat(k.countOr(key, least, 1), layers)
}

func repeat(n, times int) []int {
	all := make([]int, times)
	for i := range all {
		all[i] = n
	}
	return all
}

// unused lists the architecture's keys that nothing asked for.
func (k *keys) unused() []string {
	var out []string
	for _, key := range k.meta.Keys() {
		if strings.HasPrefix(key, k.arch+".") && !k.asked[key] {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}
