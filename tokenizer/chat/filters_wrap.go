package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

func filterWordWrap(r *run, a *arguments) (Value, error) {
	args, err := a.bind("wordwrap", 1, "s", "width", "break_long_words", "wrapstring", "break_on_hyphens")
	if err != nil {
		return nil, err
	}
	if u, ok := args[0].(*undefined); ok {
		return nil, u.err()
	}
	s, ok := text(args[0])
	if !ok {
		return nil, newError("AttributeError", "'%s' object has no attribute 'splitlines'", typeName(args[0]))
	}
	w := wrapper{}
	if w.width, err = indexOf(or(args[1], int64(79))); err != nil {
		return nil, err
	}
	if w.breakLong, err = truth(r, or(args[2], true)); err != nil {
		return nil, err
	}
	if w.breakHyphens, err = truth(r, or(args[4], true)); err != nil {
		return nil, err
	}
	newline := "\n"
	if v := or(args[3], nil); v != nil {
		if newline, ok = text(v); !ok {
			return nil, typeError("wrapstring must be str, not %s", typeName(v))
		}
	}
	var out []string
	size := 0
	for _, line := range splitLines(s, false) {
		wrapped, err := w.wrap(r, line)
		if err != nil {
			return nil, err
		}
		for _, piece := range wrapped {
			size += len(piece) + len(newline)
			if err := r.fits(size); err != nil {
				return nil, err
			}
		}
		out = append(out, strings.Join(wrapped, newline))
	}
	return strings.Join(out, newline), r.made(size)
}

// wrapper breaks one line of text as Python's textwrap does.
type wrapper struct {
	width                   int
	breakLong, breakHyphens bool
}

// wrap greedily fills lines with chunks: words, pieces of hyphenated words, and the spaces between.
func (w *wrapper) wrap(r *run, line string) ([]string, error) {
	if w.width <= 0 {
		return nil, valueError("invalid width %d (must be > 0)", w.width)
	}
	chunks := w.chunks(line)
	var lines []string
	for len(chunks) > 0 {
		if err := r.step(1 + len(chunks[0])/bytesPerStep); err != nil {
			return nil, err
		}
		if len(lines) > 0 && isWrapSpace(chunks[0]) {
			if chunks = chunks[1:]; len(chunks) == 0 {
				break
			}
		}
		var current []string
		used := 0
		for len(chunks) > 0 {
			n := runeCount(chunks[0])
			if used+n > w.width {
				break
			}
			current = append(current, chunks[0])
			used += n
			chunks = chunks[1:]
		}
		if len(chunks) > 0 && runeCount(chunks[0]) > w.width {
			current, chunks = w.long(current, chunks, used)
		}
		if n := len(current); n > 0 && isWrapSpace(current[n-1]) {
			current = current[:n-1]
		}
		if len(current) > 0 {
			lines = append(lines, strings.Join(current, ""))
		}
	}
	return lines, nil
}

// long deals with a chunk wider than a line: it is cut, behind a hyphen where possible, or left to stick out.
func (w *wrapper) long(current, chunks []string, used int) ([]string, []string) {
	space := w.width - used
	if !w.breakLong {
		if len(current) == 0 {
			return chunks[:1:1], chunks[1:]
		}
		return current, chunks
	}
	chunk := chunks[0]
	end := offsetOf(chunk, space)
	if w.breakHyphens && runeCount(chunk) > space {
		if hyphen := strings.LastIndexByte(chunk[:end], '-'); hyphen > 0 && strings.Trim(chunk[:hyphen], "-") != "" {
			end = hyphen + 1
		}
	}
	rest := append([]string{chunk[end:]}, chunks[1:]...)
	return append(current, chunk[:end]), rest
}

const wrapSpaces = "\t\n\v\f\r "

func isWrapSpace(s string) bool { return strings.Trim(s, wrapSpaces) == "" }

// chunks splits a line at spaces, and words behind hyphens and around em-dashes.
func (w *wrapper) chunks(line string) []string {
	var out []string
	for line != "" {
		rest := strings.TrimLeft(line, wrapSpaces)
		if rest != line {
			out = append(out, line[:len(line)-len(rest)])
			line = rest
			continue
		}
		end := strings.IndexAny(line, wrapSpaces)
		if end < 0 {
			end = len(line)
		}
		if w.breakHyphens {
			out = append(out, hyphenPieces(line[:end])...)
		} else {
			out = append(out, line[:end])
		}
		line = line[end:]
	}
	return out
}

func isWordRune(c rune) bool {
	return c == '_' || isAlnum(c) || strings.ContainsRune("!\"'&.,?", c)
}

func isWrapWord(c rune) bool { return c == '_' || isAlnum(c) }

func isWrapLetter(c rune) bool { return isWrapWord(c) && !unicode.IsDigit(c) }

// hyphenated finds where a word without spaces may be broken.
type hyphenated struct {
	chars   []rune
	dashEnd []int // for every hyphen, where the run of hyphens that it is in ends
}

// hyphenPieces cuts a word behind each hyphen that stands between two letters on the left and two on the right (a
// letter, a hyphen and a letter count as well), and around runs of two and more hyphens between words.
func hyphenPieces(word string) []string {
	h := hyphenated{chars: []rune(word)}
	h.dashEnd = make([]int, len(h.chars))
	for i := len(h.chars) - 1; i >= 0; i-- {
		if h.chars[i] == '-' {
			h.dashEnd[i] = i + 1
			if i+1 < len(h.chars) && h.chars[i+1] == '-' {
				h.dashEnd[i] = h.dashEnd[i+1]
			}
		}
	}
	var out []string
	for start := 0; start < len(h.chars); {
		end := h.pieceEnd(start)
		out = append(out, string(h.chars[start:end]))
		start = end
	}
	return out
}

func (h *hyphenated) pieceEnd(start int) int {
	if h.dash(start) {
		return h.dashEnd[start]
	}
	for end := start + 1; end < len(h.chars); end++ {
		if h.chars[end] == '-' && h.letters(end) {
			return end + 1
		}
		if h.dash(end) {
			return end
		}
	}
	return len(h.chars)
}

// dash reports whether a run of two or more hyphens between words begins at i.
func (h *hyphenated) dash(i int) bool {
	if h.chars[i] != '-' || i == 0 || !isWordRune(h.chars[i-1]) {
		return false
	}
	end := h.dashEnd[i]
	return end-i >= 2 && end < len(h.chars) && isWrapWord(h.chars[end])
}

func (h *hyphenated) letter(i int) bool {
	return i >= 0 && i < len(h.chars) && isWrapLetter(h.chars[i])
}

func (h *hyphenated) hyphen(i int) bool { return i >= 0 && i < len(h.chars) && h.chars[i] == '-' }

// letters reports whether the hyphen at i has letters on both sides, so that the word may be broken behind it.
func (h *hyphenated) letters(i int) bool {
	before := h.letter(i-1) && (h.letter(i-2) || h.hyphen(i-2) && h.letter(i-3))
	after := h.letter(i+1) && (h.letter(i+2) || h.hyphen(i+2) && h.letter(i+3))
	return before && after
}

func filterPprint(r *run, a *arguments) (Value, error) {
	args, err := a.bind("pprint", 1, "value")
	if err != nil {
		return nil, err
	}
	p := prettyPrinter{run: r}
	if err := p.print(args[0], 0, 0, 0); err != nil {
		return nil, err
	}
	return p.b.String(), r.made(p.b.Len())
}

// prettyPrinter is pprint.pformat: repr with sorted keys, broken over lines where it is wider than 80.
type prettyPrinter struct {
	run *run
	b   strings.Builder
}

const prettyWidth = 80

func (p *prettyPrinter) print(v Value, indent, allowance, depth int) error {
	if depth > maxDataDepth {
		return newError("RecursionError", "data nested more than %d levels deep", maxDataDepth)
	}
	sorted, err := p.sorted(v, 0)
	if err != nil {
		return err
	}
	s, err := repr(p.run, sorted)
	if err != nil {
		return err
	}
	if runeCount(s) <= prettyWidth-indent-allowance {
		p.b.WriteString(s)
		return p.run.fits(p.b.Len())
	}
	switch v := sorted.(type) {
	case *Dict:
		if v.Len() > 0 {
			return p.dict(v, indent, allowance, depth)
		}
	case *List:
		if len(v.Items) > 0 {
			return p.items("[", v.Items, "]", indent, allowance, depth)
		}
	case *tuple:
		if len(v.items) > 0 && !v.grouped {
			end := ")"
			if len(v.items) == 1 {
				end = ",)"
			}
			return p.items("(", v.items, end, indent, allowance, depth)
		}
	case string:
		return p.str(v, indent, allowance, depth)
	}
	p.b.WriteString(s)
	return p.run.fits(p.b.Len())
}

// sorted orders the keys of every dict inside v.
func (p *prettyPrinter) sorted(v Value, depth int) (Value, error) {
	if depth > maxDataDepth {
		return nil, newError("RecursionError", "data nested more than %d levels deep", maxDataDepth)
	}
	if err := p.run.step(1); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case *List:
		items, err := p.sortedItems(v.Items, depth)
		return &List{items}, err
	case *tuple:
		items, err := p.sortedItems(v.items, depth)
		return &tuple{items: items, grouped: v.grouped}, err
	case *Dict:
		items, err := p.sortedKeys(v)
		if err != nil {
			return nil, err
		}
		out := NewDict()
		for _, item := range items {
			pair := item.(*tuple).items
			value, err := p.sorted(pair[1], depth+1)
			if err != nil {
				return nil, err
			}
			if err := out.store(pair[0], value); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

func (p *prettyPrinter) sortedItems(items []Value, depth int) ([]Value, error) {
	out := make([]Value, len(items))
	for i, item := range items {
		var err error
		if out[i], err = p.sorted(item, depth+1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// sortedKeys sorts entries by key; keys that cannot be compared go by the names of their types.
func (p *prettyPrinter) sortedKeys(d *Dict) ([]Value, error) {
	items, keys := dictItems(d, "dict_items"), dictItems(d, "dict_keys")
	out, err := sortValues(p.run, items, keys, false)
	if !isKind(err, "TypeError") {
		return out, err
	}
	for i, key := range keys {
		keys[i] = "<class '" + typeName(key) + "'>"
	}
	return sortValues(p.run, items, keys, false)
}

func (p *prettyPrinter) dict(d *Dict, indent, allowance, depth int) error {
	p.b.WriteByte('{')
	items := dictItems(d, "dict_items")
	for i, item := range items {
		pair := item.(*tuple).items
		key, err := repr(p.run, pair[0])
		if err != nil {
			return err
		}
		if i > 0 {
			p.newline(indent + 1)
		}
		p.b.WriteString(key + ": ")
		last := 1
		if i == len(items)-1 {
			last = allowance + 1
		}
		if err := p.print(pair[1], indent+1+runeCount(key)+2, last, depth+1); err != nil {
			return err
		}
		if i < len(items)-1 {
			p.b.WriteByte(',')
		}
	}
	p.b.WriteByte('}')
	return p.run.fits(p.b.Len())
}

func (p *prettyPrinter) newline(indent int) {
	p.b.WriteString("\n" + strings.Repeat(" ", indent))
}

func (p *prettyPrinter) items(open string, items []Value, end string, indent, allowance, depth int) error {
	p.b.WriteString(open)
	for i, item := range items {
		if i > 0 {
			p.b.WriteByte(',')
			p.newline(indent + 1)
		}
		last := 1
		if i == len(items)-1 {
			last = allowance + len(end)
		}
		if err := p.print(item, indent+1, last, depth+1); err != nil {
			return err
		}
	}
	p.b.WriteString(end)
	return p.run.step(indent)
}

// str breaks a long string into literals, one a line: at its line breaks, and between words.
func (p *prettyPrinter) str(s string, indent, allowance, depth int) error {
	if s == "" {
		p.b.WriteString("''")
		return nil
	}
	lines := splitLines(s, true)
	if depth == 0 {
		indent++
		allowance++
	}
	width := prettyWidth - indent
	var chunks []string
	for i, line := range lines {
		limit := width
		if i == len(lines)-1 {
			limit -= allowance
		}
		if whole := strRepr(line); runeCount(whole) <= limit {
			chunks = append(chunks, whole)
			continue
		}
		current := ""
		parts := wordsWithSpace(line)
		for j, part := range parts {
			limit := width
			if j == len(parts)-1 && i == len(lines)-1 {
				limit -= allowance
			}
			if err := p.run.step(1 + len(current)/bytesPerStep); err != nil {
				return err
			}
			if current != "" && runeCount(strRepr(current+part)) > limit {
				chunks = append(chunks, strRepr(current))
				current = ""
			}
			current += part
		}
		if current != "" {
			chunks = append(chunks, strRepr(current))
		}
	}
	if len(chunks) == 1 {
		p.b.WriteString(chunks[0])
		return nil
	}
	return p.literals(chunks, indent, depth)
}

func (p *prettyPrinter) literals(chunks []string, indent, depth int) error {
	if depth == 0 {
		p.b.WriteByte('(')
	}
	for i, chunk := range chunks {
		if i > 0 {
			p.newline(indent)
		}
		p.b.WriteString(chunk)
	}
	if depth == 0 {
		p.b.WriteByte(')')
	}
	return p.run.fits(p.b.Len())
}

// wordsWithSpace splits into runs of non-space, each with the space behind it.
func wordsWithSpace(s string) []string {
	var out []string
	for s != "" {
		end := 0
		space := false
		for end < len(s) {
			c, n := utf8.DecodeRuneInString(s[end:])
			if isSpace(c) {
				space = true
			} else if space {
				break
			}
			end += n
		}
		out = append(out, s[:end])
		s = s[end:]
	}
	return out
}
