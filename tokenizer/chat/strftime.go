package chat

import (
	"fmt"
	"strings"
	"time"
)

func strftimeFunc(r *run, a *arguments) (Value, error) {
	args, err := a.bind("strftime_now", 1, "format")
	if err != nil {
		return nil, err
	}
	format, ok := text(args[0])
	if !ok {
		return nil, typeError("strftime() argument 1 must be str, not %s", typeName(args[0]))
	}
	if err := r.made(len(format) * 4); err != nil {
		return nil, err
	}
	return strftime(r.options.Now, format), nil
}

// strftime formats a time as C's strftime does in the C locale, with glibc's flags ("-", "_", "0", "^", "#") and widths.
func strftime(t time.Time, format string) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 >= len(format) {
			b.WriteByte(format[i])
			continue
		}
		start := i
		i++
		flags := timeFlags{width: -1}
		i += flags.parse(format[i:])
		if i < len(format) && (format[i] == 'E' || format[i] == 'O') && i+1 < len(format) {
			i++
		}
		if i >= len(format) {
			b.WriteString(format[start:])
			break
		}
		out, ok := flags.format(t, format[i])
		if !ok {
			out = format[start : i+1]
		}
		b.WriteString(out)
	}
	return b.String()
}

type timeFlags struct {
	pad          byte // 0: the directive's own
	upper, other bool
	width        int
}

func (f *timeFlags) parse(s string) int {
	i := 0
	for ; i < len(s); i++ {
		switch s[i] {
		case '-', '_', '0':
			f.pad = s[i]
			continue
		case '^':
			f.upper = true
			continue
		case '#':
			f.other = true
			continue
		}
		break
	}
	for ; i < len(s) && isDecimal(s[i]) && f.width < 100; i++ {
		f.width = max(f.width, 0)*10 + int(s[i]-'0')
	}
	return i
}

// number pads to the directive's width with its own fill, unless flags say otherwise.
func (f *timeFlags) number(n, width int, fill byte) string {
	s := fmt.Sprint(n)
	switch f.pad {
	case '-':
		return s
	case '_':
		fill = ' '
	case '0':
		fill = '0'
	}
	width = max(width, f.width)
	if fill == '0' && n < 0 {
		return "-" + strings.Repeat("0", max(width-len(s), 0)) + s[1:]
	}
	return strings.Repeat(string(fill), max(width-len(s), 0)) + s
}

func (f *timeFlags) word(s string) string {
	if f.upper || f.other {
		s = strings.ToUpper(s)
	}
	if len(s) < f.width && f.pad != '-' {
		fill := " "
		if f.pad == '0' {
			fill = "0"
		}
		s = strings.Repeat(fill, f.width-len(s)) + s
	}
	return s
}

func (f *timeFlags) format(t time.Time, directive byte) (string, bool) {
	if s, ok := f.dateNumber(t, directive); ok {
		return s, true
	}
	composite := map[byte]string{
		'c': "%a %b %e %H:%M:%S %Y", 'D': "%m/%d/%y", 'x': "%m/%d/%y", 'F': "%Y-%m-%d", 'r': "%I:%M:%S %p",
		'R': "%H:%M", 'T': "%H:%M:%S", 'X': "%H:%M:%S",
	}
	if format, ok := composite[directive]; ok {
		return f.word(strftime(t, format)), true
	}
	switch directive {
	case 'a':
		return f.word(t.Weekday().String()[:3]), true
	case 'A':
		return f.word(t.Weekday().String()), true
	case 'b', 'h':
		return f.word(t.Month().String()[:3]), true
	case 'B':
		return f.word(t.Month().String()), true
	case 'p':
		if f.other {
			return strings.ToLower(t.Format("PM")), true
		}
		return f.word(t.Format("PM")), true
	case 'P':
		return f.word(strings.ToLower(t.Format("PM"))), true
	case 'n':
		return "\n", true
	case 't':
		return "\t", true
	case '%':
		return "%", true
	case 'z', 'Z':
		return "", true // the time that Python formats here carries no zone
	case 'f':
		return fmt.Sprintf("%06d", t.Nanosecond()/1000), true
	}
	return "", false
}

func (f *timeFlags) dateNumber(t time.Time, directive byte) (string, bool) {
	isoYear, isoWeek := t.ISOWeek()
	yday, wday := t.YearDay()-1, int(t.Weekday())
	switch directive {
	case 'Y':
		return f.number(t.Year(), 0, '0'), true
	case 'C':
		return f.number(t.Year()/100, 2, '0'), true
	case 'y':
		return f.number(t.Year()%100, 2, '0'), true
	case 'm':
		return f.number(int(t.Month()), 2, '0'), true
	case 'd':
		return f.number(t.Day(), 2, '0'), true
	case 'e':
		return f.number(t.Day(), 2, ' '), true
	case 'H':
		return f.number(t.Hour(), 2, '0'), true
	case 'k':
		return f.number(t.Hour(), 2, ' '), true
	case 'I':
		return f.number((t.Hour()+11)%12+1, 2, '0'), true
	case 'l':
		return f.number((t.Hour()+11)%12+1, 2, ' '), true
	case 'M':
		return f.number(t.Minute(), 2, '0'), true
	case 'S':
		return f.number(t.Second(), 2, '0'), true
	case 'j':
		return f.number(yday+1, 3, '0'), true
	case 'u':
		return f.number((wday+6)%7+1, 1, '0'), true
	case 'w':
		return f.number(wday, 1, '0'), true
	case 'U':
		return f.number((yday+7-wday)/7, 2, '0'), true
	case 'W':
		return f.number((yday+7-(wday+6)%7)/7, 2, '0'), true
	case 'V':
		return f.number(isoWeek, 2, '0'), true
	case 'G':
		return f.number(isoYear, 0, '0'), true
	case 'g':
		return f.number(isoYear%100, 2, '0'), true
	case 's':
		local := time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.Local)
		return f.number(int(local.Unix()), 1, '0'), true
	}
	return "", false
}
