package cuda

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine"
	"github.com/infer-go/infer/internal/fixtures"
	"github.com/infer-go/infer/kernels"
)

// longAttentions are layers whose sequences take several spans: heads of odd widths, windows that begin and end inside of pages and spans, more
// queries a KV head than a fragment has, values that are a part of keys.
var longAttentions = []struct {
	name  string
	cache kernels.DType
	layer func(r *recording) kernels.Ref
}{
	{"groups", kernels.F16, attentionShape{heads: 2, group: 5, k: 16, v: 16}.record},
	{"window", kernels.F16, attentionShape{heads: 1, group: 2, k: 24, v: 36, window: 300, sinks: true}.record},
	{"wide", kernels.F16, attentionShape{heads: 1, group: 1, k: 40, v: 144, window: 70, softcap: 5}.record},
	{"latent", kernels.F16, latent(18, 32, 16, 8)},
	{"bytes", kernels.Q8_0, attentionShape{heads: 1, group: 17, k: 20, v: 18, alibi: 4}.record},
	{"latent bytes", kernels.Q8_0, latent(2, 40, 24, 8)},
	{"floats", kernels.F32, attentionShape{heads: 1, group: 2, k: 9, v: 5, window: 280, sinks: true}.record},
}

// TestLongAttention is TestOps over sequences of several spans, which are computed side by side or one after the other as a batch has it.
func TestLongAttention(t *testing.T) {
	for i, a := range longAttentions {
		if !complete() && i%2 == 1 {
			continue
		}
		t.Run(a.name, func(t *testing.T) {
			c := trial{record: attentions(a.layer), cache: a.cache, limit: 2e-3, long: true}
			c.run(t, uint64(i+1))
		})
	}
}

// TestHeadSizes runs the head sizes of real models, whose fragments are shared among warps in different ways.
func TestHeadSizes(t *testing.T) {
	for i, s := range []attentionShape{{heads: 1, group: 2, k: 64, v: 64}, {heads: 1, group: 4, k: 128, v: 128}, {heads: 1, group: 2, k: 256, v: 256}, {heads: 1, group: 1, k: 192, v: 128},
		{heads: 1, group: 1, k: 512, v: 512}, {heads: 1, group: 1, k: 8, v: 520}} {
		if !complete() && i%3 != 1 {
			continue
		}
		t.Run(fmt.Sprintf("%dx%d", s.k, s.v), func(t *testing.T) {
			c := trial{record: attentions(s.record), cache: kernels.F16, limit: 2e-3}
			c.run(t, uint64(i+1))
		})
	}
	t.Run("576x512 of keys", func(t *testing.T) {
		c := trial{record: attentions(latent(2, 576, 512, 0)), cache: kernels.F16, limit: 2e-3}
		c.run(t, 5)
	})
}

// TestCaches runs models with caches of halves and of bytes, which matrix units attend: as near to the references as the CPU's own with the same cache, and the
// same bits in other pieces.
func TestCaches(t *testing.T) {
	useLibrary(t)
	dirs, err := filepath.Glob(filepath.Join(fixtures.Path(t, "conformance", "cases"), "*"))
	require.NoError(t, err)
	ran := 0
	for _, dir := range dirs {
		c := readCase(t, dir)
		if !slices.Contains(shortCases, c.name) || c.group == "embedding" || !complete() && !slices.Contains([]string{"deepseek2-mla", "gemma3", "gpt-oss-mxfp4"}, c.name) {
			continue
		}
		ran++
		t.Run(c.name, func(t *testing.T) {
			for _, cache := range []string{"f16", "q8_0"} {
				got := logitsOf(t, c, 0, engine.Options{CacheType: cache})
				cpu := logitsOf(t, c, 0, engine.Options{CacheType: cache, Device: "cpu"})
				t.Logf("%s: relative L2 %.2e, the CPU's %.2e", cache, distance(got, c.target), distance(cpu, c.target))
				require.LessOrEqual(t, distance(got, c.target), max(conformanceLimit, 1.25*distance(cpu, c.target)), cache)
				require.True(t, equalBits(got, logitsOf(t, c, 7, engine.Options{CacheType: cache})), "%s: bits differ in pieces of 7", cache)
			}
		})
	}
	require.Positive(t, ran)
}
