package chat

// loopContext is the "loop" variable.
type loopContext struct {
	iterable   Value
	it         iterationSource
	index0     int
	count      int // -1 until known
	after      Value
	current    Value
	before     Value
	last       []Value // what loop.changed saw last; nil before the first call
	depth0     int
	recurse    func(iterable Value, depth int) (Value, error)
	hasChanged bool
}

// iterationSource yields items; ok is false at the end.
type iterationSource interface {
	next(r *run) (v Value, ok bool, err error)
}

func newLoopContext(r *run, iterable Value, depth0 int) (*loopContext, error) {
	it, err := r.iter(iterable)
	if err != nil {
		return nil, err
	}
	return &loopContext{iterable: iterable, it: it, index0: -1, count: -1, after: missing, current: missing, before: missing, depth0: depth0}, nil
}

// length counts the items; an iterator is read to its end for that, and what it gave is kept for the loop.
func (l *loopContext) length(r *run) (int, error) {
	if l.count >= 0 {
		return l.count, nil
	}
	if n, err := length(r, l.iterable); err == nil {
		l.count = n
		return n, nil
	} else if !isKind(err, "TypeError") {
		return 0, err
	}
	rest, err := r.drain(l.it)
	if err != nil {
		return 0, err
	}
	l.it = &sliceSource{items: rest}
	l.count = len(rest) + l.index0 + 1
	if l.after != missing {
		l.count++
	}
	return l.count, nil
}

func (l *loopContext) peek(r *run) (Value, error) {
	if l.after != missing {
		return l.after, nil
	}
	v, ok, err := l.it.next(r)
	if err != nil {
		return nil, err
	}
	if ok {
		l.after = v
		return v, nil
	}
	return missing, nil
}

func (l *loopContext) next(r *run) (Value, bool, error) {
	v := l.after
	if v != missing {
		l.after = missing
	} else {
		var ok bool
		var err error
		if v, ok, err = l.it.next(r); err != nil || !ok {
			return nil, false, err
		}
	}
	l.index0++
	l.before = l.current
	l.current = v
	return v, true, nil
}

// attr returns the attribute of the loop variable; ok is false when there is none of that name.
func (l *loopContext) attr(r *run, name string) (v Value, ok bool, err error) {
	switch name {
	case "index0":
		return int64(l.index0), true, nil
	case "index":
		return int64(l.index0 + 1), true, nil
	case "depth0":
		return int64(l.depth0), true, nil
	case "depth":
		return int64(l.depth0 + 1), true, nil
	case "first":
		return l.index0 == 0, true, nil
	case "last":
		v, err := l.peek(r)
		return v == missing, true, err
	case "length", "revindex", "revindex0":
		n, err := l.length(r)
		if name == "revindex" {
			n -= l.index0
		} else if name == "revindex0" {
			n -= l.index0 + 1
		}
		return int64(n), true, err
	case "previtem":
		if l.index0 == 0 {
			return undefinedHint("there is no previous item"), true, nil
		}
		return l.before, true, nil
	case "nextitem":
		v, err := l.peek(r)
		if v == missing {
			return undefinedHint("there is no next item"), true, err
		}
		return v, true, err
	case "cycle":
		return method("LoopContext", "cycle", func(r *run, a *arguments) (Value, error) { return l.cycle(a) }), true, nil
	case "changed":
		return method("LoopContext", "changed", func(r *run, a *arguments) (Value, error) { return l.changed(r, a) }), true, nil
	}
	return nil, false, nil
}

func (l *loopContext) cycle(a *arguments) (Value, error) {
	if err := a.noKeywords("cycle"); err != nil {
		return nil, err
	}
	if len(a.pos) == 0 {
		return nil, typeError("no items for cycling given")
	}
	return a.pos[l.index0%len(a.pos)], nil
}

func (l *loopContext) changed(r *run, a *arguments) (Value, error) {
	if err := a.noKeywords("changed"); err != nil {
		return nil, err
	}
	if l.hasChanged {
		same, err := equal(r, newTuple(l.last...), newTuple(a.pos...))
		if err != nil || same {
			return false, err
		}
	}
	l.hasChanged, l.last = true, a.pos
	return true, nil
}

// call is loop(iterable): the body again, one level deeper.
func (l *loopContext) call(r *run, a *arguments) (Value, error) {
	args, err := a.bind("LoopContext.__call__", 1, "iterable")
	if err != nil {
		return nil, err
	}
	if l.recurse == nil {
		return nil, typeError("the loop must have the 'recursive' marker to be called recursively")
	}
	return l.recurse(args[0], l.depth0+1)
}

func (s *forStmt) exec(r *run, f *activation) (control, error) {
	if !s.recursive {
		iterable, err := r.eval(s.iter, f)
		if err != nil {
			return controlNone, err
		}
		return s.loop(r, f, iterable, 0, nil)
	}
	var recurse func(Value, int) (Value, error)
	recurse = func(iterable Value, depth int) (Value, error) {
		if err := r.enter(); err != nil {
			return nil, err
		}
		defer r.leave()
		inner := newActivation(s.loopFn, f, f.ctx)
		text, _, err := r.capture(func() (control, error) { return s.loop(r, inner, iterable, depth, recurse) })
		return r.safeText(text), err
	}
	iterable, err := r.eval(s.iter, f)
	if err != nil {
		return controlNone, err
	}
	v, err := recurse(iterable, 0)
	if err != nil {
		return controlNone, err
	}
	out, _ := text(v)
	return controlNone, r.write(out)
}

// loop runs the body once an item. f holds the loop's variables. The else branch runs when no pass through the body came to its end: not only for no items, but
// also when every pass was left by break or continue.
func (s *forStmt) loop(r *run, f *activation, iterable Value, depth int, recurse func(Value, int) (Value, error)) (control, error) {
	if s.test != nil {
		filtered, err := s.filtered(r, f, iterable)
		if err != nil {
			return controlNone, err
		}
		iterable = filtered
	}
	var source iterationSource
	var err error
	if s.extended {
		var l *loopContext
		if l, err = newLoopContext(r, iterable, depth); err == nil {
			l.recurse = recurse
			*f.at(s.loopRef) = l
			source = l
		}
	} else {
		source, err = r.iter(iterable)
	}
	if err != nil {
		return controlNone, err
	}
	completed := false
	for {
		item, ok, err := source.next(r)
		if err != nil {
			return controlNone, err
		}
		if !ok {
			break
		}
		if err := r.assign(s.target, item, f); err != nil {
			return controlNone, err
		}
		if err := f.enter(r, s.enter); err != nil {
			return controlNone, err
		}
		c, err := r.exec(s.body, f)
		if err != nil {
			return controlNone, err
		}
		if c == controlBreak {
			break
		}
		completed = completed || c == controlNone
	}
	f.leave(s.enter)
	if len(s.els) == 0 || completed {
		return controlNone, nil
	}
	if err := f.enter(r, s.elseEnter); err != nil {
		return controlNone, err
	}
	c, err := r.exec(s.els, f)
	if err == nil {
		f.leave(s.elseEnter)
	}
	return c, err
}

// filtered is the lazy sequence of the items that pass the loop's test.
func (s *forStmt) filtered(r *run, f *activation, iterable Value) (Value, error) {
	inner := newActivation(s.testFn, s.testScope(f), f.ctx)
	var source iterationSource
	return newGenerator("t_1", func(r *run) (Value, bool, error) {
		if source == nil {
			if err := inner.enter(r, s.testEnter); err != nil {
				return nil, false, err
			}
			var err error
			if source, err = r.iter(iterable); err != nil {
				return nil, false, err
			}
		}
		for {
			item, ok, err := source.next(r)
			if err != nil || !ok {
				return nil, false, err
			}
			if err := r.assign(s.testTarget, item, inner); err != nil {
				return nil, false, err
			}
			pass, err := r.condition(s.test, inner)
			if err != nil {
				return nil, false, atLineOf(err, s.line)
			}
			if pass {
				return item, true, nil
			}
		}
	}), nil
}

// testScope is the activation around the loop, where the filter's outer names live.
func (s *forStmt) testScope(f *activation) *activation {
	if s.recursive {
		return f.parent
	}
	return f
}
