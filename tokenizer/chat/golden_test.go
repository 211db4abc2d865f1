package chat

import (
	"bufio"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// goldenCase is one template with what Python made of it; testdata/generate.py writes them.
type goldenCase struct {
	Template string          `json:"template"`
	Context  json.RawMessage `json:"context"`
	outcome
}

// addresses differ from run to run.
var addresses = regexp.MustCompile(`\b0x7[0-9a-f]{11}\b`)

func (c goldenCase) check(t *testing.T, context json.RawMessage) {
	t.Helper()
	if c.Context != nil {
		context = c.Context
	}
	got, err := renderSource(c.Template, context)
	if c.Err != nil {
		assert.Error(t, err, "%s\nPython: %s\ngot:    %q", c.Template, *c.Err, got)
		return
	}
	if assert.NoError(t, err, "%s\nPython: %q", c.Template, *c.OK) {
		assert.Equal(t, addresses.ReplaceAllString(*c.OK, "0x"), addresses.ReplaceAllString(got, "0x"), c.Template)
	}
}

// TestGolden compares every construct of the language with Python's Jinja2.
func TestGolden(t *testing.T) {
	data, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	var golden struct {
		Context json.RawMessage `json:"context"`
		Cases   []goldenCase    `json:"cases"`
	}
	require.NoError(t, json.Unmarshal(data, &golden))
	require.Greater(t, len(golden.Cases), 1000)
	for _, c := range golden.Cases {
		c.check(t, golden.Context)
	}
}

// TestRandomCases checks cases of generate.py --random, where CHAT_CASES names their file.
func TestRandomCases(t *testing.T) {
	path := os.Getenv("CHAT_CASES")
	if path == "" {
		t.Skip("CHAT_CASES names no file")
	}
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	var context json.RawMessage
	for lines.Scan() {
		var c goldenCase
		require.NoError(t, json.NewDecoder(strings.NewReader(lines.Text())).Decode(&c))
		if context == nil {
			context = c.Context
			continue
		}
		c.check(t, context)
	}
	require.NoError(t, lines.Err())
}
