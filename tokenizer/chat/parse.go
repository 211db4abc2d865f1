package chat

import "strings"

// maxParseDepth bounds the nesting of tags and expressions, so that hostile source cannot exhaust the stack.
const maxParseDepth = 400

// maxChain bounds the length of left-deep operator, filter and subscript chains, which nest in the tree as well.
const maxChain = 2000

type parser struct {
	tokens []token
	pos    int
	depth  int
	open   []string // tags still to be closed, for messages
	blocks map[string]*blockStmt
	order  []*blockStmt
}

func (p *parser) cur() token { return p.tokens[p.pos] }

func (p *parser) peek() token {
	if p.pos+1 < len(p.tokens) {
		return p.tokens[p.pos+1]
	}
	return p.tokens[len(p.tokens)-1]
}

func (p *parser) next() token {
	t := p.tokens[p.pos]
	if p.pos+1 < len(p.tokens) {
		p.pos++
	}
	return t
}

func (p *parser) is(kind string) bool { return p.cur().kind == kind }

func (p *parser) isName(word string) bool {
	t := p.cur()
	return t.kind == tokenName && t.text == word
}

func (p *parser) skipIf(kind string) bool {
	if p.is(kind) {
		p.next()
		return true
	}
	return false
}

func (p *parser) skipName(word string) bool {
	if p.isName(word) {
		p.next()
		return true
	}
	return false
}

func (p *parser) fail(format string, args ...any) error {
	return syntaxError(p.cur().line, format, args...)
}

func (p *parser) expect(kind string) (token, error) {
	if !p.is(kind) {
		return token{}, p.fail("expected %s, found %q", kind, p.cur().describe())
	}
	return p.next(), nil
}

func (p *parser) expectName(word string) (token, error) {
	if !p.isName(word) {
		return token{}, p.fail("expected %q, found %q", word, p.cur().describe())
	}
	return p.next(), nil
}

// enter counts one level of nesting; the caller defers leave.
func (p *parser) enter() error {
	p.depth++
	if p.depth > maxParseDepth {
		return p.fail("nested more than %d levels deep", maxParseDepth)
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

// link counts one more element of a left-deep chain.
func (p *parser) link(n *int) error {
	*n++
	if *n > maxChain {
		return p.fail("chain of more than %d operators", maxChain)
	}
	return nil
}

// statements parses up to one of the end words, which is left as the current token.
func (p *parser) statements(ends ...string) ([]stmt, error) {
	p.skipIf(":")
	if _, err := p.expect(tokenBlockEnd); err != nil {
		return nil, err
	}
	body, err := p.body(ends)
	if err != nil {
		return nil, err
	}
	if p.is(tokenEOF) {
		return nil, p.fail("unexpected end of template, looking for %s to close %q", strings.Join(ends, " or "), p.open[len(p.open)-1])
	}
	return body, nil
}

// closed parses a body up to its end tag and consumes the tag's name.
func (p *parser) closed(end string) ([]stmt, error) {
	body, err := p.statements(end)
	if err == nil {
		p.next()
	}
	return body, err
}

func (p *parser) body(ends []string) ([]stmt, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	var body []stmt
	var output *outputStmt
	print := func(line int, e expr) {
		if output == nil {
			output = &outputStmt{at: at{line}}
			body = append(body, output)
		}
		output.items = append(output.items, e)
	}
	for !p.is(tokenEOF) {
		t := p.next()
		switch t.kind {
		case tokenData:
			print(t.line, &dataExpr{at{t.line}, t.text})
		case tokenVariableBegin:
			e, err := p.tuple(tupleOptions{condExpr: true})
			if err != nil {
				return nil, err
			}
			if _, err := p.expect(tokenVariableEnd); err != nil {
				return nil, err
			}
			print(t.line, e)
		case tokenBlockBegin:
			output = nil
			for _, end := range ends {
				if p.isName(end) {
					return body, nil
				}
			}
			s, err := p.statement()
			if err != nil {
				return nil, err
			}
			body = append(body, s)
			if _, err := p.expect(tokenBlockEnd); err != nil {
				return nil, err
			}
		}
	}
	return body, nil
}

func (p *parser) statement() (stmt, error) {
	t := p.cur()
	if t.kind != tokenName {
		return nil, p.fail("tag name expected, found %q", t.describe())
	}
	parse, ok := statementParsers[t.text]
	if !ok {
		if len(p.open) > 0 {
			return nil, p.fail("unknown tag %q; the innermost block that needs to be closed is %q", t.text, p.open[len(p.open)-1])
		}
		return nil, p.fail("unknown tag %q", t.text)
	}
	p.open = append(p.open, t.text)
	defer func() { p.open = p.open[:len(p.open)-1] }()
	p.next()
	return parse(p, at{t.line})
}

var statementParsers map[string]func(*parser, at) (stmt, error)

func init() {
	statementParsers = map[string]func(*parser, at) (stmt, error){
		"for": (*parser).forTag, "if": (*parser).ifTag, "set": (*parser).setTag, "macro": (*parser).macroTag,
		"call": (*parser).callTag, "filter": (*parser).filterTag, "with": (*parser).withTag, "block": (*parser).blockTag,
		"print": (*parser).printTag, "autoescape": (*parser).autoescapeTag, "generation": (*parser).generationTag,
		"include": (*parser).includeTag, "extends": (*parser).extendsTag, "import": (*parser).importTag, "from": (*parser).fromTag,
		"break":    func(_ *parser, at at) (stmt, error) { return &loopControlStmt{at, controlBreak}, nil },
		"continue": func(_ *parser, at at) (stmt, error) { return &loopControlStmt{at, controlContinue}, nil },
	}
}

func (p *parser) setTag(at at) (stmt, error) {
	target, err := p.assignTarget(tupleOptions{namespace: true})
	if err != nil {
		return nil, err
	}
	if p.skipIf("=") {
		value, err := p.tuple(tupleOptions{condExpr: true})
		if err != nil {
			return nil, err
		}
		return &assignStmt{at: at, target: target, value: value}, nil
	}
	filter, err := p.filters(nil, false)
	if err != nil {
		return nil, err
	}
	body, err := p.closed("endset")
	if err != nil {
		return nil, err
	}
	return &assignBlockStmt{at: at, target: target, filter: filter, body: body}, nil
}

func (p *parser) forTag(at at) (stmt, error) {
	s := &forStmt{at: at}
	var err error
	if s.target, err = p.assignTarget(tupleOptions{}); err != nil {
		return nil, err
	}
	if _, err = p.expectName("in"); err != nil {
		return nil, err
	}
	if s.iter, err = p.tuple(tupleOptions{}); err != nil {
		return nil, err
	}
	if p.skipName("if") {
		if s.test, err = p.expression(); err != nil {
			return nil, err
		}
	}
	s.recursive = p.skipName("recursive")
	if s.body, err = p.statements("endfor", "else"); err != nil {
		return nil, err
	}
	if p.next().text == "else" {
		if s.els, err = p.closed("endfor"); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (p *parser) ifTag(at at) (stmt, error) {
	root := &ifStmt{at: at}
	for s := root; ; {
		var err error
		if s.test, err = p.tuple(tupleOptions{}); err != nil {
			return nil, err
		}
		if s.body, err = p.statements("elif", "else", "endif"); err != nil {
			return nil, err
		}
		end := p.next()
		switch end.text {
		case "elif":
			s = &ifStmt{at: atLine(end.line)}
			root.elifs = append(root.elifs, s)
			continue
		case "else":
			if root.els, err = p.closed("endif"); err != nil {
				return nil, err
			}
		}
		return root, nil
	}
}

func atLine(line int) at { return at{line} }

func (p *parser) withTag(at at) (stmt, error) {
	s := &withStmt{at: at}
	for !p.is(tokenBlockEnd) {
		if len(s.targets) > 0 {
			if _, err := p.expect(","); err != nil {
				return nil, err
			}
		}
		target, err := p.assignTarget(tupleOptions{})
		if err != nil {
			return nil, err
		}
		setContext(target, ctxParam)
		if _, err := p.expect("="); err != nil {
			return nil, err
		}
		value, err := p.expression()
		if err != nil {
			return nil, err
		}
		s.targets = append(s.targets, target)
		s.values = append(s.values, value)
	}
	var err error
	s.body, err = p.closed("endwith")
	return s, err
}

func (p *parser) autoescapeTag(at at) (stmt, error) {
	option, err := p.expression()
	if err != nil {
		return nil, err
	}
	body, err := p.closed("endautoescape")
	return &autoescapeStmt{at: at, option: option, body: body}, err
}

func (p *parser) generationTag(at at) (stmt, error) {
	body, err := p.closed("endgeneration")
	return &callStmt{at: at, macroBody: macroBody{body: body}}, err
}

func (p *parser) blockTag(at at) (stmt, error) {
	name, err := p.expect(tokenName)
	if err != nil {
		return nil, err
	}
	s := &blockStmt{at: at, name: name.text}
	s.scoped = p.skipName("scoped")
	s.required = p.skipName("required")
	if p.is("-") {
		return nil, p.fail("block names may not contain hyphens, use an underscore instead")
	}
	if s.body, err = p.closed("endblock"); err != nil {
		return nil, err
	}
	if s.required && !onlyBlank(s.body) {
		return nil, p.fail("required blocks can only contain comments or whitespace")
	}
	p.skipName(s.name)
	if p.blocks[s.name] != nil {
		return nil, syntaxError(at.line, "block %q defined twice", s.name)
	}
	p.blocks[s.name] = s
	p.order = append(p.order, s)
	return s, nil
}

func onlyBlank(body []stmt) bool {
	for _, s := range body {
		output, ok := s.(*outputStmt)
		if !ok {
			return false
		}
		for _, item := range output.items {
			if data, ok := item.(*dataExpr); !ok || !isBlank(data.text) {
				return false
			}
		}
	}
	return true
}

func (p *parser) signature(m *macroBody) error {
	if _, err := p.expect("("); err != nil {
		return err
	}
	for !p.is(")") {
		if len(m.params) > 0 {
			if _, err := p.expect(","); err != nil {
				return err
			}
		}
		param, err := p.nameTarget()
		if err != nil {
			return err
		}
		param.ctx = ctxParam
		for _, other := range m.params {
			if other.name == param.name {
				return p.fail("duplicate parameter %q", param.name)
			}
		}
		if p.skipIf("=") {
			value, err := p.expression()
			if err != nil {
				return err
			}
			m.defaults = append(m.defaults, value)
		} else if len(m.defaults) > 0 {
			return p.fail("non-default argument follows default argument")
		}
		m.params = append(m.params, param)
	}
	p.next()
	return nil
}

func (p *parser) macroTag(at at) (stmt, error) {
	name, err := p.nameTarget()
	if err != nil {
		return nil, err
	}
	s := &macroStmt{at: at, name: name.name}
	if err := p.signature(&s.macroBody); err != nil {
		return nil, err
	}
	s.body, err = p.closed("endmacro")
	return s, err
}

func (p *parser) callTag(at at) (stmt, error) {
	s := &callStmt{at: at}
	if p.is("(") {
		if err := p.signature(&s.macroBody); err != nil {
			return nil, err
		}
	}
	e, err := p.expression()
	if err != nil {
		return nil, err
	}
	call, ok := e.(*callExpr)
	if !ok {
		return nil, syntaxError(at.line, "expected call")
	}
	s.call = call
	s.body, err = p.closed("endcall")
	return s, err
}

func (p *parser) filterTag(at at) (stmt, error) {
	filter, err := p.filters(nil, true)
	if err != nil {
		return nil, err
	}
	body, err := p.closed("endfilter")
	return &filterStmt{at: at, filter: filter, body: body}, err
}

func (p *parser) printTag(at at) (stmt, error) {
	s := &outputStmt{at: at}
	for !p.is(tokenBlockEnd) {
		if len(s.items) > 0 {
			if _, err := p.expect(","); err != nil {
				return nil, err
			}
		}
		e, err := p.expression()
		if err != nil {
			return nil, err
		}
		s.items = append(s.items, e)
	}
	return s, nil
}

// importContext skips "with context" or "without context".
func (p *parser) importContext() bool {
	next := p.peek()
	if (p.isName("with") || p.isName("without")) && next.kind == tokenName && next.text == "context" {
		p.next()
		p.next()
		return true
	}
	return false
}

func (p *parser) includeTag(at at) (stmt, error) {
	template, err := p.expression()
	if err != nil {
		return nil, err
	}
	if next := p.peek(); p.isName("ignore") && next.kind == tokenName && next.text == "missing" {
		p.next()
		p.next()
	}
	p.importContext()
	return &loaderStmt{at: at, tag: "include", template: template}, nil
}

func (p *parser) extendsTag(at at) (stmt, error) {
	template, err := p.expression()
	return &loaderStmt{at: at, tag: "extends", template: template}, err
}

func (p *parser) importTag(at at) (stmt, error) {
	template, err := p.expression()
	if err != nil {
		return nil, err
	}
	if _, err := p.expectName("as"); err != nil {
		return nil, err
	}
	target, err := p.nameTarget()
	if err != nil {
		return nil, err
	}
	p.importContext()
	return &loaderStmt{at: at, tag: "import", template: template, stores: []*nameExpr{target}}, nil
}

func (p *parser) fromTag(at at) (stmt, error) {
	template, err := p.expression()
	if err != nil {
		return nil, err
	}
	if _, err := p.expectName("import"); err != nil {
		return nil, err
	}
	s := &loaderStmt{at: at, tag: "from", template: template}
	for first := true; ; first = false {
		if !first {
			if _, err := p.expect(","); err != nil {
				return nil, err
			}
		}
		if p.importContext() {
			return s, nil
		}
		target, err := p.nameTarget()
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(target.name, "_") {
			return nil, p.fail("names starting with an underline can not be imported")
		}
		if p.skipName("as") {
			if target, err = p.nameTarget(); err != nil {
				return nil, err
			}
		}
		s.stores = append(s.stores, target)
		if p.importContext() || !p.is(",") {
			return s, nil
		}
	}
}
