package cache

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// layouts are sets of kinds that models have; Pages are set by the test.
var layouts = [][]Kind{
	{{}},
	{{}, {Window: 40}},
	{{Window: 100}, {}},
	{{Window: 33}},
	{{Window: 1}, {}},
	{{}, {Window: 64}, {Window: 5}},
	{{}, {State: true}},
	{{State: true}},
	{{Window: 50}, {State: true}},
	{{State: true}, {}, {Window: 70}},
	{{}, {State: true}, {State: true}},
}

func sized(layout []Kind, pages, slots int) []Kind {
	kinds := slices.Clone(layout)
	for i := range kinds {
		kinds[i].Pages = pages
		if kinds[i].State {
			kinds[i].Pages = slots
		}
	}
	return kinds
}

// model is the naive view of a cache: what was computed under each key, as plain lists of tokens.
type model struct {
	*runner
	t        *rapid.T
	computed map[string][][]int32
	open     []*Sequence
	parked   []*Sequence
	keys     map[*Sequence]string
	plenty   bool // memory never ends, nothing is rewound: hits can be foretold
	requests int
}

var modelKeys = []string{"", "a", "b"}

// prompt draws tokens that often begin like something that was computed.
func (m *model) prompt(key string) []int32 {
	var tokens []int32
	if known := m.computed[key]; len(known) > 0 && rapid.IntRange(0, 4).Draw(m.t, "fresh") > 0 {
		old := known[rapid.IntRange(0, len(known)-1).Draw(m.t, "old")]
		tokens = append(tokens, old[:rapid.IntRange(0, len(old)).Draw(m.t, "cut")]...)
	}
	more := rapid.IntRange(0, 80).Draw(m.t, "more")
	first := rapid.IntRange(0, 3).Draw(m.t, "first")
	for i := range more {
		tokens = append(tokens, int32(first*1000+i%50))
	}
	return tokens[:min(len(tokens), 230)]
}

// foretold is the most that a cache which never forgets can find.
func (m *model) foretold(key string, tokens []int32) int {
	best := 0
	for _, old := range m.computed[key] {
		best = max(best, common(old, tokens))
	}
	return max(0, min(best, len(tokens)-1))
}

func (m *model) remember(s *Sequence) {
	key := m.keys[s]
	m.computed[key] = append(m.computed[key], slices.Clone(s.Tokens()))
	if len(m.computed[key]) > 60 && !m.plenty {
		m.computed[key] = m.computed[key][20:]
	}
}

func (m *model) request() {
	m.requests++
	key := rapid.SampledFrom(modelKeys).Draw(m.t, "key")
	tokens := m.prompt(key)
	most := m.foretold(key, tokens)
	explained := m.cache.Explain(key, tokens)
	s, hit := m.cache.Open(key, tokens)
	require.Equal(m.t, hit.Tokens, s.Len())
	require.Equal(m.t, explained.Tokens, hit.Tokens, "explained")
	require.Equal(m.t, explained.Miss, hit.Miss, "explained")
	require.True(m.t, slices.Equal(tokens[:hit.Tokens], s.Tokens()))
	require.LessOrEqual(m.t, hit.Tokens, max(0, len(tokens)-1))
	require.Equal(m.t, hit.Tokens == max(0, len(tokens)-1), hit.Miss.Reason == ReasonWhole, "%v", hit.Miss)
	if m.plenty {
		require.Equal(m.t, most, hit.Tokens, "%v", hit.Miss)
	}
	if hit.Pending > 0 {
		require.Greater(m.t, hit.Pending, hit.Tokens)
		require.Contains(m.t, m.open, hit.Leader)
		require.Equal(m.t, tokens[:hit.Pending], hit.Leader.tokens[:hit.Pending])
	}
	m.keys[s] = key
	m.open = append(m.open, s)
}

func (m *model) pick(from []*Sequence) *Sequence {
	if len(from) == 0 {
		return nil
	}
	return from[rapid.IntRange(0, len(from)-1).Draw(m.t, "which")]
}

// full accepts an error that says that memory ran out, and nothing else.
func (m *model) full(err error) bool {
	if err == nil {
		return false
	}
	require.ErrorIs(m.t, err, ErrFull)
	require.False(m.t, m.plenty, "%v", err)
	return true
}

// fits tells whether a sequence surely has room to compute up to end: everything that no sequence holds can be given up.
func (m *model) fits(s *Sequence, end int) bool {
	for i, k := range m.device.kinds {
		held := map[int32]bool{}
		for _, o := range m.open {
			for _, page := range o.Table(i) {
				if page >= 0 {
					held[page] = true
				}
			}
		}
		need := 1
		if !k.State {
			need = (end+PageTokens-1)/PageTokens - len(s.Table(i))
			if !s.owned {
				need++ // the last page may have to be copied
			}
		}
		if len(held)+need > k.Pages {
			return false
		}
	}
	return m.cache.options.ParkBytes == 0 // else parked pages may have nowhere to go
}

// advance computes the next part of a prompt, or of an answer.
func (m *model) advance() {
	s := m.pick(m.open)
	if s == nil {
		return
	}
	n := s.Len()
	end := min(s.planned, n+rapid.IntRange(1, 90).Draw(m.t, "chunk"))
	ids := slices.Clone(s.tokens[n:end])
	if n == s.planned {
		for range rapid.IntRange(1, 5).Draw(m.t, "generated") {
			ids = append(ids, int32(rapid.IntRange(0, 2).Draw(m.t, "id")))
		}
	}
	ids = ids[:s.ChunkEnd(n+len(ids))-n]
	before := slices.Clone(s.Table(0))
	must := m.fits(s, n+len(ids))
	if m.full(s.Reserve(n + len(ids))) {
		require.False(m.t, must, "there was room")
		require.Equal(m.t, n, s.Len())
		require.Len(m.t, s.Table(0), len(before))
		return
	}
	require.NoError(m.t, m.verify(s))
	switch rapid.IntRange(0, 6).Draw(m.t, "outcome") {
	case 0: // abandoned in the middle: something was written
		wrong := slices.Clone(ids)
		wrong[0]++
		require.NoError(m.t, m.write(s, wrong))
		return
	case 2:
		m.guess(s, ids)
		return
	case 1: // the last of what was computed are rejected
		good := rapid.IntRange(0, len(ids)).Draw(m.t, "accepted")
		if len(m.cache.states) == 0 {
			require.NoError(m.t, m.write(s, ids))
			ids = ids[:good]
		}
	}
	require.NoError(m.t, m.write(s, ids))
	require.NoError(m.t, s.Commit(ids))
	require.Equal(m.t, n+len(ids), s.Len())
	m.remember(s)
}

// guess computes guesses behind ids, of which some come true.
func (m *model) guess(s *Sequence, ids []int32) {
	n := s.Len()
	var guesses []int32
	for range rapid.IntRange(1, 4).Draw(m.t, "guesses") {
		guesses = append(guesses, int32(rapid.IntRange(0, 2).Draw(m.t, "id")))
	}
	if m.full(s.ReserveGuesses(n+len(ids)+len(guesses), len(guesses))) {
		require.Equal(m.t, n, s.Len())
		return
	}
	m.check(m.t)
	require.NoError(m.t, m.write(s, append(slices.Clone(ids), guesses...)))
	require.NoError(m.t, s.Commit(ids))
	m.check(m.t)
	for _, id := range guesses[:rapid.IntRange(0, len(guesses)).Draw(m.t, "came true")] {
		require.NoError(m.t, s.Commit([]int32{id}))
		m.check(m.t)
	}
	if rapid.Bool().Draw(m.t, "forgotten") { // else by whatever comes next
		s.ForgetGuesses()
		for i, k := range m.device.kinds {
			require.True(m.t, !k.State || len(s.Table(i)) == 2)
		}
	}
	m.remember(s)
}

func (m *model) extend() {
	s := m.pick(m.open)
	if s == nil {
		return
	}
	n := s.Len()
	tokens := slices.Clone(s.tokens)
	if rapid.Bool().Draw(m.t, "longer") {
		tokens = append(tokens, int32(rapid.IntRange(0, 3).Draw(m.t, "id")))
	}
	hit, err := s.Extend(tokens)
	require.NoError(m.t, err)
	require.Equal(m.t, hit.Tokens, s.Len())
	require.GreaterOrEqual(m.t, s.Len(), n)
	if m.plenty {
		require.Equal(m.t, max(n, m.foretold(m.keys[s], tokens)), s.Len())
	}
}

func (m *model) rewind() {
	if m.plenty {
		return // hits could not be foretold
	}
	s := m.pick(m.open)
	if s == nil {
		return
	}
	n := s.Len()
	old := slices.Clone(s.Tokens())
	to := rapid.IntRange(0, n).Draw(m.t, "to")
	stay := s.Rewind(to)
	require.LessOrEqual(m.t, stay, to)
	require.Equal(m.t, stay, s.Len())
	require.True(m.t, slices.Equal(old[:stay], s.Tokens()))
	if len(m.device.kinds) == 1 && m.device.kinds[0] == (Kind{Pages: m.device.kinds[0].Pages}) {
		require.Equal(m.t, to, stay, "nothing stands in the way of a kind that keeps all")
	}
}

func (m *model) fork() {
	s := m.pick(m.open)
	if s == nil {
		return
	}
	f, err := s.Fork()
	require.NoError(m.t, err)
	require.True(m.t, slices.Equal(s.Tokens(), f.Tokens()))
	m.keys[f] = m.keys[s]
	m.open = append(m.open, f)
}

func (m *model) close() {
	s := m.pick(append(slices.Clone(m.open), m.parked...))
	if s == nil {
		return
	}
	s.Close()
	s.Close()
	m.open = slices.DeleteFunc(m.open, func(x *Sequence) bool { return x == s })
	m.parked = slices.DeleteFunc(m.parked, func(x *Sequence) bool { return x == s })
	delete(m.keys, s)
	require.ErrorIs(m.t, s.Reserve(10), ErrClosed)
}

func (m *model) park() {
	s := m.pick(m.open)
	if s == nil {
		return
	}
	n := s.Len()
	require.NoError(m.t, s.Park())
	require.LessOrEqual(m.t, s.Len(), n)
	if n != s.Len() {
		require.Less(m.t, n-s.Len(), 300)
	}
	require.ErrorIs(m.t, s.Commit([]int32{1}), ErrParked)
	m.open = slices.DeleteFunc(m.open, func(x *Sequence) bool { return x == s })
	m.parked = append(m.parked, s)
}

func (m *model) resume() {
	s := m.pick(m.parked)
	if s == nil {
		return
	}
	n := s.Len()
	if m.full(s.Resume()) {
		require.ErrorIs(m.t, s.Reserve(1), ErrParked)
		return
	}
	require.Equal(m.t, n, s.Len())
	m.parked = slices.DeleteFunc(m.parked, func(x *Sequence) bool { return x == s })
	m.open = append(m.open, s)
}

// finish closes everything; every page must then be the tree's or free, and free once the tree is emptied.
func (m *model) finish() {
	for _, s := range append(slices.Clone(m.open), m.parked...) {
		s.Close()
	}
	m.check(m.t)
	for _, k := range m.cache.shelves {
		require.Equal(m.t, k.Size(), k.available(), "pages of kind %d are still held", k.index)
	}
	m.cache.Clear()
	require.NoError(m.t, m.cache.Check())
	for _, k := range m.cache.shelves {
		require.Equal(m.t, k.Size(), k.Free(), "pages of kind %d did not come back", k.index)
	}
	stats := m.cache.Stats()
	require.Zero(m.t, stats.Nodes+stats.Keys+stats.Open+stats.Parked)
	require.Zero(m.t, stats.ParkedMemory+stats.ParkedDisk)
	require.NoError(m.t, m.cache.Close())
}

// Random requests, steps, abandoned steps, forks, rewinds, cancellations, parking and evictions: after every one of them the
// books are right, and what each sequence reads is what its own tokens gave. Ten thousand requests in all.
func TestAgainstModel(t *testing.T) {
	requests := 0
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		layout := rapid.IntRange(0, len(layouts)-1).Draw(t, "layout")
		m := &model{t: t, computed: map[string][][]int32{}, keys: map[*Sequence]string{}}
		pages, slots := rapid.IntRange(8, 60).Draw(t, "pages"), rapid.IntRange(3, 12).Draw(t, "slots")
		if m.plenty = rapid.IntRange(0, 3).Draw(t, "plenty") == 0; m.plenty {
			pages, slots = 4000, 4000
		}
		o := Options{CheckpointTokens: rapid.SampledFrom([]int{0, 32, 64, 100}).Draw(t, "checkpoints")}
		if rapid.Bool().Draw(t, "disk") {
			o.ParkBytes, o.ParkDir = 300, dir
			if rapid.Bool().Draw(t, "small disk") {
				o.ParkDiskBytes = 600
			}
		}
		kinds := sized(layouts[layout], pages, slots)
		if m.plenty && slices.ContainsFunc(kinds, func(k Kind) bool { return k.State || k.Window == 1 }) {
			m.plenty = false // a state is not everywhere
		}
		device := newFake(kinds)
		c, err := New(kinds, device, o)
		require.NoError(t, err)
		m.runner = &runner{cache: c, device: device}
		actions := []func(){m.request, m.request, m.park, m.advance, m.advance, m.advance, m.advance, m.extend, m.rewind, m.fork, m.close, m.park, m.resume}
		for m.requests < 100 {
			if len(m.open) > 6 {
				m.close()
			} else {
				actions[rapid.IntRange(0, len(actions)-1).Draw(t, "action")]()
			}
			m.check(t)
		}
		requests += m.requests
		m.finish()
	})
	assert.GreaterOrEqual(t, requests, 10_000)
}
