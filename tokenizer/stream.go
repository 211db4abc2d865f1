package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// Stream turns ids into text one at a time. It gives out whole characters only: bytes that may become a character wait
// for the rest of it, and bytes that can no longer become one are given out as U+FFFD. It is for one goroutine.
type Stream struct {
	tokenizer *Tokenizer
	options   DecodeOptions
	trim      bool
	waiting   []byte // a beginning of a character
}

// NewStream begins a text. [DecodeOptions.CleanSpaces] has no effect on streams.
func (t *Tokenizer) NewStream(o DecodeOptions) *Stream {
	return &Stream{tokenizer: t, options: o, trim: t.flags.addSpacePrefix && !o.Continued}
}

// Push takes the next id and returns the characters that it completes, often none.
func (s *Stream) Push(id int32) string {
	piece, plain := s.tokenizer.render(id, s.options)
	if s.trim && plain {
		piece = strings.TrimPrefix(piece, " ")
		s.trim = false
	}
	if len(s.waiting) == 0 && utf8.ValidString(piece) {
		return piece
	}
	s.waiting = append(s.waiting, piece...)
	var b strings.Builder
	rest := s.waiting
	for len(rest) > 0 && utf8.FullRune(rest) {
		r, width := utf8.DecodeRune(rest)
		b.WriteRune(r)
		rest = rest[width:]
	}
	s.waiting = append(s.waiting[:0], rest...)
	return b.String()
}

// Flush ends the text: it returns U+FFFD for each byte that still waited, and the stream begins again.
func (s *Stream) Flush() string {
	rest := strings.Repeat("\uFFFD", len(s.waiting))
	*s = *s.tokenizer.NewStream(s.options)
	return rest
}
