package engine

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// oneByOne scores continuations without sharing anything: each whole sequence on its own.
func oneByOne(t *testing.T, e *Engine, prefix []int32, continuations [][]int32) []Scored {
	t.Helper()
	out := make([]Scored, len(continuations))
	for i, c := range continuations {
		all := append(append([]int32(nil), prefix...), c...)
		require.NoError(t, e.Logits(context.Background(), all[:len(all)-1], 0, func(position int, logits []float32) error {
			if position >= len(prefix)-1 {
				out[i].Tokens = append(out[i].Tokens, logProb(logits, all[position+1]))
			}
			return nil
		}))
		for _, p := range out[i].Tokens {
			out[i].LogProb += p
		}
	}
	return out
}

func randomTokens(r *rand.Rand, n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = 3 + r.Int32N(tinyVocab-3)
	}
	return out
}

// Scores are those of separate sequences, bit for bit, and no page is lost.
func TestScoreTokens(t *testing.T) {
	windowed := tiny
	windowed.window = 40
	for name, m := range map[string]tinyModel{"full": tiny, "window": windowed} {
		t.Run(name, func(t *testing.T) {
			path := m.write(t)
			e, err := Open(path, Options{Threads: 1, Context: 256, StepRows: 96, AllLogits: true})
			require.NoError(t, err)
			defer e.Close()
			few, err := Open(path, Options{Threads: 2, Context: 160, StepRows: 48, Sequences: 2})
			require.NoError(t, err)
			defer few.Close()
			r := rand.New(rand.NewPCG(1, 2))
			for _, n := range []int{1, 31, 32, 33, 64, 100} {
				prefix := randomTokens(r, n)
				var continuations [][]int32
				for i := range 25 {
					continuations = append(continuations, randomTokens(r, 1+i%7))
				}
				continuations = append(continuations, randomTokens(r, 60))
				want := oneByOne(t, e, prefix, continuations)
				for _, engine := range []*Engine{e, few} {
					got, err := engine.ScoreTokens(context.Background(), prefix, continuations)
					require.NoError(t, err)
					assert.Equal(t, want, got, "prefix of %d", n)
					require.NoError(t, engine.checkCache())
					requireIdle(t, engine)
				}
			}
		})
	}
}

func TestScoreTexts(t *testing.T) {
	e, err := Open(tiny.write(t), Options{Threads: 1})
	require.NoError(t, err)
	defer e.Close()
	ctx := context.Background()
	got, err := e.Score(ctx, "ab ab", []string{" a", "b", " ab c", "b"}, ScoreOptions{})
	require.NoError(t, err)
	require.Len(t, got, 4)
	assert.Equal(t, got[1], got[3])
	assert.Less(t, got[2].LogProb, 0.0)
	shares := Probabilities(got)
	assert.InDelta(t, 1, shares[0]+shares[1]+shares[2]+shares[3], 1e-12)
	assert.InDelta(t, math.Exp(got[0].LogProb-got[1].LogProb), shares[0]/shares[1], 1e-9)
	chat, err := e.Score(ctx, "ab", []string{"a"}, ScoreOptions{Chat: true, System: "b"})
	require.NoError(t, err)
	assert.NotEqual(t, got[0].LogProb, chat[0].LogProb)
}

func TestScoreRefuses(t *testing.T) {
	e, err := Open(tiny.write(t), Options{Threads: 1, Context: 64})
	require.NoError(t, err)
	defer e.Close()
	ctx := context.Background()
	_, err = e.Score(ctx, "", []string{"a"}, ScoreOptions{})
	assert.ErrorContains(t, err, "prefix is empty")
	_, err = e.Score(ctx, "a", []string{"a", ""}, ScoreOptions{})
	assert.ErrorContains(t, err, "continuation 1 is empty")
	_, err = e.ScoreTokens(ctx, make([]int32, 60), [][]int32{{1}, {1, 2, 3, 4, 5}})
	require.ErrorIs(t, err, ErrTooLong)
	assert.ErrorContains(t, err, "continuation 1: too long for the context: 65 tokens with the prefix, the context has 64")
	_, err = e.ScoreTokens(ctx, []int32{1}, [][]int32{{tinyVocab}})
	assert.ErrorContains(t, err, "id 264")
	none, err := e.ScoreTokens(ctx, []int32{1}, nil)
	require.NoError(t, err)
	assert.Empty(t, none)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = e.ScoreTokens(cancelled, []int32{1}, [][]int32{{1, 2}})
	assert.ErrorIs(t, err, context.Canceled)
	require.NoError(t, e.checkCache())
	_, err = e.Embed(ctx, []string{"a"}, EmbedOptions{})
	assert.ErrorIs(t, err, ErrNotEmbedding)
	_, err = e.Rerank(ctx, "a", []string{"a"}, RerankOptions{})
	assert.ErrorIs(t, err, ErrNotRanking)
	require.NoError(t, e.Close())
	_, err = e.ScoreTokens(ctx, []int32{1}, [][]int32{{1, 2}})
	assert.ErrorIs(t, err, ErrClosed)
}
