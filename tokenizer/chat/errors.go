package chat

import (
	"errors"
	"fmt"
	"strings"
)

// Error is a fault of a template or of the data given to it.
type Error struct {
	// Kind is the error's class as Python names it: "TemplateSyntaxError", "UndefinedError", "TypeError",
	// "TemplateError" (the template itself called raise_exception), "LimitError" (a limit of [Options] was hit), …
	Kind string
	// Message says what was wrong.
	Message string
	// Line is the template's line, counted from 1; 0 when unknown.
	Line int
}

// Error is one line, whatever the message holds.
func (e *Error) Error() string {
	message := strings.Join(strings.Fields(e.Message), " ")
	if e.Line > 0 {
		return fmt.Sprintf("chat template, line %d: %s: %s", e.Line, e.Kind, message)
	}
	return fmt.Sprintf("chat template: %s: %s", e.Kind, message)
}

// Raised returns the text that a template gave to raise_exception, when that is why rendering failed.
func Raised(err error) (string, bool) {
	var e *Error
	if errors.As(err, &e) && e.Kind == "TemplateError" {
		return e.Message, true
	}
	return "", false
}

func newError(kind, format string, args ...any) error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

func syntaxError(line int, format string, args ...any) error {
	return &Error{Kind: "TemplateSyntaxError", Message: fmt.Sprintf(format, args...), Line: line}
}

func typeError(format string, args ...any) error  { return newError("TypeError", format, args...) }
func valueError(format string, args ...any) error { return newError("ValueError", format, args...) }
func filterError(format string, args ...any) error {
	return newError("FilterArgumentError", format, args...)
}

// atLineOf adds a line to an error that has none yet: the innermost statement or call wins.
func atLineOf(err error, line int) error {
	if e, ok := err.(*Error); ok && e.Line == 0 {
		e.Line = line
	}
	return err
}

// isKind reports whether err is an Error of one of the kinds.
func isKind(err error, kinds ...string) bool {
	e, ok := err.(*Error)
	if !ok {
		return false
	}
	for _, kind := range kinds {
		if e.Kind == kind {
			return true
		}
	}
	return false
}
