package chat

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/internal/fixtures"
)

// TestLongConversations renders a conversation of about half a million tokens with every published template: the default
// limits must leave room for it.
func TestLongConversations(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(fixtures.Path(t, "templates"), "templates", "*.jinja"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	c := &Conversation{AddGenerationPrompt: true, BOS: "<s>", EOS: "</s>"}
	words := strings.Repeat("some words and a line\n", 180)
	for range 250 {
		c.Messages = append(c.Messages, Message{Role: "user", Content: words}, Message{Role: "assistant", Content: words})
	}
	c.Messages = append(c.Messages, Message{Role: "user", Content: "Hi"})
	ctx, err := c.Context()
	require.NoError(t, err)
	for _, path := range paths {
		source, err := os.ReadFile(path)
		require.NoError(t, err)
		template, err := Parse(string(source))
		require.NoError(t, err)
		start := time.Now()
		_, err = template.Render(ctx, Options{Timeout: time.Minute})
		if isKind(err, "LimitError") {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
		t.Logf("%-50s %v", filepath.Base(path), time.Since(start))
	}
}
