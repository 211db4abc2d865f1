//go:build llamacpp

package llamacpp

import (
	"errors"
	"fmt"
	"strings"

	"github.com/infer-go/infer/engine/gguf"
)

// What libllama asserts while it reads a file, or divides by, is checked first. Its tables are sized for so many layers and
// experts.
const (
	maxLayers  = 512
	maxExperts = 1024
	maxSize    = 1 << 26 // of every dimension and count
)

// limit bounds an integer key of an architecture where it is present; arrays, value by value.
type limit struct {
	key         string
	least, most int64
	required    bool
}

var limits = []limit{
	{"block_count", 1, maxLayers, true},
	{"embedding_length", 1, maxSize, true},
	{"context_length", 1, 1 << 31, true},
	{"nextn_predict_layers", 0, maxLayers, false},
	{"expert_count", 0, maxExperts, false},
	{"expert_used_count", 0, maxExperts, false},
	{"expert_group_count", 0, maxExperts, false},
	{"expert_group_used_count", 0, maxExperts, false},
	{"expert_shared_count", 0, maxExperts, false},
	{"leading_dense_block_count", 0, maxLayers, false},
	{"feed_forward_length", 0, maxSize, false},
	{"expert_feed_forward_length", 0, maxSize, false},
	{"attention.head_count", 0, 1 << 16, false},
	{"attention.head_count_kv", 0, 1 << 16, false},
	{"attention.key_length", 1, 1 << 16, false},
	{"attention.value_length", 1, 1 << 16, false},
	{"attention.sliding_window", 0, 1 << 31, false},
	{"rope.dimension_count", 0, 1 << 16, false},
	{"full_attention_interval", 1, maxLayers, false},
	{"shortconv.l_cache", 2, maxSize, false},
	{"ssm.conv_kernel", 1, 1 << 16, false},
	{"ssm.inner_size", 1, maxSize, false},
	{"ssm.state_size", 1, maxSize, false},
	{"ssm.time_step_rank", 1, maxSize, false},
	{"ssm.group_count", 1, maxSize, false},
	{"wkv.head_size", 1, 1 << 16, false},
}

// check refuses what libllama would end the process for.
func check(f *gguf.File) error {
	m, path := f.Metadata, f.Paths[0]
	arch, present, err := m.String("general.architecture")
	if err != nil {
		return err
	}
	if !present {
		return fmt.Errorf("%s: key general.architecture: found nothing, expected the architecture's name", path)
	}
	c := checker{meta: m, prefix: arch + "."}
	for _, l := range limits {
		c.integer(l)
	}
	c.experts()
	c.splits("attention.head_count_kv", "attention.head_count")
	c.splits("ssm.time_step_rank", "ssm.inner_size")
	c.splits("ssm.group_count", "ssm.inner_size")
	c.scaling()
	c.vocabulary()
	for i := range f.Tensors {
		c.tensor(&f.Tensors[i])
	}
	if err := errors.Join(c.faults...); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// checker collects faults of a file's metadata.
type checker struct {
	meta   *gguf.Metadata
	prefix string
	faults []error
}

func (c *checker) fault(key, format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf("key %s: %s", key, fmt.Sprintf(format, args...)))
}

// values reads an integer, or an array of them; none where the key is absent.
func (c *checker) values(key string) []int64 {
	info, present := c.meta.Info(c.prefix + key)
	if !present {
		return nil
	}
	if info.Type != gguf.ArrayValue {
		n, _, err := c.meta.Int(c.prefix + key)
		if err != nil {
			c.faults = append(c.faults, err)
			return nil
		}
		return []int64{n}
	}
	all, _, err := c.meta.Ints(c.prefix + key)
	if err != nil {
		c.faults = append(c.faults, err)
	}
	return all
}

// first is the value of a scalar, or an array's first; 0 where the key is absent.
func (c *checker) first(key string) int64 {
	if all := c.values(key); len(all) > 0 {
		return all[0]
	}
	return 0
}

func (c *checker) integer(l limit) {
	all := c.values(l.key)
	if all == nil && l.required && !c.meta.Has(c.prefix+l.key) {
		c.fault(c.prefix+l.key, "found nothing, expected an integer")
	}
	if len(all) > maxLayers {
		c.fault(c.prefix+l.key, "found %d values, expected at most %d", len(all), maxLayers)
	}
	for _, n := range all {
		if n < l.least || n > l.most {
			c.fault(c.prefix+l.key, "found %d, expected %d to %d", n, l.least, l.most)
			return
		}
	}
}

func (c *checker) experts() {
	count, groups, layers := c.first("expert_count"), c.first("expert_group_count"), c.first("block_count")
	used := int64(0)
	for _, n := range c.values("expert_used_count") {
		used = max(used, n)
	}
	if used > count || used == 0 && count > 0 {
		c.fault(c.prefix+"expert_used_count", "found %d of %d experts, expected at least 1 and no more than there are", used, count)
	}
	if groups > 0 && (groups >= count || groups > 1 && count%groups != 0) {
		c.fault(c.prefix+"expert_group_count", "found %d groups of %d experts, expected a divisor", groups, count)
	}
	if used := c.first("expert_group_used_count"); groups > 1 && (used < 1 || used >= groups) {
		c.fault(c.prefix+"expert_group_used_count", "found %d of %d groups, expected 1 or more, but not all", used, groups)
	}
	if next := c.first("nextn_predict_layers"); next > layers {
		c.fault(c.prefix+"nextn_predict_layers", "found %d of %d layers", next, layers)
	}
}

// splits says that a size must be whole multiples of a part, where both are there.
func (c *checker) splits(part, size string) {
	parts, sizes := c.values(part), c.values(size)
	for i := range max(len(parts), len(sizes)) {
		if len(parts) == 0 || len(sizes) == 0 {
			return
		}
		p, s := parts[min(i, len(parts)-1)], sizes[min(i, len(sizes)-1)]
		if p > 0 && s%p != 0 {
			c.fault(c.prefix+part, "found %d, expected a divisor of %s, which is %d", p, c.prefix+size, s)
			return
		}
	}
}

// tensor refuses matrices of types that the library stores and does not multiply: it would call a function that is not there. Tables of
// indices are not multiplied.
func (c *checker) tensor(t *gguf.Tensor) {
	switch t.Type {
	case gguf.Q8_1, gguf.Q8_K, gguf.I8, gguf.I16, gguf.I64, gguf.F64:
	case gguf.I32:
		if strings.Contains(t.Name, "tid2eid") {
			return
		}
	default:
		return
	}
	c.faults = append(c.faults, fmt.Errorf("tensor %s: found type %s, expected one that can be multiplied", t.Name, t.Type))
}

func (c *checker) scaling() {
	key := c.prefix + "rope.scaling.type"
	kind, present, err := c.meta.String(key)
	if err != nil {
		c.faults = append(c.faults, err)
		return
	}
	if present && kind != "none" && kind != "linear" && kind != "yarn" && kind != "longrope" {
		c.fault(key, "found %q, expected none, linear, yarn or longrope", kind)
	}
}

// vocabulary checks that every token is there once: libllama looks tokens up by their text and asserts that none is lost.
func (c *checker) vocabulary() {
	const key = "tokenizer.ggml.tokens"
	tokens, present, err := c.meta.Strings(key)
	if err != nil {
		c.faults = append(c.faults, err)
		return
	}
	if !present {
		return
	}
	seen := make(map[string]int, len(tokens))
	for i, t := range tokens {
		if before, twice := seen[t]; twice {
			c.fault(key, "found %q at %d and at %d, expected each token once", t, before, i)
			return
		}
		seen[t] = i
	}
	for _, beside := range []string{"tokenizer.ggml.scores", "tokenizer.ggml.token_type"} {
		if info, present := c.meta.Info(beside); present && (info.Type != gguf.ArrayValue || int(info.Count) != len(tokens)) {
			c.fault(beside, "found %d values, expected one for each of the %d tokens", info.Count, len(tokens))
		}
	}
}
