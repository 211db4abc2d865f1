package arch

import "github.com/infer-go/infer/kernels"

// Row is an architecture of the table.
type Row struct {
	Name   string // as general.architecture has it
	Models string // examples
	Notes  string // what it covers beyond the plain form
	norm   kernels.Norm
	record func(p *plan, w *weights, c Config)
}

const (
	rms       = kernels.RMSNorm
	layerNorm = kernels.LayerNorm
)

// table lists every architecture, by name.
var table = []Row{
	{"gemma", "Gemma 2B, 7B", "", rms, gemma},
	{"gemma2", "Gemma 2 2B to 27B", "sliding window on every second layer, capped scores and logits", rms, gemma2},
	{"gemma3", "Gemma 3 270M to 27B", "sliding window on five of six layers, two rope bases, linear rope scaling", rms, gemma3},
	{"llama", "Llama 1 to 3.3, Mistral, Mixtral, SmolLM2, TinyLlama, Yi", "linear, YaRN, longrope and Llama 3 rope scaling; biases; tied embeddings; experts", rms, llama},
	{"qwen2", "Qwen 1.5, 2, 2.5, QwQ, DeepSeek-R1-Distill-Qwen", "", rms, qwen2},
	{"qwen3", "Qwen 3 0.6B to 32B", "", rms, qwen3},
}

// Known lists the architectures of the table.
func Known() []Row { return append([]Row(nil), table...) }

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
