package cache

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Whatever the budget: it is kept, nearly all of it is used, and what it was sized for runs.
func TestSizeKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		layout := layouts[rapid.IntRange(0, len(layouts)-1).Draw(t, "layout")]
		var kinds []Footprint
		for _, k := range layout {
			kinds = append(kinds, Footprint{k.Window, k.State, int64(rapid.IntRange(1, 1<<20).Draw(t, "bytes"))})
		}
		d := Demand{Sequences: rapid.IntRange(1, 6).Draw(t, "sequences"), Context: rapid.IntRange(1, 1000).Draw(t, "context"),
			StepRows: rapid.IntRange(1, 300).Draw(t, "rows")}
		if rapid.Bool().Draw(t, "limited") {
			d.Budget = int64(rapid.IntRange(1, 1<<29).Draw(t, "budget"))
		}
		pages, err := Size(kinds, d)
		if err != nil {
			require.ErrorIs(t, err, ErrFull)
			require.Positive(t, d.Budget)
			return
		}
		var used, largest int64
		for i, k := range kinds {
			used += int64(pages[i]) * k.PageBytes
			largest += k.PageBytes * int64(k.ended(d, kinds)+1)
		}
		if d.Budget > 0 {
			require.LessOrEqual(t, used, d.Budget)
			require.Greater(t, used, d.Budget-largest, "at most one prefix is missing")
		}
		runAll(t, layout, pages, d)
	})
}

// runAll computes as many sequences as a cache was sized for, of a length that it must have room for, by turns.
func runAll(t *rapid.T, layout []Kind, pages []int, d Demand) {
	kinds := append([]Kind(nil), layout...)
	for i := range kinds {
		kinds[i].Pages = min(pages[i], 2000)
	}
	r := newRunner(t, Options{Context: d.Context}, kinds...)
	length := d.Context
	if d.Budget > 0 {
		length = max(1, d.Context/d.Sequences) // together one of full length
	}
	var all []*Sequence
	for i := range d.Sequences {
		s, _ := r.cache.Open("", text(i*2000, length))
		all = append(all, s)
	}
	for busy := true; busy; {
		busy = false
		left := d.StepRows
		for _, s := range all {
			if end := min(length, s.Len()+left); end > s.Len() {
				end = s.ChunkEnd(end)
				left -= end - s.Len()
				require.NoError(t, r.step(s, s.tokens[s.Len():end]))
				busy = true
			}
		}
	}
	for _, s := range all {
		s.Close()
	}
	r.check(t)
}

func TestSizeOfARealModel(t *testing.T) {
	// 4 layers that see everything and 20 with a window of 512, 256 wide, K and V in f16: 32 KiB a page and layer
	kinds := []Footprint{{Window: 512, PageBytes: 20 * 32 << 10}, {PageBytes: 4 * 32 << 10}}
	pages, err := Size(kinds, Demand{Sequences: 4, Context: 8192, StepRows: 512})
	require.NoError(t, err)
	assert.Equal(t, 4*256, pages[1])
	assert.Less(t, pages[0], 4*(512+512)/32+200, "windows do not grow with the context")
	pages, err = Size(kinds, Demand{Budget: 1 << 30, Sequences: 4, Context: 8192, StepRows: 512})
	require.NoError(t, err)
	assert.Greater(t, pages[1], 4*256)
	_, err = Size(kinds, Demand{Budget: 50 << 20, Sequences: 4, Context: 8192, StepRows: 512})
	assert.ErrorIs(t, err, ErrFull)
	assert.ErrorContains(t, err, "a cache of 50.0 MiB is too small: one sequence of 8192 tokens and the windows of 4 need 90.0 MiB")
	for _, d := range []Demand{{}, {Budget: -1, Sequences: 1, Context: 1, StepRows: 1}} {
		_, err = Size(kinds, d)
		assert.ErrorIs(t, err, ErrUsage)
	}
	_, err = Size([]Footprint{{}}, Demand{Sequences: 1, Context: 1, StepRows: 1})
	assert.ErrorIs(t, err, ErrUsage)
}

func TestParseBudget(t *testing.T) {
	free := func() (int64, error) { return 1000, nil }
	for text, want := range map[string]int64{"2GiB": 2 << 30, " 1.5 gib ": 3 << 29, "500MB": 500e6, "64KiB": 64 << 10, "1TB": 1e12,
		"12345": 12345, "12B": 12, "40%": 400, "100 %": 1000, "0.5%": 5} {
		n, err := ParseBudget(text, free)
		require.NoError(t, err, text)
		assert.Equal(t, want, n, text)
	}
	for _, text := range []string{"", "GiB", "-1GiB", "0", "NaN", "Inf", "1e30", "120%", "-5%", "x%", "2 GiBs", "NaN%", "0.1"} {
		_, err := ParseBudget(text, free)
		assert.ErrorContains(t, err, "expected a size as 2GiB", text)
	}
	_, err := ParseBudget("40%", func() (int64, error) { return 0, errors.New("unknown") })
	assert.ErrorContains(t, err, "unknown")
	assert.Equal(t, "100 bytes", formatBytes(100))
}
