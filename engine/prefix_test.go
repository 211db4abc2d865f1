package engine

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// remembering are the models whose past is more than pages of keys and values that stay: states, windows, and both mixed with attention.
func remembering() map[string]tinyModel {
	window, mamba, hybrid, delta := tiny, tiny, tiny, tiny
	window.window = 40
	mamba.recurrent, hybrid.recurrent, delta.recurrent = "mamba2", "granitehybrid", "qwen35"
	return map[string]tinyModel{"sliding window": window, "mamba 2": mamba, "mamba 2 and attention": hybrid, "delta rule and attention": delta}
}

// computedBy returns the tokens that an engine has computed so far.
func computedBy(t *testing.T, e *Engine) uint64 {
	giveBack, err := e.loop.borrow(context.Background())
	require.NoError(t, err)
	defer giveBack()
	return e.loop.counts.computed
}

// A prompt whose first nine tenths are known costs no more than its last tenth and a twentieth: however they came to be known,
// and with the bits that it has when everything is computed.
func TestPrefixOfNineTenths(t *testing.T) {
	const prompt, shared, generated, most = 480, 432, 6, 480 * 15 / 100
	random := rand.New(rand.NewPCG(11, 12))
	prefix := randomTokens(random, shared)
	following := func() []int32 { return append(slices.Clone(prefix), randomTokens(random, prompt-shared)...) }
	first, second, third := following(), following(), following()
	request := func(tokens []int32) Request {
		return Request{Tokens: tokens, MaxTokens: generated, Sampling: seeded(3), IgnoreEnd: true, NoSpeculation: true}
	}
	for name, m := range remembering() {
		t.Run(name, func(t *testing.T) {
			path := m.write(t)
			cold := func(tokens []int32) []answer {
				e := openChecked(t, path, Options{Context: 512, Threads: 1})
				answers, usage := ask(t, e, request(tokens))
				require.Zero(t, usage.CachedTokens)
				return answers
			}
			want := map[string][]answer{"first": cold(first), "second": cold(second), "third": cold(third)}
			// warm asks, and returns the tokens of the prompt that were computed
			warm := func(t *testing.T, e *Engine, tokens []int32, want []answer) int {
				before := computedBy(t, e)
				got, usage := ask(t, e, request(tokens))
				assert.Equal(t, want, got)
				eventuallyIdle(t, e)
				computed := int(computedBy(t, e)-before) - (generated - 1)
				assert.Equal(t, len(tokens)-usage.CachedTokens, computed)
				return computed
			}
			open := func(t *testing.T) *Engine {
				return openChecked(t, path, Options{Context: 512, StepRows: 64, Threads: 2, Sequences: 4})
			}
			t.Run("asked before", func(t *testing.T) {
				e := open(t)
				ask(t, e, request(prefix))
				eventuallyIdle(t, e)
				assert.LessOrEqual(t, warm(t, e, first, want["first"]), most)
				assert.LessOrEqual(t, warm(t, e, second, want["second"]), most)
			})
			t.Run("the beginning of another prompt", func(t *testing.T) {
				e := open(t)
				assert.Equal(t, prompt, warm(t, e, first, want["first"]))
				// strides are two pages here, a seventh of the prompt; of a long prompt they are a sixteenth
				assert.LessOrEqual(t, warm(t, e, second, want["second"]), prompt-shared+64)
				assert.LessOrEqual(t, warm(t, e, third, want["third"]), most)
				assert.LessOrEqual(t, warm(t, e, first, want["first"]), 32+1, "nothing is new but its last token")
			})
			t.Run("a conversation", func(t *testing.T) {
				e := open(t)
				s, err := e.Session(context.Background())
				require.NoError(t, err)
				defer s.Close()
				generate := func(tokens []int32) ([]int32, *Usage) {
					var ids []int32
					var usage *Usage
					for token, err := range s.Generate(context.Background(), request(tokens)) {
						require.NoError(t, err)
						ids = append(ids, token.ID)
						if token.Usage != nil {
							usage = token.Usage
						}
					}
					return ids, usage
				}
				said, _ := generate(prefix)
				next := append(append(slices.Clone(prefix), said...), first[shared:shared+42]...)
				again, usage := generate(next)
				assert.GreaterOrEqual(t, usage.CachedTokens, shared, "found: %d", usage.CachedTokens)
				assert.Equal(t, cold(next)[0].ids, again)
			})
		})
	}
}
