package chat

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"math/big"
	"sort"
	"strconv"
	"strings"
)

// DecodeContext decodes a JSON object for [Template.Render]. Keys keep their order, and integers stay apart from
// floats: 1 is an int, 1.0 a float.
func DecodeContext(data []byte) (*Dict, error) {
	v, err := decodeJSON(data)
	if err != nil {
		return nil, err
	}
	d, ok := v.(*Dict)
	if !ok {
		return nil, newError("ValueError", "context is a JSON %s, expected an object", jsonTypeName(v))
	}
	return d, nil
}

func jsonTypeName(v Value) string {
	switch v.(type) {
	case *List:
		return "array"
	case string:
		return "string"
	case nil:
		return "null"
	case bool:
		return "boolean"
	}
	return "number"
}

func decodeJSON(data []byte) (Value, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	d := jsonDecoder{dec}
	v, err := d.value(0)
	if err == nil {
		var extra json.Token
		if extra, err = dec.Token(); err == io.EOF {
			return v, nil
		} else if err == nil {
			return nil, valueError("JSON: unexpected %v behind the value, at byte %d", extra, dec.InputOffset())
		}
	}
	if _, ours := err.(*Error); ours {
		return nil, err
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return nil, valueError("JSON: %v, at byte %d", err, dec.InputOffset())
}

type jsonDecoder struct{ *json.Decoder }

func (d jsonDecoder) value(depth int) (Value, error) {
	if depth > maxDataDepth {
		return nil, valueError("JSON: nested more than %d levels deep, at byte %d", maxDataDepth, d.InputOffset())
	}
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return d.object(depth)
		}
		return d.array(depth)
	case json.Number:
		return jsonNumber(string(t))
	case bool, string, nil:
		return t, nil
	}
	return nil, valueError("JSON: unexpected %v", token)
}

func (d jsonDecoder) object(depth int) (Value, error) {
	out := NewDict()
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		out.Set(key.(string), v)
	}
	_, err := d.Token()
	return out, err
}

func (d jsonDecoder) array(depth int) (Value, error) {
	out := &List{}
	for d.More() {
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		out.Items = append(out.Items, v)
	}
	_, err := d.Token()
	return out, err
}

func jsonNumber(s string) (Value, error) {
	if strings.ContainsAny(s, ".eE") {
		f, _ := strconv.ParseFloat(s, 64) // out of range becomes infinite, as in Python
		return f, nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, nil
	}
	if len(s) > maxIntDigits+1 {
		return nil, valueError("JSON: integer of %d digits, at most %d are allowed", len(s), maxIntDigits)
	}
	n, _ := new(big.Int).SetString(s, 10)
	return normalizeInt(n), nil
}

// jsonWriter is json.dumps.
type jsonWriter struct {
	run      *run
	b        strings.Builder
	ascii    bool
	sortKeys bool
	pretty   bool
	indent   string
	itemSep  string
	keySep   string
}

func filterToJSON(r *run, a *arguments) (Value, error) {
	args, err := a.bind("tojson", 1, "x", "ensure_ascii", "indent", "separators", "sort_keys")
	if err != nil {
		return nil, err
	}
	w := &jsonWriter{run: r, itemSep: ", ", keySep: ": "}
	if w.ascii, err = truth(r, or(args[1], false)); err != nil {
		return nil, err
	}
	if w.sortKeys, err = truth(r, or(args[4], false)); err != nil {
		return nil, err
	}
	if err := w.setIndent(or(args[2], nil)); err != nil {
		return nil, err
	}
	if err := w.setSeparators(or(args[3], nil)); err != nil {
		return nil, err
	}
	if err := w.value(args[0], 0); err != nil {
		return nil, err
	}
	return w.b.String(), r.fits(w.b.Len())
}

func (w *jsonWriter) setIndent(v Value) error {
	if v == nil {
		return nil
	}
	w.pretty, w.itemSep = true, ","
	if s, ok := text(v); ok {
		w.indent = s
		return nil
	}
	if !isInt(v) {
		return typeError("can't multiply sequence by non-int of type '%s'", typeName(v))
	}
	n, err := indexOf(v)
	if err != nil {
		return err
	}
	if err := w.run.made(max(n, 0)); err != nil {
		return err
	}
	w.indent = strings.Repeat(" ", max(n, 0))
	return nil
}

func (w *jsonWriter) setSeparators(v Value) error {
	if v == nil {
		return nil
	}
	items, err := w.run.list(v)
	if err != nil {
		return err
	}
	if len(items) != 2 {
		return valueError("separators must be two strings, found %d", len(items))
	}
	item, ok1 := text(items[0])
	key, ok2 := text(items[1])
	if !ok1 || !ok2 {
		return typeError("separators must be strings")
	}
	w.itemSep, w.keySep = item, key
	return nil
}

func (w *jsonWriter) newline(depth int) error {
	if !w.pretty {
		return nil
	}
	if err := w.run.fits(w.b.Len() + depth*len(w.indent)); err != nil {
		return err
	}
	w.b.WriteByte('\n')
	for range depth {
		w.b.WriteString(w.indent)
	}
	return w.run.step(depth * len(w.indent) / bytesPerStep)
}

func (w *jsonWriter) value(v Value, depth int) error {
	if depth > maxDataDepth {
		return newError("RecursionError", "data nested more than %d levels deep", maxDataDepth)
	}
	if err := w.run.step(1); err != nil {
		return err
	}
	switch v := v.(type) {
	case string, markup:
		s, _ := text(v)
		return w.str(s)
	case *List:
		return w.items(v.Items, depth)
	case *tuple:
		return w.items(v.items, depth)
	case *Dict:
		return w.dict(v, depth)
	}
	s, ok, err := jsonScalar(v)
	if err != nil {
		return err
	}
	if !ok {
		return typeError("Object of type %s is not JSON serializable", typeName(v))
	}
	w.b.WriteString(s)
	return nil
}

// jsonScalar writes what is neither text nor container; keys are written so too.
func jsonScalar(v Value) (string, bool, error) {
	switch v := v.(type) {
	case nil:
		return "null", true, nil
	case bool:
		return strconv.FormatBool(v), true, nil
	case int64:
		return strconv.FormatInt(v, 10), true, nil
	case *big.Int:
		s, err := bigText(v)
		return s, true, err
	case float64:
		switch {
		case math.IsNaN(v):
			return "NaN", true, nil
		case math.IsInf(v, 1):
			return "Infinity", true, nil
		case math.IsInf(v, -1):
			return "-Infinity", true, nil
		}
		return floatRepr(v), true, nil
	}
	return "", false, nil
}

func (w *jsonWriter) items(items []Value, depth int) error {
	if len(items) == 0 {
		w.b.WriteString("[]")
		return nil
	}
	w.b.WriteByte('[')
	for i, item := range items {
		if i > 0 {
			w.b.WriteString(w.itemSep)
		}
		if err := w.newline(depth + 1); err != nil {
			return err
		}
		if err := w.value(item, depth+1); err != nil {
			return err
		}
	}
	err := w.newline(depth)
	w.b.WriteByte(']')
	return err
}

type jsonEntry struct{ key, value Value }

func (w *jsonWriter) entries(d *Dict) ([]jsonEntry, error) {
	var entries []jsonEntry
	_ = d.each(func(key, value Value) error {
		entries = append(entries, jsonEntry{key, value})
		return nil
	})
	if !w.sortKeys {
		return entries, nil
	}
	var failed error
	sort.SliceStable(entries, func(i, j int) bool {
		less, err := ordered(w.run, "<", entries[i].key, entries[j].key)
		if err != nil {
			failed = err
		}
		return less
	})
	return entries, failed
}

func (w *jsonWriter) dict(d *Dict, depth int) error {
	if d.Len() == 0 {
		w.b.WriteString("{}")
		return nil
	}
	entries, err := w.entries(d)
	if err != nil {
		return err
	}
	w.b.WriteByte('{')
	for i, e := range entries {
		if i > 0 {
			w.b.WriteString(w.itemSep)
		}
		if err := w.newline(depth + 1); err != nil {
			return err
		}
		key, ok := text(e.key)
		if !ok {
			if key, ok, err = jsonScalar(e.key); err != nil {
				return err
			}
			if !ok {
				return typeError("keys must be str, int, float, bool or None, not %s", typeName(e.key))
			}
		}
		if err := w.str(key); err != nil {
			return err
		}
		w.b.WriteString(w.keySep)
		if err := w.value(e.value, depth+1); err != nil {
			return err
		}
	}
	err = w.newline(depth)
	w.b.WriteByte('}')
	return err
}

func (w *jsonWriter) str(s string) error {
	if err := w.run.fits(w.b.Len() + len(s)); err != nil {
		return err
	}
	if err := w.run.made(len(s)); err != nil {
		return err
	}
	w.b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			w.b.WriteByte('\\')
			w.b.WriteRune(c)
		case c == '\n':
			w.b.WriteString(`\n`)
		case c == '\r':
			w.b.WriteString(`\r`)
		case c == '\t':
			w.b.WriteString(`\t`)
		case c == '\f':
			w.b.WriteString(`\f`)
		case c == '\b':
			w.b.WriteString(`\b`)
		case c < 0x20:
			w.b.WriteString(`\u` + hex4(c))
		case w.ascii && c >= 0x10000:
			c -= 0x10000
			w.b.WriteString(`\u` + hex4(0xd800+c>>10) + `\u` + hex4(0xdc00+c&0x3ff))
		case w.ascii && c >= 0x7f:
			w.b.WriteString(`\u` + hex4(c))
		default:
			w.b.WriteRune(c)
		}
	}
	w.b.WriteByte('"')
	return nil
}

func hex4(c rune) string { return strconv.FormatInt(int64(c)+0x10000, 16)[1:] }
