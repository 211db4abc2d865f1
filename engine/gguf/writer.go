package gguf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Writer makes a GGUF file of version 3, or a split set. Set keys, add tensors, then call [Writer.Write] once. Keys and
// tensors are written in the order in which they came. The tensors' data is asked for while the file is written, one
// tensor at a time, so that a model larger than memory can be written.
//
// The first error that a method returns is kept and returned by Write again: a caller may check Write alone.
type Writer struct {
	out     io.Writer // nil where the writer makes files
	path    string
	entries []entry
	index   map[string]int // into entries
	tensors []source
	names   map[string]struct{}
	limit   SplitLimit
	paths   []string
	written bool
	err     error
}

// source is a tensor with where its bytes come from.
type source struct {
	Tensor
	write func(io.Writer) error
}

// NewWriter returns a Writer that streams one file to out.
func NewWriter(out io.Writer) *Writer {
	return &Writer{out: out, index: map[string]int{}, names: map[string]struct{}{}}
}

// NewFileWriter returns a Writer that makes the file at path. The file appears under its name only when it is complete;
// an existing one is replaced then.
func NewFileWriter(path string) *Writer {
	w := NewWriter(nil)
	w.path = path
	return w
}

// Set sets a key to a value of one of the Go types that [Metadata.Value] returns. int and uint are refused, since a
// file needs a width. A key that is set again keeps its place. The key "general.alignment" (uint32) sets the tensors'
// alignment; the keys that describe a split set belong to the writer and are refused.
func (w *Writer) Set(key string, v any) error {
	packed, err := encodeValue(v)
	if err != nil {
		var fault *FormatError
		if errors.As(err, &fault) {
			fault.Path, fault.Key = w.path, key
		}
		return w.fail(err)
	}
	return w.set(key, packed)
}

func (w *Writer) set(key string, v value) error {
	e := entry{key, v}
	if fault := checkEntry(e); fault != nil {
		fault.Path, fault.Key = w.path, key
		return w.fail(fault)
	}
	if i, ok := w.index[key]; ok {
		w.entries[i] = e
		return nil
	}
	if len(w.entries) >= maxKeys-3 { // room for the keys of a split set
		return w.fail(&FormatError{Path: w.path, Key: key, Err: ErrLimit, Found: "one key more",
			Expected: fmt.Sprintf("at most %d", maxKeys-3)})
	}
	w.index[key] = len(w.entries)
	w.entries = append(w.entries, e)
	return nil
}

func checkEntry(e entry) *FormatError {
	switch {
	case e.key == "":
		return &FormatError{Err: ErrName, Found: "a key without a name", Expected: "a name"}
	case len(e.key) > maxKeyBytes:
		return &FormatError{Err: ErrLimit, Found: fmt.Sprintf("a key of %d bytes", len(e.key)),
			Expected: fmt.Sprintf("at most %d", maxKeyBytes)}
	case isSplitKey(e.key):
		return &FormatError{Err: ErrName, Found: "a key of split sets", Expected: "the writer's Split to set it"}
	case e.key == keyAlignment:
		_, fault := alignmentOf([]entry{e})
		return fault
	}
	return nil
}

func isSplitKey(key string) bool {
	return key == keySplitNo || key == keySplitCount || key == keySplitTensors
}

// SetString sets a key to a string.
func (w *Writer) SetString(key, v string) error { return w.Set(key, v) }

// SetBool sets a key to a bool.
func (w *Writer) SetBool(key string, v bool) error { return w.Set(key, v) }

// SetUint32 sets a key to a uint32, the type of most counts and ids.
func (w *Writer) SetUint32(key string, v uint32) error { return w.Set(key, v) }

// SetInt32 sets a key to an int32.
func (w *Writer) SetInt32(key string, v int32) error { return w.Set(key, v) }

// SetUint64 sets a key to a uint64.
func (w *Writer) SetUint64(key string, v uint64) error { return w.Set(key, v) }

// SetFloat32 sets a key to a float32, the type of most epsilons and scales.
func (w *Writer) SetFloat32(key string, v float32) error { return w.Set(key, v) }

// SetStrings sets a key to an array of strings.
func (w *Writer) SetStrings(key string, v []string) error { return w.Set(key, v) }

// SetInt32s sets a key to an array of int32.
func (w *Writer) SetInt32s(key string, v []int32) error { return w.Set(key, v) }

// SetFloat32s sets a key to an array of float32.
func (w *Writer) SetFloat32s(key string, v []float32) error { return w.Set(key, v) }

// Delete removes a key; an absent one is no error.
func (w *Writer) Delete(key string) {
	i, ok := w.index[key]
	if !ok {
		return
	}
	w.entries = slices.Delete(w.entries, i, i+1)
	delete(w.index, key)
	for ; i < len(w.entries); i++ {
		w.index[w.entries[i].key] = i
	}
}

// CopyMetadata sets every key of a file that was read, in its order and with its exact types, except those in skip and
// those that describe a split set.
func (w *Writer) CopyMetadata(from *Metadata, skip ...string) error {
	for _, e := range from.entries {
		if isSplitKey(e.key) || slices.Contains(skip, e.key) {
			continue
		}
		if err := w.set(e.key, e.value); err != nil {
			return err
		}
	}
	return nil
}

// AddTensor adds a tensor. The shape is in GGUF order: shape[0] is the length of a row. data is called once, during
// Write, and must write exactly the bytes that [SizeOf] gives for the type and shape.
func (w *Writer) AddTensor(name string, t Type, shape []int64, data func(io.Writer) error) error {
	if err := w.checkTensor(name, t, shape); err != nil {
		err.Path, err.Tensor = w.path, name
		return w.fail(err)
	}
	size, _ := sizeOf(t, shape)
	w.names[name] = struct{}{}
	w.tensors = append(w.tensors, source{Tensor{Name: strings.Clone(name), Type: t, Shape: slices.Clone(shape), Size: size}, data})
	return nil
}

func (w *Writer) checkTensor(name string, t Type, shape []int64) *FormatError {
	if _, twice := w.names[name]; twice {
		return &FormatError{Err: ErrDuplicate, Found: "the tensor twice", Expected: "each tensor once"}
	}
	switch {
	case name == "":
		return &FormatError{Err: ErrName, Found: "a tensor without a name", Expected: "a name"}
	case len(name) > maxNameBytes:
		return &FormatError{Err: ErrLimit, Found: fmt.Sprintf("a name of %d bytes", len(name)),
			Expected: fmt.Sprintf("at most %d", maxNameBytes)}
	case len(w.tensors) == maxTensors:
		return &FormatError{Err: ErrLimit, Found: "one tensor more", Expected: fmt.Sprintf("at most %d", maxTensors)}
	}
	return checkShape(t, shape)
}

// AddTensorBytes adds a tensor whose data is at hand. The data is not copied: it must stay as it is until Write is done.
func (w *Writer) AddTensorBytes(name string, t Type, shape []int64, data []byte) error {
	return w.AddTensor(name, t, shape, func(out io.Writer) error {
		_, err := out.Write(data)
		return err
	})
}

// Write writes the file, or the files of a split set. It can be called once.
func (w *Writer) Write() error {
	if w.written {
		return &FormatError{Path: w.path, Err: ErrClosed}
	}
	w.written = true
	if w.err != nil {
		return w.err
	}
	if w.out == nil {
		return w.writeFiles()
	}
	return w.writePart(w.out, w.path, w.entries, w.tensors, w.alignment())
}

// Paths returns the files that Write made, one for each part of a split set.
func (w *Writer) Paths() []string { return slices.Clone(w.paths) }

func (w *Writer) alignment() int {
	n, _ := alignmentOf(w.entries) // Set has checked it
	return n
}

func (w *Writer) fail(err error) error {
	if w.err == nil {
		w.err = err
	}
	return err
}

// headOf returns the header of a part, padded up to the data.
func headOf(path string, entries []entry, tensors []source, alignment int) (head []byte, err error) {
	head = append([]byte("GGUF"), maxVersion, 0, 0, 0)
	head = binary.LittleEndian.AppendUint64(head, uint64(len(tensors)))
	head = binary.LittleEndian.AppendUint64(head, uint64(len(entries)))
	for _, e := range entries {
		head = appendEntry(head, e)
	}
	offset := int64(0)
	for i := range tensors {
		t := &tensors[i].Tensor
		head = appendTensor(head, t, offset)
		next, fits := alignUp(t.Size, alignment)
		if !fits || next > math.MaxInt64/2-offset {
			return nil, &FormatError{Path: path, Tensor: t.Name, Err: ErrLimit,
				Found: fmt.Sprintf("%d bytes after %d", t.Size, offset), Expected: "a file of less than 2^62 bytes"}
		}
		offset += next
	}
	if len(head) > maxHeaderBytes {
		return nil, &FormatError{Path: path, Err: ErrLimit,
			Found: fmt.Sprintf("keys and tensor table of %d bytes", len(head)), Expected: fmt.Sprintf("at most %d", maxHeaderBytes)}
	}
	if len(tensors) > 0 { // a file of keys alone ends with them
		padded, _ := alignUp(int64(len(head)), alignment)
		head = append(head, make([]byte, padded-int64(len(head)))...)
	}
	return head, nil
}

// writePart writes one file.
func (w *Writer) writePart(out io.Writer, path string, entries []entry, tensors []source, alignment int) error {
	head, err := headOf(path, entries, tensors, alignment)
	if err != nil {
		return err
	}
	if _, err := out.Write(head); err != nil {
		return fmt.Errorf("%sthe header: %w", prefixOf(path), err)
	}
	for i := range tensors {
		if err := writeTensor(out, path, &tensors[i], alignment); err != nil {
			return err
		}
	}
	return nil
}

func prefixOf(path string) string {
	if path == "" {
		return ""
	}
	return path + ": "
}

// counter passes bytes on and refuses those beyond the tensor's size.
type counter struct {
	out  io.Writer
	left int64
}

func (c *counter) Write(b []byte) (int, error) {
	if int64(len(b)) > c.left {
		return 0, fmt.Errorf("%w: %d bytes too many", ErrData, int64(len(b))-c.left)
	}
	n, err := c.out.Write(b)
	c.left -= int64(n)
	return n, err
}

func writeTensor(out io.Writer, path string, t *source, alignment int) error {
	if t.write == nil {
		return &FormatError{Path: path, Tensor: t.Name, Err: ErrData, Found: "no data function",
			Expected: "one that writes the tensor"}
	}
	c := &counter{out, t.Size}
	if err := t.write(c); err != nil {
		return &FormatError{Path: path, Tensor: t.Name, Err: err}
	}
	if c.left != 0 {
		return &FormatError{Path: path, Tensor: t.Name, Err: ErrData, Found: fmt.Sprintf("%d bytes", t.Size-c.left),
			Expected: fmt.Sprintf("%d for %s %v", t.Size, t.Type, t.Shape)}
	}
	padded, _ := alignUp(t.Size, alignment) // headOf has checked it
	if _, err := out.Write(make([]byte, padded-t.Size)); err != nil {
		return &FormatError{Path: path, Tensor: t.Name, Err: err}
	}
	return nil
}
