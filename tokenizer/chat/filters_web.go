package chat

import (
	"html"
	"strings"
)

// stripTags removes comments and tags, joins white space and decodes entities.
func stripTags(s string) string {
	for _, mark := range [][2]string{{"<!--", "-->"}, {"<", ">"}} {
		var b strings.Builder
		for {
			start := strings.Index(s, mark[0])
			if start < 0 {
				break
			}
			end := strings.Index(s[start:], mark[1])
			if end < 0 {
				break
			}
			b.WriteString(s[:start])
			s = s[start+end+len(mark[1]):]
		}
		b.WriteString(s)
		s = b.String()
	}
	return html.UnescapeString(strings.Join(fields(s, -1), " "))
}

func unescapeHTML(s string) string { return html.UnescapeString(s) }

// urlQuote percent-encodes everything but letters, digits, "_.-~" and, outside query strings, "/".
func urlQuote(s string, query bool) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case isDecimal(c), c|32 >= 'a' && c|32 <= 'z', strings.IndexByte("_.-~", c) >= 0, c == '/' && !query:
			b.WriteByte(c)
		case c == ' ' && query:
			b.WriteByte('+')
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

func filterURLEncode(r *run, a *arguments) (Value, error) {
	args, err := a.bind("urlencode", 1, "value")
	if err != nil {
		return nil, err
	}
	v := args[0]
	if _, isText := text(v); isText || !iterable(v) {
		s, err := str(r, v)
		if err != nil {
			return nil, err
		}
		return urlQuote(s, false), r.made(len(s) * 3)
	}
	pairs := v
	if d, ok := v.(*Dict); ok {
		pairs = &dictView{d, "dict_items"}
	}
	items, err := r.list(pairs)
	if err != nil {
		return nil, err
	}
	var parts []string
	for _, item := range items {
		pair, err := r.list(item)
		if err != nil {
			return nil, err
		}
		if len(pair) != 2 {
			return nil, valueError("expected pairs, found %d values", len(pair))
		}
		key, err := str(r, pair[0])
		if err != nil {
			return nil, err
		}
		value, err := str(r, pair[1])
		if err != nil {
			return nil, err
		}
		if err := r.made((len(key) + len(value)) * 3); err != nil {
			return nil, err
		}
		parts = append(parts, urlQuote(key, true)+"="+urlQuote(value, true))
	}
	return strings.Join(parts, "&"), nil
}
