package cache

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNewChecksItsArguments(t *testing.T) {
	for _, k := range []Kind{{Pages: -1}, {Pages: 1 << 31}, {Window: -1}, {State: true, Window: 5}} {
		_, err := New([]Kind{k}, newFake([]Kind{{}}), Options{})
		assert.ErrorIs(t, err, ErrUsage)
	}
	_, err := New(nil, newFake(nil), Options{ParkBytes: -1})
	assert.ErrorIs(t, err, ErrUsage)
}

// A conversation that fills all memory goes on, turn after turn: its own old end gives way.
func TestConversationFillsTheCache(t *testing.T) {
	for _, kinds := range [][]Kind{{{Pages: 4}}, {{Pages: 4}, {Pages: 4, Window: 100}}, {{Pages: 4}, {Pages: 3, State: true}}} {
		r := newRunner(t, Options{}, kinds...)
		for n := 10; n <= 128; n += 10 {
			hit := r.request(t, "", text(0, n))
			assert.Equal(t, n-10, hit.Tokens)
		}
		s, _ := r.cache.Open("", text(0, 128))
		require.NoError(t, r.prefill(s, text(0, 128), 50))
		err := s.Reserve(129)
		assert.ErrorIs(t, err, ErrFull)
		assert.ErrorContains(t, err, "1 pages of kind 0 needed, 0 free, 0 evictable, 4 held by running sequences, 4 in all")
		if n := s.Rewind(75); len(r.cache.states) == 0 {
			assert.Equal(t, 75, n)
		}
		r.check(t)
		require.NoError(t, r.prefill(s, join(text(0, s.Len()), text(500, 128-s.Len())), 20))
		s.Close()
		r.check(t)
	}
}

// The same where a whole page that the tree has is in the way of the last free one.
func TestRewoundPageGivesWay(t *testing.T) {
	for _, kind := range []Kind{{}, {Window: 100}} {
		for pages := 2; pages <= 4; pages++ {
			kind.Pages = pages
			r := newRunner(t, Options{}, kind)
			s, _ := r.cache.Open("", text(0, 64))
			require.NoError(t, r.prefill(s, text(0, 64), 64))
			assert.Equal(t, 40, s.Rewind(40))
			require.NoError(t, r.step(s, text(700, 32*pages-40)), "to the end of %d pages", pages)
			r.check(t)
			s.Close()
			r.check(t)
		}
	}
}

// A reservation that cannot be met changes nothing, and evicts nothing.
func TestRefusedReservationEvictsNothing(t *testing.T) {
	r := newRunner(t, Options{}, Kind{Pages: 10})
	r.request(t, "", text(0, 100))
	s, _ := r.cache.Open("", text(1000, 300))
	var full *FullError
	require.ErrorAs(t, s.Reserve(330), &full)
	assert.Equal(t, FullError{Kind: 0, Need: 11, Free: 6, Evictable: 4, Total: 10}, *full)
	assert.Empty(t, s.Table(0))
	assert.Equal(t, 99, r.cache.Explain("", text(0, 100)).Tokens)
	require.NoError(t, s.Reserve(320))
	assert.Zero(t, r.cache.Explain("", text(0, 100)).Tokens)
	s.Close()
	r.check(t)
	assert.Equal(t, 10, r.cache.Stats().Kinds[0].Free, "nothing was computed")
}

func TestCommitWithoutReservation(t *testing.T) {
	for _, kind := range []Kind{{Pages: 10}, {Pages: 10, State: true}} {
		r := newRunner(t, Options{}, kind)
		s, _ := r.cache.Open("", nil)
		assert.ErrorIs(t, s.Commit([]int32{1}), ErrUsage)
		assert.NoError(t, s.Commit(nil))
		assert.Zero(t, s.Len())
		s.Close()
		assert.ErrorIs(t, s.Commit([]int32{1}), ErrClosed)
		assert.ErrorIs(t, s.Park(), ErrClosed)
		assert.ErrorIs(t, s.Resume(), ErrClosed)
		_, err := s.Fork()
		assert.ErrorIs(t, err, ErrClosed)
		_, err = s.Extend(nil)
		assert.ErrorIs(t, err, ErrClosed)
		assert.Zero(t, s.Rewind(0))
		r.check(t)
	}
}

// A device that fails to copy leaves everything as it was, and the copy is made at the next attempt.
func TestCopyFails(t *testing.T) {
	r := newRunner(t, Options{}, Kind{Pages: 10})
	a, _ := r.cache.Open("", text(0, 20))
	require.NoError(t, r.prefill(a, text(0, 20), 20))
	b, err := a.Fork()
	require.NoError(t, err)
	broken := errors.New("broken")
	r.device.fail = broken
	assert.ErrorIs(t, b.Reserve(21), broken)
	r.check(t)
	r.device.fail = nil
	require.NoError(t, r.step(b, text(900, 20)))
	require.NoError(t, r.step(a, text(20, 20)))
	r.check(t)
	a.Close()
	b.Close()
	r.check(t)
}

// Many samples of one prompt share its pages; each has its own from where they part.
func TestForksShareThePrompt(t *testing.T) {
	r := newRunner(t, Options{}, Kind{Pages: 60}, Kind{Pages: 60, Window: 40}, Kind{Pages: 40, State: true})
	s, _ := r.cache.Open("", text(0, 1000))
	require.NoError(t, r.prefill(s, text(0, 1000), 200))
	before := r.cache.Stats().Kinds[0].Held
	all := []*Sequence{s}
	for range 8 {
		f, err := s.Fork()
		require.NoError(t, err)
		all = append(all, f)
	}
	assert.Equal(t, before, r.cache.Stats().Kinds[0].Held)
	for i, f := range all {
		require.NoError(t, r.step(f, text(5000*i, 3)))
		r.check(t)
	}
	assert.Equal(t, before+8, r.cache.Stats().Kinds[0].Held, "a partial page each, but for the first")
	assert.Equal(t, uint64(8), r.cache.Stats().Forks)
	for _, f := range all {
		f.Close()
		r.check(t)
	}
}

// Rewinding goes where everything that is needed is still there.
func TestRewind(t *testing.T) {
	r := newRunner(t, Options{}, Kind{Pages: 60})
	s, _ := r.cache.Open("", text(0, 100))
	require.NoError(t, r.prefill(s, text(0, 100), 64))
	assert.Equal(t, 100, s.Rewind(100))
	assert.Equal(t, 98, s.Rewind(98), "two rejected drafts")
	assert.Equal(t, 40, s.Rewind(40))
	r.check(t)
	require.NoError(t, r.step(s, text(800, 60)))
	r.check(t)
	hit := r.cache.Explain("", text(0, 97))
	assert.Equal(t, 96, hit.Tokens, "what was rewound is still known")
	assert.Equal(t, 0, s.Rewind(-5))
	s.Close()
	r.check(t)

	r = newRunner(t, Options{}, Kind{Pages: 60}, Kind{Pages: 5, Window: 64})
	s, _ = r.cache.Open("", text(0, 1000))
	require.NoError(t, r.prefill(s, text(0, 1000), 32))
	assert.Equal(t, 990, s.Rewind(990), "within the last pages")
	assert.Less(t, s.Rewind(500), 500, "the window before token 500 is gone")
	r.check(t)
	s.Close()

	r = newRunner(t, Options{CheckpointTokens: 64}, Kind{Pages: 60, State: true})
	s, _ = r.cache.Open("", text(0, 300))
	require.NoError(t, r.prefill(s, text(0, 300), 100))
	assert.Equal(t, 256, s.Rewind(287))
	r.check(t)
	require.NoError(t, r.step(s, text(800, 20)))
	assert.Equal(t, 128, s.Rewind(191))
	assert.Equal(t, 0, s.Rewind(63))
	r.check(t)
	s.Close()
	r.check(t)
}

func TestCheckpointDistances(t *testing.T) {
	state := Kind{Pages: 9, State: true} // of 8 bytes; a page has 256
	for _, c := range []struct {
		kinds []Kind
		o     Options
		want  int
	}{
		{[]Kind{{Pages: 9}}, Options{CheckpointTokens: 7}, 0},
		{[]Kind{state}, Options{}, 512},
		{[]Kind{state}, Options{CheckpointTokens: 33}, 64},
		{[]Kind{state, {Pages: 9}}, Options{}, 32},
		{[]Kind{state, {Pages: 9}}, Options{CheckpointShare: 0.01}, 128},
		{[]Kind{state, {Pages: 9}}, Options{CheckpointShare: 1e-9}, 32 << 20},
		{[]Kind{state, state, {Pages: 9}, {Pages: 9, Window: 50}}, Options{CheckpointShare: 0.01}, 224},
	} {
		r := newRunner(t, c.o, c.kinds...)
		assert.Equal(t, c.want, r.cache.CheckpointInterval(), "%+v", c)
	}
}
