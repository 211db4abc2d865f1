package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine/gguf"
)

func templateInput(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// runTemplateCommand runs a sub-command and returns what it printed.
func runTemplateCommand(args ...string) (string, error) {
	var out bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&out)
	err := root.Execute()
	return out.String(), err
}

func TestTemplateCommand(t *testing.T) {
	template := templateInput(t, "t.jinja", "{{ bos_token }}{{ messages[0].content }}|{{ strftime_now('%Y-%m-%d %H:%M') }}\n")
	context := templateInput(t, "c.json", `{"bos_token": "<s>", "messages": [{"content": "Hé\n"}]}`)
	out, err := runTemplateCommand("template", "--template", template, "--context", context, "--now", "2026-11-23T12:30:00+02:00")
	require.NoError(t, err)
	assert.Equal(t, "<s>Hé\n|2026-11-23 12:30", out)
}

// templateModel writes a GGUF file with the keys given.
func templateModel(t *testing.T, keys map[string]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.gguf")
	w := gguf.NewFileWriter(path)
	require.NoError(t, w.SetString("general.architecture", "llama"))
	for key, value := range keys {
		require.NoError(t, w.SetString(key, value))
	}
	require.NoError(t, w.Write())
	return path
}

func TestTemplateCommandReadsModels(t *testing.T) {
	context := templateInput(t, "c.json", `{"x": [1, null]}`)
	out, err := runTemplateCommand("template", "-m", templateModel(t, map[string]string{chatTemplateKey: "{{ x }}"}), "--context", context)
	require.NoError(t, err)
	assert.Equal(t, "[1, None]", out)
	_, err = runTemplateCommand("template", "-m", templateModel(t, nil), "--context", context)
	assert.ErrorContains(t, err, "no key tokenizer.chat_template")
}

func TestTemplateCommandErrors(t *testing.T) {
	good := templateInput(t, "t.jinja", "x")
	context := templateInput(t, "c.json", "{}")
	for name, args := range map[string][]string{
		"nothing":    {"template"},
		"both":       {"template", "-m", "a", "--template", "b", "--context", "c"},
		"no context": {"template", "--template", good},
		"bad now":    {"template", "--template", good, "--context", context, "--now", "yesterday"},
		"argument":   {"template", "--template", good, "--context", context, "more"},
		"flag":       {"template", "--nosuch"},
	} {
		assert.Equal(t, exitUsage, execute(args), name)
	}
	for name, args := range map[string][]string{
		"no template file": {"template", "--template", good + "x", "--context", context},
		"no model file":    {"template", "-m", good + "x", "--context", context},
		"no model":         {"template", "-m", good, "--context", context},
		"no context file":  {"template", "--template", good, "--context", context + "x"},
		"context no JSON":  {"template", "--template", good, "--context", good},
		"syntax":           {"template", "--template", templateInput(t, "b.jinja", "{{"), "--context", context},
		"raised":           {"template", "--template", templateInput(t, "r.jinja", "{{ raise_exception('a\nb') }}"), "--context", context},
	} {
		assert.Equal(t, exitFailed, execute(args), name)
	}
}
