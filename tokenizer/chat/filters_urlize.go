package chat

import (
	"regexp"
	"sort"
	"strings"
)

// What urlize takes for a web address: a scheme or "www." with a host, a host in one of the oldest top-level domains, or
// a scheme with an IP address; then port and path. (Go's regexp takes time linear in the text.)
var (
	webAddress = regexp.MustCompile(`(?i)^((https?://|www\.)(([\w\pL\pN%-]+\.)+)?([a-z]{2,63}|xn--[\w\pL\pN%]{2,59})` +
		`|([\w\pL\pN%-]{2,63}\.)+(com|net|int|edu|gov|org|info|mil)` +
		`|(https?://)((([\d]{1,3})(\.[\d]{1,3}){3})|(\[([\da-f]{0,4}:){2}([\da-f]{0,4}:?){1,6}\])))` +
		`(?::[\d]{1,5})?(?:[/?#][^\s\v\x1c-\x1f\x{85}\pZ]*)?$`)
	mailAddress = regexp.MustCompile(`^[^\s\v\x1c-\x1f\x{85}\pZ]+@[\w\pL\pN][\w\pL\pN.-]*\.[\w\pL\pN]+$`)
	uriScheme   = regexp.MustCompile(`^([\w\pL\pN.+-]{2,}:(/){0,2})$`)
	urlHead     = regexp.MustCompile(`^([(<]|&lt;)+`)
	urlTail     = regexp.MustCompile(`([)>.,\n]|&gt;)+$`)
)

// linker turns addresses in text into links.
type linker struct {
	limit   int // of the shown address in characters; -1: none
	attrs   string
	schemes []string
}

func filterURLize(r *run, a *arguments) (Value, error) {
	args, err := a.bind("urlize", 1, "value", "trim_url_limit", "nofollow", "target", "rel", "extra_schemes")
	if err != nil {
		return nil, err
	}
	l := &linker{limit: -1}
	if v := or(args[1], nil); v != nil {
		if l.limit, err = indexOf(v); err != nil {
			return nil, err
		}
	}
	if l.attrs, err = linkAttributes(r, args); err != nil {
		return nil, err
	}
	if v := or(args[5], nil); v != nil {
		items, err := r.list(v)
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			scheme, ok := text(item)
			if !ok || !uriScheme.MatchString(scheme) {
				return nil, filterError("%s is not a valid URI scheme prefix.", quoted(item))
			}
			l.schemes = append(l.schemes, scheme)
		}
	}
	m, err := escape(r, args[0])
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for _, word := range splitKeepSpace(string(m)) {
		if err := r.step(1 + len(word)/bytesPerStep); err != nil {
			return nil, err
		}
		b.WriteString(l.word(word))
		if err := r.fits(b.Len()); err != nil {
			return nil, err
		}
	}
	return r.safeText(b.String()), nil
}

// linkAttributes builds rel and target; rel always says noopener.
func linkAttributes(r *run, args []Value) (string, error) {
	rel := ""
	if v := or(args[4], nil); v != nil {
		s, ok := text(v)
		if !ok {
			return "", typeError("rel must be str, not %s", typeName(v))
		}
		rel = s
	}
	nofollow, err := truth(r, or(args[2], false))
	if err != nil {
		return "", err
	}
	parts := map[string]bool{"noopener": true}
	if nofollow {
		parts["nofollow"] = true
	}
	for _, part := range fields(rel, -1) {
		parts[part] = true
	}
	var names []string
	for part := range parts {
		names = append(names, part)
	}
	sort.Strings(names)
	attrs := ` rel="` + escapeText(strings.Join(names, " ")) + `"`
	if v := or(args[3], nil); v != nil {
		if ok, err := truth(r, v); err != nil || !ok {
			return attrs, err
		}
		target, err := escape(r, v)
		if err != nil {
			return "", err
		}
		attrs += ` target="` + string(target) + `"`
	}
	return attrs, nil
}

// splitKeepSpace splits into words and the runs of white space between them.
func splitKeepSpace(s string) []string {
	var out []string
	for s != "" {
		end := len(s) - len(strings.TrimLeftFunc(s, isSpace))
		if end == 0 {
			if end = strings.IndexFunc(s, isSpace); end < 0 {
				end = len(s)
			}
		}
		out = append(out, s[:end])
		s = s[end:]
	}
	return out
}

// word links one word; brackets and punctuation around it stay outside, except closing brackets that the address opens.
func (l *linker) word(word string) string {
	head := urlHead.FindString(word)
	middle, tail := word[len(head):], ""
	if at := urlTail.FindStringIndex(middle); at != nil {
		middle, tail = middle[:at[0]], middle[at[0]:]
	}
	for _, pair := range [][2]string{{"(", ")"}, {"<", ">"}, {"&lt;", "&gt;"}} {
		opened := strings.Count(middle, pair[0])
		if opened <= strings.Count(middle, pair[1]) {
			continue
		}
		for range min(opened, strings.Count(tail, pair[1])) {
			end := strings.Index(tail, pair[1]) + len(pair[1])
			middle += tail[:end]
			tail = tail[end:]
		}
	}
	return head + l.link(middle) + tail
}

func (l *linker) link(s string) string {
	anchor := func(href, attrs, shown string) string {
		return `<a href="` + href + `"` + attrs + `>` + shown + `</a>`
	}
	switch {
	case webAddress.MatchString(s):
		if strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") {
			return anchor(s, l.attrs, l.trim(s))
		}
		return anchor("https://"+s, l.attrs, l.trim(s))
	case strings.HasPrefix(s, "mailto:") && mailAddress.MatchString(s[7:]):
		return anchor(s, "", s[7:])
	case strings.Contains(s, "@") && !strings.HasPrefix(s, "www.") && !strings.HasPrefix(s, "@") && !strings.Contains(s, ":") && mailAddress.MatchString(s):
		return anchor("mailto:"+s, "", s)
	}
	for _, scheme := range l.schemes {
		if s != scheme && strings.HasPrefix(s, scheme) {
			s = anchor(s, l.attrs, s)
		}
	}
	return s
}

func (l *linker) trim(s string) string {
	if l.limit < 0 || runeCount(s) <= l.limit {
		return s
	}
	return s[:offsetOf(s, l.limit)] + "..."
}
