package chat

import (
	"math"
	"strings"
	"time"
)

// run is one rendering: its output, limits and depth.
type run struct {
	template   *Template
	options    Options
	deadline   time.Time
	steps      int
	sinceClock int
	depth      int
	out        *strings.Builder
	autoescape bool
}

// maxDepth bounds the recursion of evaluation: nested expressions, bodies, macro calls and iterators together.
const maxDepth = 6000

// bytesPerStep is how much new text counts as one step.
const bytesPerStep = 64

// bytesPerItem is the size of a list's item.
const bytesPerItem = 16

// step counts n units of work against the limits.
func (r *run) step(n int) error {
	r.steps += n
	r.sinceClock += n
	if r.steps > r.options.MaxSteps || n < 0 {
		return newError("LimitError", "rendering took more than the limit of %d steps (MaxSteps)", r.options.MaxSteps)
	}
	if r.sinceClock >= 4096 {
		r.sinceClock = 0
		if time.Now().After(r.deadline) {
			return newError("LimitError", "rendering took longer than the limit of %v (Timeout)", r.options.Timeout)
		}
	}
	return nil
}

// fits checks the size of a string, or other data, against the limit, before it is built.
func (r *run) fits(n int) error {
	if n > r.options.MaxOutput || n < 0 {
		return newError("LimitError", "text of %d bytes exceeds the limit of %d bytes (MaxOutput)", n, r.options.MaxOutput)
	}
	return nil
}

// made counts a new string of n bytes before it is built.
func (r *run) made(n int) error {
	if err := r.fits(n); err != nil {
		return err
	}
	return r.step(n / bytesPerStep)
}

// madeItems counts a new list of n items before it is built.
func (r *run) madeItems(n int) error {
	if n > math.MaxInt/bytesPerItem {
		return r.fits(math.MaxInt)
	}
	if err := r.fits(n * bytesPerItem); err != nil {
		return err
	}
	return r.step(n)
}

// enter counts one level of recursion; every caller defers or calls leave.
func (r *run) enter() error {
	r.depth++
	if r.depth > maxDepth {
		return newError("RecursionError", "evaluation nested more than %d levels deep", maxDepth)
	}
	return nil
}

func (r *run) leave() { r.depth-- }

// write appends to the current output.
func (r *run) write(s string) error {
	if r.out.Len()+len(s) > r.options.MaxOutput {
		return newError("LimitError", "output exceeds the limit of %d bytes (MaxOutput)", r.options.MaxOutput)
	}
	if err := r.step(len(s) / bytesPerStep); err != nil {
		return err
	}
	r.out.WriteString(s)
	return nil
}

// capture runs f with an output of its own and returns what it wrote.
func (r *run) capture(f func() (control, error)) (string, control, error) {
	outer := r.out
	r.out = &strings.Builder{}
	c, err := f()
	text := r.out.String()
	r.out = outer
	return text, c, err
}

// context holds what templates call the context: the caller's values and the top-level assignments.
type context struct {
	parent *Dict
	vars   *Dict
}

// resolve looks a name up in assignments, the caller's values and the globals; missing when nothing has it.
func (c *context) resolve(name string) Value {
	if v, ok := c.vars.Get(name); ok {
		return v
	}
	if v, ok := c.parent.Get(name); ok {
		return v
	}
	if v, ok := globals[name]; ok {
		return v
	}
	return missing
}

// activation is one call of a scopeFunc: its variables.
type activation struct {
	slots  []Value
	parent *activation
	ctx    *context
}

func newActivation(fn *scopeFunc, parent *activation, ctx *context) *activation {
	f := &activation{slots: make([]Value, len(fn.slots)), parent: parent, ctx: ctx}
	for i := range f.slots {
		f.slots[i] = missing
	}
	return f
}

func (f *activation) at(ref slotRef) *Value {
	for ; ref.up > 0; ref.up-- {
		f = f.parent
	}
	return &f.slots[ref.slot]
}

// enter gives a frame's variables their first values.
func (f *activation) enter(r *run, e frameEntry) error {
	for i := range e.loads {
		l := &e.loads[i]
		switch l.action {
		case loadResolve:
			f.slots[l.slot] = f.ctx.resolve(l.name)
		case loadAlias:
			f.slots[l.slot] = *f.at(l.outer)
		case loadUndefined:
			f.slots[l.slot] = missing
		}
	}
	return r.step(1 + len(e.loads)/4)
}

// leave unbinds a frame's variables, which closures may still see.
func (f *activation) leave(e frameEntry) {
	for i := range e.loads {
		f.slots[e.loads[i].slot] = missing
	}
}
