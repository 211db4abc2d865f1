package chat

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/internal/fixtures"
)

// fixtureNow is what the fixtures' strftime_now printed.
var fixtureNow = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// outcome is what Python made of a template: a text or an error.
type outcome struct {
	OK  *string `json:"ok"`
	Err *string `json:"err"`
}

// TestPublishedTemplates renders the templates of real models and compares with what Python's Jinja2 made of them.
func TestPublishedTemplates(t *testing.T) {
	root := fixtures.Path(t, "templates")
	expected, err := filepath.Glob(filepath.Join(root, "expected", "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, expected)
	for _, path := range expected {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		t.Run(name, func(t *testing.T) {
			template, conversation, ok := strings.Cut(name, "@")
			require.True(t, ok)
			source, err := os.ReadFile(filepath.Join(root, "templates", template))
			require.NoError(t, err)
			data, err := os.ReadFile(filepath.Join(root, "conversations", conversation+".json"))
			require.NoError(t, err)
			want := readOutcome(t, path)
			got, err := renderSource(string(source), data)
			if want.Err != nil {
				require.Error(t, err, "Python: %s; text: %q", *want.Err, got)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, *want.OK, got)
		})
	}
}

func readOutcome(t *testing.T, path string) outcome {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	var o outcome
	require.NoError(t, json.Unmarshal(data, &o))
	require.True(t, (o.OK == nil) != (o.Err == nil), "%s holds neither a text nor an error", path)
	return o
}

func renderSource(source string, context []byte) (string, error) {
	template, err := Parse(source)
	if err != nil {
		return "", err
	}
	ctx, err := DecodeContext(context)
	if err != nil {
		return "", err
	}
	return template.Render(ctx, Options{Now: fixtureNow})
}
