package chat

import "strings"

// tupleOptions says how far a possibly parenthesis-free tuple reaches.
type tupleOptions struct {
	simplified bool // only primaries: assignment targets
	condExpr   bool // inline if allowed
	parens     bool // inside parentheses: may be empty
	namespace  bool // "name.attr" is an assignment target
}

func (p *parser) nameTarget() (*nameExpr, error) {
	t, err := p.expect(tokenName)
	if err != nil {
		return nil, err
	}
	target := &nameExpr{at: at{t.line}, name: t.text, ctx: ctxStore}
	if !assignable(target) {
		return nil, syntaxError(t.line, "can't assign to %q", t.text)
	}
	return target, nil
}

func (p *parser) assignTarget(o tupleOptions) (expr, error) {
	o.simplified = true
	target, err := p.tuple(o)
	if err != nil {
		return nil, err
	}
	if !assignable(target) {
		return nil, syntaxError(target.lineno(), "can't assign to this expression")
	}
	setContext(target, ctxStore)
	return target, nil
}

func assignable(e expr) bool {
	switch e := e.(type) {
	case *nameExpr:
		switch e.name {
		case "true", "false", "none", "True", "False", "None":
			return false
		}
		return true
	case *nsRef:
		return true
	case *tupleExpr:
		for _, item := range e.items {
			if !assignable(item) {
				return false
			}
		}
		return true
	}
	return false
}

func setContext(e expr, ctx nameContext) {
	switch e := e.(type) {
	case *nameExpr:
		e.ctx = ctx
	case *tupleExpr:
		for _, item := range e.items {
			setContext(item, ctx)
		}
	}
}

func (p *parser) tuple(o tupleOptions) (expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	var items []expr
	isTuple := false
	line := p.cur().line
	for {
		if len(items) > 0 {
			if _, err := p.expect(","); err != nil {
				return nil, err
			}
		}
		if p.is(tokenVariableEnd) || p.is(tokenBlockEnd) || p.is(")") {
			break
		}
		item, err := p.tupleItem(o)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
		if !p.is(",") {
			break
		}
		isTuple = true
	}
	if !isTuple {
		if len(items) == 1 {
			return items[0], nil
		}
		if !o.parens {
			return nil, p.fail("expected an expression, found %q", p.cur().describe())
		}
	}
	return &tupleExpr{at{line}, items}, nil
}

func (p *parser) tupleItem(o tupleOptions) (expr, error) {
	switch {
	case o.simplified:
		return p.primary(o.namespace)
	case o.condExpr:
		return p.expression()
	}
	return p.or()
}

// expression parses with the inline if, the loosest operator.
func (p *parser) expression() (expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	line := p.cur().line
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	for n := 0; p.skipName("if"); {
		if err := p.link(&n); err != nil {
			return nil, err
		}
		c := &condExpr{at: at{line}, yes: e}
		if c.test, err = p.or(); err != nil {
			return nil, err
		}
		if p.skipName("else") {
			if c.no, err = p.expression(); err != nil {
				return nil, err
			}
		}
		e = c
	}
	return e, nil
}

func (p *parser) or() (expr, error) {
	line := p.cur().line
	left, err := p.and()
	for n := 0; err == nil && p.skipName("or"); {
		var right expr
		if right, err = p.and(); err == nil {
			left = &logicExpr{at{line}, false, left, right}
			err = p.link(&n)
		}
	}
	return left, err
}

func (p *parser) and() (expr, error) {
	line := p.cur().line
	left, err := p.not()
	for n := 0; err == nil && p.skipName("and"); {
		var right expr
		if right, err = p.not(); err == nil {
			left = &logicExpr{at{line}, true, left, right}
			err = p.link(&n)
		}
	}
	return left, err
}

func (p *parser) not() (expr, error) {
	if !p.isName("not") {
		return p.compare()
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	line := p.next().line
	e, err := p.not()
	return &notExpr{at{line}, e}, err
}

func (p *parser) compare() (expr, error) {
	line := p.cur().line
	first, err := p.math1()
	if err != nil {
		return nil, err
	}
	c := &compareExpr{at: at{line}, first: first}
	for {
		op := ""
		switch t, next := p.cur(), p.peek(); {
		case t.kind == "==" || t.kind == "!=" || t.kind == "<" || t.kind == "<=" || t.kind == ">" || t.kind == ">=":
			op = t.kind
		case p.isName("in"):
			op = "in"
		case p.isName("not") && next.kind == tokenName && next.text == "in":
			op = "not in"
			p.next()
		}
		if op == "" {
			break
		}
		p.next()
		right, err := p.math1()
		if err != nil {
			return nil, err
		}
		c.ops = append(c.ops, op)
		c.rest = append(c.rest, right)
	}
	if len(c.ops) == 0 {
		return first, nil
	}
	return c, nil
}

// leftAssociative parses operand (op operand)*.
func (p *parser) leftAssociative(operand func() (expr, error), isOp func(string) bool) (expr, error) {
	line := p.cur().line
	left, err := operand()
	for n := 0; err == nil && isOp(p.cur().kind); {
		op := p.next().kind
		var right expr
		if right, err = operand(); err == nil {
			left = &binExpr{at{line}, op, left, right}
			err = p.link(&n)
		}
	}
	return left, err
}

func (p *parser) math1() (expr, error) {
	return p.leftAssociative(p.concat, func(k string) bool { return k == "+" || k == "-" })
}

func (p *parser) concat() (expr, error) {
	line := p.cur().line
	first, err := p.math2()
	if err != nil || !p.is("~") {
		return first, err
	}
	c := &concatExpr{at{line}, []expr{first}}
	for p.skipIf("~") {
		item, err := p.math2()
		if err != nil {
			return nil, err
		}
		c.items = append(c.items, item)
	}
	return c, nil
}

func (p *parser) math2() (expr, error) {
	return p.leftAssociative(p.pow, func(k string) bool { return k == "*" || k == "/" || k == "//" || k == "%" })
}

func (p *parser) pow() (expr, error) {
	return p.leftAssociative(func() (expr, error) { return p.unary(true) }, func(k string) bool { return k == "**" })
}

func (p *parser) unary(withFilter bool) (expr, error) {
	t := p.cur()
	var e expr
	var err error
	if t.kind == "-" || t.kind == "+" {
		if err := p.enter(); err != nil {
			return nil, err
		}
		defer p.leave()
		p.next()
		var operand expr
		if operand, err = p.unary(false); err == nil {
			e = &unaryExpr{at{t.line}, t.kind[0], operand}
		}
	} else {
		e, err = p.primary(false)
	}
	if err != nil {
		return nil, err
	}
	if e, err = p.postfix(e); err != nil || !withFilter {
		return e, err
	}
	return p.filterExpr(e)
}

func (p *parser) primary(namespace bool) (expr, error) {
	t := p.cur()
	switch t.kind {
	case tokenName:
		p.next()
		return p.namePrimary(t, namespace)
	case tokenString:
		var b strings.Builder // adjacent literals are one string
		for p.is(tokenString) {
			b.WriteString(p.next().text)
		}
		return &constExpr{at{t.line}, b.String()}, nil
	case tokenInteger, tokenFloat:
		p.next()
		return &constExpr{at{t.line}, t.num}, nil
	case "(":
		p.next()
		e, err := p.tuple(tupleOptions{condExpr: true, parens: true})
		if err != nil {
			return nil, err
		}
		_, err = p.expect(")")
		return e, err
	case "[":
		return p.list()
	case "{":
		return p.dict()
	}
	return nil, p.fail("unexpected %q", t.describe())
}

func (p *parser) namePrimary(t token, namespace bool) (expr, error) {
	switch t.text {
	case "true", "True":
		return &constExpr{at{t.line}, true}, nil
	case "false", "False":
		return &constExpr{at{t.line}, false}, nil
	case "none", "None":
		return &constExpr{at{t.line}, nil}, nil
	}
	if namespace && p.skipIf(".") {
		attr, err := p.expect(tokenName)
		return &nsRef{at: at{t.line}, name: t.text, attr: attr.text}, err
	}
	return &nameExpr{at: at{t.line}, name: t.text}, nil
}

func (p *parser) list() (expr, error) {
	l := &listExpr{at: at{p.next().line}}
	for !p.is("]") {
		if len(l.items) > 0 {
			if _, err := p.expect(","); err != nil {
				return nil, err
			}
			if p.is("]") {
				break
			}
		}
		item, err := p.expression()
		if err != nil {
			return nil, err
		}
		l.items = append(l.items, item)
	}
	p.next()
	return l, nil
}

func (p *parser) dict() (expr, error) {
	d := &dictExpr{at: at{p.next().line}}
	for !p.is("}") {
		if len(d.keys) > 0 {
			if _, err := p.expect(","); err != nil {
				return nil, err
			}
			if p.is("}") {
				break
			}
		}
		key, err := p.expression()
		if err != nil {
			return nil, err
		}
		if _, err := p.expect(":"); err != nil {
			return nil, err
		}
		value, err := p.expression()
		if err != nil {
			return nil, err
		}
		d.keys = append(d.keys, key)
		d.values = append(d.values, value)
	}
	p.next()
	return d, nil
}

// postfix parses attributes, subscripts and calls.
func (p *parser) postfix(e expr) (expr, error) {
	var err error
	for n := 0; err == nil; err = p.link(&n) {
		switch p.cur().kind {
		case ".", "[":
			e, err = p.subscript(e)
		case "(":
			e, err = p.call(e)
		default:
			return e, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, err
}

// filterExpr parses filters and tests behind an operand.
func (p *parser) filterExpr(e expr) (expr, error) {
	var err error
	for n := 0; err == nil; err = p.link(&n) {
		switch {
		case p.is("|"):
			e, err = p.filters(e, false)
		case p.isName("is"):
			e, err = p.test(e)
		case p.is("("):
			e, err = p.call(e)
		default:
			return e, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, err
}

func (p *parser) subscript(e expr) (expr, error) {
	open := p.next()
	if open.kind == "." {
		t := p.next()
		switch t.kind {
		case tokenName:
			return &getattrExpr{at{open.line}, e, t.text}, nil
		case tokenInteger:
			return &getitemExpr{at{open.line}, e, &constExpr{at{t.line}, t.num}}, nil
		}
		return nil, syntaxError(t.line, "expected name or number behind \".\", found %q", t.describe())
	}
	var args []expr
	for !p.is("]") {
		if len(args) > 0 {
			if _, err := p.expect(","); err != nil {
				return nil, err
			}
		}
		arg, err := p.subscribed()
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
	}
	p.next()
	if len(args) == 1 {
		return &getitemExpr{at{open.line}, e, args[0]}, nil
	}
	for _, arg := range args {
		if _, ok := arg.(*sliceExpr); ok {
			return nil, syntaxError(open.line, "a slice cannot be part of a tuple")
		}
	}
	return &getitemExpr{at{open.line}, e, &tupleExpr{at{open.line}, args}}, nil
}

// subscribed parses an index or a slice.
func (p *parser) subscribed() (expr, error) {
	s := &sliceExpr{at: at{p.cur().line}}
	var err error
	if !p.is(":") {
		if s.start, err = p.expression(); err != nil {
			return nil, err
		}
		if !p.is(":") {
			return s.start, nil
		}
	}
	p.next()
	if !p.is(":") && !p.is("]") && !p.is(",") {
		if s.stop, err = p.expression(); err != nil {
			return nil, err
		}
	}
	if p.skipIf(":") && !p.is("]") && !p.is(",") {
		if s.step, err = p.expression(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (p *parser) call(e expr) (expr, error) {
	line := p.cur().line
	args, err := p.callArgs()
	return &callExpr{at{line}, e, args}, err
}

func (p *parser) callArgs() (callArgs, error) {
	var c callArgs
	open := p.next()
	invalid := func() error { return syntaxError(open.line, "invalid syntax for function call expression") }
	for first := true; !p.is(")"); first = false {
		if !first {
			if _, err := p.expect(","); err != nil {
				return c, err
			}
			if p.is(")") {
				break
			}
		}
		if err := p.callArg(&c, invalid); err != nil {
			return c, err
		}
	}
	p.next()
	return c, nil
}

func (p *parser) callArg(c *callArgs, invalid func() error) error {
	var err error
	switch {
	case p.is("*"):
		if c.dynArgs != nil || c.dynKw != nil {
			return invalid()
		}
		p.next()
		c.dynArgs, err = p.expression()
	case p.is("**"):
		if c.dynKw != nil {
			return invalid()
		}
		p.next()
		c.dynKw, err = p.expression()
	case p.is(tokenName) && p.peek().kind == "=":
		if c.dynKw != nil {
			return invalid()
		}
		name := p.next().text
		p.next()
		for _, other := range c.kwNames {
			if other == name {
				return p.fail("keyword argument repeated: %s", name)
			}
		}
		var value expr
		if value, err = p.expression(); err == nil {
			c.kwNames = append(c.kwNames, name)
			c.kwValues = append(c.kwValues, value)
		}
	default:
		if c.dynArgs != nil || c.dynKw != nil || len(c.kwNames) > 0 {
			return invalid()
		}
		var value expr
		if value, err = p.expression(); err == nil {
			c.args = append(c.args, value)
		}
	}
	return err
}

// dottedName parses the name of a filter or a test.
func (p *parser) dottedName() (string, error) {
	t, err := p.expect(tokenName)
	if err != nil {
		return "", err
	}
	name := t.text
	for p.skipIf(".") {
		if t, err = p.expect(tokenName); err != nil {
			return "", err
		}
		name += "." + t.text
	}
	return name, nil
}

// filters parses "|name(args)" repeated; inline: the first one has no bar ({% filter name %}).
func (p *parser) filters(e expr, inline bool) (expr, error) {
	for n := 0; p.is("|") || inline; inline = false {
		if err := p.link(&n); err != nil {
			return nil, err
		}
		if !inline {
			p.next()
		}
		line := p.cur().line
		name, err := p.dottedName()
		if err != nil {
			return nil, err
		}
		f := &filterExpr{at: at{line}, node: e, name: name}
		if p.is("(") {
			if f.call, err = p.callArgs(); err != nil {
				return nil, err
			}
		}
		e = f
	}
	return e, nil
}

// test parses "is [not] name" with arguments in parentheses or one bare primary.
func (p *parser) test(e expr) (expr, error) {
	line := p.next().line
	negated := p.skipName("not")
	name, err := p.dottedName()
	if err != nil {
		return nil, err
	}
	t := &testExpr{at: at{line}, node: e, name: name}
	switch p.cur().kind {
	case "(":
		if t.call, err = p.callArgs(); err != nil {
			return nil, err
		}
	case tokenName, tokenString, tokenInteger, tokenFloat, "[", "{":
		if p.isName("else") || p.isName("or") || p.isName("and") {
			break
		}
		if p.isName("is") {
			return nil, p.fail("you cannot chain multiple tests with is")
		}
		arg, err := p.primary(false)
		if err != nil {
			return nil, err
		}
		if arg, err = p.postfix(arg); err != nil {
			return nil, err
		}
		t.call.args = []expr{arg}
	}
	if negated {
		return &notExpr{at{line}, t}, nil
	}
	return t, nil
}
