package modelspec

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Golden is what an independent implementation computed on a case. The values lie in golden/CASE.f32, little endian: logits
// [tokens][vocabulary], or of an encoder the text's vector and then the states [tokens][width].
type Golden struct {
	Case    string  `json:"case"`
	Arch    string  `json:"arch"`
	SHA256  string  `json:"sha256"` // of the model's file
	Encoder bool    `json:"encoder,omitempty"`
	Pooled  int     `json:"pooled,omitempty"`  // width of an encoder's vector
	Default float64 `json:"default"`           // relative L2 distance of its own default configuration, with an f16 cache
	Further bool    `json:"further,omitempty"` // golden/CASE.further.f32 has what the layers behind the model's predict, [tokens][vocabulary]
	Maker   string  `json:"maker"`             // program and version
}

const indexFile = "golden/index.json"

// ReadGoldens reads the index of a folder of specs.
func ReadGoldens(dir fs.FS) ([]Golden, error) {
	data, err := fs.ReadFile(dir, indexFile)
	if err != nil {
		return nil, err
	}
	var out []Golden
	return out, json.Unmarshal(data, &out)
}

// WriteGoldens writes the index: a golden a line, sorted.
func WriteGoldens(dir string, all []Golden) error {
	slices.SortFunc(all, func(a, b Golden) int { return strings.Compare(a.Case, b.Case) })
	var lines []string
	for _, g := range all {
		line, err := json.Marshal(g)
		if err != nil {
			return err
		}
		lines = append(lines, string(line))
	}
	return os.WriteFile(filepath.Join(dir, indexFile), []byte("[\n"+strings.Join(lines, ",\n")+"\n]\n"), 0o644)
}

// Replace returns the goldens with g in place of the one of its case.
func Replace(all []Golden, g Golden) []Golden {
	all = slices.DeleteFunc(all, func(other Golden) bool { return other.Case == g.Case })
	return append(all, g)
}
