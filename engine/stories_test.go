package engine

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/internal/fixtures"
	"github.com/infer-go/infer/sampler"
)

const storiesText = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. " +
	"She wanted to play with it, but it was too high."

func greedy() *sampler.Params {
	p := sampler.NeutralParams()
	p.Temperature = 0
	return &p
}

// TestStories holds a real model, greedy, against the text that it is known to write.
func TestStories(t *testing.T) {
	e, err := Open(fixtures.Path(t, "models", "stories260K.gguf"), Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	var b strings.Builder
	b.WriteString("Once upon a time")
	for token, err := range e.Generate(context.Background(), Request{Prompt: "Once upon a time", MaxTokens: 120, Sampling: greedy()}) {
		require.NoError(t, err)
		b.WriteString(token.Text)
	}
	assert.True(t, strings.HasPrefix(b.String(), storiesText), "%q", b.String())
	require.NoError(t, e.checkCache())
}
