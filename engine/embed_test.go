package engine

import (
	"context"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/internal/tinymodel"
)

func openEncoder(t *testing.T, m tinymodel.Encoder, o Options) *Engine {
	t.Helper()
	e, err := Open(m.Write(t), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return e
}

// texts of 1 to n words.
func wordTexts(n int) []string {
	var out []string
	for i := range n {
		out = append(out, strings.TrimSpace(strings.Repeat("ab c ", i%17)+string(rune('a'+i%26))))
	}
	return out
}

// A text's vector is the same bits alone, beside others, in any order, on any number of threads.
func TestEmbedBits(t *testing.T) {
	for _, pooling := range []uint32{1, 2, 3} {
		e := openEncoder(t, tinymodel.Encoder{Pooling: pooling, Types: 2}, Options{Threads: 1})
		two := openEncoder(t, tinymodel.Encoder{Pooling: pooling, Types: 2}, Options{Threads: 2, StepRows: 100})
		texts := wordTexts(150)
		got, err := e.Embed(context.Background(), texts, EmbedOptions{})
		require.NoError(t, err)
		again, err := two.Embed(context.Background(), texts, EmbedOptions{})
		require.NoError(t, err)
		for i, text := range texts {
			alone, err := e.Embed(context.Background(), []string{text}, EmbedOptions{})
			require.NoError(t, err)
			requireSameBits(t, alone[0].Vector, got[i].Vector, text)
			requireSameBits(t, alone[0].Vector, again[i].Vector, text)
			var squares float64
			for _, v := range got[i].Vector {
				squares += float64(v) * float64(v)
			}
			assert.InDelta(t, 1, squares, 1e-6)
		}
		raw, err := e.Embed(context.Background(), texts[:1], EmbedOptions{Raw: true})
		require.NoError(t, err)
		assert.Greater(t, relativeL2(raw[0].Vector, got[0].Vector), 0.1)
	}
}

// Every token sees every other: changing the last word changes the first token's state.
func TestBothWays(t *testing.T) {
	e := openEncoder(t, tinymodel.Encoder{Pooling: 2}, Options{Threads: 1})
	got, err := e.Embed(context.Background(), []string{"a b c d", "a b c e"}, EmbedOptions{})
	require.NoError(t, err)
	assert.Greater(t, relativeL2(got[0].Vector, got[1].Vector), 1e-3)
}

// Special tokens written in a text are text.
func TestEmbedReadsNoSpecialTokens(t *testing.T) {
	e := openEncoder(t, tinymodel.Encoder{Pooling: 1}, Options{Threads: 1})
	got, err := e.Embed(context.Background(), []string{"a[SEP]b"}, EmbedOptions{})
	require.NoError(t, err)
	assert.Greater(t, got[0].Tokens, 5)
}

func TestEmbedLimits(t *testing.T) {
	ctx := context.Background()
	e := openEncoder(t, tinymodel.Encoder{Pooling: 1, Context: 16}, Options{Threads: 1, Context: 4096})
	assert.Equal(t, 16, e.Context(), "learned positions end")
	long := strings.Repeat("a ", 30)
	_, err := e.Embed(ctx, []string{"a", long}, EmbedOptions{})
	require.ErrorIs(t, err, ErrTooLong)
	assert.ErrorContains(t, err, "text 1")
	assert.ErrorContains(t, err, "32 tokens, the context has 16")
	got, err := e.Embed(ctx, []string{"a", long}, EmbedOptions{Truncate: true})
	require.NoError(t, err)
	assert.Equal(t, []int{3, 16, 0, 16}, []int{got[0].Tokens, got[1].Tokens, got[0].Cut, got[1].Cut})
	same, err := e.Embed(ctx, []string{strings.Repeat("a ", 14)}, EmbedOptions{})
	require.NoError(t, err)
	requireSameBits(t, same[0].Vector, got[1].Vector, "cut before the last special token")

	short := openEncoder(t, tinymodel.Encoder{Pooling: 1}, Options{Threads: 1, StepRows: 8})
	_, err = short.Embed(ctx, []string{long}, EmbedOptions{})
	require.ErrorIs(t, err, ErrTooLong)
	assert.ErrorContains(t, err, "32 tokens, which this model must see in one step, and a step has 8")
	_, err = e.Embed(ctx, []string{""}, EmbedOptions{})
	assert.NoError(t, err, "an empty text has its special tokens")
	_, err = e.EmbedTokens(ctx, [][]int32{{}}, EmbedOptions{})
	assert.ErrorContains(t, err, "no tokens")
	_, err = e.Rerank(ctx, "a", []string{"b"}, RerankOptions{})
	assert.ErrorIs(t, err, ErrNotRanking)
	for _, err := range e.Generate(ctx, Request{Prompt: "a"}) {
		assert.ErrorIs(t, err, ErrNotGenerating)
	}
	_, err = e.Session(ctx)
	assert.ErrorIs(t, err, ErrNotGenerating)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = e.Embed(cancelled, []string{"a"}, EmbedOptions{})
	assert.ErrorIs(t, err, context.Canceled)
}

// A model that generates gives vectors when asked to, long texts in several steps.
func TestEmbedCausal(t *testing.T) {
	ctx := context.Background()
	path := tiny.write(t)
	open := func(pooling string, rows int) *Engine {
		e, err := Open(path, Options{Threads: 1, Pooling: pooling, StepRows: rows, Context: 128})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, e.Close()) })
		return e
	}
	text := strings.Repeat("ab ba ", 20)
	last, chunked := open("last", 0), open("last", 16)
	want, err := last.Embed(ctx, []string{text}, EmbedOptions{})
	require.NoError(t, err)
	got, err := chunked.Embed(ctx, []string{"a", text, "b"}, EmbedOptions{})
	require.NoError(t, err)
	requireSameBits(t, want[0].Vector, got[1].Vector, "in steps of 16")
	tokens, err := last.Tokenize(text, true)
	require.NoError(t, err)
	var states [2][]float32
	for i, e := range []*Engine{last, chunked} {
		require.NoError(t, e.States(ctx, tokens, func(_ int, s []float32) error {
			states[i] = append(states[i], s...)
			return nil
		}))
	}
	requireSameBits(t, states[0], states[1], "states")
	dim := last.Model().Dim
	requireSameBits(t, states[0][len(states[0])-dim:], mustPool(t, last, tokens), "the last state")

	mean := mustPool(t, open("mean", 0), tokens)
	for j := range mean {
		var sum float64
		for i := range tokens {
			sum += float64(states[0][i*dim+j])
		}
		assert.InDelta(t, sum/float64(len(tokens)), mean[j], 1e-5)
	}
	requireSameBits(t, states[0][:dim], mustPool(t, open("cls", 0), tokens), "the first state")
	for _, bad := range []string{"rank", "median"} {
		_, err := Open(path, Options{Pooling: bad})
		assert.ErrorContains(t, err, "llama.pooling_type", bad)
	}
}

func mustPool(t *testing.T, e *Engine, tokens []int32) []float32 {
	t.Helper()
	v, err := e.Pooled(context.Background(), tokens)
	require.NoError(t, err)
	return v
}

func TestRerank(t *testing.T) {
	ctx := context.Background()
	e := openEncoder(t, tinymodel.Encoder{Pooling: 4, Types: 2, Context: 24}, Options{Threads: 1})
	documents := []string{"a b", "c", "d e f g", "c"}
	got, err := e.Rerank(ctx, "q r", documents, RerankOptions{})
	require.NoError(t, err)
	require.Len(t, got, 4)
	seen := map[int]Ranked{}
	for i, r := range got {
		seen[r.Index] = r
		assert.Positive(t, r.Score)
		assert.Less(t, r.Score, float32(1))
		if i > 0 {
			assert.GreaterOrEqual(t, got[i-1].Score, r.Score)
		}
	}
	assert.Equal(t, seen[1].Score, seen[3].Score)
	// [CLS] q r [SEP] c [SEP], the second text with the second type
	word := tinymodel.Word
	ids := []int32{2, word('q'), word('r'), 3, word('c'), 3}
	var want float32
	require.NoError(t, e.encodeAll(ctx, []input{{ids: ids, types: []int32{0, 0, 0, 0, 1, 1}}}, func(_ int, r []float32) { want = r[0] }))
	raw, err := e.Rerank(ctx, "q r", documents[1:2], RerankOptions{Raw: true})
	require.NoError(t, err)
	assert.Equal(t, want, raw[0].Score)
	assert.NotEqual(t, mustPool(t, e, ids)[0], want, "token types count")
	assert.InDelta(t, 1/(1+math.Exp(-float64(want))), seen[1].Score, 1e-6)

	top, err := e.Rerank(ctx, "q r", documents, RerankOptions{Top: 2})
	require.NoError(t, err)
	assert.Equal(t, got[:2], top)
	long := strings.Repeat("a ", 40)
	_, err = e.Rerank(ctx, "q", []string{"a", long}, RerankOptions{})
	require.ErrorIs(t, err, ErrTooLong)
	cut, err := e.Rerank(ctx, "q", []string{long}, RerankOptions{Truncate: true})
	require.NoError(t, err)
	assert.Equal(t, Ranked{Index: 0, Score: cut[0].Score, Tokens: 24, Cut: 20}, cut[0])
	_, err = e.Rerank(ctx, long, []string{"a"}, RerankOptions{Truncate: true})
	assert.ErrorContains(t, err, "the query alone has 43 tokens")
	_, err = e.Embed(ctx, []string{"a"}, EmbedOptions{})
	assert.ErrorIs(t, err, ErrNotEmbedding)

	named := openEncoder(t, tinymodel.Encoder{Pooling: 4, Labels: []string{"no", "yes"}}, Options{Threads: 1})
	got, err = named.Rerank(ctx, "q", []string{"a"}, RerankOptions{})
	require.NoError(t, err)
	assert.Equal(t, mustPool(t, named, []int32{2, word('q'), 3, word('a'), 3})[1], got[0].Score)
	other := openEncoder(t, tinymodel.Encoder{Pooling: 4, Labels: []string{"spam", "ham"}}, Options{Threads: 1})
	_, err = other.Rerank(ctx, "q", []string{"a"}, RerankOptions{})
	assert.ErrorContains(t, err, `["spam" "ham"]`)
}

// Several goroutines embed at once; closing waits for them.
func TestEmbedConcurrently(t *testing.T) {
	e, err := Open(tinymodel.Encoder{Pooling: 1}.Write(t), Options{Threads: 2})
	require.NoError(t, err)
	texts := wordTexts(100)
	want, err := e.Embed(context.Background(), texts, EmbedOptions{})
	require.NoError(t, err)
	var wait sync.WaitGroup
	for range 4 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			got, err := e.Embed(context.Background(), texts, EmbedOptions{})
			assert.NoError(t, err)
			assert.Equal(t, want, got)
		}()
	}
	wait.Wait()
	require.NoError(t, e.Close())
	_, err = e.Embed(context.Background(), texts, EmbedOptions{})
	assert.ErrorIs(t, err, ErrClosed)
}

// A template's special tokens are tokens, those in the texts are text; a document loses its end inside the template.
func TestRerankTemplate(t *testing.T) {
	ctx := context.Background()
	m := tiny
	m.rank = "<s>ab {query} b:{document}</s>ba"
	e, err := Open(m.write(t), Options{Threads: 1, Context: 64})
	require.NoError(t, err)
	defer e.Close()
	tokens := func(text string) []int32 {
		ids, err := e.Tokenize(text, false)
		require.NoError(t, err)
		return ids
	}
	p, err := e.pair("a</s>", "b<s>")
	require.NoError(t, err)
	assert.Equal(t, []int32{1}, p.head)
	assert.Equal(t, tokens("ab a</s> b:b<s>"), p.body)
	assert.Equal(t, append([]int32{2}, tokens("ba")...), p.tail)
	got, err := e.Rerank(ctx, "a</s>", []string{"b<s>"}, RerankOptions{})
	require.NoError(t, err)
	all := p.input().ids
	scores := mustPool(t, e, all)
	assert.InDelta(t, 1, scores[0]+scores[1], 1e-6)
	assert.Equal(t, Ranked{Score: scores[0], Tokens: len(all)}, got[0])
	cut, err := e.Rerank(ctx, "a", []string{strings.Repeat("b ", 90)}, RerankOptions{Truncate: true})
	require.NoError(t, err)
	assert.Equal(t, 64, cut[0].Tokens)
	_, err = e.Rerank(ctx, strings.Repeat("b ", 90), []string{"a"}, RerankOptions{Truncate: true})
	assert.ErrorIs(t, err, ErrTooLong)

	m.rank = "{query}"
	without, err := Open(m.write(t), Options{Threads: 1})
	require.NoError(t, err)
	defer without.Close()
	_, err = without.Rerank(ctx, "a", []string{"b"}, RerankOptions{})
	assert.ErrorContains(t, err, "{document}")
}
