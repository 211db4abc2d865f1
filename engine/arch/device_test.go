package arch

import (
	"fmt"
	"slices"
	"testing"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/kernels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// onDevice computes a model's logits or vectors on the CPU, chunk tokens a step, all of them wanted.
func onDevice(t *testing.T, f *gguf.File, tokens []int, variant string, chunk int) [][]float64 {
	t.Helper()
	m, err := Record(f, Options{})
	require.NoError(t, err)
	pages := max(2, (len(tokens)+kernels.PageTokens-1)/kernels.PageTokens) // a state has two slots
	limits := kernels.Limits{MaxRows: chunk, MaxWanted: chunk, CacheDType: kernels.F32}
	for range m.Plan.PageKinds {
		limits.Pages = append(limits.Pages, pages)
	}
	require.NoError(t, m.Plan.Finish(limits))
	d, err := kernels.OpenCPU(kernels.DeviceOptions{Threads: 1, Variant: variant, Repack: true})
	require.NoError(t, err)
	defer d.Close()
	require.NoError(t, d.Prepare(m.Plan, [][]byte{f.Part(0)}))
	b := kernels.Batch{TablePages: pages, SequenceCount: 1}
	for range m.Plan.PageKinds {
		for i := range pages {
			b.Pages = append(b.Pages, int32(i))
		}
	}
	var out [][]float64
	for first := 0; first < len(tokens); first += chunk {
		for kind, k := range m.Plan.PageKinds {
			if table := b.Pages[kind*pages:]; k.State && first == 0 {
				table[0], table[1] = -1, 1
			} else if k.State {
				table[0], table[1] = table[1], 1-table[1]
			}
		}
		b.IDs, b.Positions, b.Sequences, b.Wanted = nil, nil, nil, nil
		for i := first; i < min(first+chunk, len(tokens)); i++ {
			b.IDs, b.Positions = append(b.IDs, int32(tokens[i])), append(b.Positions, int32(i))
			b.Sequences, b.Wanted = append(b.Sequences, 0), append(b.Wanted, int32(i-first))
		}
		logits, err := d.Run(&b)
		require.NoError(t, err)
		for i := range b.Wanted {
			row := make([]float64, m.Width)
			for j := range row {
				row[j] = float64(logits[i*d.LogitsStride()+j])
			}
			out = append(out, row)
		}
	}
	return out
}

// sameOnDevice holds the CPU against the interpreter, and its variants and chunks against each other.
func sameOnDevice(t *testing.T, s *sketch) {
	t.Helper()
	f := s.open(t)
	m, err := Record(f, Options{})
	require.NoError(t, err)
	want := slices.Concat(interpret(t, m, f, sketchTokens)...)
	reference := onDevice(t, f, sketchTokens, "ref", len(sketchTokens))
	assert.Less(t, relativeL2(reference, want), 1e-5)
	for _, variant := range kernels.Variants() {
		for _, chunk := range []int{1, 5, len(sketchTokens)} {
			if m.Plan.Whole && chunk < len(sketchTokens) {
				continue
			}
			assert.Equal(t, reference, onDevice(t, f, sketchTokens, variant, chunk), "%s, chunks of %d", variant, chunk)
		}
	}
}

// The backend computes what the plan says, for every architecture.
func TestDeviceAgainstInterpreter(t *testing.T) {
	for _, row := range Known() {
		t.Run(row.Name, func(t *testing.T) {
			t.Parallel()
			sameOnDevice(t, newSketch(t, row.Name, nil))
		})
	}
}

// Forms of plans that no plain model has.
func TestDeviceOnVariants(t *testing.T) {
	layers := func(s *sketch, n int, tensors map[string][]int64) *sketch {
		for i := range n {
			for name, shape := range tensors {
				s.random(fmt.Sprintf("blk.%d.%s", i, name), shape...)
			}
		}
		return s
	}
	heads := map[string]any{"attention.head_count": uint32(6), "attention.head_count_kv": uint32(6), "embedding_length": uint32(48)}
	scales := newSketch(t, "qwen3moe", nil)
	for i := range 2 {
		for _, name := range []string{"gate", "up", "down"} {
			scales.tensors[fmt.Sprintf("blk.%d.ffn_%s_exps.scale", i, name)] = blob{[]int64{4}, []float32{0.5, 2, 1.5, 0.7}, gguf.F32}
		}
	}
	groups := map[string]any{"expert_count": uint32(8), "expert_used_count": uint32(3), "expert_group_count": uint32(4), "expert_group_used_count": uint32(2), "expert_gating_func": uint32(2), "expert_weights_norm": true}
	routed := newSketch(t, "deepseek2", groups)
	routed.random("blk.1.exp_probs_b.bias", 8)
	norms := map[string][]int64{"attn_q_norm.weight": {8, 4}, "attn_k_norm.weight": {8, 2}}
	absorbed := newSketch(t, "deepseek2", map[string]any{"attention.key_length": uint32(16), "attention.value_length": uint32(12),
		"attention.key_length_mla": uint32(12), "attention.value_length_mla": uint32(8), "attention.head_count_kv": uint32(1)})
	for i := range 2 {
		delete(absorbed.tensors, fmt.Sprintf("blk.%d.attn_kv_b.weight", i))
	}
	for name, s := range map[string]*sketch{
		"ALiBi over six heads":   newSketch(t, "bloom", heads),
		"stacked qkv":            stackedQKV(newSketch(t, "llama", nil)),
		"scales of experts":      scales,
		"groups of experts":      routed,
		"norms of each head":     layers(newSketch(t, "command-r", nil), 2, norms),
		"latent attention":       layers(absorbed, 2, map[string][]int64{"attn_k_b.weight": {8, 12, 4}, "attn_v_b.weight": {12, 8, 4}}),
		"sequential residual":    newSketch(t, "gptneox", map[string]any{"use_parallel_residual": false}),
		"soft caps that bite":    newSketch(t, "gemma2", map[string]any{"attn_logit_softcapping": float32(0.5), "final_logit_softcapping": float32(1)}),
		"a window of one":        newSketch(t, "gemma2", map[string]any{"attention.sliding_window": uint32(1)}),
		"one expert":             newSketch(t, "llama", map[string]any{"expert_count": uint32(1), "expert_used_count": uint32(1)}),
		"values of other widths": newSketch(t, "qwen3", map[string]any{"attention.value_length": uint32(12)}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sameOnDevice(t, s)
		})
	}
}

// stackedQKV lays each layer's queries, keys and values over each other.
func stackedQKV(s *sketch) *sketch {
	for i := range 2 {
		p := fmt.Sprintf("blk.%d.", i)
		s.tensors[p+"attn_qkv.weight"] = stackRows([]blob{s.tensors[p+"attn_q.weight"], s.tensors[p+"attn_k.weight"], s.tensors[p+"attn_v.weight"]}, 1)
		for _, name := range []string{"attn_q.weight", "attn_k.weight", "attn_v.weight"} {
			delete(s.tensors, p+name)
		}
	}
	return s
}
