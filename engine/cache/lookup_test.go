package cache

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// join makes one prompt of several parts.
func join(parts ...[]int32) []int32 {
	var all []int32
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// What a request computed is found by later ones, to the token, its partial last page included.
func TestPrefixIsFoundToTheToken(t *testing.T) {
	r := newRunner(t, Options{}, Kind{Pages: 100})
	hit := r.request(t, "", text(0, 100))
	assert.Equal(t, Hit{Miss: Miss{Reason: ReasonNew, Want: 0}}, hit)

	hit = r.request(t, "", text(0, 100))
	assert.Equal(t, 99, hit.Tokens, "the last token is computed again, for its logits")
	assert.Equal(t, ReasonWhole, hit.Miss.Reason)

	hit = r.request(t, "", text(0, 110))
	assert.Equal(t, 100, hit.Tokens)
	assert.Equal(t, Miss{Reason: ReasonEnds, At: 100, Want: 100}, hit.Miss)

	hit = r.request(t, "", join(text(0, 70), text(500, 50)))
	assert.Equal(t, 70, hit.Tokens)
	assert.Equal(t, Miss{Reason: ReasonDiffers, At: 70, Want: 500, Have: 70}, hit.Miss)
	assert.Equal(t, "token 70 is 500, computed was 70", hit.Miss.String())

	hit = r.request(t, "", join(text(0, 64), text(500, 50)))
	assert.Equal(t, Miss{Reason: ReasonDiffers, At: 64, Want: 500, Have: 64}, hit.Miss)
}

func TestEdgesOfPrompts(t *testing.T) {
	r := newRunner(t, Options{}, Kind{Pages: 20})
	for _, n := range []int{0, 1, 2, 31, 32, 33, 64, 65} {
		assert.Zero(t, r.request(t, fmt.Sprint(n), text(0, n)).Tokens)
		hit := r.request(t, fmt.Sprint(n), text(0, n))
		assert.Equal(t, max(0, n-1), hit.Tokens, "%d tokens", n)
		assert.Equal(t, ReasonWhole, hit.Miss.Reason, "%d tokens", n)
	}
}

func TestKeysAreSeparate(t *testing.T) {
	r := newRunner(t, Options{}, Kind{Pages: 20})
	r.request(t, "adapter", text(0, 90))
	hit := r.request(t, "", text(0, 90))
	assert.Equal(t, 0, hit.Tokens)
	assert.Equal(t, ReasonOtherKey, hit.Miss.Reason)
	assert.Equal(t, "adapter", hit.Miss.Key)
	assert.Equal(t, 89, r.cache.Explain("adapter", text(0, 90)).Tokens)
	assert.Equal(t, ReasonOtherKey, r.cache.Explain("third", text(0, 90)).Miss.Reason)
	assert.Equal(t, ReasonNew, r.cache.Explain("third", text(7, 90)).Miss.Reason)
	assert.Equal(t, 2, r.cache.Stats().Keys, "explaining makes no trees")
}

// The least recently used prefix goes first, from its end, and is then known to have been evicted.
func TestLeastRecentlyUsedGoesFirst(t *testing.T) {
	r := newRunner(t, Options{}, Kind{Pages: 10})
	for _, first := range []int{0, 1000, 2000} {
		r.request(t, "", text(first, 96))
	}
	r.request(t, "", text(0, 96)) // used again: the second is now the oldest
	r.request(t, "", text(3000, 64))
	assert.Equal(t, 95, r.cache.Explain("", text(0, 96)).Tokens)
	assert.Equal(t, 95, r.cache.Explain("", text(2000, 96)).Tokens)
	hit := r.cache.Explain("", text(1000, 96))
	assert.Equal(t, 64, hit.Tokens)
	assert.Equal(t, Miss{Reason: ReasonEvicted, At: 64, Want: 1064}, hit.Miss)
	assert.Contains(t, hit.Miss.String(), "until their memory was needed")
	r.request(t, "", text(4000, 300))
	assert.Equal(t, ReasonEvicted, r.cache.Explain("", text(2000, 97)).Miss.Reason)
	assert.Positive(t, r.cache.Stats().Evicted)
}

// A sequence that still computes is found by others as far as it is, and goes on undisturbed.
func TestBusySequenceIsShared(t *testing.T) {
	r := newRunner(t, Options{}, Kind{Pages: 20})
	a, _ := r.cache.Open("", text(0, 50))
	require.NoError(t, r.prefill(a, text(0, 50), 50))
	b, hit := r.cache.Open("", join(text(0, 45), text(900, 30)))
	assert.Equal(t, 45, hit.Tokens)
	assert.Equal(t, ReasonDiffers, hit.Miss.Reason)
	require.NoError(t, r.step(a, []int32{50, 51}))
	r.check(t)
	assert.Equal(t, uint64(0), r.cache.Stats().Copied, "the one who came later copies, when it writes")
	require.NoError(t, r.step(b, text(900, 30)))
	r.check(t)
	assert.Equal(t, uint64(1), r.cache.Stats().Copied)
	a.Close()
	b.Close()
	r.check(t)
}

// Two requests with the same new prefix: one computes it, the other waits and takes it over.
func TestSameNewPrefixIsComputedOnce(t *testing.T) {
	r := newRunner(t, Options{}, Kind{Pages: 20})
	tokens := text(0, 200)
	a, hit := r.cache.Open("", tokens)
	assert.Zero(t, hit.Pending)
	b, hit := r.cache.Open("", join(tokens[:150], text(900, 20)))
	assert.Equal(t, 150, hit.Pending)
	assert.Same(t, a, hit.Leader)
	c, hit := r.cache.Open("", tokens)
	assert.Equal(t, 199, hit.Pending)
	assert.Same(t, a, hit.Leader)

	require.NoError(t, r.step(a, tokens[:100]))
	hit, err := b.Extend(join(tokens[:150], text(900, 20)))
	require.NoError(t, err)
	assert.Equal(t, 100, hit.Tokens)
	assert.Equal(t, 150, hit.Pending)
	require.NoError(t, r.step(a, tokens[100:]))
	hit, err = b.Extend(join(tokens[:150], text(900, 20)))
	require.NoError(t, err)
	assert.Equal(t, Hit{Tokens: 150, Miss: Miss{Reason: ReasonDiffers, At: 150, Want: 900, Have: 150}}, hit)
	hit, err = c.Extend(tokens)
	require.NoError(t, err)
	assert.Equal(t, 199, hit.Tokens)
	r.check(t)
	assert.Equal(t, 7, r.cache.Stats().Kinds[0].Held, "three sequences, one set of pages")
	_, err = c.Extend(text(1, 300))
	assert.ErrorIs(t, err, ErrUsage)
	for _, s := range []*Sequence{a, b, c} {
		s.Close()
	}
	r.check(t)
}

// Who waits for a request that is cancelled goes on from what it had computed.
func TestLeaderIsCancelled(t *testing.T) {
	r := newRunner(t, Options{}, Kind{Pages: 20})
	tokens := text(0, 200)
	a, _ := r.cache.Open("", tokens)
	b, _ := r.cache.Open("", tokens)
	c, _ := r.cache.Open("", tokens)
	require.NoError(t, r.step(a, tokens[:70]))
	a.Close()
	hit, err := b.Extend(tokens)
	require.NoError(t, err)
	assert.Equal(t, 70, hit.Tokens)
	assert.Zero(t, hit.Pending)
	hit, err = c.Extend(tokens)
	require.NoError(t, err)
	assert.Equal(t, 70, hit.Tokens)
	assert.Same(t, b, hit.Leader, "the next in line")
	b.Close()
	c.Close()
}

// Computed twice all the same, a page is kept once.
func TestPagesComputedTwiceAreKeptOnce(t *testing.T) {
	r := newRunner(t, Options{}, Kind{Pages: 20})
	tokens := text(0, 100)
	a, _ := r.cache.Open("", tokens)
	b, _ := r.cache.Open("", tokens)
	require.NoError(t, r.step(a, tokens))
	require.NoError(t, r.step(b, tokens))
	r.check(t)
	stats := r.cache.Stats()
	assert.Equal(t, uint64(3), stats.Deduplicated)
	assert.Equal(t, 5, stats.Kinds[0].Held)
	a.Close()
	b.Close()
	r.check(t)
	assert.Equal(t, 4, r.cache.Stats().Kinds[0].Evictable, "three whole pages, and one partial")
}

// A windowed kind holds a window's pages of each sequence, and a prefix is found where they are still there.
func TestWindowsGivePagesBack(t *testing.T) {
	r := newRunner(t, Options{}, Kind{Pages: 100}, Kind{Pages: 100, Window: 64})
	s, _ := r.cache.Open("", text(0, 1000))
	require.NoError(t, r.prefill(s, text(0, 1000), 64))
	assert.Equal(t, []int{32, 3}, []int{r.cache.Stats().Kinds[0].Held, r.cache.Stats().Kinds[1].Held})
	table := s.Table(1)
	require.Len(t, table, 32)
	assert.Equal(t, int32(-1), table[28])
	assert.GreaterOrEqual(t, table[29], int32(0), "token 1000 sees 937 and up, which is on page 29")
	s.Close()
	hit := r.request(t, "", text(0, 1001))
	assert.Equal(t, 1000, hit.Tokens)
	hit = r.request(t, "", join(text(0, 500), text(5000, 10)))
	assert.Equal(t, 500, hit.Tokens, "old pages stay as long as memory allows")
}

func TestWindowPagesOfOldNodesGoFirst(t *testing.T) {
	r := newRunner(t, Options{}, Kind{Pages: 200}, Kind{Pages: 16, Window: 64})
	system := text(9000, 100)
	r.request(t, "", join(system, text(0, 10)))
	r.request(t, "", join(system, text(100, 10))) // shares the system prompt: its window is worth keeping
	long := join(system, text(1000, 2000))
	r.request(t, "", long)
	hit := r.request(t, "", join(system, text(200, 10)))
	assert.Equal(t, 100, hit.Tokens, "%v", hit.Miss)
	hit = r.cache.Explain("", join(long, text(0, 1)))
	assert.Equal(t, 2100, hit.Tokens, "the end of the long one is there too: %v", hit.Miss)
	hit = r.cache.Explain("", join(long[:1000], text(0, 10)))
	assert.Less(t, hit.Tokens, 1000)
	assert.Equal(t, ReasonWindow, hit.Miss.Reason)
	assert.Equal(t, 1, hit.Miss.Kind)
	assert.Equal(t, 1000, hit.Miss.At)
	assert.Positive(t, r.cache.Stats().Dropped)
}

// Where no distance is asked for, a prompt leaves a state every sixteenth of its length, in slots that are free or hold older ones of this
// kind, which are the first to go.
func TestPromptsLeaveStates(t *testing.T) {
	r := newRunner(t, Options{CheckpointShare: 1e-9}, Kind{Pages: 400}, Kind{Pages: 8, State: true})
	tokens := text(0, 2048)
	s, _ := r.cache.Open("", tokens)
	assert.Equal(t, 128, s.ChunkEnd(2048))
	require.NoError(t, r.prefill(s, tokens, 100))
	assert.Equal(t, 2048+20, s.ChunkEnd(2048+20), "answers leave none")
	s.Close()
	r.check(t)
	found := func(n int) int { return r.cache.Explain("", join(tokens[:n], text(5000, 40))).Tokens }
	assert.Equal(t, 2048, found(2048), "the end")
	assert.Equal(t, 1920, found(2000))
	assert.Equal(t, 1792, found(1900))
	assert.Equal(t, 0, found(700), "given up for those that followed")
	r.request(t, "", text(3000, 40))
	r.request(t, "", text(4000, 40))
	assert.Equal(t, 2048, found(2048), "the end goes after what was only passed by")
	assert.Less(t, found(1200), 1200)
}

// Recurrent states are kept at regular distances, at the last page boundary of a prompt, and at the end.
func TestStatesAreKeptAtBoundaries(t *testing.T) {
	r := newRunner(t, Options{CheckpointTokens: 100}, Kind{Pages: 100}, Kind{Pages: 20, State: true})
	assert.Equal(t, 128, r.cache.Stats().CheckpointEvery)
	tokens := text(0, 300)
	s, _ := r.cache.Open("", tokens)
	assert.Equal(t, 128, s.ChunkEnd(300))
	assert.Equal(t, 100, s.ChunkEnd(100))
	require.NoError(t, r.prefill(s, tokens, 1000))
	s.Close()
	r.check(t)
	found := func(n int) int { return r.cache.Explain("", join(tokens[:n], text(5000, 40))).Tokens }
	assert.Equal(t, 300, found(300), "the end")
	assert.Equal(t, 288, found(299), "the prompt's last page boundary")
	assert.Equal(t, 256, found(287))
	assert.Equal(t, 128, found(255))
	assert.Equal(t, 0, found(127))
	miss := r.cache.Explain("", join(tokens[:255], text(5000, 40))).Miss
	assert.Equal(t, Miss{Reason: ReasonState, At: 255, Want: 5000, Kind: 1}, miss)
	assert.Equal(t, 288, r.cache.Explain("", tokens).Tokens, "the same prompt again")
}

// Where prompts part, the second one leaves a state for the third.
func TestStateIsKeptWherePromptsPart(t *testing.T) {
	r := newRunner(t, Options{CheckpointTokens: 10_000}, Kind{Pages: 100}, Kind{Pages: 20, State: true})
	system := text(0, 200)
	assert.Equal(t, 0, r.request(t, "", join(system, text(1000, 100))).Tokens)
	assert.Equal(t, 0, r.request(t, "", join(system, text(2000, 100))).Tokens)
	assert.Equal(t, 192, r.request(t, "", join(system, text(3000, 100))).Tokens)
}

// A leader is asked for the state that the waiting one needs.
func TestLeaderKeepsTheStateForOthers(t *testing.T) {
	r := newRunner(t, Options{CheckpointTokens: 10_000}, Kind{Pages: 100}, Kind{Pages: 20, State: true})
	system := text(0, 200)
	a, _ := r.cache.Open("", join(system, text(1000, 100)))
	b, hit := r.cache.Open("", join(system, text(2000, 100)))
	assert.Equal(t, 192, hit.Pending)
	require.NoError(t, r.prefill(a, join(system, text(1000, 100)), 1000))
	hit, err := b.Extend(join(system, text(2000, 100)))
	require.NoError(t, err)
	assert.Equal(t, 192, hit.Tokens)
	r.check(t)
	_, hit = r.cache.Open("", join(system, text(3000, 100)))
	assert.Zero(t, hit.Pending, "it is past that")
	assert.Equal(t, 192, hit.Tokens)
	a.Close()
	b.Close()
}

// States that nobody holds go before anything else is refused, regular ones first.
func TestRegularStatesGoFirst(t *testing.T) {
	r := newRunner(t, Options{CheckpointTokens: 32}, Kind{Pages: 100}, Kind{Pages: 6, State: true})
	tokens := text(0, 500)
	r.request(t, "", tokens)
	hit := r.cache.Explain("", join(tokens, text(0, 1)))
	assert.Equal(t, 500, hit.Tokens, "the end is kept")
	assert.Equal(t, 480, r.cache.Explain("", tokens).Tokens, "and the prompt's last page boundary")
	assert.Equal(t, 0, r.cache.Explain("", tokens[:100]).Tokens)
}

func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for r := range reasonCount {
		seen[r.String()] = true
		assert.NotEmpty(t, Miss{Reason: r}.String())
	}
	assert.Len(t, seen, int(reasonCount))
	assert.Equal(t, "reason 200", Reason(200).String())
}
