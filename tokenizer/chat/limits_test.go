package chat

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func render(t *testing.T, source string, o Options) (string, error) {
	t.Helper()
	template, err := Parse(source)
	require.NoError(t, err)
	return template.Render(nil, o)
}

func requireKind(t *testing.T, err error, kind, part string) {
	t.Helper()
	var e *Error
	require.True(t, errors.As(err, &e), "no *Error: %v", err)
	assert.Equal(t, kind, e.Kind, e.Message)
	assert.Contains(t, e.Error(), part)
}

func TestLimits(t *testing.T) {
	nested := `{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}`
	for name, c := range map[string]struct {
		source string
		o      Options
		want   string
	}{
		"steps":          {nested, Options{MaxSteps: 100000}, "limit of 100000 steps (MaxSteps)"},
		"default steps":  {nested, Options{}, "(MaxSteps)"},
		"time":           {nested, Options{MaxSteps: 1 << 60, Timeout: 20 * time.Millisecond}, "limit of 20ms (Timeout)"},
		"output":         {`{% for a in range(1000) %}0123456789{% endfor %}`, Options{MaxOutput: 1000}, "limit of 1000 bytes (MaxOutput)"},
		"captured":       {`{% set x %}{% for a in range(1000) %}0123456789{% endfor %}{% endset %}`, Options{MaxOutput: 1000}, "(MaxOutput)"},
		"repeat":         {`{{ 'a' * 10 ** 12 }}`, Options{}, "(MaxOutput)"},
		"repeat big":     {`{{ 'a' * 10 ** 30 }}`, Options{}, "(MaxOutput)"},
		"repeat list":    {`{{ ([1] * 10 ** 12)|length }}`, Options{}, "(MaxOutput)"},
		"double":         {`{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}`, Options{}, "(MaxOutput)"},
		"double list":    {`{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}`, Options{}, "limit"},
		"replace":        {`{% set ns = namespace(s='aaaaaaaaaa') %}{% for i in range(99) %}{% set ns.s = ns.s|replace('a', ns.s) %}{% endfor %}`, Options{}, "(MaxOutput)"},
		"join":           {`{{ ('x' * 60000).join('y' * 60000) }}`, Options{}, "(MaxOutput)"},
		"width":          {`{{ '%999999999d' % 1 }}`, Options{}, "(MaxOutput)"},
		"format width":   {`{{ '{:999999999}'.format(1) }}`, Options{}, "(MaxOutput)"},
		"precision":      {`{{ '%.999999999f' % 1.5 }}`, Options{}, "(MaxOutput)"},
		"center":         {`{{ 'x'|center(10 ** 12) }}`, Options{}, "(MaxOutput)"},
		"zfill":          {`{{ 'x'.zfill(10 ** 18) }}`, Options{}, "(MaxOutput)"},
		"expandtabs":     {"{{ '\t\t'.expandtabs(10 ** 15) }}", Options{}, "(MaxOutput)"},
		"indent":         {`{{ 'x'|indent(10 ** 12, true) }}`, Options{}, "(MaxOutput)"},
		"tojson indent":  {`{{ [1]|tojson(indent=10 ** 12) }}`, Options{}, "(MaxOutput)"},
		"batch":          {`{{ [1]|batch(10 ** 12, 0)|list|length }}`, Options{}, "(MaxSteps)"},
		"slice":          {`{{ [1]|slice(10 ** 12, 0)|list|length }}`, Options{MaxSteps: 1000000}, "(MaxSteps)"},
		"tuple key":      {`{% set ns = namespace(x=(1,)) %}{% for i in range(60) %}{% set ns.x = (ns.x, ns.x) %}{% endfor %}{{ {ns.x: 1} }}`, Options{}, "as a key"},
		"shared repr":    {`{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}`, Options{MaxSteps: 1000000}, "limit"},
		"shared json":    {`{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x|tojson }}`, Options{MaxSteps: 1000000}, "limit"},
		"shared pprint":  {`{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x|pprint }}`, Options{MaxSteps: 1000000}, "limit"},
		"shared equal":   {`{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}`, Options{MaxSteps: 1000000}, "limit"},
		"power":          {`{{ 10 ** (10 ** 9) }}`, Options{}, "integer of more than"},
		"square":         {`{% set ns = namespace(n=7) %}{% for i in range(99) %}{% set ns.n = ns.n * ns.n %}{% endfor %}`, Options{}, "integer of more than"},
		"fill character": {`{{ ('a' * 1000)|wordwrap(1, wrapstring='b' * 1000000) }}`, Options{}, "(MaxOutput)"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.o.Timeout == 0 {
				c.o.Timeout = time.Minute // so that a busy machine, or the race detector, does not meet the clock before the limit meant
			}
			start := time.Now()
			_, err := render(t, c.source, c.o)
			requireKind(t, err, "LimitError", c.want)
			assert.Less(t, time.Since(start), 45*time.Second)
		})
	}
}

// TestDeepNesting feeds what recurses: each must end in an error, not in an exhausted stack.
func TestDeepNesting(t *testing.T) {
	deep := func(open, middle, closing string, n int) string {
		return strings.Repeat(open, n) + middle + strings.Repeat(closing, n)
	}
	const n = 100000
	for name, source := range map[string]string{
		"parentheses": "{{ " + deep("(", "1", ")", n) + " }}",
		"lists":       "{{ " + deep("[", "1", "]", n) + " }}",
		"dicts":       "{{ " + deep("{1:", "1", "}", n) + " }}",
		"subscripts":  "{{ " + deep("x[", "1", "]", n) + " }}",
		"calls":       "{{ " + deep("f(", "1", ")", n) + " }}",
		"not":         "{{ " + deep("not ", "1", "", n) + " }}",
		"minus":       "{{ " + deep("-", "1", "", n) + " }}",
		"inline if":   "{{ " + deep("1 if 1 else ", "1", "", n) + " }}",
		"plus":        "{{ 1" + deep("+1", "", "", n) + " }}",
		"and":         "{{ 1" + deep(" and 1", "", "", n) + " }}",
		"filters":     "{{ 1" + deep("|abs", "", "", n) + " }}",
		"attributes":  "{{ x" + deep(".a", "", "", n) + " }}",
		"tests":       "{{ 1" + deep(" is defined", "", "", n) + " }}",
		"if":          deep("{% if 1 %}", "x", "{% endif %}", n),
		"for":         deep("{% for x in y %}", "x", "{% endfor %}", n),
		"targets":     "{% set " + deep("(", "x", ",)", n) + " = 1 %}",
		"mixed chains": "{{ " + strings.Repeat("(a"+strings.Repeat("|f", 1900)+strings.Repeat(" + b", 1900)+strings.Repeat(" and c", 1900)+" ~ ", 90) +
			"1" + strings.Repeat(")", 90) + " }}",
	} {
		t.Run("source/"+name, func(t *testing.T) {
			_, err := Parse(source)
			requireKind(t, err, "TemplateSyntaxError", "")
		})
	}
	wrap := func(step, end string) string {
		return `{% set ns = namespace(x=1) %}{% for i in range(20000) %}{% set ns.x = ` + step + ` %}{% endfor %}` + end
	}
	for name, source := range map[string]string{
		"repr":      wrap(`[ns.x]`, `{{ ns.x }}`),
		"tojson":    wrap(`[ns.x]`, `{{ ns.x|tojson }}`),
		"dict":      wrap(`{'a': ns.x}`, `{{ ns.x|tojson(indent=1) }}`),
		"equal":     `{% set ns = namespace(x=1, y=1) %}{% for i in range(20000) %}{% set ns.x = [ns.x] %}{% set ns.y = [ns.y] %}{% endfor %}{{ ns.x == ns.y }}`,
		"less":      `{% set ns = namespace(x=1, y=2) %}{% for i in range(20000) %}{% set ns.x = [ns.x] %}{% set ns.y = [ns.y] %}{% endfor %}{{ ns.x < ns.y }}`,
		"key":       wrap(`(ns.x,)`, `{{ {ns.x: 1} }}`),
		"pprint":    wrap(`[ns.x]`, `{{ ns.x|pprint }}`),
		"iterators": wrap(`[1] if i == 0 else ns.x|map('abs')`, `{{ ns.x|list }}`),
		"macros":    `{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}`,
		"blocks":    `{% block b %}{{ self.b() }}{% endblock %}`,
		"loops":     `{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}`,
		"callers":   `{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{{ m() }}`,
		"namespace": wrap(`namespace(x=ns.x)`, `{{ ns.x }}`),
	} {
		t.Run("data/"+name, func(t *testing.T) {
			_, err := render(t, source, Options{})
			requireKind(t, err, "RecursionError", "nested more than")
		})
	}
	t.Run("context", func(t *testing.T) {
		_, err := DecodeContext([]byte(`{"a":` + deep("[", "", "]", n) + `}`))
		requireKind(t, err, "ValueError", "nested more than")
	})
}

func TestCyclesPrint(t *testing.T) {
	got, err := render(t, `{% set ns = namespace() %}{% set ns.me = ns %}{% set ns.l = [ns] %}{{ ns }}`, Options{})
	require.NoError(t, err)
	assert.Equal(t, `<Namespace {'me': <Namespace {...}>, 'l': [<Namespace {...}>]}>`, got)
}

func TestDecodeContext(t *testing.T) {
	ctx, err := DecodeContext([]byte(`{"b": 1, "a": 1.0, "b": 2, "n": 12345678901234567890, "e": 1e2}`))
	require.NoError(t, err)
	template, err := Parse(`{{ [b, a, n, e] }}`)
	require.NoError(t, err)
	got, err := template.Render(ctx, Options{})
	require.NoError(t, err)
	assert.Equal(t, "[2, 1.0, 12345678901234567890, 100.0]", got)
	for source, want := range map[string]string{
		`[1]`: "a JSON array, expected an object", `"x"`: "string", `null`: "null", `true`: "boolean", `1`: "number",
		``: "unexpected EOF", `{`: "unexpected EOF", `{"a": }`: "invalid character", `{} {}`: "behind the value", `{"a": 01}`: "JSON",
	} {
		_, err := DecodeContext([]byte(source))
		requireKind(t, err, "ValueError", want)
	}
}

func TestErrorsNameTheLine(t *testing.T) {
	for source, want := range map[string]string{
		"a\nb\n{{ 1 + }}":                                      "line 3: TemplateSyntaxError",
		"\n\n{% if x %}\n{{ x|nosuch }}":                       "line 4: TemplateSyntaxError: unexpected end of template",
		"{% if true %}\n\n{{ nosuch.x }}\n{% endif %}":         "line 3: UndefinedError: 'nosuch' is undefined",
		"\n{{ raise_exception('a\nb') }}":                      "line 2: TemplateError: a b",
		"{% for x in [1] %}\n{{ x.y.z }}{% endfor %}":          "line 2: UndefinedError: 'int object' has no attribute 'y'",
		"{#\n#}{{ 1|nosuch }}":                                 "line 2: TemplateSyntaxError: no filter named \"nosuch\"",
		"{%- set x = 1 -%}\n\n{%- set y = x.append(1) -%}\n\n": "line 3: UndefinedError",
	} {
		_, err := renderSource(source, []byte(`{}`))
		require.Error(t, err, source)
		assert.Contains(t, err.Error(), want, source)
		assert.NotContains(t, err.Error(), "\n")
	}
}

func TestRaised(t *testing.T) {
	_, err := render(t, "{{ raise_exception('two\nlines') }}", Options{})
	message, ok := Raised(err)
	assert.True(t, ok)
	assert.Equal(t, "two\nlines", message)
	_, err = render(t, "{{ 1 / 0 }}", Options{})
	_, ok = Raised(err)
	assert.False(t, ok)
}

// TestConcurrentRendering renders one template, on one context, from many goroutines (for the race detector).
func TestConcurrentRendering(t *testing.T) {
	template, err := Parse(`{% macro m(x) %}{% for i in xs %}{{ i * x }},{% endfor %}{% endmacro %}{% set ns = namespace(n=0) %}` +
		`{% for i in xs %}{% set ns.n = ns.n + i %}{% endfor %}{{ m(ns.n) }}{{ d|tojson(indent=1) }}{{ xs|map('string')|join }}{{ c }}`)
	require.NoError(t, err)
	ctx, err := DecodeContext([]byte(`{"xs": [1, 2, 3], "d": {"a": [1]}, "c": "é"}`))
	require.NoError(t, err)
	want, err := template.Render(ctx, Options{})
	require.NoError(t, err)
	var wait sync.WaitGroup
	for range 8 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for range 50 {
				got, err := template.Render(ctx, Options{})
				assert.NoError(t, err)
				assert.Equal(t, want, got)
			}
		}()
	}
	wait.Wait()
}
