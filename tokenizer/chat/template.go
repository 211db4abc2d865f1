package chat

import (
	"strings"
	"time"
)

// Template is a parsed chat template. It does not change: one Template may be rendered by several goroutines at once.
type Template struct {
	source  string
	body    []stmt
	blocks  map[string]*blockStmt
	fn      *scopeFunc
	enter   frameEntry
	selfRef *slotRef
}

// Source returns the text that the template was parsed from.
func (t *Template) Source() string { return t.source }

// maxSourceBytes bounds a template's source; the largest published ones are under 100 KB.
const maxSourceBytes = 4 << 20

// Parse parses a template. Syntax errors, and filters or tests that do not exist, are reported with their line.
func Parse(source string) (*Template, error) {
	if len(source) > maxSourceBytes {
		return nil, newError("TemplateSyntaxError", "source of %d bytes, at most %d are allowed", len(source), maxSourceBytes)
	}
	tokens, err := lex(strings.ToValidUTF8(source, "\uFFFD"))
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens, blocks: map[string]*blockStmt{}}
	body, err := p.body(nil)
	if err != nil {
		return nil, err
	}
	t := &Template{source: source}
	if err := resolveTemplate(t, body, p.blocks, p.order); err != nil {
		return nil, err
	}
	return t, nil
}

// Options are the limits and the clock of one rendering. The zero value means the defaults.
type Options struct {
	// Now is what strftime_now prints; the zero value means the current time.
	Now time.Time
	// MaxSteps bounds the work: a step is one evaluated expression, one item of a
	// list made, or 64 bytes of text made. 0 means DefaultMaxSteps.
	MaxSteps int
	// MaxOutput bounds the rendered text, and each string on the way to it, in bytes. 0 means DefaultMaxOutput.
	MaxOutput int
	// Timeout bounds the time. 0 means DefaultTimeout.
	Timeout time.Duration
}

// Limits that hold where Options leaves them zero. They leave room for conversations of half a million tokens, even for
// templates that copy all of the text at every turn, and bound what a hostile template can hold to about 1 GiB.
const (
	DefaultMaxSteps  = 20_000_000
	DefaultMaxOutput = 64 << 20
	DefaultTimeout   = 10 * time.Second
)

func (o Options) withDefaults() Options {
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	if o.MaxSteps == 0 {
		o.MaxSteps = DefaultMaxSteps
	}
	if o.MaxOutput == 0 {
		o.MaxOutput = DefaultMaxOutput
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	return o
}

// Render runs the template on a context (usually messages, tools, add_generation_prompt, bos_token, …; nil is an empty
// one) and returns its text. The context is not changed. Every error is an [*Error].
func (t *Template) Render(ctx *Dict, o Options) (string, error) {
	if ctx == nil {
		ctx = NewDict()
	}
	r := &run{template: t, options: o.withDefaults(), out: &strings.Builder{}}
	r.deadline = time.Now().Add(r.options.Timeout)
	c := &context{parent: ctx, vars: NewDict()}
	f := newActivation(t.fn, nil, c)
	if t.selfRef != nil {
		f.slots[t.selfRef.slot] = &templateReference{c}
	}
	if err := f.enter(r, t.enter); err != nil {
		return "", err
	}
	if _, err := r.exec(t.body, f); err != nil {
		return "", err
	}
	return r.out.String(), nil
}
