// Package bench holds what `infer bench` prints and reads: tests from lists and ranges, results in several formats, and the results of
// other programs to be held against.
package bench

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	mostValues = 1024    // of one list
	mostTokens = 1 << 30 // of one number: sums and products of what a test asks for then fit into 64 bits
)

// ParseCounts reads a list of numbers and ranges: "1,8", "512-2048" (doubled each time would be "512-2048*2", in steps of 128
// "512-1024+128"; without either, one by one). What is below least is refused.
func ParseCounts(s string, least int) ([]int, error) {
	var out []int
	for _, part := range strings.Split(s, ",") {
		values, err := parseRange(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		for _, v := range values {
			if v < least {
				return nil, fmt.Errorf("found %d, expected %d or more", v, least)
			}
			if v > mostTokens {
				return nil, fmt.Errorf("found %d, expected at most %d", v, mostTokens)
			}
		}
		if out = append(out, values...); len(out) > mostValues {
			return nil, fmt.Errorf("%q: more than %d values", s, mostValues)
		}
	}
	return out, nil
}

func parseRange(s string) ([]int, error) {
	wrong := fmt.Errorf("found %q, expected a number or a range: FIRST-LAST, FIRST-LAST+STEP or FIRST-LAST*FACTOR", s)
	first, rest, isRange := strings.Cut(s, "-")
	from, err := strconv.Atoi(first)
	if err != nil || from < 0 {
		return nil, wrong
	}
	if !isRange {
		return []int{from}, nil
	}
	step, factor := 1, 1
	at := strings.IndexAny(rest, "+*")
	last := rest
	if at >= 0 {
		last = rest[:at]
		by, err := strconv.Atoi(rest[at+1:])
		switch {
		case err != nil || by < 1 || by > mostTokens:
			return nil, wrong
		case rest[at] == '+':
			step = by
		case by < 2 || from < 1:
			return nil, wrong
		default:
			step, factor = 0, by
		}
	}
	to, err := strconv.Atoi(last)
	if err != nil || to < from {
		return nil, wrong
	}
	if to > mostTokens {
		return nil, fmt.Errorf("found %d, expected at most %d", to, mostTokens)
	}
	var out []int
	for v := from; v <= to; v = v*factor + step {
		if out = append(out, v); len(out) > mostValues {
			return nil, fmt.Errorf("%q: more than %d values", s, mostValues)
		}
	}
	return out, nil
}

// Test is one thing to measure: prompt tokens read, generated tokens, or one after the other.
type Test struct {
	Prompt, Generate, Depth, Sequences int
}

// Name is the name that llama-bench gives such a test, as "pp512", "tg128 @ d4096" or "pp512+tg128"; several sequences are added.
func (t Test) Name() string {
	var parts []string
	if t.Prompt > 0 {
		parts = append(parts, fmt.Sprintf("pp%d", t.Prompt))
	}
	if t.Generate > 0 {
		parts = append(parts, fmt.Sprintf("tg%d", t.Generate))
	}
	name := strings.Join(parts, "+")
	if t.Depth > 0 {
		name += fmt.Sprintf(" @ d%d", t.Depth)
	}
	if t.Sequences > 1 {
		name += fmt.Sprintf(" x%d", t.Sequences)
	}
	return name
}

// Tokens is how many tokens the test's time is for.
func (t Test) Tokens() int { return (t.Prompt + t.Generate) * t.Sequences }

// Matrix is the tests asked for.
type Matrix struct {
	Prompts, Generates, Depths, Sequences []int
	Pairs                                 [][2]int // prompt and generation in one test
}

// Tests lists every combination: prompts of one sequence, generations of each number of sequences, pairs, all at every depth.
func (m Matrix) Tests() []Test {
	var out []Test
	for _, d := range m.Depths {
		for _, p := range m.Prompts {
			if p > 0 {
				out = append(out, Test{Prompt: p, Depth: d, Sequences: 1})
			}
		}
		for _, n := range m.Generates {
			for _, s := range m.Sequences {
				if n > 0 {
					out = append(out, Test{Generate: n, Depth: d, Sequences: s})
				}
			}
		}
		for _, pair := range m.Pairs {
			for _, s := range m.Sequences {
				out = append(out, Test{Prompt: pair[0], Generate: pair[1], Depth: d, Sequences: s})
			}
		}
	}
	return out
}

// ParsePairs reads "512,128;1024,64": prompt and generated tokens of tests that do both.
func ParsePairs(s string) ([][2]int, error) {
	var out [][2]int
	if s == "" {
		return nil, nil
	}
	for _, part := range strings.Split(s, ";") {
		v, err := ParseCounts(part, 1)
		if err != nil || len(v) != 2 {
			return nil, fmt.Errorf("found %q, expected PROMPT,GENERATED, several separated by semicolons", part)
		}
		out = append(out, [2]int{v[0], v[1]})
	}
	return out, nil
}
