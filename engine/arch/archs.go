package arch

import "github.com/infer-go/infer/kernels"

// Row is an architecture of the table.
type Row struct {
	Name   string // as general.architecture has it
	Models string // examples
	Notes  string // what it covers beyond the plain form
	norm   kernels.Norm
	record func(p *plan, w *weights, c Config)
	mixed  bool // layers differ: some have no attention or no network of their own
}

const (
	rms       = kernels.RMSNorm
	layerNorm = kernels.LayerNorm
)

// table lists every architecture, by name.
var table = []Row{
	{"afmoe", "Arcee Trinity Nano, Mini, Large", "gated attention, sliding window on three of four layers; experts after the first layers, shared ones", rms, afMoE, false},
	{"apertus", "Apertus 8B, 70B", "xIELU", rms, apertus, false},
	{"arcee", "AFM 4.5B", "", rms, arcee, false},
	{"arctic", "Snowflake Arctic", "experts beside attention", rms, arctic, false},
	{"arwkv7", "ARWKV 7 on Qwen 2.5", "recurrent", rms, arwkv7, true},
	{"baichuan", "Baichuan 7B, 13B, Baichuan 2", "rope, or ALiBi with 40 layers", rms, baichuan, false},
	{"bailingmoe", "Ling Lite, Plus, the first", "shared experts", rms, bailingMoE, false},
	{"bailingmoe2", "Ling 2, Ring 2 mini, flash, 1T", "sigmoid router with groups, shared experts", rms, bailingMoE2, false},
	{"bert", "BERT, all-MiniLM, BGE, E5, GTE, Arctic Embed; RoBERTa, BGE M3; rerankers of these", "both ways; mean, cls, last and rank pooling", layerNorm, bert, false},
	{"bitnet", "BitNet b1.58 2B-4T and 3B", "", rms, bitnet, false},
	{"bloom", "BLOOM, BLOOMZ", "ALiBi", layerNorm, bloom, false},
	{"chatglm", "ChatGLM 3 6B, GLM-4 9B", "half of each head rotated", rms, chatGLM, false},
	{"codeshell", "CodeShell 7B", "", layerNorm, codeShell, false},
	{"cohere2", "Command R7B, Command A", "sliding window on three of four layers, rope on these alone", layerNorm, cohere2, false},
	{"cohere2moe", "Command A with experts", "sliding window on three of four layers; experts after the first layers, shared ones", layerNorm, cohere2MoE, false},
	{"command-r", "Command R, Command R+, Aya", "norms on query and key heads where present", layerNorm, commandR, false},
	{"dbrx", "DBRX", "experts", layerNorm, dbrx, false},
	{"deci", "Llama Nemotron Super 49B, Ultra 253B, DeciLM", "layers without attention or network", rms, deci, true},
	{"deepseek", "DeepSeek MoE 16B", "shared experts", rms, deepseek, false},
	{"deepseek2", "DeepSeek V2, V2 Lite, V3, R1, Kimi K2", "MLA in both file forms, softmax and sigmoid routers with groups, YaRN", rms, deepseek2, false},
	{"deepseek2-ocr", "DeepSeek-OCR", "the text half: experts after the first layers, shared ones", rms, deepseekOCR, false},
	{"dots1", "dots.llm1", "sigmoid router, shared experts", rms, dots1, false},
	{"ernie4_5", "ERNIE 4.5 0.3B", "", rms, llama, false},
	{"ernie4_5-moe", "ERNIE 4.5 21B-A3B, 300B-A47B", "experts after the first layers, shared ones where present", rms, ernieMoE, false},
	{"eurobert", "EuroBERT 210M to 2.1B", "both ways", rms, euroBERT, false},
	{"exaone", "EXAONE 3.0, 3.5", "", rms, exaone, false},
	{"exaone-moe", "K-EXAONE 236B-A23B", "sliding window on three of four layers, rope on these alone; experts after the first layers, a shared one", rms, exaoneMoE, false},
	{"exaone4", "EXAONE 4.0 1.2B, 32B", "32B: sliding window on three of four layers, rope on these alone", rms, exaone4, false},
	{"falcon", "Falcon 7B, 40B, 180B", "one norm a layer or two", layerNorm, falcon, false},
	{"falcon-h1", "Falcon-H1 0.5B to 34B", "attention and Mamba 2 side by side", rms, falconH1, true},
	{"gemma", "Gemma 2B, 7B", "", rms, gemma, false},
	{"gemma-embedding", "EmbeddingGemma 300M", "both ways, sliding window on five of six layers; projections after pooling where present", rms, gemmaEmbedding, false},
	{"gemma2", "Gemma 2 2B to 27B", "sliding window on every second layer, capped scores and logits", rms, gemma2, false},
	{"gemma3", "Gemma 3 270M to 27B", "sliding window on five of six layers, two rope bases, linear rope scaling", rms, gemma3, false},
	{"gemma3n", "Gemma 3n E2B, E4B", "the text half: several rows a token, shared keys and values, embeddings a layer, sparse networks", rms, gemma3nText, false},
	{"gemma4", "Gemma 4 E2B to 31B, 26B-A4B", "the text half: layers of two head widths, shared keys and values, embeddings a layer, experts", rms, gemma4Text, false},
	{"glm4", "GLM-4-0414 9B, 32B", "", rms, glm4, false},
	{"glm4moe", "GLM 4.5, 4.5 Air, 4.6", "sigmoid router, shared experts; predicts further tokens", rms, glm4MoE, false},
	{"gpt-oss", "gpt-oss 20B, 120B", "attention sinks, sliding window on every second layer, MXFP4 experts", rms, gptOSS, false},
	{"gpt2", "GPT-2, DistilGPT2", "learned positions", layerNorm, gpt2, false},
	{"gptneox", "Pythia, GPT-NeoX 20B, Dolly 2", "parallel or sequential residual", layerNorm, gptneox, false},
	{"granite", "Granite 3.0 to 4.0", "rope can be off", rms, granite, false},
	{"granite_swa", "Granite with sliding windows", "sinks, sliding window and rope where the file says so", rms, graniteSWA, false},
	{"granitehybrid", "Granite 4.0 H Micro, Tiny, Small", "Mamba 2 layers among attention, dense or with experts; rope can be off", rms, graniteHybrid, true},
	{"granitemoe", "Granite 3.0 1B-A400M, 3B-A800M", "shared experts where present", rms, granite, false},
	{"grok", "Grok 1, 2", "capped scores, experts", rms, grok, false},
	{"hunyuan-dense", "Hunyuan 0.5B to 7B", "", rms, hunyuan, false},
	{"hunyuan-moe", "Hunyuan A13B", "a shared expert", rms, hunyuan, false},
	{"hunyuan_vl", "Hunyuan-VL, Hunyuan-OCR", "the text half", rms, hunyuanVL, false},
	{"hy_v3", "Hunyuan 3", "experts and a shared one where the file has them", rms, hyV3, false},
	{"internlm2", "InternLM 2, 2.5, 3", "", rms, llama, false},
	{"jais2", "Jais 2 8B, 70B", "", layerNorm, nemotron, false},
	{"jamba", "Jamba Mini, Large, Reasoning 3B", "Mamba among attention, experts in some layers", rms, jamba, true},
	{"jina-bert-v2", "Jina Embeddings 2", "both ways, ALiBi", layerNorm, jinaBERT2, false},
	{"jina-bert-v3", "Jina Embeddings 3", "both ways", layerNorm, jinaBERT3, false},
	{"kimi-linear", "Kimi Linear 48B-A3B", "delta rule with a decay a key element on three of four layers, MLA without positions; experts after the first layers, shared ones", rms, kimiLinear, true},
	{"laguna", "Laguna XS, M", "gated heads, sliding window on three of four layers; experts after the first layers, shared ones", rms, laguna, false},
	{"lfm2", "LFM2 350M to 2.6B", "short convolutions among attention", rms, lfm2, true},
	{"lfm2moe", "LFM2 8B-A1B", "short convolutions among attention; experts after the first layers", rms, lfm2, true},
	{"llama", "Llama 1 to 3.3, Mistral, Mixtral, SmolLM2, TinyLlama, Yi", "linear, YaRN, longrope and Llama 3 rope scaling; biases; tied embeddings; experts", rms, llama, false},
	{"llama-embed", "Llama Embed Nemotron 8B", "both ways", rms, llamaEmbed, false},
	{"llama4", "Llama 4 Scout, Maverick", "the text half: attention in chunks, one expert a token and a shared one", rms, llama4, false},
	{"maincoder", "Maincoder 1B", "", rms, maincoder, false},
	{"mamba", "Mamba 130M to 2.8B, Falcon Mamba 7B", "norms on steps and projections where the file says so", rms, mamba, true},
	{"mamba2", "Mamba 2 130M to 2.7B, Codestral Mamba", "", rms, mamba2, true},
	{"mellum", "Mellum 2", "sliding window on three of four layers where there is one, experts", rms, mellum, false},
	{"mimo2", "MiMo V2 Flash", "sliding window and sinks where the file says so, experts", rms, mimo2, false},
	{"minicpm", "MiniCPM 1, 2, 4", "", rms, minicpm, false},
	{"minicpm3", "MiniCPM 3 4B", "MLA", rms, minicpm3, false},
	{"minimax-m2", "MiniMax M2", "half of each head rotated, sigmoid router", rms, minimaxM2, false},
	{"mistral3", "Mistral Small 3.x, Ministral 3", "scores that depend on the position; experts", rms, mistral3, false},
	{"mistral4", "Mistral Small 4", "MLA, experts, scores that depend on the position", rms, deepseek2, false},
	{"modern-bert", "ModernBERT, GTE ModernBERT, Granite Embedding R2, Nomic ModernBERT", "both ways, sliding window on two of three layers", layerNorm, modernBERT, false},
	{"mpt", "MPT 7B, 30B", "ALiBi", layerNorm, mpt, false},
	{"nemotron", "Nemotron 4, Minitron 4B, 8B", "", layerNorm, nemotron, false},
	{"nemotron_h", "Nemotron-H 4B to 56B, Nemotron Nano 2", "each layer is Mamba 2, attention or a network", rms, nemotronH, true},
	{"nemotron_h_moe", "Nemotron 3 Nano, Super", "each layer is Mamba 2, attention or experts with a shared one", rms, nemotronH, true},
	{"neo-bert", "NeoBERT", "both ways", rms, neoBERT, false},
	{"nomic-bert", "Nomic Embed 1, 1.5", "both ways", layerNorm, nomicBERT, false},
	{"nomic-bert-moe", "Nomic Embed 2", "both ways, experts in every second layer", layerNorm, nomicBERTMoE, false},
	{"olmo", "OLMo 1B, 7B", "", layerNorm, olmo, false},
	{"olmo2", "OLMo 2, OLMo 3", "OLMo 3: sliding window on three of four layers", rms, olmo2, false},
	{"olmoe", "OLMoE 1B-7B", "", rms, olmoe, false},
	{"openelm", "OpenELM 270M to 3B", "heads and networks that grow from layer to layer", rms, openELM, false},
	{"orion", "Orion 14B", "", layerNorm, orion, false},
	{"paddleocr", "PaddleOCR-VL", "the text half", rms, paddleOCR, false},
	{"pangu-embedded", "openPangu Embedded 1B, 7B", "", rms, pangu, false},
	{"phi2", "Phi-1, Phi-1.5, Phi-2", "", layerNorm, phi2, false},
	{"phi3", "Phi-3, Phi-3.5, Phi-4, Phi-4 mini", "longrope: short and long factors", rms, phi3, false},
	{"phimoe", "Phi-3.5-MoE, Phi mini MoE", "experts, longrope", rms, phiMoE, false},
	{"plamo", "PLaMo 13B, the first", "", rms, plamo, false},
	{"plamo2", "PLaMo 2 1B, 2B, 8B", "Mamba layers among attention", rms, plamo2, true},
	{"plamo3", "PLaMo 3 2B to 31B", "sliding window on seven of eight layers", rms, plamo3, false},
	{"qwen", "Qwen 1.8B to 72B, the first", "", rms, qwen, false},
	{"qwen2", "Qwen 1.5, 2, 2.5, QwQ, DeepSeek-R1-Distill-Qwen", "", rms, qwen2, false},
	{"qwen2moe", "Qwen 1.5 MoE A2.7B, Qwen 2 57B-A14B", "gated shared expert", rms, qwen2moe, false},
	{"qwen2vl", "Qwen2-VL, Qwen2.5-VL", "the text half", rms, qwen2vl, false},
	{"qwen3", "Qwen 3 0.6B to 32B", "", rms, qwen3, false},
	{"qwen35", "Qwen 3.5, 3.6, 3.8, dense", "gated delta rule on three of four layers; predicts further tokens", rms, qwen35, true},
	{"qwen35moe", "Qwen 3.5, 3.6, 3.8 with experts", "gated delta rule on three of four layers, gated shared expert; predicts further tokens", rms, qwen35, true},
	{"qwen3moe", "Qwen 3 30B-A3B, 235B-A22B, Qwen 3 Coder", "", rms, qwen3moe, false},
	{"qwen3next", "Qwen 3 Next 80B-A3B", "gated delta rule on three of four layers, gated shared expert; predicts further tokens", rms, qwen3next, true},
	{"qwen3vl", "Qwen3-VL 2B to 32B", "the text half", rms, qwen3vl, false},
	{"qwen3vlmoe", "Qwen3-VL 30B-A3B, 235B-A22B", "the text half", rms, qwen3vl, false},
	{"refact", "Refact 1.6B", "ALiBi", rms, refact, false},
	{"rwkv6", "RWKV 6 Finch 1.6B to 14B", "recurrent", layerNorm, rwkv6, true},
	{"rwkv6qwen2", "QRWKV 6, Qwerky on Qwen 2.5", "recurrent", rms, rwkv6qwen2, true},
	{"rwkv7", "RWKV 7 Goose 0.1B to 2.9B", "recurrent", layerNorm, rwkv7, true},
	{"seed_oss", "Seed-OSS 36B", "", rms, seedOSS, false},
	{"smallthinker", "SmallThinker 4B-A0.6B, 21B-A3B", "experts chosen before attention; sliding window on three of four layers where there is one, rope on these alone", rms, smallThinker, false},
	{"smollm3", "SmolLM3 3B", "no rope on every fourth layer", rms, smollm3, false},
	{"stablelm", "StableLM 3B, StableLM 2 1.6B, 12B", "parallel residual where there is no second norm", layerNorm, stablelm, false},
	{"starcoder", "StarCoder 1B to 15B, SantaCoder", "learned positions", layerNorm, gpt2, false},
	{"starcoder2", "StarCoder2 3B, 7B, 15B", "", layerNorm, starcoder2, false},
	{"step35", "Step 3.5 Flash", "gated heads, sliding window where the file says so, experts and a shared one", rms, step35, false},
	{"t5encoder", "T5 and UMT5 encoders", "both ways, a learned bias by distance", rms, t5Encoder, false},
	{"xverse", "XVERSE 7B, 13B, 65B", "", rms, xverse, false},
}

// Known lists the architectures of the table.
func Known() []Row { return append([]Row(nil), table...) }

// Native says whether the table has an architecture.
func Native(name string) bool {
	_, ok := find(name)
	return ok
}

func find(name string) (Row, bool) {
	for _, r := range table {
		if r.Name == name {
			return r, true
		}
	}
	return Row{}, false
}

func names() []string {
	var out []string
	for _, r := range table {
		out = append(out, r.Name)
	}
	return out
}
