package sampler

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// refStop returns the text before the stop string that ends first (of those the longest), and that string.
func refStop(text string, stops []string) (string, string) {
	for end := 1; end <= len(text); end++ {
		longest := ""
		for _, stop := range stops {
			if strings.HasSuffix(text[:end], stop) && len(stop) > len(longest) {
				longest = stop
			}
		}
		if longest != "" {
			return text[:end-len(longest)], longest
		}
	}
	return text, ""
}

// refHeld is the length of the longest end of the text that begins a stop string.
func refHeld(text string, stops []string) int {
	for n := len(text); n > 0; n-- {
		for _, stop := range stops {
			if strings.HasPrefix(stop, text[len(text)-n:]) {
				return n
			}
		}
	}
	return 0
}

func checkStop(t require.TestingT, stops, chunks []string) {
	m, err := NewStopMatcher(stops)
	require.NoError(t, err)
	want, wantStop := refStop(strings.Join(chunks, ""), stops)
	shown, text, stopped := "", "", false
	for _, chunk := range chunks {
		show, now := m.Push(chunk)
		shown, text = shown+show, text+chunk
		if stopped {
			require.Empty(t, show, "after the end")
		}
		if stopped = now; !stopped {
			require.Equal(t, len(text)-refHeld(text, stops), len(shown), "no more and no less is held back")
		}
	}
	require.Equal(t, wantStop != "", stopped)
	shown += m.Flush()
	require.Equal(t, want, shown)
	require.Equal(t, wantStop, m.Matched())
	require.Empty(t, m.Flush())
}

func TestStopMatcherMatchesTheReference(t *testing.T) {
	word := func(low, high int) *rapid.Generator[string] {
		return rapid.StringOfN(rapid.RuneFrom([]rune("abä")), low, high, -1)
	}
	rapid.Check(t, func(t *rapid.T) {
		stops := rapid.SliceOfN(word(1, 6), 0, 4).Draw(t, "stops")
		checkStop(t, stops, rapid.SliceOfN(word(0, 7), 0, 8).Draw(t, "chunks"))
	})
}

func TestStopMatcherByHand(t *testing.T) {
	m, err := NewStopMatcher([]string{"</s>", "User:", "\n\n"})
	require.NoError(t, err)
	for _, step := range []struct {
		push, show string
		stopped    bool
	}{
		{"Hello", "Hello", false}, {" <", " ", false}, {"/b", "</b", false}, {"> Us", "> ", false}, {"er", "", false},
		{"s\n", "Users", false}, {"U", "\n", false}, {"ser: x", "", true}, {"more", "", true},
	} {
		show, stopped := m.Push(step.push)
		assert.Equal(t, step.show, show)
		assert.Equal(t, step.stopped, stopped)
	}
	assert.Equal(t, "User:", m.Matched())
	assert.Empty(t, m.Flush())

	m, err = NewStopMatcher(nil)
	require.NoError(t, err)
	show, stopped := m.Push("anything")
	assert.Equal(t, "anything", show)
	assert.False(t, stopped)

	m, err = NewStopMatcher([]string{"abc"})
	require.NoError(t, err)
	m.Push("xab")
	assert.Equal(t, "ab", m.Flush(), "the stream ended inside the beginning of a stop string")
	show, stopped = m.Push("c")
	assert.Empty(t, show)
	assert.False(t, stopped)
}

func TestStopStringsAreChecked(t *testing.T) {
	_, err := NewStopMatcher([]string{"ok", ""})
	assert.EqualError(t, err, "sampler: stop[1] is empty; allowed: one character or more")
	_, err = NewStopMatcher([]string{"\xff"})
	assert.EqualError(t, err, `sampler: stop[0] is "\xff"; allowed: UTF-8 text`)
}

// TestStopMatcherIsLinear has text that a search from every place would walk a hundred thousand times over.
func TestStopMatcherIsLinear(t *testing.T) {
	const n = 100_000
	m, err := NewStopMatcher([]string{strings.Repeat("a", n) + "b"})
	require.NoError(t, err)
	begin := time.Now()
	shown := 0
	for range 20 * n {
		show, stopped := m.Push("a")
		require.False(t, stopped)
		shown += len(show)
	}
	assert.Equal(t, 19*n, shown)
	assert.Less(t, time.Since(begin), 20*time.Second)
}

func FuzzStopMatcher(f *testing.F) {
	f.Add("stop", "op", "text with a st", "op here", uint8(3))
	f.Add("\n\n", "###", "a\n", "\n##", uint8(1))
	f.Fuzz(func(t *testing.T, stop1, stop2, text1, text2 string, cut uint8) {
		stops := []string{stop1, stop2}
		if _, err := NewStopMatcher(stops); err != nil || len(stop1)+len(stop2)+len(text1)+len(text2) > 300 {
			t.Skip()
		}
		at := min(int(cut), len(text1))
		checkStop(t, stops, []string{text1[:at], text1[at:], text2})
	})
}
