"""Random templates: expressions, statements and white space in every mixture, most of them legal."""

TEXT = ["s", "e", "pl", "ws", "lines", "html", "'a'", "'Ab c'", "''", "'x-y_z'", "'<b>'", "'1'", "'2.5'", "words[0]", "messages[0].role", "(html|safe)", "'ÀÉ ß'"]
INTS = ["i", "neg", "zero", "1", "2", "3", "-1", "10", "big", "yes", "xs[0]", "loop.index", "s|length"]
FLOATS = ["f", "whole", "tiny", "huge", "0.5", "2.5", "-1.25", "1e3"]
LISTS = ["xs", "words", "mixed", "empty", "[1, 2, 3]", "['a', 'b']", "users", "messages", "tree", "[]", "[none, 1]", "[[1, 2], [3]]", "s.split()", "d.keys()", "d.values()|list", "d.items()", "range(4)", "(1, 2)", "lines.splitlines()"]
DICTS = ["d", "nested", "ed", "shadow", "{'a': 1}", "users[0]", "messages[0]", "{1: 'x', 'y': none}", "namespace(a=1)"]
OTHER = ["nil", "none", "true", "false", "undefined_name", "d.missing", "x", "y", "loop", "s.upper", "range"]

TEXT_FILTERS = ["upper", "lower", "title", "capitalize", "trim", "trim('ab')", "length", "wordcount", "e", "escape", "safe", "string", "reverse", "first", "last",
                "list", "replace('a', 'B')", "replace('', '.')", "truncate(5)", "truncate(6, true, '!', 0)", "indent", "indent(2, true, true)", "center(12)", "urlencode",
                "striptags", "int", "float", "int(5)", "int(default=3, base=16)", "default('q')", "d('q', true)", "forceescape", "tojson", "wordwrap(5)", "urlize",
                "format(1)", "join('-')", "sort", "unique|list", "batch(2)|list", "slice(2)|list", "xmlattr", "pprint", "filesizeformat", "abs", "round", "map('upper')|list",
                "select|list", "min", "max", "sum", "items|list", "dictsort", "count", "attr('upper')"]
NUMBER_FILTERS = ["abs", "round", "round(1)", "round(2, 'floor')", "round(-1)", "int", "float", "string", "tojson", "filesizeformat", "default(1)", "d(2, true)", "upper", "length", "list", "e", "pprint", "format(1)", "sum"]
LIST_FILTERS = ["length", "count", "first", "last", "list", "sort", "sort(reverse=true)", "sort(attribute='name')", "sort(case_sensitive=true)", "unique|list", "reverse|list", "join", "join(', ')",
                "join('-', attribute='name')", "map('string')|list", "map('upper')|join", "map(attribute='name')|list", "map(attribute='name', default='?')|list", "select|list", "reject|list",
                "select('string')|list", "select('odd')|list", "selectattr('name')|list", "selectattr('age', 'gt', 26)|list", "rejectattr('admin')|list", "groupby('age')", "groupby('role')|list|length",
                "batch(2, 'z')|list", "slice(2, 'z')|list", "min", "max", "sum", "tojson", "tojson(indent=1)", "string", "map('length')|list", "map(attribute=0)|list", "upper", "items|list",
                "dictsort", "select('defined')|map('string')|list", "pprint", "urlencode", "map('first')|list", "map('tojson')|list", "truncate(2, leeway=0)"]
DICT_FILTERS = ["length", "list", "items|list", "dictsort", "dictsort(by='value')", "dictsort(reverse=true)", "tojson", "tojson(indent=2)", "tojson(sort_keys=true)", "string", "first", "last", "join(',')", "xmlattr",
                "urlencode", "map('upper')|list", "sort", "pprint", "reverse|list", "attr('a')", "min", "max", "sum", "unique|list", "format(1)", "select|list"]
TEXT_METHODS = ["upper()", "lower()", "title()", "capitalize()", "swapcase()", "strip()", "lstrip()", "rstrip('\\n')", "split()", "split('o')", "split(' ', 1)", "rsplit('l', 1)", "splitlines()", "splitlines(true)",
                "replace('l', 'LL')", "replace('l', '', 1)", "startswith('H')", "endswith(('d', 'x'))", "find('o')", "rfind('o', 2)", "index('e')", "count('l')", "partition(' ')", "rpartition('o')", "join(['a', 'b'])",
                "join(words)", "zfill(8)", "center(9, '*')", "ljust(9)", "rjust(9)", "isdigit()", "isalpha()", "isupper()", "islower()", "istitle()", "isspace()", "format(1, a=2)", "removeprefix('H')", "removesuffix('d')",
                "expandtabs(2)", "casefold()", "nosuch()", "append('x')", "items()", "get('a')", "keys()", "isnumeric()", "isidentifier()", "translate({97: 'q'})"]
LIST_METHODS = ["index(1)", "count(1)", "copy()", "append(1)", "pop()", "sort()", "items()", "get(0)", "insert(0, 1)", "extend([1])", "nosuch", "index('a')"]
DICT_METHODS = ["items()", "keys()", "values()", "get('a')", "get('zz', 'dflt')", "copy()", "pop('a')", "update({'q': 1})", "a", "b", "missing", "x.y.z", "items()|list", "name", "role", "content", "setdefault('a', 1)", "get(1)"]
TESTS = ["defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "mapping", "sequence", "iterable", "callable", "odd", "even", "divisibleby 2", "divisibleby(3)", "lower", "upper", "true", "false",
         "in [1, 2]", "in 'abc'", "in d", "eq 1", "ne 1", "gt 1", "lt 2", "ge 1", "le(2)", "sameas none", "sameas true", "escaped", "equalto 'a'", "greaterthan 0", "lessthan 9"]
KEYS = ["0", "1", "-1", "'a'", "'name'", "'role'", "1:", ":2", "::-1", "::2", "-2:", "1:-1", "-1:0:-1", "none", "true", "0.5", "'items'", "'upper'", "99", "i", "s", ":i", "zero:"]
FORMATS = ["'%s'", "'%d'", "'%5.2f|'", "'%-6s|'", "'%r'", "'%x'", "'%s %s'", "'%(a)s'", "'%05d'", "'%e'", "'%g'", "'%%%s'", "'%+d'", "'%.1s'", "'%c'", "'%i'"]
SPECS = ["", ":>8", ":<8", ":^8", ":08.3f", ":d", ":x", ":,", ":.2f", ":e", ":%", ":+", ":*^9", "!r", "!r:>9", ":g", ":.3", ":s", ":_", ":#x", ":b", ":n", ":10", ":=+8", ":.0f", ":G", ":c", ":,.1f", ": "]


class Snippets:
    def __init__(self, rng):
        self.rng = rng

    def pick(self, options):
        return self.rng.choice(options)

    def expr(self, depth=3):
        kind = self.rng.random()
        if kind < 0.26:
            return self.text(depth)
        if kind < 0.46:
            return self.number(depth)
        if kind < 0.66:
            return self.sequence(depth)
        if kind < 0.78:
            return self.mapping(depth)
        if kind < 0.86:
            return self.pick(OTHER)
        return self.logic(depth)

    def any(self, depth):
        return self.expr(depth - 1)

    def text(self, depth):
        if depth <= 0:
            return self.pick(TEXT)
        r = self.rng.random()
        if r < 0.2:
            return self.pick(TEXT)
        if r < 0.42:
            return f"{self.text(depth - 1)}|{self.pick(TEXT_FILTERS)}"
        if r < 0.64:
            return f"({self.text(depth - 1)}).{self.pick(TEXT_METHODS)}"
        if r < 0.72:
            return f"({self.text(depth - 1)})[{self.pick(KEYS)}]"
        if r < 0.8:
            return f"({self.text(depth - 1)} {self.pick(['+', '~', '*', '%'])} {self.any(depth)})"
        if r < 0.9:
            return f"{self.pick(FORMATS)} % ({self.any(depth)}{self.pick(['', '', ','])})"
        return f"'[{{{self.pick(SPECS)}}}]'.format({self.any(depth)})"

    def number(self, depth):
        if depth <= 0:
            return self.pick(INTS + FLOATS)
        r = self.rng.random()
        if r < 0.2:
            return self.pick(INTS + FLOATS)
        if r < 0.6:
            op = self.pick(["+", "-", "*", "/", "//", "%", "~", "** 2 +", "** -1 -"])
            return f"({self.number(depth - 1)} {op} {self.number(depth - 1)})"
        if r < 0.85:
            return f"({self.number(depth - 1)})|{self.pick(NUMBER_FILTERS)}"
        if r < 0.92:
            return f"-{self.number(depth - 1)}"
        return f"({self.number(depth - 1)}).{self.pick(['real', 'imag', 'is_integer()', 'bit_length()', 'numerator', 'upper()', 'nosuch', 'conjugate()'])}"

    def sequence(self, depth):
        if depth <= 0:
            return self.pick(LISTS)
        r = self.rng.random()
        if r < 0.2:
            return self.pick(LISTS)
        if r < 0.6:
            return f"({self.sequence(depth - 1)})|{self.pick(LIST_FILTERS)}"
        if r < 0.75:
            return f"({self.sequence(depth - 1)})[{self.pick(KEYS)}]"
        if r < 0.82:
            return f"({self.sequence(depth - 1)}).{self.pick(LIST_METHODS)}"
        if r < 0.9:
            return f"({self.sequence(depth - 1)} {self.pick(['+', '*', '-'])} {self.pick([self.sequence(depth - 1), '2', 'none'])})"
        return f"[{self.any(depth)}, {self.any(depth)}]"

    def mapping(self, depth):
        if depth <= 0:
            return self.pick(DICTS)
        r = self.rng.random()
        if r < 0.15:
            return self.pick(DICTS)
        if r < 0.5:
            return f"({self.mapping(depth - 1)})|{self.pick(DICT_FILTERS)}"
        if r < 0.8:
            return f"({self.mapping(depth - 1)}).{self.pick(DICT_METHODS)}"
        if r < 0.9:
            return f"({self.mapping(depth - 1)})[{self.pick(KEYS)}]"
        return f"{{{self.any(depth)}: {self.any(depth)}, 'z': {self.any(depth)}}}"

    def logic(self, depth):
        r = self.rng.random()
        if r < 0.3:
            return f"({self.any(depth)} is {self.pick(['', 'not '])}{self.pick(TESTS)})"
        if r < 0.55:
            return f"({self.any(depth)} {self.pick(['==', '!=', '<', '<=', '>', '>=', 'in', 'not in'])} {self.any(depth)})"
        if r < 0.75:
            return f"({self.any(depth)} {self.pick(['and', 'or'])} {self.any(depth)})"
        if r < 0.85:
            return f"(not {self.any(depth)})"
        return f"({self.any(depth)} if {self.any(depth)}{self.pick([' else ' + self.any(depth), ''])})"

    def space(self):
        return self.pick(["", "", " ", "\n", "  \n", "\n  ", "\t", " \n \n ", "x", "\nx\n"])

    def tag(self, body):
        left, right = self.pick(["{%", "{%", "{%-", "{%+"]), self.pick(["%}", "%}", "-%}", "+%}"])
        return f"{left} {body} {right}"

    def printed(self):
        left, right = self.pick(["{{", "{{", "{{-"]), self.pick(["}}", "}}", "-}}"])
        return f"{left} {self.expr(self.rng.randint(0, 3))} {right}"

    def name(self):
        return self.pick(["x", "y", "i", "s", "q", "ns.a", "loop", "x, y", "d"])

    def body(self, depth, loop=False):
        out = [self.space()]
        for _ in range(self.rng.randint(1, 3)):
            out.append(self.statement(depth - 1, loop))
            out.append(self.space())
        return "".join(out)

    def statement(self, depth, loop=False):
        r = self.rng.random()
        if depth <= 0 or r < 0.3:
            return self.printed()
        small = lambda: self.expr(self.rng.randint(0, 1))
        if r < 0.42:
            middle = self.tag("elif " + small()) + self.body(depth, loop) if self.rng.random() < 0.3 else ""
            end = self.tag("else") + self.body(depth, loop) if self.rng.random() < 0.5 else ""
            return self.tag("if " + small()) + self.body(depth, loop) + middle + end + self.tag("endif")
        if r < 0.6:
            target = self.pick(["x", "x", "y", "k, v", "loop", "i", "x, y"])
            over = self.pick(["xs", "words", "users", "d.items()", "range(3)", "tree", "empty", "messages", "xs|map('string')", "s", self.sequence(1)])
            test = self.pick(["", "", "", f" if {small()}"])
            end = self.tag("else") + self.body(depth, loop) if self.rng.random() < 0.3 else ""
            return self.tag(f"for {target} in {over}{test}") + self.body(depth, True) + end + self.tag("endfor")
        if r < 0.72:
            return self.tag(f"set {self.name()} = {small()}")
        if r < 0.77:
            return self.tag(f"set {self.pick(['x', 'y', 'q', 'ns.a'])}{self.pick(['', ' | upper', '|trim'])}") + self.body(depth, loop) + self.tag("endset")
        if r < 0.83:
            args = self.pick(["", "x", "x, y=1", "x=i, y=x"])
            use = self.pick(["{{ m() }}", "{{ m(1) }}", "{{ m(1, 2) }}", "{{ m(x=5) }}", "{{ m(1, 2, 3, z=4) }}", "{% call m(1) %}" + self.body(depth - 1) + "{% endcall %}"])
            extra = self.pick(["", "{{ varargs }}", "{{ kwargs }}", "{{ caller() }}", "{{ x }}"])
            return self.tag(f"macro m({args})") + extra + self.body(depth) + self.tag("endmacro") + use
        if r < 0.87:
            return self.tag(f"with x = {small()}, q = x") + self.body(depth, loop) + self.tag("endwith")
        if r < 0.9:
            return self.tag(f"filter {self.pick(['upper', 'trim', 'length', 'indent(2)', 'e'])}") + self.body(depth, loop) + self.tag("endfilter")
        if r < 0.92:
            return self.tag("generation") + self.body(depth) + self.tag("endgeneration")
        if r < 0.94:
            return self.pick(["{#", "{#-"]) + self.space() + self.pick(["#}", "-#}"])
        if r < 0.96:
            return self.tag(f"set {self.pick(['ns', 'x'])} = namespace(a={small()})")
        if loop:
            return self.tag(f"if {small()}") + self.tag(self.pick(["break", "continue"])) + self.tag("endif")
        return self.tag("block b" + self.pick(["", " scoped"])) + self.body(depth) + self.tag("endblock")

    def template(self):
        if self.rng.random() < 0.5:
            return "{{ " + self.expr(self.rng.randint(1, 4)) + " }}"
        return self.body(4)
