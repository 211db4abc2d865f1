package gguf

import (
	"errors"
	"fmt"
	"strings"
)

// What can be wrong. Every error about the content of a file is a [*FormatError] that wraps one of these; errors of the
// operating system keep their own identity (fs.ErrNotExist and the like).
var (
	// ErrNotGGUF: the file does not begin with the letters GGUF.
	ErrNotGGUF = errors.New("not a GGUF file")
	// ErrNotFile: the path names a directory or a device, not a regular file.
	ErrNotFile = errors.New("not a regular file")
	// ErrBigEndian: the file was written for big-endian machines.
	ErrBigEndian = errors.New("big-endian file")
	// ErrVersion: a version of the format that is neither 2 nor 3.
	ErrVersion = errors.New("unsupported version")
	// ErrTruncated: the file ends before something that it announces.
	ErrTruncated = errors.New("truncated file")
	// ErrLimit: a count, length or depth is beyond anything that a model needs.
	ErrLimit = errors.New("beyond the limit")
	// ErrDuplicate: a key or a tensor name occurs twice.
	ErrDuplicate = errors.New("duplicate")
	// ErrName: a key or a tensor has no name.
	ErrName = errors.New("bad name")
	// ErrValueType: a metadata value has a type that the format does not know, or another one than was asked for.
	ErrValueType = errors.New("wrong value type")
	// ErrValue: a metadata value has the right type and an impossible content.
	ErrValue = errors.New("bad value")
	// ErrTensorType: a tensor has a type that the format does not know.
	ErrTensorType = errors.New("unknown tensor type")
	// ErrShape: the number of dimensions, a length or the product of the lengths is impossible for the tensor's type.
	ErrShape = errors.New("bad shape")
	// ErrAlignment: general.alignment is impossible, or a tensor does not start on it.
	ErrAlignment = errors.New("bad alignment")
	// ErrOverlap: two tensors share bytes.
	ErrOverlap = errors.New("overlapping tensors")
	// ErrSplit: the parts of a split set do not fit together.
	ErrSplit = errors.New("bad split set")
	// ErrChanged: the file changed or shrank while it was read.
	ErrChanged = errors.New("file changed while it was read")
	// ErrClosed: the writer has already written its file.
	ErrClosed = errors.New("already written")
	// ErrData: a tensor's data function gave more or fewer bytes than the tensor holds.
	ErrData = errors.New("wrong amount of data")
)

// FormatError says what is wrong with a file: where, what was found, what was expected. Fields that do not apply are
// empty.
type FormatError struct {
	Path     string // the file, as it was named to Open or derived from that name
	Key      string // the metadata key
	Tensor   string // the tensor's name
	Offset   int64  // where in the file, in bytes; 0 where no single place is meant
	Found    string
	Expected string
	Err      error // one of the Err values of this package, or an error that wraps one
}

// Error gives one line: file, key or tensor, kind of fault, found, expected, offset.
func (e *FormatError) Error() string {
	var b strings.Builder
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	if e.Key != "" {
		fmt.Fprintf(&b, "key %s: ", quote(e.Key))
	}
	if e.Tensor != "" {
		fmt.Fprintf(&b, "tensor %s: ", quote(e.Tensor))
	}
	if e.Err != nil {
		b.WriteString(e.Err.Error())
	}
	if e.Found != "" {
		b.WriteString(": found " + e.Found)
	}
	if e.Expected != "" {
		b.WriteString(", expected " + e.Expected)
	}
	if e.Offset > 0 {
		fmt.Fprintf(&b, " (at byte %d)", e.Offset)
	}
	return b.String()
}

// Unwrap gives the kind of fault, for errors.Is.
func (e *FormatError) Unwrap() error { return e.Err }

// quote prints a name from a file: escaped, and cut where it is long, since both may be hostile.
func quote(name string) string {
	const most = 80
	if len(name) > most {
		return fmt.Sprintf("%q... (%d bytes)", name[:most], len(name))
	}
	return fmt.Sprintf("%q", name)
}
