package speculate_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/infer-go/infer/engine/speculate"
)

// generate writes text behind a prompt with drafts, and returns how many steps that took and how many rows they had.
func generate(t *testing.T, d *speculate.Drafter, prompt, text []int32, most int) (steps, rows int) {
	t.Helper()
	tokens := slices.Clone(prompt)
	for len(tokens) < len(prompt)+len(text) {
		rest := text[len(tokens)-len(prompt):]
		draft := d.Draft(nil, tokens, most)
		require.LessOrEqual(t, len(draft), most)
		accepted := 0
		for accepted < len(draft) && accepted < len(rest)-1 && draft[accepted] == rest[accepted] {
			accepted++
		}
		if len(draft) > 0 {
			d.Verified(len(draft), accepted)
		}
		tokens = append(tokens, rest[:accepted+1]...)
		steps++
		rows += 1 + len(draft)
	}
	require.Equal(t, text, tokens[len(prompt):])
	return steps, rows
}

func random(seed uint64, n, vocabulary int) []int32 {
	r := rand.New(rand.NewPCG(seed, 7))
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(r.IntN(vocabulary))
	}
	return out
}

func TestQuotesAreGuessed(t *testing.T) {
	prompt := random(1, 1000, 30000)
	quote := slices.Concat(prompt[200:500], random(2, 5, 30000), prompt[700:900])
	steps, rows := generate(t, speculate.New(speculate.Options{}), prompt, quote, 8)
	assert.Less(t, steps, len(quote)/5, "of %d tokens", len(quote))
	assert.Less(t, rows, len(quote)*5/4)
}

func TestRepetitionIsGuessedBeyondItsEnd(t *testing.T) {
	var text []int32
	for range 60 {
		text = append(text, 1, 2, 3, 4, 5)
	}
	d := speculate.New(speculate.Options{})
	assert.Equal(t, []int32{1, 2, 3, 4, 5, 1, 2, 3}, d.Draft(nil, text[:10], 8))
	steps, _ := generate(t, speculate.New(speculate.Options{}), nil, text, 16)
	assert.Less(t, steps, 45)
}

func TestTheLongestAgreementIsFollowed(t *testing.T) {
	d := speculate.New(speculate.Options{})
	tokens := []int32{9, 8, 1, 2, 3, 50, 51, 52, 7, 1, 2, 3, 60, 61, 62, 9, 8, 1, 2, 3}
	assert.Equal(t, []int32{50, 51}, d.Draft(nil, tokens, 2), "five tokens agree, and three with the newer place")
	tokens[15] = 0
	tokens[16] = 0
	assert.Equal(t, []int32{60, 61}, speculate.New(speculate.Options{}).Draft(nil, tokens, 2), "the newer of two that agree equally")
}

func TestNothingIsGuessedWithoutAnEarlierPlace(t *testing.T) {
	d := speculate.New(speculate.Options{})
	assert.Empty(t, d.Draft(nil, nil, 8))
	assert.Empty(t, d.Draft(nil, []int32{1, 2}, 8))
	assert.Empty(t, d.Draft(nil, []int32{1, 2, 3, 4, 5, 2, 3}, 8))
	assert.Empty(t, d.Draft(nil, []int32{1, 2, 3, 1, 2, 3}, 0))
	d.Verified(3, 3) // of no draft
	drafted, _ := d.Stats()
	assert.Zero(t, drafted)
}

// A text whose trigrams recur with other tokens behind them cannot be guessed: after a while nearly nothing is.
func TestDraftsStopWhereTheyDoNotPay(t *testing.T) {
	text := random(3, 20000, 6)
	d := speculate.New(speculate.Options{})
	d.SetCost(0.4)
	steps, rows := generate(t, d, nil, text, 8)
	assert.Less(t, float64(rows-steps), 0.03*float64(steps), "%d rows of %d were guesses", rows-steps, rows)
	// And begin again when the text becomes one of quotes.
	steps, _ = generate(t, d, text, text[1000:3000], 8)
	assert.Less(t, steps, 1200)
}

// Of guesses that come true half of the time, one token pays where a row costs a third of a token, and several where it costs little.
func TestLengthFollowsTheCost(t *testing.T) {
	mean := func(cost float64) float64 {
		d := speculate.New(speculate.Options{})
		d.SetCost(cost)
		r := rand.New(rand.NewPCG(1, 1))
		tokens := []int32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1, 2, 3}
		total, n := 0, 0
		for i := range 400 {
			draft := d.Draft(nil, tokens, 8)
			accepted := 0
			for accepted < len(draft) && r.IntN(2) == 0 {
				accepted++
			}
			if len(draft) > 0 {
				d.Verified(len(draft), accepted)
			}
			if i >= 200 {
				total += len(draft)
				n++
			}
		}
		return float64(total) / float64(n)
	}
	assert.InDelta(t, 8, mean(0), 0.01)
	assert.InDelta(t, 4.3, mean(0.05), 1.2)
	assert.InDelta(t, 1.5, mean(0.3), 0.6)
	assert.Less(t, mean(0.8), 0.1)
}

func TestTokensMayBeTakenBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := speculate.New(speculate.Options{N: rapid.IntRange(1, 4).Draw(t, "n")})
		var tokens []int32
		for range rapid.IntRange(1, 40).Draw(t, "calls") {
			keep := len(tokens)
			if rapid.IntRange(0, 3).Draw(t, "back") == 0 {
				keep = rapid.IntRange(0, len(tokens)).Draw(t, "keep")
				d.Index(tokens[:keep])
			}
			tokens = append(tokens[:keep], rapid.SliceOfN(rapid.Int32Range(0, 3), 0, 60).Draw(t, "tokens")...)
			draft := d.Draft(nil, tokens, 5)
			if len(draft) == 0 {
				continue
			}
			d.Verified(len(draft), rapid.IntRange(0, len(draft)).Draw(t, "accepted"))
			assert.True(t, follows(tokens, draft), "%v after %v", draft, tokens)
		}
	})
}

// follows tells whether a draft is what followed an earlier place with at least the same last token.
func follows(tokens, draft []int32) bool {
	end := len(tokens)
	for place := 1; place < end; place++ {
		if tokens[place-1] != tokens[end-1] {
			continue
		}
		same := true
		for i := range draft {
			same = same && draft[i] == tokens[place+i%(end-place)]
		}
		if same {
			return true
		}
	}
	return false
}

func TestNothingIsAllocatedWithinTheCapacity(t *testing.T) {
	text := random(4, 5000, 50)
	d := speculate.New(speculate.Options{Capacity: len(text)})
	draft := make([]int32, 0, 8)
	n := 1000
	d.Index(text[:n])
	assert.Zero(t, testing.AllocsPerRun(3000, func() {
		n++
		draft = d.Draft(draft[:0], text[:n], 8)
		d.Verified(len(draft), 1)
	}))
}

func TestDraftsMayGoBehindTheTokensThemselves(t *testing.T) {
	tokens := append(make([]int32, 0, 32), 1, 2, 3, 4, 5, 6, 1, 2, 3)
	out := speculate.New(speculate.Options{}).Draft(tokens, tokens, 3)
	assert.Equal(t, []int32{1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6}, out)
}

func FuzzDraft(f *testing.F) {
	f.Add([]byte{1, 2, 3, 1, 2, 3, 200, 1, 2, 3})
	f.Fuzz(func(t *testing.T, data []byte) {
		d := speculate.New(speculate.Options{N: len(data) % 5})
		var tokens []int32
		for _, b := range data {
			switch {
			case b < 128:
				tokens = append(tokens, int32(b%7))
			case b < 140:
				tokens = tokens[:len(tokens)*int(b-127)/16]
			case b < 150:
				d.SetCost(float64(b-140) / 5)
			case b < 160:
				d.Verified(int(b)-152, int(b)-155)
			default:
				draft := d.Draft(nil, tokens, int(b)-165)
				require.LessOrEqual(t, len(draft), max(0, int(b)-165))
				require.True(t, len(draft) == 0 || follows(tokens, draft))
			}
		}
	})
}

func BenchmarkDraft(b *testing.B) {
	text := random(5, 1<<16, 200)
	d := speculate.New(speculate.Options{Capacity: len(text)})
	draft := make([]int32, 0, 8)
	d.Index(text[:4000])
	n := 4000
	b.ReportAllocs()
	for b.Loop() {
		if n++; n == len(text) {
			n = 4000
			d.Index(text[:n])
		}
		draft = d.Draft(draft[:0], text[:n], 8)
		d.Verified(len(draft), 0)
	}
}
