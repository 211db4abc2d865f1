package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
)

var (
	strMethods    map[string]methodFunc
	markupMethods map[string]methodFunc
)

func init() {
	strMethods = map[string]methodFunc{
		"upper": mapping("upper", upper), "lower": mapping("lower", lower), "casefold": mapping("casefold", casefold),
		"title": mapping("title", title), "capitalize": mapping("capitalize", capitalize), "swapcase": mapping("swapcase", swapcase),
		"strip": stripping("strip", true, true), "lstrip": stripping("lstrip", true, false), "rstrip": stripping("rstrip", false, true),
		"split": strSplit(false), "rsplit": strSplit(true), "splitlines": strSplitlines, "join": strJoin, "replace": strReplace,
		"startswith": affixTest("startswith", strings.HasPrefix), "endswith": affixTest("endswith", strings.HasSuffix),
		"removeprefix": removing("removeprefix", strings.TrimPrefix), "removesuffix": removing("removesuffix", strings.TrimSuffix),
		"find": finding("find", false, false), "rfind": finding("rfind", true, false),
		"index": finding("index", false, true), "rindex": finding("rindex", true, true), "count": strCount,
		"partition": partition("partition", false), "rpartition": partition("rpartition", true),
		"center": justifying("center"), "ljust": justifying("ljust"), "rjust": justifying("rjust"),
		"zfill": strZfill, "expandtabs": strExpandtabs, "encode": strEncode, "format": strFormat, "format_map": strFormatMap,
		"translate": strTranslate, "maketrans": strMaketrans,
		"isalpha":      charTest("isalpha", func(s string) bool { return all(s, unicode.IsLetter) }),
		"isalnum":      charTest("isalnum", func(s string) bool { return all(s, isAlnum) }),
		"isdigit":      charTest("isdigit", func(s string) bool { return all(s, isDigit) }),
		"isdecimal":    charTest("isdecimal", func(s string) bool { return all(s, unicode.IsDigit) }),
		"isnumeric":    charTest("isnumeric", func(s string) bool { return all(s, unicode.IsNumber) }),
		"isspace":      charTest("isspace", isBlank),
		"isupper":      charTest("isupper", func(s string) bool { return isCaseText(s, unicode.IsUpper, unicode.IsLower) }),
		"islower":      charTest("islower", func(s string) bool { return isCaseText(s, unicode.IsLower, unicode.IsUpper) }),
		"istitle":      charTest("istitle", isTitleText),
		"isascii":      charTest("isascii", isASCII),
		"isprintable":  charTest("isprintable", func(s string) bool { return s == "" || all(s, unicode.IsPrint) }),
		"isidentifier": charTest("isidentifier", isIdentifier),
	}
	markupMethods = map[string]methodFunc{
		"striptags": func(r *run, self Value, a *arguments) (Value, error) {
			s, _ := text(self)
			return stripTags(s), nil
		},
		"unescape": func(r *run, self Value, a *arguments) (Value, error) {
			s, _ := text(self)
			return unescapeHTML(s), nil
		},
	}
}

func isAlnum(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) }

// isDigit is true for decimal digits and for those written as superscripts, in circles and the like.
func isDigit(c rune) bool {
	return unicode.IsDigit(c) || unicode.Is(unicode.No, c) && (c == 0xb2 || c == 0xb3 || c == 0xb9 || c >= 0x2070 && c <= 0x2089 ||
		c >= 0x2460 && c <= 0x2468 || c >= 0x2474 && c <= 0x247c || c >= 0x2488 && c <= 0x2490 || c == 0x24ea || c >= 0x2776 && c <= 0x277e)
}

func isIdentifier(s string) bool {
	first, _ := utf8.DecodeRuneInString(s)
	return s != "" && (first == '_' || unicode.IsLetter(first)) && all(s, isNameRune)
}

func casefold(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	return cases.Fold().String(s)
}

// selfText is the text of the string a method is called on; its reading counts as work.
func selfText(r *run, self Value) (string, error) {
	s, _ := text(self)
	return s, r.made(len(s))
}

func mapping(name string, f func(string) string) methodFunc {
	return func(r *run, self Value, a *arguments) (Value, error) {
		if _, err := a.bind(name, 0); err != nil {
			return nil, err
		}
		s, err := selfText(r, self)
		if err != nil {
			return nil, err
		}
		return sameText(self, f(s)), nil
	}
}

func charTest(name string, f func(string) bool) methodFunc {
	return func(r *run, self Value, a *arguments) (Value, error) {
		if _, err := a.bind(name, 0); err != nil {
			return nil, err
		}
		s, err := selfText(r, self)
		return f(s), err
	}
}

func stripping(name string, left, right bool) methodFunc {
	return func(r *run, self Value, a *arguments) (Value, error) {
		args, err := a.bind(name, 0, "/chars")
		if err != nil {
			return nil, err
		}
		s, _ := text(self)
		out, err := strip(s, or(args[0], nil), left, right)
		if err != nil {
			return nil, err
		}
		return sameText(self, out), r.step(1 + (len(s)-len(out))/bytesPerStep)
	}
}

// textArg is an argument that must be a string.
func textArg(fn string, v Value) (string, error) {
	s, ok := text(v)
	if !ok {
		return "", typeError("%s() argument must be str, not %s", fn, typeName(v))
	}
	return s, nil
}

func strSplit(fromRight bool) methodFunc {
	return func(r *run, self Value, a *arguments) (Value, error) {
		args, err := a.bind("split", 0, "sep", "maxsplit")
		if err != nil {
			return nil, err
		}
		s, err := selfText(r, self)
		if err != nil {
			return nil, err
		}
		limit, err := indexOf(or(args[1], int64(-1)))
		if err != nil {
			return nil, err
		}
		if limit < 0 {
			limit = -1
		}
		parts, err := splitParts(s, or(args[0], nil), limit, fromRight)
		if err != nil {
			return nil, err
		}
		return textList(r, self, parts)
	}
}

func splitParts(s string, sep Value, limit int, fromRight bool) ([]string, error) {
	if sep == nil {
		if fromRight {
			return fieldsRight(s, limit), nil
		}
		return fields(s, limit), nil
	}
	by, ok := text(sep)
	if !ok {
		return nil, typeError("must be str or None, not %s", typeName(sep))
	}
	if by == "" {
		return nil, valueError("empty separator")
	}
	if fromRight {
		return splitRight(s, by, limit), nil
	}
	if limit >= 0 && limit < len(s) {
		return strings.SplitN(s, by, limit+1), nil
	}
	return strings.Split(s, by), nil
}

// textList makes a list of strings of the type of self.
func textList(r *run, self Value, parts []string) (Value, error) {
	if err := r.step(len(parts)); err != nil {
		return nil, err
	}
	items := make([]Value, len(parts))
	for i, part := range parts {
		items[i] = sameText(self, part)
	}
	return &List{items}, nil
}

func strSplitlines(r *run, self Value, a *arguments) (Value, error) {
	args, err := a.bind("splitlines", 0, "keepends")
	if err != nil {
		return nil, err
	}
	s, err := selfText(r, self)
	if err != nil {
		return nil, err
	}
	keep, err := truth(r, or(args[0], false))
	if err != nil {
		return nil, err
	}
	return textList(r, self, splitLines(s, keep))
}

func strJoin(r *run, self Value, a *arguments) (Value, error) {
	args, err := a.bind("join", 1, "/iterable")
	if err != nil {
		return nil, err
	}
	if !iterable(args[0]) {
		return nil, typeError("can only join an iterable")
	}
	items, err := r.list(args[0])
	if err != nil {
		return nil, err
	}
	sep, _ := text(self)
	_, safe := self.(markup)
	parts := make([]string, len(items))
	n := 0
	for i, item := range items {
		if safe {
			m, err := escape(r, item)
			if err != nil {
				return nil, err
			}
			item = m
		}
		s, ok := text(item)
		if !ok {
			return nil, typeError("sequence item %d: expected str instance, %s found", i, typeName(item))
		}
		parts[i] = s
		n += len(s) + len(sep)
	}
	if err := r.made(n); err != nil {
		return nil, err
	}
	return sameText(self, strings.Join(parts, sep)), nil
}

func strReplace(r *run, self Value, a *arguments) (Value, error) {
	args, err := a.bind("replace", 2, "/old", "/new", "/count")
	if err != nil {
		return nil, err
	}
	s, _ := text(self)
	before, err := textArg("replace", args[0])
	if err != nil {
		return nil, err
	}
	after, err := textArg("replace", args[1])
	if err != nil {
		return nil, err
	}
	if _, safe := self.(markup); safe {
		m, err := escape(r, args[1])
		if err != nil {
			return nil, err
		}
		after = string(m)
	}
	limit, err := indexOf(or(args[2], int64(-1)))
	if err != nil {
		return nil, err
	}
	out, err := replaceText(r, s, before, after, limit)
	return sameText(self, out), err
}

// replaceText replaces the first limit occurrences (negative: all).
func replaceText(r *run, s, before, after string, limit int) (string, error) {
	n := strings.Count(s, before)
	if limit >= 0 {
		n = min(n, limit)
	}
	if grow := len(after) - len(before); grow > 0 && n > r.options.MaxOutput/grow {
		return "", r.made(r.options.MaxOutput + 1)
	}
	if err := r.made(len(s) + n*(len(after)-len(before))); err != nil {
		return "", err
	}
	return strings.Replace(s, before, after, n), nil
}

// window applies the optional start and stop of find, count, startswith, … ; ok is false when start is past the end.
func window(s string, start, stop Value) (part string, offset int, ok bool, err error) {
	if start == missing && stop == missing {
		return s, 0, true, nil
	}
	n := runeCount(s)
	from, err := sliceIndex(or(start, nil), 0)
	if err != nil {
		return
	}
	to, err := sliceIndex(or(stop, nil), n)
	if err != nil {
		return
	}
	if from < 0 {
		from = max(from+n, 0)
	}
	if to < 0 {
		to = max(to+n, 0)
	}
	to = min(to, n)
	if from > to {
		return "", from, false, nil
	}
	return s[offsetOf(s, from):offsetOf(s, to)], from, true, nil
}

func affixTest(name string, has func(s, affix string) bool) methodFunc {
	return func(r *run, self Value, a *arguments) (Value, error) {
		args, err := a.bind(name, 1, "/prefix", "/start", "/end")
		if err != nil {
			return nil, err
		}
		s, _ := text(self)
		s, _, ok, err := window(s, args[1], args[2])
		if err != nil {
			return nil, err
		}
		affixes := []Value{args[0]}
		if t, isTuple := args[0].(*tuple); isTuple {
			affixes = t.items
		}
		for _, v := range affixes {
			affix, isText := text(v)
			if !isText {
				return nil, typeError("%s first arg must be str or a tuple of str, not %s", name, typeName(v))
			}
			if ok && has(s, affix) {
				return true, nil
			}
		}
		return false, r.step(len(affixes))
	}
}

func removing(name string, trim func(s, affix string) string) methodFunc {
	return func(r *run, self Value, a *arguments) (Value, error) {
		args, err := a.bind(name, 1, "/affix")
		if err != nil {
			return nil, err
		}
		affix, err := textArg(name, args[0])
		if err != nil {
			return nil, err
		}
		s, _ := text(self)
		return sameText(self, trim(s, affix)), nil
	}
}

func finding(name string, last, must bool) methodFunc {
	return func(r *run, self Value, a *arguments) (Value, error) {
		args, err := a.bind(name, 1, "/sub", "/start", "/end")
		if err != nil {
			return nil, err
		}
		sub, err := textArg(name, args[0])
		if err != nil {
			return nil, err
		}
		s, err := selfText(r, self)
		if err != nil {
			return nil, err
		}
		part, offset, ok, err := window(s, args[1], args[2])
		if err != nil {
			return nil, err
		}
		at := -1
		if ok && last {
			at = strings.LastIndex(part, sub)
		} else if ok {
			at = strings.Index(part, sub)
		}
		if at >= 0 {
			return int64(offset + runeCount(part[:at])), nil
		}
		if must {
			return nil, valueError("substring not found")
		}
		return int64(-1), nil
	}
}

func strCount(r *run, self Value, a *arguments) (Value, error) {
	args, err := a.bind("count", 1, "/sub", "/start", "/end")
	if err != nil {
		return nil, err
	}
	sub, err := textArg("count", args[0])
	if err != nil {
		return nil, err
	}
	s, err := selfText(r, self)
	if err != nil {
		return nil, err
	}
	part, _, ok, err := window(s, args[1], args[2])
	if err != nil || !ok {
		return int64(0), err
	}
	return int64(strings.Count(part, sub)), nil
}

func partition(name string, last bool) methodFunc {
	return func(r *run, self Value, a *arguments) (Value, error) {
		args, err := a.bind(name, 1, "/sep")
		if err != nil {
			return nil, err
		}
		sep, err := textArg(name, args[0])
		if err != nil {
			return nil, err
		}
		if sep == "" {
			return nil, valueError("empty separator")
		}
		s, err := selfText(r, self)
		if err != nil {
			return nil, err
		}
		of := func(a, b, c string) (Value, error) {
			return newTuple(sameText(self, a), sameText(self, b), sameText(self, c)), nil
		}
		at := strings.Index(s, sep)
		if last {
			at = strings.LastIndex(s, sep)
		}
		switch {
		case at >= 0:
			return of(s[:at], sep, s[at+len(sep):])
		case last:
			return of("", "", s)
		}
		return of(s, "", "")
	}
}

func justifying(name string) methodFunc {
	return func(r *run, self Value, a *arguments) (Value, error) {
		args, err := a.bind(name, 1, "/width", "/fillchar")
		if err != nil {
			return nil, err
		}
		width, err := indexOf(args[0])
		if err != nil {
			return nil, err
		}
		fill, ok := text(or(args[1], " "))
		if !ok || runeCount(fill) != 1 {
			return nil, typeError("the fill character must be exactly one character long")
		}
		s, _ := text(self)
		out, err := justify(r, s, name, width, fill)
		return sameText(self, out), err
	}
}

// justify pads to a width; an odd remainder of center goes where CPython puts it.
func justify(r *run, s, how string, width int, fill string) (string, error) {
	n := width - runeCount(s)
	if n <= 0 {
		return s, nil
	}
	if n > r.options.MaxOutput {
		return "", r.made(r.options.MaxOutput + 1)
	}
	if err := r.made(len(s) + n*len(fill)); err != nil {
		return "", err
	}
	switch how {
	case "ljust":
		return pad(s, 0, n, fill), nil
	case "rjust":
		return pad(s, n, 0, fill), nil
	}
	left := n/2 + n&width&1
	return pad(s, left, n-left, fill), nil
}

func strZfill(r *run, self Value, a *arguments) (Value, error) {
	args, err := a.bind("zfill", 1, "/width")
	if err != nil {
		return nil, err
	}
	width, err := indexOf(args[0])
	if err != nil {
		return nil, err
	}
	s, _ := text(self)
	sign := ""
	if s != "" && (s[0] == '-' || s[0] == '+') {
		sign, s = s[:1], s[1:]
	}
	out, err := justify(r, s, "rjust", width-len(sign), "0")
	return sameText(self, sign+out), err
}

func strExpandtabs(r *run, self Value, a *arguments) (Value, error) {
	args, err := a.bind("expandtabs", 0, "tabsize")
	if err != nil {
		return nil, err
	}
	size, err := indexOf(or(args[0], int64(8)))
	if err != nil {
		return nil, err
	}
	s, _ := text(self)
	if tabs := strings.Count(s, "\t"); tabs > 0 && size > r.options.MaxOutput/tabs {
		return nil, r.made(r.options.MaxOutput + 1)
	}
	if err := r.made(len(s) + strings.Count(s, "\t")*max(size, 0)); err != nil {
		return nil, err
	}
	var b strings.Builder
	column := 0
	for _, c := range s {
		switch {
		case c == '\t' && size > 0:
			n := size - column%size
			b.WriteString(strings.Repeat(" ", n))
			column += n
			continue
		case c == '\t':
			continue
		case c == '\n' || c == '\r':
			column = -1
		}
		b.WriteRune(c)
		column++
	}
	return sameText(self, b.String()), nil
}

func strEncode(r *run, self Value, a *arguments) (Value, error) {
	args, err := a.bind("encode", 0, "encoding", "errors")
	if err != nil {
		return nil, err
	}
	s, err := selfText(r, self)
	if err != nil {
		return nil, err
	}
	if name, _ := text(or(args[0], "utf-8")); strings.EqualFold(name, "ascii") && isASCII(s) {
		return bytesValue(s), nil
	}
	return bytesValue(s), onlyUTF8(or(args[0], "utf-8"))
}

// strTranslate maps characters by a dict of code points to replacements.
func strTranslate(r *run, self Value, a *arguments) (Value, error) {
	args, err := a.bind("translate", 1, "/table")
	if err != nil {
		return nil, err
	}
	s, err := selfText(r, self)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for _, c := range s {
		v, ok, err := itemOf(r, args[0], int64(c))
		if err != nil {
			return nil, err
		}
		if !ok {
			b.WriteRune(c)
			continue
		}
		switch v := v.(type) {
		case nil:
		case int64:
			if v < 0 || v > utf8.MaxRune {
				return nil, valueError("character mapping must be in range(0x110000)")
			}
			b.WriteRune(rune(v))
		case string, markup:
			to, _ := text(v)
			if err := r.fits(b.Len() + len(to)); err != nil {
				return nil, err
			}
			b.WriteString(to)
		default:
			return nil, typeError("character mapping must return integer, None or str")
		}
	}
	return sameText(self, b.String()), nil
}

func strMaketrans(r *run, _ Value, a *arguments) (Value, error) {
	args, err := a.bind("maketrans", 1, "/x", "/y", "/z")
	if err != nil {
		return nil, err
	}
	d := NewDict()
	if args[1] == missing {
		from, ok := args[0].(*Dict)
		if !ok {
			return nil, typeError("if you give only one argument to maketrans it must be a dict")
		}
		return d, from.each(func(key, value Value) error {
			if s, ok := text(key); ok {
				if runeCount(s) != 1 {
					return valueError("string keys in translate table must be of length 1")
				}
				c, _ := utf8.DecodeRuneInString(s)
				key = int64(c)
			} else if !isInt(key) {
				return typeError("keys in translate table must be strings or integers")
			}
			return d.store(key, value)
		})
	}
	x, okX := text(args[0])
	y, okY := text(args[1])
	z, okZ := text(or(args[2], ""))
	if !okX || !okY || !okZ {
		return nil, typeError("maketrans() arguments must be str")
	}
	from, to := []rune(x), []rune(y)
	if len(from) != len(to) {
		return nil, valueError("the first two maketrans arguments must have equal length")
	}
	for i, c := range from {
		d.put(hashKey{kind: 'n', num: int64(c)}, int64(c), int64(to[i]))
	}
	for _, c := range z {
		d.put(hashKey{kind: 'n', num: int64(c)}, int64(c), nil)
	}
	return d, r.step(len(x))
}
