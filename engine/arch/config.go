package arch

import (
	"fmt"
	"math"
	"slices"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/kernels"
)

// Config is what every decoder has; an architecture reads its own hyper-parameters through the embedded keys.
type Config struct {
	*keys
	Vocab    int
	Dim      int
	Layers   int
	Next     int   // layers behind them that predict further tokens
	Context  int   // positions the model was trained for
	Asked    int   // positions asked for; the model's where nothing was
	Heads    []int // query heads of each layer, and of the first behind them, as the two below
	KVHeads  []int
	FF       []int // width of each layer's feed-forward network
	KeyDim   int   // width of a query or key head
	ValueDim int
	Rotated  int // elements of a head that rope rotates

	Experts     int // 0 where there are none
	ExpertsUsed int

	Norm kernels.Norm
	Eps  float32
	Rope ropeScaling

	Pooling Pooling
	causal  bool        // attention sees no later positions
	rankAct kernels.Act // of a classifier's dense layer; none: tanh
}

// Far above any model; they bound the work on a hostile file.
const (
	maxLayers    = 4096
	maxHeadWidth = 1 << 14
)

func readConfig(k *keys, row Row, o Options) Config {
	c := Config{keys: k, Norm: row.norm, Context: k.count("context_length"), Dim: k.count("embedding_length"), Layers: k.count("block_count")}
	if next := k.countOr("nextn_predict_layers", 0, 0); next < c.Layers {
		c.Layers, c.Next = c.Layers-next, next
	}
	if c.Layers > maxLayers {
		k.fault("block_count", fmt.Sprint(c.Layers), fmt.Sprintf("at most %d", maxLayers))
		c.Layers = 1
	}
	if c.Asked = o.Context; c.Asked == 0 {
		if c.Asked = c.Context; o.DefaultContext > 0 {
			c.Asked = min(c.Asked, o.DefaultContext)
		}
	}
	least := 1 // of heads, and of a network's width
	if row.mixed {
		least = 0
	}
	c.Heads = k.perLayer("attention.head_count", c.Layers, least, nil)
	c.KVHeads = k.perLayer("attention.head_count_kv", c.Layers, least, c.Heads)
	c.Experts = k.countOr("expert_count", 0, 0)
	c.ExpertsUsed = k.countOr("expert_used_count", 0, 0)
	switch {
	case c.Experts == 0 && c.ExpertsUsed > 0:
		k.fault("expert_count", "nothing", fmt.Sprintf("at least the %d of expert_used_count", c.ExpertsUsed))
	case c.Experts > 0 && c.ExpertsUsed == 0:
		k.fault("expert_used_count", "nothing", fmt.Sprintf("1 to the %d of expert_count", c.Experts))
	case c.ExpertsUsed > c.Experts:
		k.fault("expert_used_count", fmt.Sprint(c.ExpertsUsed), fmt.Sprintf("1 to the %d of expert_count", c.Experts))
	}
	var width []int // files whose networks are experts alone may leave it out
	if row.mixed && c.Experts > 0 {
		width = repeat(0, c.Layers)
	}
	c.FF = k.perLayer("feed_forward_length", c.Layers, least, width)
	heads := max(1, slices.Max(c.Heads)) // all layers that attend have as many, where some do not
	if !row.mixed {
		heads = c.Heads[0]
	}
	c.KeyDim = k.countOr("attention.key_length", 1, c.Dim/heads)
	c.ValueDim = k.countOr("attention.value_length", 1, c.Dim/heads)
	for _, key := range []string{"attention.key_length", "attention.value_length"} {
		if n := k.countOr(key, 1, 1); n > maxHeadWidth {
			k.fault(key, fmt.Sprint(n), fmt.Sprintf("at most %d", maxHeadWidth))
			c.KeyDim, c.ValueDim, c.Rotated = 1, 1, 0
		}
	}
	if !k.has("attention.key_length") && c.Dim%heads != 0 {
		k.fault("attention.head_count", fmt.Sprint(heads), fmt.Sprintf("a divisor of embedding_length, %d", c.Dim))
	}
	c.Rotated = k.countOr("rope.dimension_count", 0, c.KeyDim)
	if c.Rotated > c.KeyDim || c.Rotated%2 != 0 {
		k.fault("rope.dimension_count", fmt.Sprint(c.Rotated), fmt.Sprintf("an even number up to %d, the width of a head", c.KeyDim))
	}
	for i, heads := range c.Heads {
		if c.KVHeads[i] > 0 && heads%c.KVHeads[i] != 0 {
			k.fault("attention.head_count_kv", fmt.Sprintf("%d in layer %d", c.KVHeads[i], i), fmt.Sprintf("a divisor of its %d query heads", heads))
			break
		}
	}
	c.Heads, c.KVHeads, c.FF = c.further("attention.head_count", c.Heads), c.further("attention.head_count_kv", c.KVHeads), c.further("feed_forward_length", c.FF)
	c.Vocab = vocabulary(k)
	c.Eps = k.number(map[kernels.Norm]string{kernels.RMSNorm: "attention.layer_norm_rms_epsilon", kernels.LayerNorm: "attention.layer_norm_epsilon"}[row.norm])
	c.Rope = readRope(c)
	c.Pooling, c.causal = readPooling(k, o.Pooling), k.boolOr("attention.causal", true)
	return c
}

// vocabulary returns the number of tokens: of the list where the file has one, as announced elsewhere.
func vocabulary(k *keys) int {
	if info, ok := k.meta.Info("tokenizer.ggml.tokens"); ok && info.Type == gguf.ArrayValue && info.Count > 0 {
		k.name("vocab_size")
		return info.Count
	}
	return k.count("vocab_size")
}

// attention returns the layer's attention as most models have it.
func (c Config) attention(layer int) attention {
	return attention{
		heads: c.Heads[layer], kvHeads: c.KVHeads[layer], keyDim: c.KeyDim, valueDim: c.ValueDim, angles: none, sinks: none, bias: none, scales: none,
		scale: float32(1 / math.Sqrt(float64(c.KeyDim))), bothWays: !c.causal,
	}
}

// windows returns the sliding window of each layer, 0 where a layer sees everything. The file's pattern is a flag for each
// layer, or a period n: of each n layers the last sees everything. Without the key, the period is the architecture's.
func (c Config) windows(window, period int) []int {
	out := make([]int, c.Layers)
	const key = "attention.sliding_window_pattern"
	if info, ok := c.meta.Info(c.name(key)); ok && info.Type == gguf.ArrayValue {
		flags, _, err := c.meta.Bools(c.name(key))
		c.keep(err)
		if err == nil && len(flags) < c.Layers {
			c.fault(key, fmt.Sprintf("%d values", len(flags)), fmt.Sprintf("%d, one a layer", c.Layers))
		}
		for i := range min(c.Layers, len(flags)) {
			if flags[i] {
				out[i] = window
			}
		}
		return out
	}
	period = c.countOr(key, 0, period)
	for i := range out {
		if period == 0 || i%period < period-1 {
			out[i] = window
		}
	}
	return out
}

// windowsButFirst is windows for models of which in each period the first layer sees everything, not the last.
func (c Config) windowsButFirst(window, period int) []int {
	out := c.windows(window, period)
	const key = "attention.sliding_window_pattern"
	if info, ok := c.meta.Info(c.name(key)); ok && info.Type == gguf.ArrayValue {
		return out
	}
	period = c.countOr(key, 0, period)
	for i := range out {
		if out[i] = window; period > 0 && i%period == 0 {
			out[i] = 0
		}
	}
	return out
}

// rotatedWithin reads how many of a head's elements are rotated: an even number up to its width.
func (c Config) rotatedWithin(key string, width, otherwise int) int {
	n := c.countOr(key, 0, otherwise)
	if n > width || n%2 != 0 {
		c.fault(key, fmt.Sprint(n), fmt.Sprintf("an even number up to %d, the width of a head", width))
		return 0
	}
	return n
}

// expertWidth is the width of one expert: its own key, or the given default.
func (c Config) expertWidth(otherwise int) int {
	return c.countOr("expert_feed_forward_length", 1, otherwise)
}

// further adds the count of the first layer behind the model's, where there is one: what an array says, or what the last layer has
// that has some.
func (c Config) further(key string, counts []int) []int {
	if c.Next == 0 {
		return counts
	}
	n := 0
	for _, count := range counts {
		if count > 0 {
			n = count
		}
	}
	if info, ok := c.meta.Info(c.name(key)); ok && info.Type == gguf.ArrayValue {
		if all, _, err := c.meta.Ints(c.name(key)); err == nil && len(all) > c.Layers && all[c.Layers] > 0 && all[c.Layers] <= maxCount {
			n = int(all[c.Layers])
		}
	}
	return append(counts[:c.Layers:c.Layers], n)
}
