"""The cases that golden.json freezes: templates, or (template, context) pairs. CONTEXT is the default context."""

CONTEXT = {
    "s": "Hello World",
    "e": "",
    "pl": "Zażółć gęślą jaźń ß",
    "ws": " \t mixed  white\u00a0space \n",
    "lines": "one\ntwo\r\nthree\n\nfour",
    "html": "<b class=\"x\">A & 'B'</b>",
    "i": 7,
    "neg": -3,
    "zero": 0,
    "big": 123456789012345678901234567890,
    "f": 3.14159,
    "whole": 2.0,
    "tiny": 1e-07,
    "huge": 1.5e300,
    "infinite": "inf",
    "notanumber": "nan",
    "yes": True,
    "no": False,
    "nil": None,
    "xs": [3, 1, 2],
    "words": ["pear", "Apple", "fig", "apple"],
    "mixed": [1, "a", None, 2.5, True, [1], {"k": "v"}],
    "empty": [],
    "d": {"b": 1, "a": 2, "C": 3},
    "nested": {"x": {"y": {"z": "deep"}}, "list": [{"n": 1}, {"n": 2}]},
    "ed": {},
    "shadow": {"items": "mine", "keys": [1], "get": 5, "_hidden": "h"},
    "users": [
        {"name": "bob", "age": 30, "tags": ["x", "y"], "admin": True},
        {"name": "Alice", "age": 25, "tags": [], "admin": False},
        {"name": "carol", "age": 30, "tags": ["z"], "admin": True, "email": "c@x.org"},
    ],
    "tree": [{"v": 1, "c": [{"v": 2, "c": []}, {"v": 3, "c": [{"v": 4, "c": []}]}]}, {"v": 5, "c": []}],
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "<think>hm</think>Hello", "tool_calls": None},
        {"role": "user", "content": [{"type": "text", "text": "Look"}, {"type": "image"}]},
    ],
}

CASES = []


def cases(text):
    """One case a line; \\n in a line is a line break."""
    for line in text.strip("\n").split("\n"):
        if line.strip():
            CASES.append(line.replace("⏎", "\n").replace("→", "\t"))


def exprs(text):
    for line in text.strip("\n").split("\n"):
        if line.strip():
            CASES.append("{{ " + line.strip() + " }}")


# Literals, printing
exprs(r"""
1
1.0
1e3
1E-5
1_000
0x1F
0b101
0o17
00
1e16
123456789.123
1e22
1e-4
0.00001
-0.0
1.5e300
5e-324
0.1 + 0.2
1/3
2/1
true
True
none
None
'a' "b" 'c'
'it\'s'
"tab\tnl\nend"
'\x41\u00e9\U0001F600\101'
'\q\é\\'
[]
[1, 'a', none, 2.5, true, [1], {'k': 'v'}]
[1, 2,]
()
(1,)
(1, 2)
(1)
1, 2
{}
{'a': 1, 'b': [1, 2]}
{1: 'x', 'y': none, 2.5: true, (1, 2): 't'}
{'a': 1, 'a': 2}
{1: 'int', 1.0: 'float', true: 'bool'}
{[1]: 2}
{'a': 1,}
'quote \' and "'
["it's", 'say "hi"', 'both \' and "', 'back\\slash', 'nl\n tab\t \x00 \x7f é 😀 \u200b \xa0']
mixed
d
nested
big
f
whole
tiny
huge
nil
undefined_name
undefined_name.attr
undefined_name['x']
[undefined_name]
d.missing
d.missing.more
d['missing']['more']
xs[10]
xs[10].x
xs['a']
xs[1.0]
xs[true]
xs[-1]
xs[-4]
s[0]
s[-1]
s[99]
pl[3]
xs.0
nested.list.1.n
i[0]
nil.x
nil['x']
nil[0]
none.foo.bar
shadow.items
shadow['items']
shadow.keys
shadow.get
shadow['get']
shadow._hidden
shadow['_hidden']
s.__class__
s.__class__.__mro__
s['__class__']
d.__class__
(1).__add__
xs.append
xs.append(1)
d.update({})
d.pop('a')
d.clear
d.setdefault('q', 1)
xs.sort()
xs.reverse() is defined
xs.append is defined
9007199254740993 + 0.0
""")

# Arithmetic
exprs(r"""
1 + 2 * 3
(1 + 2) * 3
7 // 2
-7 // 2
7 // -2
-7 % 3
7 % -3
7.5 // 2
-7.5 // 2
7.5 % 2
-7.5 % 2
7.5 % -2
1e300 * 1e10
2 ** 10
2 ** -1
2 ** 0.5
(-8) ** 2
-2 ** 2
2 ** 3 ** 2
2 ** 100
big * big
big // 7
big % 7
-big // 7
big / 3
big - big
big + 1
10 ** 30 / 10 ** 29
9223372036854775807 + 1
-9223372036854775807 - 2
9223372036854775807 * 9223372036854775807
4611686018427387904 * 2
3037000500 * 3037000500
-9223372036854775808 // -1
1 / 0
1 // 0
1 % 0
1.0 / 0
1.0 // 0
1.0 % 0
0 ** -1
0.0 ** -1
0 ** 0
1 ** 99999999999
(-1) ** 99999999999
10 ** 5000
true + true
true * 3
-true
+false
-'a'
+'a'
-none
not 0
not ''
not none
'a' + 'b'
'a' + 1
1 + 'a'
'a' + none
[1] + [2]
[1] + (2,)
(1,) + (2,)
[1] + 'a'
'ab' * 3
3 * 'ab'
'ab' * -1
'ab' * 1.5
[1, 2] * 2
(1,) * 3
'a' - 'b'
{} + {}
1 + undefined_name
undefined_name + 1
'a' + undefined_name
undefined_name * 2
-undefined_name
'a' ~ 1 ~ none ~ true ~ 1.5 ~ [1] ~ undefined_name
1 ~ 2 + 3
'a' ~ 'b' * 2
5 % 3 ~ 1
1 + 1 ~ 1 + 1
0.1 * 3
1e15 + 0.3
100000000000000000000.0
1.0e15
123456789012345680.0
2.5 // 0.1
1e308 * 10
10.0 ** 400
-7 // 2.0
7 // 0.5
5 % 0.3
-5 % 0.3
1 - 1.0
1 == 1.0
""")

# Comparison, logic, membership
exprs(r"""
1 < 2
1 < 2 < 3
1 < 3 < 2
3 > 2 > 1 == 1
1 == 1.0 == true
'a' < 'b'
'a' < 'B'
[1, 2] < [1, 3]
[1] < [1, 0]
(1, 2) <= (1, 2)
[1, 'a'] < [1, 2]
1 < 'a'
none < 1
none == none
none == undefined_name
undefined_name == undefined_name
undefined_name != 1
undefined_name < 1
1 > undefined_name
[] == []
[1, 2.0] == [1.0, 2]
{'a': 1, 'b': 2} == {'b': 2, 'a': 1}
{'a': 1} == {'a': 2}
{} < {}
(1, 2) == [1, 2]
'1' == 1
1 in [1, 2]
4 in xs
4 not in xs
'a' in d
'z' not in d
'ell' in s
'' in s
1 in s
none in s
undefined_name in s
undefined_name in xs
1 in undefined_name
1 in 5
1 in none
[1] in d
[1] in [[1]]
2 in range(3)
2.0 in range(3)
'a' in d.keys()
2 in d.values()
('a', 2) in d.items()
not 1 in [1]
1 in [1] and 2 in [2]
1 and 2
0 and 2
1 or 2
0 or 2
'' or none or 'x'
none and 1
not true or true
not (true or true)
1 if true
1 if false
(1 if false) is defined
1 if false else 2
1 if true else 2 if false else 3
'y' if xs else 'n'
'y' if empty else 'n'
'a' if nil else 'b' if yes else 'c'
9007199254740993 == 9007199254740992.0
9007199254740993 > 9007199254740992.0
big > 1e10
d.keys() == d.keys()
d.items() == d.items()
d.values() == d.values()
range(3) == range(0, 3)
range(3) == [0, 1, 2]
range(0) == range(5, 1)
d.keys() - ['a', 'b']
d.keys() <= d.keys()
""")

# Slices
exprs(r"""
xs[1:]
xs[:1]
xs[:]
xs[::-1]
xs[::2]
xs[-2:]
xs[:-1]
xs[5:]
xs[1:100]
xs[::0]
xs[2:0:-1]
xs[-1:-3:-1]
xs['a':]
xs[1.0:]
xs[none:2]
xs[true:]
s[1:4]
s[::-1]
s[::3]
s[-5:]
s[:-6]
pl[2:7]
pl[::-2]
(1, 2, 3)[1:]
range(10)[2:8:3]
range(10)[::-1]
range(10)[-3:]
range(10)[3]
range(10)[-1]
range(10)[99]
d[1:]
i[1:]
nil[1:]
undefined_name[1:]
xs[1:][0]
xs[1,2]
messages[1:]|length
messages[::-1][0].role
s[big:]
s[:big]
xs[-9223372036854775807:9223372036854775807]
xs[9223372036854775807::9223372036854775807]
""")

# Tests
exprs(r"""
s is string
i is string
i is integer
yes is integer
f is integer
f is float
i is number
yes is number
s is number
yes is boolean
i is boolean
yes is true
no is false
1 is true
nil is none
nil is not none
undefined_name is none
undefined_name is defined
undefined_name is undefined
d.a is defined
d.zz is defined
d is mapping
xs is mapping
xs is sequence
s is sequence
d is sequence
undefined_name is sequence
i is sequence
xs|map('string') is sequence
range(3) is sequence
s is iterable
d is iterable
i is iterable
nil is iterable
undefined_name is iterable
xs|map('string') is iterable
3 is odd
4 is even
3 is even
3.0 is odd
-3 is odd
'a' is odd
undefined_name is odd
9 is divisibleby 3
9 is divisibleby(4)
9 is divisibleby 0
1 is eq 1
1 is equalto 2
1 is ne 2
1 is lt 2
1 is lessthan 2
1 is gt 2
1 is greaterthan 0
1 is ge 1
1 is le 0
1 is sameas 1
true is sameas true
1 is sameas true
none is sameas none
xs is sameas xs
[1] is sameas [1]
1 is in [1, 2]
'a' is in 'abc'
'x' is not in 'abc'
'abc' is lower
'ABC' is upper
'Abc' is lower
'123' is upper
1 is lower
'x' is filter
'upper' is filter
'odd' is test
'nope' is test
[] is filter
range is callable
s.upper is callable
i is callable
undefined_name is callable
'a'|safe is escaped
'a' is escaped
1 is nosuchtest
1 is odd is true
not 1 is odd
1 is not odd and true
(1 is odd) is true
1 is odd or 2 is even
i is divisibleby i
'a' is eq('a')
1 is eq other=1
1 is divisibleby num=1
1 is divisibleby(num=1)
1 is eq(b=1)
1 is in(seq=[1])
1 is string is defined
loop is defined
""")

# String methods
exprs(r"""
s.upper()
s.lower()
pl.upper()
pl.lower()
pl.title()
pl.capitalize()
pl.swapcase()
'ß'.upper()
'ß'.title()
'ßx'.capitalize()
'ΑΣ'.lower()
'ŒUVRE'.capitalize()
'ǆ'.title()
'ﬁx'.title()
"they're bill's".title()
'x1y2 a-b'.title()
'HeLLo'.swapcase()
'ß'.casefold()
s.strip('Hd')
ws.strip()
'[' ~ ws.lstrip() ~ ']'
'[' ~ ws.rstrip() ~ ']'
'xxhixx'.strip('x')
'xxhixx'.lstrip('x')
'xxhixx'.rstrip('x')
'abc'.strip('')
'abc'.strip(none)
'abc'.strip(1)
'abc'.strip(chars='a')
s.split()
s.split('o')
s.split('o', 1)
s.split(maxsplit=1)
s.split(sep='l')
s.split('')
s.split(none, 1)
s.split(1)
'a,b,,c'.split(',')
'a,b,,c'.split(',', 0)
'a,b,,c'.split(',', -1)
'a,b,,c'.rsplit(',', 1)
'  a  b  '.split()
'  a  b  c '.split(none, 1)
'  a  b  c '.rsplit(none, 1)
'  a  b  c '.split(none, 0)
'  a  b  c '.rsplit(none, 0)
''.split()
''.split(',')
ws.split()
lines.splitlines()
lines.splitlines(true)
lines.splitlines(keepends=true)
'a\x0bb\x0cc\x1cd\u2028e\x85f'.splitlines()
''.splitlines()
'a\n'.splitlines()
','.join(['a', 'b'])
','.join('abc')
','.join([1])
','.join([])
','.join(words|map('upper'))
','.join(d)
','.join(1)
s.replace('o', '0')
s.replace('o', '0', 1)
s.replace('o', '0', 0)
s.replace('o', '0', -1)
s.replace('', '-')
s.replace('', '-', 3)
'é'.replace('', '-')
s.replace('x')
s.replace(1, 2)
s.replace('o', '0', count=1)
s.startswith('He')
s.startswith(('x', 'He'))
s.startswith(['He'])
s.startswith('lo', 3)
s.startswith('lo', 3, 4)
s.startswith('')
s.startswith('', 99)
s.startswith(1)
s.endswith('ld')
s.endswith(('x', 'ld'))
s.endswith('lo', 0, 5)
s.removeprefix('Hello ')
s.removeprefix('x')
s.removesuffix(' World')
s.find('o')
s.find('o', 5)
s.find('o', -3)
s.find('zz')
pl.find('ź')
s.rfind('o')
s.index('W')
s.index('zz')
s.rindex('l')
s.rindex('zz')
s.count('l')
s.count('')
s.count('l', 5)
'aaaa'.count('aa')
s.partition(' ')
s.partition('zz')
s.rpartition('o')
s.rpartition('zz')
s.partition('')
'ab'.center(7, '*')
'abc'.center(6, '*')
'abc'.center(8)
'ab'.ljust(5, '.') ~ '|'
'ab'.rjust(5, '.')
'ab'.center(5, 'xx')
'42'.zfill(5)
'-42'.zfill(5)
'+4'.zfill(1)
'a\tb\tc'.expandtabs()
'a\tb\n\tc'.expandtabs(4)
'a\tb'.expandtabs(0)
'a\tb'.expandtabs(tabsize=2)
'é'.encode()
'é'.encode('utf-8')|length
'abc'.encode('ascii')
'é'.encode().decode()
'abc'.isalpha()
'abc1'.isalnum()
'123'.isdigit()
'²'.isdigit()
'½'.isnumeric()
'½'.isdigit()
'١'.isdecimal()
''.isalpha()
' '.isspace()
''.isspace()
'ABC'.isupper()
'ABc'.isupper()
'abc1'.islower()
'1'.islower()
'Hello World'.istitle()
'Hello world'.istitle()
'abc'.isidentifier()
'1a'.isidentifier()
'é'.isascii()
'a\n'.isprintable()
''.isprintable()
'{} {}'.format(1, 'a')
'{0} {1} {0}'.format(1, 'a')
'{a} {b}'.format(a=1, b=2)
'{} {0}'.format(1)
'{0} {}'.format(1)
'{}'.format()
'{x}'.format()
'{{}} {}'.format(1)
'{'.format()
'}'.format()
'{0.a} {0[a]}'.format(d)
'{0[1]}'.format(xs)
'{a[x][y]}'.format(a=nested)
'{:>5}|{:<5}|{:^5}|{:*^7}'.format('a', 'b', 'c', 'd')
'{:5}|{:5}'.format('a', 1)
'{:05d} {:+d} {: d} {:x} {:#x} {:X} {:o} {:b} {:#b} {:c}'.format(42, 42, 42, 255, 255, 255, 8, 5, 5, 65)
'{:,} {:_} {:,.2f} {:_x}'.format(1234567, 1234567, 1234567.891, 1234567)
'{:.2f} {:.0f} {:e} {:.3e} {:g} {:.3g} {:%} {:.1%}'.format(3.14159, 2.5, 12345.678, 12345.678, 1e10, 1234567, 0.5, 0.123)
'{:.3} {:10.3} {:.10}'.format(3.14159, 3.14159, 100.0)
'{:n} {:G} {:E} {:F}'.format(5, 1e20, 1.5, 1.5)
'{:f} {:d}'.format(1, true)
'{:d}'.format(1.5)
'{:d}'.format('a')
'{:s}'.format(1)
'{!r} {!s} {!a}'.format('é', 'é', 'é')
'{!x}'.format(1)
'{:{}}'.format('a', 5)
'{:{w}.{p}f}'.format(3.14159, w=8, p=2)
'{:08.3f} {:+.1f} {:-8.1f}|'.format(-3.14159, 2.0, 2.0)
'{:010,}'.format(1234)
'{:=+8}'.format(42)
'{:.2}'.format('abc')
'{:05}'.format('ab')
'{}'.format(none)
'{:5}'.format(none)
'{:5}'.format([1])
'{}'.format([1, 'a'])
'{} {}'.format(*[1, 2])
'{a}'.format(**{'a': 5})
'{a}'.format_map({'a': 5})
'{a}'.format_map({})
'{0.__class__}'.format(s)
'{:,}'.format(12.5)
'{:,}'.format(1e20)
'{:#.0f} {:#g}'.format(1.0, 1.0)
'{:.1f}'.format(0.25)
'{:.1f}'.format(0.35)
'{:z.1f}'.format(-0.01)
'abc'.translate({97: 'x', 98: none})
'abc'.translate({97: 100})
'abc'.nosuch()
'abc'.nosuch
'abc'.upper(1)
'a'.join()
""")

# Other methods
exprs(r"""
d.items()
d.keys()
d.values()
d.items()|list
d.keys()|list
d.values()|sum
d.get('a')
d.get('zz')
d.get('zz', 5)
d.get()
d.get('a', default=1)
d.get([1])
d.copy()
d.items()|length
d.items()|first
d.items()[0]
d.fromkeys(['x'], 1)
dict.fromkeys('ab')
dict(a=1, b=2)
dict([('a', 1), ('b', 2)])
dict({'a': 1}, b=2)
dict([1])
dict(1)
dict('ab')
dict(undefined_name)
dict()
xs.index(2)
xs.index(9)
xs.index(1, 2)
xs.count(1)
xs.copy()
xs.insert(0, 1)
xs.extend([1])
(1, 2, 1).count(1)
(1, 2).index(2)
(1, 2).append
i.bit_length()
(255).bit_length()
f.is_integer()
whole.is_integer()
i.real
i.imag
f.real
i.numerator
f.hex()
(0.5).as_integer_ratio()
i.nosuch
i.upper()
yes.real
range(5)
range(1, 5)
range(0, 10, 3)
range(5, 0, -2)|list
range(3)|list
range(0)|list
range()
range('a')
range(1.5)
range(1, 2, 0)
range(1000000)
range(3).start
range(5)|length
range(5).index(3)
range(5).count(3)
range(undefined_name)
namespace(a=1)
namespace(a=1).a
namespace({'a': 2}).a
namespace(a=1).b
namespace(a=1)['a']
namespace(a=1)['b']
namespace(items=3).items
s()
i()
nil()
undefined_name()
d.a()
d.missing()
xs.0()
""")

# Filters on text
exprs(r"""
s|upper
s|lower
i|upper
nil|upper
s|capitalize
pl|capitalize
'ÉCOLE'|capitalize
s|title
"they're bill's x-ray (foo) [bar] {baz} <qux>"|title
'HELLO wORLD'|title
ws|trim
ws|trim|length
s|trim('Hd')
s|trim(chars='H')
i|trim
nil|trim
undefined_name|trim
s|length
pl|length
i|length
nil|length
undefined_name|length
d|length
xs|count
xs|map('upper')|length
s|list
d|list
i|list
undefined_name|list
nil|list
s|reverse
xs|reverse|list
d|reverse|list
d.items()|reverse|list
i|reverse
(1, 2)|reverse|list
xs|map('string')|reverse
undefined_name|reverse|list
s|first
s|last
xs|first
xs|last
empty|first
empty|last
d|first
d|last
d.items()|last
i|first
i|last
undefined_name|first
undefined_name|last
empty|first is defined
xs|map('string')|first
xs|map('string')|last
s|replace('l', 'L')
s|replace('l', 'L', 1)
s|replace('l', 'L', count=2)
s|replace(old='l', new='L')
i|replace(7, 8)
s|replace('l')
s|wordcount
'a-b c_d é1'|wordcount
''|wordcount
s|center(21) ~ '|'
s|center ~ '|'
s|truncate(5)
'foo bar baz qux'|truncate(9)
'foo bar baz qux'|truncate(9, true)
'foo bar baz qux'|truncate(11)
'foo bar baz qux'|truncate(11, false, '...', 0)
'foo bar baz qux'|truncate(9, end='~')
'foo bar baz qux'|truncate(2)
'foo bar baz qux'|truncate(9, leeway=-1)
i|truncate(9)
xs|truncate(3, leeway=0)
lines|indent
lines|indent(2)
lines|indent(2, true)
lines|indent(2, first=true)
lines|indent(2, true, true)
lines|indent(2, blank=true)
lines|indent('> ')
''|indent(2, true)
'a\n\nb\n'|indent(3)
i|indent
undefined_name|indent
nil|indent
s|indent(1.5)
html|e
html|escape
html|forceescape
html|e|e
html|e|forceescape
html|e|string
html|safe
html|safe|e
html|striptags
'a <!-- c <b> --> b &amp; &lt; &eacute; <i>x</i>'|striptags
i|e
nil|e
'%s-%s'|format(1, 'a')
'%(a)s'|format(a=1)
'%(a)s'|format(1, a=2)
'%d %i %5d|%-5d|%05d %+d % d'|format(1, 2, 3, 4, 5, 6, 7)
'%x %X %o %#x %#o'|format(255, 255, 8, 255, 8)
'%f %.2f %10.3f %e %g %G %.3g'|format(1.5, 2.345, 3.14159, 12345.678, 1e10, 1e-10, 1234567)
'%s %r %a'|format('é', 'é', 'é')
'%c%c'|format('a', 98)
'%%'|format()
'%s'|format()
'%s'|format(1, 2)
'%d'|format('a')
'%d'|format(1.9)
'%x'|format(1.9)
'%q'|format(1)
'%'|format(1)
'%5s|%-5s|%.2s'|format('abc', 'abc', 'abc')
'%*d'|format(5, 42)
'%-*d|'|format(5, 42)
'%.*f'|format(2, 3.14159)
'%s' % 'a'
'%s %s' % ('a', 'b')
'%s' % [1, 2]
'%s' % none
'%(b)d %(a)d' % d
'%s' % d
'%d%%' % 50
'%s' % undefined_name
'%d' % undefined_name
'%5.1f|' % 3.14159
'%05.1f|%+.0f|% .1f' % (3.14159, 2.5, 1.0)
'%.3s' % 'abcdef'
'%08.3f' % -3.14159
'%.10d' % 42
'%i' % true
'%d' % big
'%s' % big
'%.0f' % 0.5
'%.0f' % 1.5
'%#.3x' % 10
'a' % 1
'a' % d
'a' % xs
'%s %s' % [1, 2]
'%s' % (1, 2)
'abc'|urlencode
'a b&c/d?é'|urlencode
{'a b': 1, 'c': 'd/e'}|urlencode
[('a', 1), ('b', 'x y')]|urlencode
i|urlencode
nil|urlencode
['a']|urlencode
{'class': 'x', 'id': 'a"b', 'n': none, 'u': undefined_name, 'i': 5}|xmlattr
{'a b': 1}|xmlattr
{}|xmlattr
{'a': 1}|xmlattr(false)
xs|xmlattr
'x'|string
i|string
nil|string
[1]|string
s|nosuchfilter
s|upper(1)
s|upper(x=1)
s|default('x')
undefined_name|default('x')
undefined_name|default
undefined_name|d('x')
undefined_name.x|default('x')
d.zz|default('x')
nil|default('x')
nil|default('x', true)
''|default('x', boolean=true)
0|d('x', true)
undefined_name|default(default_value='q')
'a,b'|replace(',', '\n')|indent(2)
""")

# Filters on numbers
exprs(r"""
42.55|round
42.55|round(1)
2.5|round
3.5|round
-2.5|round
2.675|round(2)
42|round
42|round(-1)
45|round(-1)
55|round(-1)
1234.5|round(-2)
42.55|round(1, 'ceil')
42.55|round(1, 'floor')
42.4|round(method='ceil')
42.6|round(method='floor')
42|round(0, 'ceil')
42|round(1, 'floor')
42.55|round(1, 'x')
'a'|round
nil|round
undefined_name|round
42.55|round(none)
42.55|round('a')
true|round
1e300|round(2)
0.1|round(20)
'42'|int
'42.7'|int
'-42'|int
' 42 '|int
'4_2'|int
'abc'|int
'abc'|int(5)
'abc'|int(default=6)
'ff'|int(base=16)
'0xff'|int(0, 16)
'0b11'|int(base=2)
'0o17'|int(base=0)
'0x1g'|int(base=16)
'12'|int(base=1)
''|int
42.9|int
-42.9|int
nil|int
nil|int(3)
xs|int
undefined_name|int
true|int
'1e3'|int
'inf'|int
'nan'|int
'1'|int + 1
big|int
'123456789012345678901234567890'|int
'٣'|int
'42'|float
'1e3'|float
'inf'|float
'-Infinity'|float
'nan'|float
'1_0.5'|float
'abc'|float
'abc'|float(2.5)
'0x10'|float
' 3.5 '|float
nil|float
7|float
undefined_name|float
true|float
-5|abs
5.5|abs
neg|abs
-5 |abs
'a'|abs
true|abs
undefined_name|abs
[1, 2, 3]|sum
[1.5, 2]|sum
['a']|sum
[[1], [2]]|sum(start=[])
['a', 'b']|sum(start='')
users|sum('age')
users|sum(attribute='age', start=100)
users|sum(attribute='zz')
empty|sum
100|filesizeformat
1|filesizeformat
1000|filesizeformat
1500000|filesizeformat
1500000|filesizeformat(true)
1e30|filesizeformat
'1234'|filesizeformat
0|filesizeformat
1.5|filesizeformat
-5|filesizeformat
'x'|filesizeformat
""")

# Filters on sequences
exprs(r"""
xs|sort
xs|sort(reverse=true)
words|sort
words|sort(case_sensitive=true)
words|sort(true)
mixed|sort
[none, 1]|sort
[[2, 1], [1, 2]]|sort
users|sort(attribute='age')|map(attribute='name')|list
users|sort(attribute='age,name')|map(attribute='name')|list
users|sort(attribute='name', reverse=true)|map(attribute='name')|list
users|sort(attribute='zz')|length
users|sort(attribute='tags.0')|length
s|sort
d|sort
i|sort
undefined_name|sort
words|unique|list
words|unique(true)|list
users|unique(attribute='age')|map(attribute='name')|list
[1, 1.0, true, '1']|unique|list
[[1]]|unique|list
xs|min
xs|max
words|min
words|max
words|max(case_sensitive=true)
users|max(attribute='age')
empty|max
empty|min is defined
mixed|max
users|map(attribute='name')|list
users|map(attribute='email')|list
users|map(attribute='email', default='-')|list
users|map(attribute='tags.0')|list
users|map(attribute='tags.0', default='-')|list
users|map('length')|list
words|map('upper')|join
words|map('replace', 'p', 'P')|list
xs|map('string')|list
xs|map('nosuch')|list
xs|map('nosuch')
xs|map|list
xs|map(upper)|list
xs|map(attribute='x', foo=1)|list
xs|map('round', precision=1)|list
nil|map('upper')|list
i|map('upper')|list
0|map('upper')|list
undefined_name|map('upper')|list
d|map('upper')|list
xs|select|list
xs|select('odd')|list
xs|select('gt', 1)|list
xs|select('>', 1)|list
xs|select('in', [1, 2])|list
xs|select('nosuch')|list
xs|reject('odd')|list
[0, 1, '', 'a', none]|select|list
[0, 1, '', 'a', none]|reject|list
users|selectattr('admin')|map(attribute='name')|list
users|rejectattr('admin')|map(attribute='name')|list
users|selectattr('age', 'equalto', 30)|map(attribute='name')|list
users|selectattr('age', '==', 30)|map(attribute='name')|list
users|selectattr('email', 'defined')|map(attribute='name')|list
users|rejectattr('email', 'defined')|map(attribute='name')|list
users|selectattr('name', 'in', ['bob'])|list|length
users|selectattr|list
users|selectattr('a.b')|list
messages|selectattr('role', 'equalto', 'system')|map(attribute='content')|first
messages|selectattr('role', 'eq', 'nobody')|first is defined
messages|rejectattr('content', 'string')|list|length
xs|join
xs|join(',')
xs|join(d='-')
users|join(', ', attribute='name')
users|join(', ', 'age')
mixed|join(' ')
d|join(',')
s|join('-')
i|join
undefined_name|join(',')
nil|join
[undefined_name, none]|join('|')
users|groupby('age')
users|groupby('age')|list|length
users|groupby('name')|map(attribute='grouper')|list
users|groupby('admin')|map('last')|map('length')|list
users|groupby('email', default='?')|map(attribute=0)|list
users|groupby('email')
words|groupby(0)|map('first')|list
words|groupby(0, case_sensitive=true)|map('first')|list
[1, 2, 3, 4, 5]|batch(2)|list
[1, 2, 3, 4, 5]|batch(2, 'x')|list
[1, 2, 3, 4, 5]|batch(0)|list
[1, 2, 3, 4, 5]|batch('a')|list
empty|batch(3)|list
[1, 2, 3, 4, 5]|slice(2)|list
[1, 2, 3, 4, 5]|slice(3, 'x')|list
[1, 2]|slice(4)|list
[1, 2]|slice(0)|list
s|slice(3)|list
d|dictsort
d|dictsort(true)
d|dictsort(by='value')
d|dictsort(false, 'value', true)
d|dictsort(reverse=true)
d|dictsort(by='x')
{1: 'a', 'b': 2}|dictsort
xs|dictsort
d|items|list
undefined_name|items|list
xs|items|list
xs|items is defined
nil|items|list
s|attr('upper')
d|attr('a')
d|attr('items')
xs|attr('append')
namespace(a=1)|attr('a')
nil|attr('x')
undefined_name|attr('x')
users|map(attribute='name')|map('lower')|sort|join(',')
xs|list|tojson
users|map(attribute='name')|tojson
nested.list|map(attribute='n')|sum
xs|first|string
""")

# JSON
exprs(r"""
d|tojson
nested|tojson
mixed|tojson
nested|tojson(indent=2)
nested|tojson(2)
mixed|tojson(indent=0)
mixed|tojson(indent='--')
[]|tojson(indent=2)
{}|tojson(indent=2)
[[], {}]|tojson(indent=1)
pl|tojson
pl|tojson(ensure_ascii=true)
'😀\u2028\x7f\x00\x1f\n\t\r\b\f"\\/'|tojson
'😀\u2028\x7f\x00\x1f\n\t\r\b\f"\\/'|tojson(true)
html|tojson
d|tojson(sort_keys=true)
d|tojson(separators=(',', ':'))
d|tojson(separators=[',', ':'], indent=2)
d|tojson(separators=(',',))
d|tojson(indent=true)
d|tojson(indent=-1)
d|tojson(indent=1.5)
{1: 2, 1.5: 3, true: 4, none: 5}|tojson
{(1, 2): 3}|tojson
{1: 2, 'a': 3}|tojson(sort_keys=true)
(1, 2)|tojson
[1e16, 1e-7, 0.1, 1.0, infinite|float, ('-' ~ infinite)|float, notanumber|float, big]|tojson
[infinite|float, notanumber|float] ~ ''
(infinite|float)|int
(notanumber|float)|int
(notanumber|float) == (notanumber|float)
undefined_name|tojson
[undefined_name]|tojson
range(3)|tojson
d.items()|tojson
d.items()|list|tojson
xs|map('string')|list|tojson
'a'|safe|tojson
s.upper|tojson
namespace(a=1)|tojson
nil|tojson
yes|tojson
users|groupby('age')|tojson
d|tojson(nosuch=1)
d|tojson|safe
d|tojson ~ '<'
(d|tojson) + '<'
""")

# Markup
exprs(r"""
('<b>'|safe) + '<i>'
'<i>' + ('<b>'|safe)
('<b>'|safe) ~ '<i>'
('<b>%s</b>'|safe) % '<x>'
('<b>%s</b>'|safe)|format('<x>')
('<b>{}</b>'|safe).format('<x>')
('<b>'|safe).upper()
('<b>'|safe)|upper
('<b>'|safe).replace('b', '<')
('<b>'|safe)|replace('b', '<')
[('<b>'|safe)]
('a'|safe).join(['<', '>'])
('a,b'|safe).split(',')
('<b>'|safe)[0]
('<b>'|safe)[1:]
('<b>'|safe)|tojson
('<b>'|safe) * 2
('<b>'|safe) == '<b>'
('<b>x</b>'|safe).striptags()
('&lt;'|safe).unescape()
'a' in ('abc'|safe)
{('a'|safe): 1}['a']
('<b>'|safe)|list
('<b>'|safe)|first
('<b>'|safe)|reverse
('<b>'|safe)|string is escaped
('<b>'|safe)|trim
('a b'|safe)|title
['<', '>']|join('&'|safe)
('a\nb'|safe)|indent(2)
('abc def ghi'|safe)|truncate(7)
'x'|e == 'x'
""")

# Statements and scopes
cases(r"""
{% set x = 1 %}{{ x }}
{% set x, y = 1, 2 %}{{ x }}{{ y }}
{% set x, y = [1] %}
{% set x, y = [1, 2, 3] %}
{% set (x, y) = 'ab' %}{{ y }}{{ x }}
{% set x, (y, z) = 1, (2, 3) %}{{ z }}
{% set x, y = 5 %}
{% set x, y = undefined_name %}
{% set x = y %}{{ x is defined }}
{% set s = s ~ '!' %}{{ s }}
{% set x %}block {{ i }}{% endset %}[{{ x }}]
{% set x | upper %}block {{ i }}{% endset %}[{{ x }}]
{% set x | upper | replace('B', 'x') %}block{% endset %}[{{ x }}]
{% set x | replace('b', i) %}block{% endset %}[{{ x }}]
{{ i }}{% set x | replace('b', i) %}block{% endset %}[{{ x }}]
{% set ns = namespace(a=1) %}{% set ns.a = 2 %}{% set ns.b = ns.a + 1 %}{{ ns.a }}{{ ns.b }}{{ ns }}
{% set ns = namespace() %}{% set ns.x %}cap{% endset %}{{ ns.x }}
{% set d.x = 1 %}
{% set undefined_name.x = 1 %}
{% set ns = namespace() %}{% set ns.a, ns.b = 1, 2 %}{{ ns.b }}
{% set ns = namespace(n=0) %}{% for x in xs %}{% set ns.n = ns.n + x %}{% endfor %}{{ ns.n }}
{% set n = 0 %}{% for x in xs %}{% set n = n + x %}{{ n }},{% endfor %}{{ n }}
{% for x in xs %}{{ n }}{% set n = x %}{% endfor %}{{ n }}
{% set n = 5 %}{% for x in xs %}{{ n }}{% set n = x %}{{ n }}{% endfor %}{{ n }}
{% for x in xs %}{{ i }}{% endfor %}{% set i = 1 %}{{ i }}
{{ i }}{% for x in xs %}{{ i }}{% endfor %}{% set i = 1 %}{{ i }}
{% if yes %}{% set q = 1 %}{% endif %}{{ q }}
{% if no %}{% set q = 1 %}{% endif %}{{ q }}
{% if no %}{% set i = 1 %}{% endif %}{{ i }}
{% if no %}{% set i = 1 %}{% else %}{% set j = 2 %}{% endif %}{{ i }}{{ j }}
{% for x in xs %}{% if x == 1 %}{% set i = 100 %}{% endif %}{{ i }},{% endfor %}
{% for x in xs %}{% if x == 1 %}{% set i = 100 %}{% endif %}{{ i }},{% endfor %}{{ i }}
{% if no %}{{ zz }}{% set zz = 1 %}{% endif %}{{ zz }}
{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% set i = 9 %}{{ m() }}
{% macro m() %}{{ later }}{% endmacro %}{{ m() }}{% set later = 9 %}{{ m() }}
{% set v = 1 %}{% macro m() %}{{ v }}{% set v = 2 %}{{ v }}{% endmacro %}{{ m() }}{{ v }}
{% macro m(a, b=2, c='x') %}{{ a }}-{{ b }}-{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(1, c='y') }} {{ m() }}
{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, 2) }}
{% macro m(a=b, b=1) %}{{ a }}{{ b }}{% endmacro %}{{ m() }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}
{% macro m(a) %}{{ a is defined }}{{ a }}{% endmacro %}{{ m() }}
{% macro m(a) %}{{ a.x }}{% endmacro %}{{ m() }}
{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, x=4) }}
{% macro m() %}{{ varargs|length }}{{ kwargs.x }}{% endmacro %}{{ m(1, 2, x=3) }}
{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}body{% endcall %}
{% macro m() %}{{ caller(1, 2) }}{% endmacro %}{% call(a, b) m() %}{{ a }}{{ b }}{{ i }}{% endcall %}
{% macro m() %}{{ caller(b=1) }}{% endmacro %}{% call(a='d', b='e') m() %}{{ a }}{{ b }}{% endcall %}
{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}
{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}
{% macro m() %}x{% endmacro %}{% call m() %}body{% endcall %}
{% macro m(x, caller=none) %}{{ x }}{{ caller() if caller else '-' }}{% endmacro %}{{ m(1) }}{% call m(2) %}c{% endcall %}
{% macro m(x, caller) %}{{ caller() }}{% endmacro %}{{ m(1) }}
{% call i %}x{% endcall %}
{% call s.upper() %}x{% endcall %}
{% macro m(n) %}{{ n }}{% if n > 0 %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(3) }}
{% macro m() %}x{% endmacro %}{{ m }}{{ m.name }}{{ m.arguments }}{{ m.catch_kwargs }}{{ m.caller }}
{% macro m(a, a) %}{% endmacro %}
{% macro m(a=1, b) %}{% endmacro %}
{% macro outer(x) %}{% macro inner(y) %}{{ x }}{{ y }}{% endmacro %}{{ inner(2) }}{% endmacro %}{{ outer(1) }}
{% macro m() %}{% set zz = 1 %}{% endmacro %}{{ m() }}{{ zz }}
{% for x in xs %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}
{% set ns = namespace() %}{% for x in xs %}{% macro m() %}[{{ q }}]{% endmacro %}{% set q = x %}{% set ns.m = m %}{{ ns.m() }}{% endfor %}{{ ns.m() }}
{% if yes %}{% macro m() %}in{% endmacro %}{% endif %}{{ m() }}
{{ m() }}{% macro m() %}x{% endmacro %}
{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}
{% with a = i, b = a %}{{ a }}{{ b }}{% endwith %}
{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q }}
{% with i = 1 %}{{ i }}{% set i = 2 %}{{ i }}{% endwith %}{{ i }}
{% with a, b = 1, 2 %}{{ a }}{% endwith %}
{% with (a, b) = (1, 2) %}{{ a }}{{ b }}{% endwith %}
{% filter upper %}abc {{ s }}{% endfilter %}
{% filter replace('a', 'b')|upper %}aaa{% endfilter %}
{% filter indent(2, true) %}a⏎b{% endfilter %}
{% filter length %}abc{% endfilter %}
{% filter nosuch %}abc{% endfilter %}
{% filter upper %}{% set q = 1 %}{{ q }}{% endfilter %}{{ q }}
{% generation %}gen {{ i }}{% endgeneration %}
{% for m in messages %}{% generation %}{{ m.role }}{{ loop.index }}{% endgeneration %}{% endfor %}
{% generation %}{% set q = 1 %}{% endgeneration %}{{ q }}
{% for x in xs %}{% generation %}{% break %}{% endgeneration %}{% endfor %}
{% raw %}{{ x }} {% if %}{# c #}{% endraw %}
a {%- raw -%}  {{ x }}  {%- endraw -%}  b
  {% raw %}⏎x⏎  {% endraw %}⏎y
{% raw %}x
{# comment #}x{#- c -#}  y
a  {#- c #}  b {# c -#}  d
{# multi⏎line #}x
  {# c #}⏎x
x {#+ c +#}⏎y
{# never closed
{#-#}x{##}y
{% print i, s %}
{% print %}
{% block b %}{{ i }}{% endblock %}
{% set q = 1 %}{% block b %}{{ q }}{% endblock %}
{% for x in xs %}{% block b %}{{ x }}{% endblock %}{% endfor %}
{% for x in xs %}{% block b scoped %}{{ x }}{{ loop.index }}{% endblock %}{% endfor %}
{% block b %}{% set q = 1 %}{{ q }}{% endblock b %}{{ q }}
{% block b %}x{% endblock %}{{ self.b() }}{{ self.b() }}
{% block b %}{{ super() }}{% endblock %}
{% block b %}x{% endblock %}{% block b %}y{% endblock %}
{% block b required %}{% endblock %}
{{ self.nosuch() }}
{% block a %}{% block b %}{{ i }}{% endblock %}{% endblock %}
{% include 'x' %}
{% if no %}{% include 'x' %}{% endif %}ok
{% include 'x' ignore missing %}
{% import 'x' as y %}
{% from 'x' import y %}
{% extends 'x' %}
{% if no %}{% extends 'x' %}{% endif %}
{% autoescape true %}{{ html }}{{ html|safe }}{{ '<' ~ html|safe }}{{ ['<']|join('&') }}{% endautoescape %}{{ html }}
{% autoescape true %}{% set q %}<{{ '<' }}{% endset %}{{ q }}{% macro m() %}<&{% endmacro %}{{ m() }}{% endautoescape %}
{% autoescape false %}{{ html }}{% endautoescape %}
{% autoescape yes %}{{ html }}{{ '<'|replace('<', '>') }}{{ '<'|upper }}{% endautoescape %}
{% do xs.append(1) %}
{% nosuch %}
{% endif %}
{% if %}x{% endif %}
{% if yes %}x
{% if yes %}x{% endfor %}
{% if yes %}a{% elif no %}b{% else %}c{% endif %}
{% if no %}a{% elif yes %}b{% else %}c{% endif %}
{% if no %}a{% elif no %}b{% else %}c{% endif %}
{% if no %}a{% elif undefined_name.x %}b{% endif %}
{% if yes: %}a{% endif %}
{% if 1, 2 %}a{% endif %}
{% if no %}{{ 1|nosuch }}{% endif %}ok
{% if yes %}{{ 1|nosuch }}{% endif %}ok
{% if no %}{{ 1 is nosuch }}{% endif %}ok
{% if no %}{% for x in xs %}{{ x|nosuch }}{% endfor %}{% endif %}ok
{{ 1 if yes else (2|nosuch) }}
{{ (2|nosuch) if no else 1 }}
{{ }}
{{ 1 2 }}
{{ 1 + }}
{{ (1 }}
{{ [1 }}
{{ {1} }}
{{ 1) }}
{{ (1] }}
{{ 'abc }}
{{ a.b.c
{{ ! }}
{{ a ? b }}
{{ a.1b }}
{{ a. }}
{{ f(a=1, 2) }}
{{ f(**d, 1) }}
{{ f(*xs, *xs) }}
{{ f(a=1, a=2) }}
{{ dict(a=1, **{'a': 2}) }}
{{ dict(**{'b': 2}, **{'c': 3}) }}
{{ dict(**xs) }}
{{ dict(**{1: 2}) }}
{{ '{} {}'.format(*i) }}
{{ 1 is }}
{{ 1 | }}
{{ 1 is odd(,) }}
{{ a b }}
{% set %}
{% set 1 = 2 %}
{% set true = 2 %}
{% set a.b.c = 2 %}
{% set x = %}
{% set x[0] = 1 %}
{% for %}{% endfor %}
{% for x %}{% endfor %}
{% for 1 in xs %}{% endfor %}
{% for x in %}{% endfor %}
{% for x in xs
{{ strftime_now('%Y-%m-%d %H:%M:%S') }}
{{ strftime_now('%d %b %Y|%A|%a|%B|%j|%U|%W|%V|%G|%y|%C|%e|%I|%p|%u|%w|%D|%F|%T|%R|%r|%c|%x|%X|%h|%n|%t|%%|%Z|%z|%f') }}
{{ strftime_now('%-d/%-m/%-H %_d %0e %^a %#Z %5Y %q %E %Ey %Od %') }}
{{ strftime_now('') }}
{{ strftime_now() }}
{{ strftime_now(1) }}
{{ raise_exception('boom') }}
{{ raise_exception() }}
{{ raise_exception(message='boom') }}
{{ joiner() }}
{% set j = joiner('|') %}{% for x in xs %}{{ j() }}{{ x }}{% endfor %}
{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.current }}
{{ cycler() }}
{{ range }}x
""")

# Loops
cases(r"""
{% for x in xs %}{{ x }}{% endfor %}
{% for x in xs %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }};{% endfor %}
{% for x in xs %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }};{% endfor %}
{% for x in xs %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }};{% endfor %}
{% for x in xs %}{{ loop.cycle('a', 'b') }}{% endfor %}
{% for x in xs %}{{ loop.cycle() }}{% endfor %}
{% for x in [1, 1, 2, 2, 1] %}{{ loop.changed(x) }}{% endfor %}
{% for x in xs %}{{ loop }}{% endfor %}
{% for x in xs %}{{ loop.nosuch }}{{ loop.nosuch.x }}{% endfor %}
{% for x in xs %}{{ loop|length }}{% endfor %}
{% for x in xs|map('string') %}{{ loop.index }}/{{ loop.length }}{{ loop.last }}{{ x }};{% endfor %}
{% for x in xs|map('string') %}{{ loop.last }}{{ loop.length }}{{ loop.revindex }};{% endfor %}
{% for x in xs|reverse %}{{ x }}{{ loop.length }}{% endfor %}
{% for k in d %}{{ k }}{% endfor %}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}
{% for k, v in d|dictsort %}{{ k }}={{ v }};{% endfor %}
{% for k, v in d %}{{ k }}{% endfor %}
{% for k, v in {'ab': 1} %}{{ k }}{{ v }}{% endfor %}
{% for k, v in xs %}{{ k }}{% endfor %}
{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for c in s %}{{ c }},{% endfor %}
{% for c in pl %}{{ c }},{% endfor %}
{% for x in i %}{% endfor %}
{% for x in nil %}{% endfor %}
{% for x in undefined_name %}{% else %}none{% endfor %}
{% for x in empty %}{{ x }}{% else %}none{% endfor %}
{% for x in xs %}{{ x }}{% else %}none{% endfor %}
{% for x in xs if x > 1 %}{{ x }}{{ loop.index }}/{{ loop.length }};{% endfor %}
{% for x in xs if x > 5 %}{{ x }}{% else %}none{% endfor %}
{% for x in xs if loop.index > 1 %}{{ x }}{% endfor %}
{% for k, v in d.items() if v > 1 %}{{ k }}{% endfor %}
{% for x in i if x %}{% endfor %}
{% for x in xs if i %}{{ x }}{% endfor %}
{% set ns = namespace(n=0) %}{% for x in xs if ns.n < 2 %}{% set ns.n = ns.n + 1 %}{{ x }}{% endfor %}
{% for x in xs %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% for x in xs %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}
{% for x in xs %}{% break %}{% else %}else{% endfor %}
{% for x in xs %}{% continue %}{% else %}else{% endfor %}
{% for x in xs %}{{ x }}{% if x == 1 %}{% break %}{% endif %}{% else %}else{% endfor %}
{% for x in xs %}{% for y in xs %}{% if y == 1 %}{% break %}{% endif %}{{ x }}{{ y }} {% endfor %}{% endfor %}
{% for x in xs %}{% for y in empty %}{% else %}{% break %}{% endfor %}{{ x }}{% endfor %}
{% for x in xs %}{% set q %}a{% break %}{% endset %}{{ q }}{% endfor %}after
{% for x in xs %}{% filter upper %}a{% continue %}{% endfilter %}{% endfor %}after
{% for x in xs %}{% with a = 1 %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endwith %}{% endfor %}
{% break %}
{% continue %}
{% if yes %}{% break %}{% endif %}
{% for x in xs %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}
{% for n in tree recursive %}{{ n.v }}{{ loop.depth }}{% if n.c %}({{ loop(n.c) }}){% endif %}{% endfor %}
{% for n in tree recursive %}{{ n.v }}{{ loop(n.c) }}{% else %}.{% endfor %}
{% for n in tree recursive %}{{ loop.index }}{{ loop.first }}{{ loop(n.c) }}{{ loop.last }}{% endfor %}
{% for n in tree %}{{ loop(n.c) }}{% endfor %}
{% for n in tree recursive if n.v != 3 %}{{ n.v }}{{ loop(n.c) }}{% endfor %}
{% for n in tree if n.v != 3 recursive %}{{ n.v }}{{ loop(n.c) }}{% endfor %}
{% for x in xs %}{% for y in xs %}{{ loop.index }}{% endfor %}{{ loop.index }};{% endfor %}
{% for x in xs %}{% set outer = loop %}{% for y in [1] %}{{ outer.index }}{{ loop.index }}{% endfor %}{% endfor %}
{% for loop in xs %}{{ loop }}{% endfor %}
{% for x in xs %}{% set loop = 1 %}{% endfor %}
{{ loop }}
{% for x in xs %}{% macro m() %}{{ loop.index }}{% endmacro %}{{ m() }}{% endfor %}
{% for x in xs %}{{ x }}{% endfor %}{{ x }}
{% set x = 9 %}{% for x in xs %}{{ x }}{% endfor %}{{ x }}
{% for x in (1, 2) %}{{ x }}{% endfor %}
{% for x in 1, 2 %}{{ x }}{% endfor %}
{% for x in range(3) %}{{ x }}{% endfor %}
{% for x, in [[1]] %}{{ x }}{% endfor %}
{% for u in users %}{{ u.name }}{% if not loop.last %}, {% endif %}{% endfor %}
{% for g in users|groupby('age') %}{{ g.grouper }}:{% for u in g.list %}{{ u.name }}{% endfor %};{% endfor %}
{% for age, list in users|groupby('age') %}{{ age }}{{ list|length }}{% endfor %}
{% for row in xs|batch(2, 'x') %}{{ row }}{% endfor %}
{% set it = xs|map('string') %}{% for x in it %}{{ x }}{% endfor %}|{% for x in it %}{{ x }}{% endfor %}
{% set it = xs|map('string') %}{{ 1 in it }}{{ '1' in it }}{{ it|list }}
{% set it = xs|select('nosuch') %}ok
{% set it = users|map(attribute='a.b.c') %}ok
{% for m in messages %}{% if m.content is string %}{{ m.content.split('</think>')[-1] }}{% else %}{% for p in m.content %}{{ p.text|default('?') }}{% endfor %}{% endif %}{% endfor %}
{% for m in messages[::-1] %}{{ m.role }}{{ loop.revindex0 }}{% endfor %}
{% for x in xs %}{{ x }}{% set x = 5 %}{{ x }}{% endfor %}
{% set q = 'top' %}{% for x in xs %}{% if loop.first %}{% set q = 'inner' %}{% endif %}{{ q }}{% endfor %}{{ q }}
{% for x in xs %}{% if not q %}{{ 'new' }}{% endif %}{% set q = x %}{% endfor %}
{% for x in loop %}{% endfor %}
""")

# White space
cases(r"""
a⏎{% if yes %}⏎b⏎{% endif %}⏎c
a⏎  {% if yes %}  ⏎b⏎  {% endif %}⏎c
a  {%- if yes -%}  b  {%- endif -%}  c
a⏎  {%+ if yes %}⏎b⏎  {%+ endif %}⏎c
a {% if yes +%}⏎b{% endif +%}⏎c
a⏎⏎{{ i }}⏎⏎b
a⏎ {{- i -}} ⏎b
{{ i }}⏎
{{ i }}⏎⏎
⏎{{ i }}
  {{ i }}
  {% set x = 1 %}  ⏎x
x{% set x = 1 %}⏎y
{% if yes %}⏎⏎x{% endif %}
  x {% if yes %}y{% endif %}
→{% if yes %}→x→{% endif %}
{{ 'a' -}}⏎  b
{{- 'a' }} b
a{{ '' }}⏎
{% for x in xs -%}⏎  {{ x }}⏎{%- endfor %}
{% for x in xs %}⏎  {{ x }}⏎{% endfor %}
{% for x in xs %}  {{ x }}  {% endfor %}
{%- for x in xs %}⏎{{ x }}⏎{%- if not loop.last %},{% endif %}⏎{%- endfor %}
{% if yes %}a{% endif %}   ⏎   {% if yes %}b{% endif %}
{%if yes%}a{%endif%}
{{i}}{{-i-}}{{ -i }}
{{ {'a': {'b': 1}} }}
{{ {'a': {'b': 1}}['a']['b'] }}
{% set x = {'a': {}} %}{{ x }}
{{ '}}' }}{{ "%}" }}
{{ '{{' }}{{ "{%" }}{{ '{#' }}
{ { } } {%% 
{{ 1 }}}
{{{ 'a': 1 }}}
{{ i }}%}
{% set a = 1 %}⏎{% set b = 2 %}⏎{{ a }}{{ b }}
x⏎{#- c -#}⏎y
x⏎  {# c #}⏎  {% if yes %}⏎  z⏎  {% endif %}⏎
{{ "multi⏎line" }}
{{ [1,⏎2⏎] }}
{%⏎if⏎yes⏎%}x{%⏎endif⏎%}
""")
CASES.append(("a\r\nb\rc\r\n{% if true %}\r\nd{% endif %}\r\n", {}))
CASES.append(("{{ 'a\r\nb' }}", {}))
CASES.append(("{{ bos_token }}{{ messages|tojson }}", {"bos_token": "<s>", "messages": [{"b": 1.0, "a": 1, "c": 1e2, "d": -0.0, "e": 12345678901234567890}]}))
CASES.append(("{{ x }}{{ range }}", {"x": 1, "range": "mine"}))
CASES.append(("{{ 'é'|upper }}{{ '日本'|length }}{{ '日本'[1] }}{{ '👍🏽'|length }}", {}))
CASES.append(("\u00a0{% if true %}x{% endif %}\u00a0\n\u3000{% if true %}y{%- endif %}", {}))


# Long values
exprs(r"""
users|pprint
nested|pprint
words|pprint
s|pprint
i|pprint
(s * 12)|pprint
[s * 3, s * 4, s * 10]|pprint
{'k': s * 12, 'b': [s * 5, s * 6]}|pprint
(words + words + words + words + words + words)|pprint
tree|pprint
messages|pprint
(1,)|pprint
((1, 2), {'a': (s * 8,)})|pprint
d.items()|pprint
{1: 2, 'a': 3}|pprint
mixed|pprint
(html * 5)|pprint
(lines * 6)|pprint
undefined_name|pprint
(s * 5)|wordwrap(20)
(s * 5)|wordwrap(20, false)
'The quick brown fox jumps over the lazy dog'|wordwrap(15)
'The quick brown fox jumps over the lazy dog'|wordwrap(15, wrapstring='|')
'a-b-c well-known state-of-the-art hyphen-ated'|wordwrap(8)
'a-b-c well-known state-of-the-art hyphen-ated'|wordwrap(8, break_on_hyphens=false)
'supercalifragilisticexpialidocious word'|wordwrap(10)
'supercalifragilisticexpialidocious word'|wordwrap(10, false)
lines|wordwrap(3)
'  lead and   inner  spaces  '|wordwrap(8)
'x'|wordwrap(0)
''|wordwrap(5)
'em--dash and -- more --- dashes'|wordwrap(7)
'tabs→and x'|wordwrap(5)
i|wordwrap(5)
'see http://example.org/x?y=1 and www.foo.com, (https://a.b/c).'|urlize
'see example.com or foo.dev or mail me@x.org mailto:a@b.co'|urlize
'http://example.org/aaaaaaaaaaaaaaaaa'|urlize(10)
'http://example.org'|urlize(nofollow=true)
'http://example.org'|urlize(target='_blank', rel='x y')
'<b>http://a.org</b> &'|urlize
'tel:123 x'|urlize(extra_schemes=['tel:'])
'x'|urlize(extra_schemes=['bad'])
'http://1.2.3.4:80/x http://[::1]/ xn--abc.xn--p1ai'|urlize
i|urlize
""")

# Found by random cases
exprs(r"""
'{:^8}|{:+}|{:.3}'.format(true, false, 1.0)
'{:.3}'.format(true)
'{:^8}|{:+}'.format(true, false)
(1, 2).copy()
range(3).copy()
empty - d.keys()
'a' % namespace(a=1)
{d.values(): 1}|length
{d.keys(): 1}
{d.items(): 1}
xs|reject('odd')|map('string')|join|int + 1
"""
)
