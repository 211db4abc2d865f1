package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
)

// ErrOffline is returned where a model would have to be fetched and offline mode forbids it.
var ErrOffline = errors.New("offline mode forbids fetching it (--offline or INFER_OFFLINE)")

// ErrNotCached is returned by [Remove] for a model that is not in the cache.
var ErrNotCached = errors.New("not in the cache")

// ChecksumError says that a file's bytes are not those that it should have.
type ChecksumError struct {
	File string // base name
	Want string // SHA-256 that the file should have, hex
	Got  string // SHA-256 that it has, hex
}

func (e *ChecksumError) Error() string {
	return fmt.Sprintf("%s: wrong SHA-256: expected %s, got %s", e.File, e.Want, e.Got)
}

// SourceFailure is what one source of a model answered.
type SourceFailure struct {
	Source string
	Err    error
}

// SourcesError says that no source of a model served it, and why.
type SourcesError struct {
	Name     string
	Failures []SourceFailure // in the order in which the sources were tried
}

func (e *SourcesError) Error() string {
	if len(e.Failures) == 1 {
		return fmt.Sprintf("fetching %s: %s", e.Failures[0].Source, oneLine(e.Failures[0].Err))
	}
	parts := make([]string, len(e.Failures))
	for i, f := range e.Failures {
		parts[i] = fmt.Sprintf("%s: %s", f.Source, oneLine(f.Err))
	}
	return fmt.Sprintf("no source of %s served it: %s", e.Name, strings.Join(parts, "; "))
}

// Unwrap returns the sources' errors, for errors.Is and errors.As.
func (e *SourcesError) Unwrap() []error {
	errs := make([]error, len(e.Failures))
	for i, f := range e.Failures {
		errs[i] = f.Err
	}
	return errs
}

// localError marks a fault of this machine's disk: no other source would help.
type localError struct{ error }

func (e localError) Unwrap() error { return e.error }

// isLocal reports whether err is a fault of this machine's disk.
func isLocal(err error) bool {
	var local localError
	return errors.As(err, &local) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// explain adds to an error of the disk what the user can do about it.
func (c cache) explain(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: free some space in %s, or set INFER_MODELS to a folder elsewhere", err, c.root)
	case isLocal(err) && errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: set INFER_MODELS to a folder that can be written", err)
	}
	return err
}

// oneLine keeps a message on one line and within a sane length, whatever a server or a program wrote into it.
func oneLine(err error) string { return tidy(err.Error(), 600) }

// tidy joins the words of s by single spaces, drops control characters, and cuts s after limit runes.
func tidy(s string, limit int) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) }), " ")
	if runes := []rune(s); len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return s
}
