package main

import (
	"github.com/infer-go/infer/engine/gguf"
)

// recurrent are the sizes of a hybrid's recurrent layers; the last of each interval layers attends.
type recurrent struct {
	arch                                   string // granitehybrid: Mamba 2; qwen35: gated delta rule
	interval, inner, states, heads, groups int64
}

func (s shape) recurrentKeys(w *gguf.Writer) {
	r := s.recurrent
	for key, value := range map[string]int64{"conv_kernel": 4, "inner_size": r.inner, "state_size": r.states, "time_step_rank": r.heads, "group_count": r.groups} {
		w.SetUint32(r.arch+".ssm."+key, uint32(value))
	}
	if r.arch == "qwen35" {
		w.SetUint32("qwen35.attention.key_length", uint32(s.headDim))
		w.SetUint32("qwen35.attention.value_length", uint32(s.headDim))
		w.SetUint32("qwen35.full_attention_interval", uint32(r.interval))
		pairs := int32(s.headDim) / 2
		w.SetInt32s("qwen35.rope.dimension_sections", []int32{pairs - 2*(pairs/3), pairs / 3, pairs / 3, 0})
		return
	}
	heads := make([]int32, s.layers)
	for i := range heads {
		if (int64(i)+1)%r.interval == 0 {
			heads[i] = int32(s.kvHeads)
		}
	}
	w.SetInt32s("granitehybrid.attention.head_count_kv", heads)
	w.SetFloat32("granitehybrid.logit_scale", 1)
	w.SetFloat32("granitehybrid.residual_scale", 0.22)
	w.SetFloat32("granitehybrid.embedding_scale", 12)
}

// recurrentLayer adds a layer's tensors but its first norm. Decays and steps are such that states remember some hundred tokens.
func (s shape) recurrentLayer(p string, i int64, add func(name string, shape ...int64), vector func(name string, value float32, shape ...int64)) {
	r := s.recurrent
	attends, delta, shared := (i+1)%r.interval == 0, r.arch == "qwen35", 2*r.groups*r.states
	norm := "ffn_norm.weight"
	if delta {
		norm = "post_attention_norm.weight"
	}
	vector(p+norm, 1, s.dim)
	add(p+"ffn_gate.weight", s.dim, s.ff)
	add(p+"ffn_up.weight", s.dim, s.ff)
	add(p+"ffn_down.weight", s.ff, s.dim)
	if attends {
		queries := s.heads * s.headDim
		if delta { // with their gates, and norms on heads
			queries *= 2
			vector(p+"attn_q_norm.weight", 1, s.headDim)
			vector(p+"attn_k_norm.weight", 1, s.headDim)
		}
		add(p+"attn_q.weight", s.dim, queries)
		add(p+"attn_k.weight", s.dim, s.kvHeads*s.headDim)
		add(p+"attn_v.weight", s.dim, s.kvHeads*s.headDim)
		add(p+"attn_output.weight", s.heads*s.headDim, s.dim)
		return
	}
	vector(p+"ssm_conv1d.weight", 0.5, 4, shared+r.inner)
	vector(p+"ssm_dt.bias", -4, r.heads)
	add(p+"ssm_out.weight", r.inner, s.dim)
	if delta {
		add(p+"attn_qkv.weight", s.dim, shared+r.inner)
		add(p+"attn_gate.weight", s.dim, r.inner)
		add(p+"ssm_alpha.weight", s.dim, r.heads)
		add(p+"ssm_beta.weight", s.dim, r.heads)
		vector(p+"ssm_norm.weight", 1, r.inner/r.heads)
		vector(p+"ssm_a", -0.5, r.heads)
		return
	}
	add(p+"ssm_in.weight", s.dim, 2*r.inner+shared+r.heads)
	vector(p+"ssm_conv1d.bias", 0, shared+r.inner)
	vector(p+"ssm_norm.weight", 1, r.inner/r.groups, r.groups)
	vector(p+"ssm_a", -0.5, 1, r.heads)
	vector(p+"ssm_d", 1, 1, r.heads)
}
