package chat

import (
	"embed"
	"sort"
	"strings"
)

//go:embed defaults/*.jinja
var defaultFiles embed.FS

// Names lists the built-in templates, sorted.
func Names() []string {
	entries, err := defaultFiles.ReadDir("defaults")
	if err != nil {
		return nil
	}
	var names []string
	for _, entry := range entries {
		names = append(names, strings.TrimSuffix(entry.Name(), ".jinja"))
	}
	sort.Strings(names)
	return names
}

// Default returns a built-in template by name, for model files that carry none. The names are the prompt formats'
// usual ones: "chatml", "llama3", "gemma", …, and "plain", which prints the texts alone.
func Default(name string) (*Template, error) {
	source, err := defaultFiles.ReadFile("defaults/" + name + ".jinja")
	if err != nil {
		return nil, newError("TemplateNotFound", "no built-in chat template %q, expected one of %s", name, strings.Join(Names(), ", "))
	}
	return Parse(string(source))
}
