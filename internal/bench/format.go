package bench

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// Writer takes results one by one, as they are measured.
type Writer interface {
	Write(*Result) error
	Close() error // after the last
}

// Formats are the names that NewWriter knows.
var Formats = []string{"table", "md", "json", "jsonl", "csv"}

// NewWriter writes results in a format: a table for people, Markdown as llama-bench's, JSON as one array or an object a line, or CSV.
func NewWriter(format string, w io.Writer) (Writer, error) {
	switch format {
	case "table":
		return &rows{w: w, between: "  "}, nil
	case "md":
		return &rows{w: w, between: " | ", edge: "| ", end: " |", rule: true}, nil
	case "json":
		return &array{w: w}, nil
	case "jsonl":
		return lines{json.NewEncoder(w)}, nil
	case "csv":
		return &table{w: csv.NewWriter(w)}, nil
	}
	return nil, fmt.Errorf("found format %q, expected one of %s", format, strings.Join(Formats, ", "))
}

// column of the tables that people read. Widths are fixed, so that a row can be printed as soon as it is there.
type column struct {
	name  string
	width int
	left  bool
	cell  func(*Result) string
}

var columns = []column{
	{"model", 26, true, func(r *Result) string { return clip(r.Model, 26) }},
	{"size", 10, false, func(r *Result) string { return Bytes(r.Size) }},
	{"params", 8, false, func(r *Result) string { return fmt.Sprintf("%.2f B", float64(r.Params)/1e9) }},
	{"cpu", 10, true, func(r *Result) string { return r.Variant }},
	{"threads", 7, false, func(r *Result) string { return fmt.Sprint(r.Threads) }},
	{"test", 18, false, func(r *Result) string { return r.Test }},
	{"t/s", 18, false, func(r *Result) string { return fmt.Sprintf("%.2f ± %.2f", r.AvgTS, r.StddevTS) }},
	{"median", 9, false, func(r *Result) string { return fmt.Sprintf("%.2f", r.MedianTS) }},
	{"of limit", 11, false, func(r *Result) string {
		if r.Limit == "" {
			return "-"
		}
		return fmt.Sprintf("%.0f %% %s", 100*r.share(), r.Limit)
	}},
}

func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// Bytes writes a size in binary units.
func Bytes(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
	default:
		return fmt.Sprintf("%.2f MiB", float64(n)/(1<<20))
	}
}

type rows struct {
	w                  io.Writer
	edge, between, end string
	rule, begun        bool
}

func (t *rows) line(cell func(column) string) error {
	var cells []string
	for _, c := range columns {
		pad := strings.Repeat(" ", max(0, c.width-len([]rune(cell(c)))))
		if c.left {
			cells = append(cells, cell(c)+pad)
		} else {
			cells = append(cells, pad+cell(c))
		}
	}
	_, err := fmt.Fprintln(t.w, t.edge+strings.Join(cells, t.between)+t.end)
	return err
}

func (t *rows) Write(r *Result) error {
	if !t.begun {
		t.begun = true
		if err := t.line(func(c column) string { return c.name }); err != nil {
			return err
		}
		if t.rule {
			if err := t.line(func(c column) string {
				if c.left {
					return strings.Repeat("-", c.width)
				}
				return strings.Repeat("-", c.width-1) + ":"
			}); err != nil {
				return err
			}
		}
	}
	return t.line(func(c column) string { return c.cell(r) })
}

func (t *rows) Close() error { return nil }

type array struct {
	w     io.Writer
	begun bool
}

func (a *array) Write(r *Result) error {
	text, err := json.MarshalIndent(r, "  ", "  ")
	if err != nil {
		return err
	}
	before := ",\n  "
	if !a.begun {
		before, a.begun = "[\n  ", true
	}
	_, err = fmt.Fprintf(a.w, "%s%s", before, text)
	return err
}

func (a *array) Close() error {
	end := "\n]"
	if !a.begun {
		end = "[]"
	}
	_, err := fmt.Fprintln(a.w, end)
	return err
}

type lines struct{ *json.Encoder }

func (l lines) Write(r *Result) error { return l.Encode(r) }
func (l lines) Close() error          { return nil }

type table struct {
	w     *csv.Writer
	begun bool
}

// Write gives every field that is not a list, under its name in JSON.
func (t *table) Write(r *Result) error {
	v := reflect.ValueOf(*r)
	var names, cells []string
	for i := range v.NumField() {
		if v.Field(i).Kind() == reflect.Slice {
			continue
		}
		names = append(names, v.Type().Field(i).Tag.Get("json"))
		cells = append(cells, fmt.Sprint(v.Field(i).Interface()))
	}
	if !t.begun {
		t.begun = true
		if err := t.w.Write(names); err != nil {
			return err
		}
	}
	if err := t.w.Write(cells); err != nil {
		return err
	}
	t.w.Flush()
	return t.w.Error()
}

func (t *table) Close() error { return nil }
