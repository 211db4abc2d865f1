package sampler

import (
	"fmt"
	"unicode/utf8"
)

// StopMatcher looks for stop strings in streamed text. It holds back text that may be the beginning of a stop string and
// never emits any part of one. Its time is linear in the text, whatever the stop strings (Aho-Corasick).
type StopMatcher struct {
	nodes   []stopNode // 0 is the root
	state   int32      // the longest end of the text that begins a stop string
	matched string
	done    bool
}

// stopNode is a beginning of a stop string.
type stopNode struct {
	text    string // the beginning itself
	child   int32  // first child, 0: none
	sibling int32  // next child of the same parent, 0: none
	fail    int32  // the longest proper end of text that is a node
	stop    string // the longest stop string that ends text, "": none
}

// NewStopMatcher returns a matcher for the stop strings. None at all is allowed; an empty one or one that is not UTF-8 is an
// error.
func NewStopMatcher(stops []string) (*StopMatcher, error) {
	m := &StopMatcher{nodes: make([]stopNode, 1)}
	for i, stop := range stops {
		if stop == "" {
			return nil, &ParamError{Name: fmt.Sprintf("stop[%d]", i), Found: "empty", Allowed: "one character or more"}
		}
		// A beginning of UTF-8 text starts with a whole character, so text is never held back inside one.
		if !utf8.ValidString(stop) {
			return nil, &ParamError{Name: fmt.Sprintf("stop[%d]", i), Found: fmt.Sprintf("%q", stop), Allowed: "UTF-8 text"}
		}
		m.add(stop)
	}
	m.link()
	return m, nil
}

func (m *StopMatcher) add(stop string) {
	at := int32(0)
	for i := range len(stop) {
		next := m.next(at, stop[i])
		if next == 0 {
			next = int32(len(m.nodes))
			m.nodes = append(m.nodes, stopNode{text: stop[:i+1], sibling: m.nodes[at].child})
			m.nodes[at].child = next
		}
		at = next
	}
	m.nodes[at].stop = stop
}

// next returns the child of a node by a byte, 0 where there is none.
func (m *StopMatcher) next(node int32, b byte) int32 {
	for child := m.nodes[node].child; child != 0; child = m.nodes[child].sibling {
		if text := m.nodes[child].text; text[len(text)-1] == b {
			return child
		}
	}
	return 0
}

// link fills in fail and stop, shorter nodes first.
func (m *StopMatcher) link() {
	queue := []int32{0}
	for len(queue) > 0 {
		node := queue[0]
		queue = queue[1:]
		for child := m.nodes[node].child; child != 0; child = m.nodes[child].sibling {
			queue = append(queue, child)
			if node == 0 {
				continue
			}
			text := m.nodes[child].text
			fail := m.step(m.nodes[node].fail, text[len(text)-1])
			m.nodes[child].fail = fail
			if m.nodes[child].stop == "" {
				m.nodes[child].stop = m.nodes[fail].stop
			}
		}
	}
}

// step returns the state after one more byte.
func (m *StopMatcher) step(state int32, b byte) int32 {
	for {
		if next := m.next(state, b); next != 0 {
			return next
		}
		if state == 0 {
			return 0
		}
		state = m.nodes[state].fail
	}
}

// Push takes the next text and returns what may be shown now. When a stop string is complete it returns what stands before
// it and true; from then on nothing more is shown. The stop string that ends first wins, and of those that end together the
// longest.
func (m *StopMatcher) Push(text string) (show string, stopped bool) {
	if m.done {
		return "", m.matched != ""
	}
	held := m.nodes[m.state].text
	for i := range len(text) {
		m.state = m.step(m.state, text[i])
		if stop := m.nodes[m.state].stop; stop != "" {
			m.done, m.matched = true, stop
			return front(held, text[:i+1], len(stop)), true
		}
	}
	return front(held, text, len(m.nodes[m.state].text)), false
}

// front returns a+b without its last n bytes.
func front(a, b string, n int) string {
	switch {
	case n <= len(b) && a == "":
		return b[:len(b)-n]
	case n <= len(b):
		return a + b[:len(b)-n]
	}
	return a[:len(a)+len(b)-n]
}

// Flush returns the text held back, for the end of a stream without a stop string. Nothing is shown after it.
func (m *StopMatcher) Flush() string {
	if m.done {
		return ""
	}
	m.done = true
	return m.nodes[m.state].text
}

// Matched returns the stop string found, "" where none was.
func (m *StopMatcher) Matched() string { return m.matched }
