package chat

import (
	"errors"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzRender parses and renders whatever it is given: a text or an *Error, never a panic, and within the limits.
func FuzzRender(f *testing.F) {
	for _, source := range []string{
		"{{ a.b[1:2]|upper }}", "{% for x in xs if x is odd %}{{ loop.index ~ x }}{% else %}{% endfor %}", "{%- set x %}a{% endset -%}",
		"{% macro m(a, b=1) %}{{ caller(a) }}{{ varargs }}{% endmacro %}{% call(x) m(1, *xs, **d) %}{{ x }}{% endcall %}",
		"{{ '%5.2f %(a)s' % d }}{{ '{:>{w}}'.format(1, w=3) }}", "{% raw %}{{{% endraw %}{# c #}", "{{ d|tojson(indent=2) }}{{ xs|sort|join(',') }}",
		"{% with a=1 %}{% filter indent(2) %}{{ a }}{% endfilter %}{% endwith %}", "{% for n in xs recursive %}{{ loop([n]) }}{% endfor %}",
		"{{ strftime_now('%Y %-d') }}{{ namespace(a=1) }}{{ 2 ** 100 // 7 % 3 }}", "{% block b scoped %}{{ self.b }}{% endblock %}",
		"{{ s.split('a', 1)|map('length')|list|pprint|wordwrap(5)|urlize|striptags|xmlattr }}", "{% generation %}{% endgeneration %}",
		"{{ xs|groupby('a')|batch(2, 0)|slice(3)|unique|dictsort }}{% if x %}{% elif y %}{% endif %}", "{{ 1.5|round(2, 'ceil')|int(0, 16)|filesizeformat }}",
	} {
		f.Add(source, `{"a": {"b": "text"}, "xs": [1, 2, 3], "d": {"a": 1, "b": null}, "s": "banana é"}`)
	}
	f.Fuzz(func(t *testing.T, source, context string) {
		watchdog := time.AfterFunc(20*time.Second, func() { panic("hangs: " + source + "\ncontext: " + context) })
		defer watchdog.Stop()
		template, err := Parse(source)
		if err == nil {
			ctx, contextErr := DecodeContext([]byte(context))
			if contextErr != nil {
				return
			}
			var text string
			text, err = template.Render(ctx, Options{Now: fixtureNow, MaxSteps: 20000, MaxOutput: 1 << 16, Timeout: time.Second})
			if err == nil && utf8.ValidString(source) && !utf8.ValidString(text) {
				t.Fatalf("%q renders text that is not UTF-8: %q", source, text)
			}
		}
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("%q: error of type %T: %v", source, err, err)
		}
	})
}
