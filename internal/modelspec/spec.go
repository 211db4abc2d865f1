// Package modelspec makes tiny random models of any architecture from a text that lists their keys and tensors. The same
// case has the same bytes everywhere, so that a golden file of a few kilobytes stands for a model.
//
// A spec is read line by line; # begins a comment.
//
//	arch    ernie4_5-moe                       general.architecture
//	let     kv=2 group=3 heads=kv*group        variables; a case may set them otherwise. kv=2,1,2: one value a layer
//	case    ernie4_5-moe kv=1                  a model: its name and what it sets
//	vary    kv=1,2,3                           values that a random case chooses among
//	use     base attention                     lines of a block of the file common.spec
//	key     attention.head_count u32 heads     a key: type, values. Types: u32 i32 f32 bool str, and with [] arrays
//	tensor  blk.*.attn_q.weight dim heads*head shape, innermost dimension first
//	if      bias tensor blk.*.attn_q.bias dim  a line, or a use, that counts where an expression is not 0
//
// Keys are the architecture's unless they begin with tokenizer., general. or xielu.; a later one replaces an earlier one, and the type "none"
// drops it. In tensor names blk.*. stands for every layer, blk.{A:B}. and blk.{A:B:S}. for layers A to B-1 in steps of S. Expressions have
// + - * / and brackets, no spaces; i is the layer. Tensors hold random numbers around 0: matrices so that a row's product with a unit
// vector's elements is about 1, norms' weights around 1. "~ MEAN DEVIATION" at a line's end says otherwise.
package modelspec

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
)

// Spec is the models of one architecture.
type Spec struct {
	Arch  string
	Cases []Case
	vary  []Setting
	lets  []Setting
	lines []line
}

// Case is one model of a spec.
type Case struct {
	Name string
	Sets []Setting
}

// Setting is a variable with the texts of its values: several are one a layer, or of vary the ones to choose among.
type Setting struct {
	Name   string
	Values []string
}

// line is a key or a tensor.
type line struct {
	where string // file:line
	words []string
	when  []string // expressions that must not be 0
}

// Load reads every spec of a folder; common.spec holds blocks.
func Load(dir fs.FS) ([]*Spec, error) {
	names, err := fs.Glob(dir, "*.spec")
	if err != nil {
		return nil, err
	}
	c := &common{blocks: map[string][]line{}}
	if err := readFile(dir, "common.spec", c.read); err != nil {
		return nil, err
	}
	var out []*Spec
	for _, name := range names {
		if name == "common.spec" {
			continue
		}
		err := readFile(dir, name, func(r io.Reader) error {
			s, err := c.parse(name, r)
			out = append(out, s)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	seen := map[string]string{}
	for _, s := range out {
		for _, c := range s.Cases {
			if other, ok := seen[c.Name]; ok {
				return nil, fmt.Errorf("case %s is in the specs of %s and %s", c.Name, other, s.Arch)
			}
			seen[c.Name] = s.Arch
		}
	}
	return out, nil
}

func readFile(dir fs.FS, name string, read func(io.Reader) error) error {
	f, err := dir.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return read(f)
}

// scan calls each with the words of every line that has some.
func scan(name string, r io.Reader, each func(where string, words []string) error) error {
	s := bufio.NewScanner(r)
	for n := 1; s.Scan(); n++ {
		text, _, _ := strings.Cut(s.Text(), "#")
		if words := strings.Fields(text); len(words) > 0 {
			if err := each(fmt.Sprintf("%s:%d", name, n), words); err != nil {
				return err
			}
		}
	}
	return s.Err()
}

// common is what common.spec holds.
type common struct {
	lets, vary []Setting
	blocks     map[string][]line
}

func (c *common) read(r io.Reader) error {
	current := ""
	return scan("common.spec", r, func(where string, words []string) error {
		switch {
		case words[0] == "let" || words[0] == "vary":
			sets, err := settings(where, words[1:])
			if words[0] == "let" {
				c.lets = append(c.lets, sets...)
			} else {
				c.vary = append(c.vary, sets...)
			}
			return err
		case words[0] == "block" && len(words) == 2:
			current = words[1]
			c.blocks[current] = nil
			return nil
		case current == "":
			return fmt.Errorf("%s: found %q, expected let, vary or a block's name first", where, words[0])
		}
		lines, err := c.lines(where, words)
		c.blocks[current] = append(c.blocks[current], lines...)
		return err
	})
}

func (c *common) parse(name string, r io.Reader) (*Spec, error) {
	s := &Spec{lets: slices.Clone(c.lets), vary: slices.Clone(c.vary)}
	err := scan(name, r, func(where string, words []string) error {
		switch rest := words[1:]; words[0] {
		case "arch":
			if len(rest) != 1 {
				return fmt.Errorf("%s: expected one architecture, found %q", where, rest)
			}
			s.Arch = rest[0]
		case "let", "vary":
			sets, err := settings(where, rest)
			for _, set := range sets { // what a spec sets is not drawn from the common choices
				s.vary = slices.DeleteFunc(s.vary, func(v Setting) bool { return v.Name == set.Name })
			}
			if words[0] == "let" {
				s.lets = append(s.lets, sets...)
			} else {
				s.vary = append(s.vary, sets...)
			}
			return err
		case "case":
			if len(rest) == 0 {
				return fmt.Errorf("%s: a case without a name", where)
			}
			sets, err := settings(where, rest[1:])
			s.Cases = append(s.Cases, Case{rest[0], sets})
			return err
		default:
			lines, err := c.lines(where, words)
			s.lines = append(s.lines, lines...)
			return err
		}
		return nil
	})
	if err == nil && (s.Arch == "" || len(s.Cases) == 0) {
		err = fmt.Errorf("%s: expected an arch and at least one case", name)
	}
	return s, err
}

// lines reads key, tensor, use, or if before one of these.
func (c *common) lines(where string, words []string) ([]line, error) {
	var when []string
	for len(words) > 2 && words[0] == "if" {
		when, words = append(when, words[1]), words[2:]
	}
	switch {
	case words[0] == "use":
		var out []line
		for _, name := range words[1:] {
			block, ok := c.blocks[name]
			if !ok {
				return nil, fmt.Errorf("%s: common.spec has no block %q above", where, name)
			}
			for _, l := range block {
				l.when = slices.Concat(when, l.when)
				out = append(out, l)
			}
		}
		return out, nil
	case words[0] != "key" && words[0] != "tensor":
		return nil, fmt.Errorf("%s: found %q, expected arch, let, case, vary, use, key, tensor or if", where, words[0])
	case len(words) < 3:
		return nil, fmt.Errorf("%s: found %q, expected a name and values", where, strings.Join(words, " "))
	case words[0] == "key" && !slices.Contains(keyTypes, strings.TrimSuffix(words[2], "[]")):
		return nil, fmt.Errorf("%s: found the type %q, expected one of %s", where, words[2], strings.Join(keyTypes, " "))
	}
	return []line{{where, words, when}}, nil
}

var keyTypes = []string{"u32", "i32", "f32", "bool", "str", "none"}

func settings(where string, words []string) ([]Setting, error) {
	var out []Setting
	for _, word := range words {
		name, text, ok := strings.Cut(word, "=")
		if !ok || name == "" || text == "" {
			return nil, fmt.Errorf("%s: found %q, expected NAME=VALUE", where, word)
		}
		out = append(out, Setting{name, strings.Split(text, ",")})
	}
	return out, nil
}

// Find returns a case by name.
func Find(specs []*Spec, name string) (*Spec, Case, bool) {
	for _, s := range specs {
		for _, c := range s.Cases {
			if c.Name == name {
				return s, c, true
			}
		}
	}
	return nil, Case{}, false
}
