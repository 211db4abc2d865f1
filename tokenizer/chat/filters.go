package chat

import "strings"

// builtinFilters are what stands behind "|".
var builtinFilters map[string]*function

func init() {
	builtinFilters = map[string]*function{}
	for name, fn := range map[string]func(*run, *arguments) (Value, error){
		"abs": filterAbs, "attr": filterAttr, "batch": filterBatch, "capitalize": textFilter("capitalize", capitalize),
		"center": filterCenter, "count": filterLength, "d": filterDefault, "default": filterDefault, "dictsort": filterDictsort,
		"e": filterEscape, "escape": filterEscape, "filesizeformat": filterFileSize, "first": filterFirst, "float": filterFloat,
		"forceescape": filterForceEscape, "format": filterFormat, "groupby": filterGroupBy, "indent": filterIndent, "int": filterInt,
		"join": filterJoin, "last": filterLast, "length": filterLength, "list": filterList, "lower": textFilter("lower", lower),
		"items": filterItems, "map": filterMap, "min": filterExtreme("min", "<"), "max": filterExtreme("max", ">"),
		"pprint": filterPprint, "random": filterRandom, "reject": selector("reject", false, true),
		"rejectattr": selector("rejectattr", true, true), "replace": filterReplace, "reverse": filterReverse, "round": filterRound,
		"safe": filterSafe, "select": selector("select", false, false), "selectattr": selector("selectattr", true, false),
		"slice": filterSlice, "sort": filterSort, "string": filterString, "striptags": filterStripTags, "sum": filterSum,
		"title": textFilter("title", filterTitle), "trim": filterTrim, "truncate": filterTruncate, "unique": filterUnique,
		"upper": textFilter("upper", upper), "urlencode": filterURLEncode, "urlize": filterURLize, "wordcount": filterWordCount,
		"wordwrap": filterWordWrap, "xmlattr": filterXMLAttr, "tojson": filterToJSON,
	} {
		builtinFilters[name] = &function{name: "do_" + name, fn: fn}
	}
}

// softText is the text of a string, and str() of everything else; Markup stays Markup.
func softText(r *run, v Value) (string, Value, error) {
	if s, ok := text(v); ok {
		return s, v, r.made(len(s))
	}
	s, err := str(r, v)
	return s, s, err
}

func textFilter(name string, f func(string) string) func(*run, *arguments) (Value, error) {
	return func(r *run, a *arguments) (Value, error) {
		args, err := a.bind(name, 1, "s")
		if err != nil {
			return nil, err
		}
		s, soft, err := softText(r, args[0])
		if err != nil {
			return nil, err
		}
		if name == "title" {
			soft = ""
		}
		return sameText(soft, f(s)), nil
	}
}

// filterTitle starts a word after white space, a hyphen or an opening bracket only, unlike str.title.
func filterTitle(s string) string {
	var b strings.Builder
	for s != "" {
		end := strings.IndexFunc(s, isWordBoundary)
		if end < 0 {
			end = len(s)
		}
		if end > 0 {
			b.WriteString(upperFirst(s[:end]))
		}
		s = s[end:]
		rest := strings.TrimLeftFunc(s, isWordBoundary)
		b.WriteString(s[:len(s)-len(rest)])
		s = rest
	}
	return b.String()
}

func isWordBoundary(c rune) bool { return isSpace(c) || strings.ContainsRune("-({[<", c) }

func upperFirst(word string) string {
	n := offsetOf(word, 1)
	return upper(word[:n]) + lower(word[n:])
}

func filterCenter(r *run, a *arguments) (Value, error) {
	args, err := a.bind("center", 1, "value", "width")
	if err != nil {
		return nil, err
	}
	s, soft, err := softText(r, args[0])
	if err != nil {
		return nil, err
	}
	width, err := indexOf(or(args[1], int64(80)))
	if err != nil {
		return nil, err
	}
	out, err := justify(r, s, "center", width, " ")
	return sameText(soft, out), err
}

func filterString(r *run, a *arguments) (Value, error) {
	args, err := a.bind("string", 1, "/s")
	if err != nil {
		return nil, err
	}
	_, soft, err := softText(r, args[0])
	return soft, err
}

func filterTrim(r *run, a *arguments) (Value, error) {
	args, err := a.bind("trim", 1, "value", "chars")
	if err != nil {
		return nil, err
	}
	s, soft, err := softText(r, args[0])
	if err != nil {
		return nil, err
	}
	out, err := strip(s, or(args[1], nil), true, true)
	return sameText(soft, out), err
}

func filterReplace(r *run, a *arguments) (Value, error) {
	args, err := a.bind("replace", 3, "s", "old", "new", "count")
	if err != nil {
		return nil, err
	}
	var parts [3]string
	safe := false
	for i := range parts {
		if parts[i], err = str(r, args[i]); err != nil {
			return nil, err
		}
		_, isMarkup := args[i].(markup)
		safe = safe || isMarkup
	}
	limit := -1
	if n := or(args[3], nil); n != nil {
		if limit, err = indexOf(n); err != nil {
			return nil, err
		}
	}
	if !r.autoescape || !safe {
		return replaceText(r, parts[0], parts[1], parts[2], limit)
	}
	for _, i := range []int{0, 2} {
		m, err := escape(r, args[i])
		if err != nil {
			return nil, err
		}
		parts[i] = string(m)
	}
	out, err := replaceText(r, parts[0], parts[1], parts[2], limit)
	return markup(out), err
}

func filterSafe(r *run, a *arguments) (Value, error) {
	args, err := a.bind("safe", 1, "value")
	if err != nil {
		return nil, err
	}
	s, err := str(r, args[0])
	return markup(s), err
}

func filterEscape(r *run, a *arguments) (Value, error) {
	args, err := a.bind("escape", 1, "/s")
	if err != nil {
		return nil, err
	}
	m, err := escape(r, args[0])
	return m, err
}

func filterForceEscape(r *run, a *arguments) (Value, error) {
	args, err := a.bind("forceescape", 1, "value")
	if err != nil {
		return nil, err
	}
	s, err := str(r, args[0])
	if err != nil {
		return nil, err
	}
	m, err := escape(r, s)
	return m, err
}

func filterFormat(r *run, a *arguments) (Value, error) {
	if len(a.pos) == 0 {
		return nil, typeError("do_format() missing 1 required positional argument: 'value'")
	}
	s, soft, err := softText(r, a.pos[0])
	if err != nil {
		return nil, err
	}
	var values Value = newTuple(a.pos[1:]...)
	if a.keywords() > 0 {
		if len(a.pos) > 1 {
			return nil, filterError("can't handle positional and keyword arguments at the same time")
		}
		values = a.kw
	}
	if _, safe := soft.(markup); safe {
		out, err := percentFormatMarkup(r, s, values)
		return markup(out), err
	}
	return percentFormat(r, s, values)
}

func filterIndent(r *run, a *arguments) (Value, error) {
	args, err := a.bind("indent", 1, "s", "width", "first", "blank")
	if err != nil {
		return nil, err
	}
	if u, ok := args[0].(*undefined); ok {
		return nil, u.err()
	}
	s, ok := text(args[0])
	if !ok {
		return nil, typeError("unsupported operand type(s) for +=: '%s' and 'str'", typeName(args[0]))
	}
	indention, err := indentionOf(r, or(args[1], int64(4)))
	if err != nil {
		return nil, err
	}
	first, err := truth(r, or(args[2], false))
	if err != nil {
		return nil, err
	}
	blank, err := truth(r, or(args[3], false))
	if err != nil {
		return nil, err
	}
	lines := splitLines(s+"\n", false)
	size := len(s)
	for range lines {
		size += len(indention)
		if err := r.fits(size); err != nil {
			return nil, err
		}
	}
	if err := r.made(size); err != nil {
		return nil, err
	}
	for i, line := range lines {
		if i == 0 && first || i > 0 && (blank || line != "") {
			lines[i] = indention + line
		}
	}
	return sameText(args[0], strings.Join(lines, "\n")), nil
}

func indentionOf(r *run, width Value) (string, error) {
	if s, ok := text(width); ok {
		return s, nil
	}
	n, err := indexOf(width)
	if err != nil {
		return "", typeError("can't multiply sequence by non-int of type '%s'", typeName(width))
	}
	n = max(n, 0)
	return strings.Repeat(" ", min(n, r.options.MaxOutput+1)), r.fits(n)
}

func filterTruncate(r *run, a *arguments) (Value, error) {
	args, err := a.bind("truncate", 1, "s", "length", "killwords", "end", "leeway")
	if err != nil {
		return nil, err
	}
	limit, err := indexOf(or(args[1], int64(255)))
	if err != nil {
		return nil, err
	}
	end, ok := text(or(args[3], "..."))
	if !ok {
		return nil, typeError("end must be str, not %s", typeName(args[3]))
	}
	leeway := 5
	if v := or(args[4], nil); v != nil {
		if leeway, err = indexOf(v); err != nil {
			return nil, err
		}
	}
	if limit < runeCount(end) {
		return nil, newError("AssertionError", "expected length >= %d, got %d", runeCount(end), limit)
	}
	if leeway < 0 {
		return nil, newError("AssertionError", "expected leeway >= 0, got %d", leeway)
	}
	n, err := length(r, args[0])
	if err != nil {
		return nil, err
	}
	if n <= limit || n-limit <= leeway {
		return args[0], nil
	}
	s, ok := text(args[0])
	if !ok {
		return nil, typeError("truncate wants str, not %s", typeName(args[0]))
	}
	s = s[:offsetOf(s, limit-runeCount(end))]
	kill, err := truth(r, or(args[2], false))
	if err != nil {
		return nil, err
	}
	if !kill {
		if i := strings.LastIndexByte(s, ' '); i >= 0 {
			s = s[:i]
		}
	}
	return add(r, sameText(args[0], s), or(args[3], "..."))
}

func filterWordCount(r *run, a *arguments) (Value, error) {
	args, err := a.bind("wordcount", 1, "s")
	if err != nil {
		return nil, err
	}
	s, _, err := softText(r, args[0])
	if err != nil {
		return nil, err
	}
	n, inWord := int64(0), false
	for _, c := range s {
		word := c == '_' || isAlnum(c)
		if word && !inWord {
			n++
		}
		inWord = word
	}
	return n, nil
}

func filterStripTags(r *run, a *arguments) (Value, error) {
	args, err := a.bind("striptags", 1, "value")
	if err != nil {
		return nil, err
	}
	s, err := str(r, args[0])
	if err != nil {
		return nil, err
	}
	return stripTags(s), r.made(len(s))
}

func filterAttr(r *run, a *arguments) (Value, error) {
	args, err := a.bind("attr", 2, "obj", "name")
	if err != nil {
		return nil, err
	}
	name, ok := text(args[1])
	if !ok {
		return nil, typeError("attribute name must be string, not '%s'", typeName(args[1]))
	}
	v, ok, err := attribute(r, args[0], name)
	if err != nil || ok {
		return v, err
	}
	return undefinedMember(args[0], name), nil
}

func filterDefault(r *run, a *arguments) (Value, error) {
	args, err := a.bind("default", 1, "value", "default_value", "boolean")
	if err != nil {
		return nil, err
	}
	if isUndefined(args[0]) {
		return or(args[1], ""), nil
	}
	falsy, err := truth(r, or(args[2], false))
	if err != nil || !falsy {
		return args[0], err
	}
	if ok, err := truth(r, args[0]); err != nil || ok {
		return args[0], err
	}
	return or(args[1], ""), nil
}

func filterRandom(*run, *arguments) (Value, error) {
	return nil, newError("TemplateRuntimeError", "filter 'random' is not available: rendering is deterministic")
}

func filterXMLAttr(r *run, a *arguments) (Value, error) {
	args, err := a.bind("xmlattr", 1, "d", "autospace")
	if err != nil {
		return nil, err
	}
	d, ok := args[0].(*Dict)
	if !ok {
		if u, ok := args[0].(*undefined); ok {
			return nil, u.err()
		}
		return nil, newError("AttributeError", "'%s' object has no attribute 'items'", typeName(args[0]))
	}
	var parts []string
	err = d.each(func(key, value Value) error {
		if value == nil || isUndefined(value) {
			return nil
		}
		name, ok := text(key)
		if !ok {
			return typeError("expected string or bytes-like object, got '%s'", typeName(key))
		}
		if strings.ContainsAny(name, " \t\n\r\f\v/>=") {
			return valueError("Invalid character in attribute name: %s", strRepr(name))
		}
		k, err := escape(r, key)
		if err != nil {
			return err
		}
		v, err := escape(r, value)
		parts = append(parts, string(k)+"=\""+string(v)+"\"")
		return err
	})
	if err != nil {
		return nil, err
	}
	out := strings.Join(parts, " ")
	space, err := truth(r, or(args[1], true))
	if space && out != "" {
		out = " " + out
	}
	return r.safeText(out), err
}
