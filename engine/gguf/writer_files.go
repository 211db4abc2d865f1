package gguf

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// SplitLimit says when a split set begins its next part; 0 is no limit. A part holds at least one tensor, however
// large.
type SplitLimit struct {
	Bytes   int64 // of a part's file
	Tensors int   // in a part
}

// Split makes Write produce a split set, with parts named after the path: "dir/name.gguf" becomes
// "dir/name-00001-of-00003.gguf" and so on. A model that fits one part becomes a plain file at the path. The first
// part carries all keys, the others what describes the set. Only writers from [NewFileWriter] can split.
func (w *Writer) Split(limit SplitLimit) error {
	switch {
	case w.out != nil:
		return w.fail(fmt.Errorf("%w: a split set needs a writer of files", ErrSplit))
	case !strings.HasSuffix(w.path, ".gguf"):
		return w.fail(&FormatError{Path: w.path, Err: ErrSplit, Found: "this name", Expected: "a name that ends in .gguf"})
	case limit.Bytes < 0 || limit.Tensors < 0:
		return w.fail(&FormatError{Path: w.path, Err: ErrSplit, Found: fmt.Sprintf("a limit of %d bytes, %d tensors",
			limit.Bytes, limit.Tensors), Expected: "at least 0"})
	}
	w.limit = limit
	return nil
}

// part is what goes into one file.
type part struct {
	path    string
	entries []entry
	tensors []source
}

// writeFiles writes every part beside its final name and renames them all when the last is complete.
func (w *Writer) writeFiles() (err error) {
	parts, err := w.parts()
	if err != nil {
		return err
	}
	var partial []string
	defer func() {
		if err != nil {
			for _, name := range partial {
				os.Remove(name)
			}
		}
	}()
	for _, p := range parts {
		name, err := w.writeFile(p)
		if name != "" {
			partial = append(partial, name)
		}
		if err != nil {
			return err
		}
	}
	for i, p := range parts {
		if err := os.Rename(partial[i], p.path); err != nil {
			return ioError(p.path, err)
		}
		w.paths = append(w.paths, p.path)
	}
	return nil
}

// writeFile writes a part to a file of a name of its own and returns that name, also where it fails after the file
// was made.
func (w *Writer) writeFile(p part) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(p.path), "."+filepath.Base(p.path)+".*.partial")
	if err != nil {
		return "", ioError(p.path, err)
	}
	defer func() {
		if closeErr := f.Close(); closeErr != nil && err == nil {
			err = ioError(p.path, closeErr)
		}
	}()
	out := bufio.NewWriterSize(f, 1<<20)
	if err := w.writePart(out, p.path, p.entries, p.tensors, w.alignment()); err != nil {
		return f.Name(), err
	}
	// Renaming a file that is not on the disk yet could leave an empty one after a crash.
	if err := errors.Join(out.Flush(), f.Chmod(0o644), f.Sync()); err != nil {
		return f.Name(), ioError(p.path, err)
	}
	return f.Name(), nil
}

// parts divides the tensors among files.
func (w *Writer) parts() ([]part, error) {
	groups := w.divide()
	if len(groups) == 1 {
		return []part{{w.path, w.entries, w.tensors}}, nil
	}
	if len(groups) > maxParts {
		return nil, &FormatError{Path: w.path, Err: ErrLimit, Found: fmt.Sprintf("%d parts", len(groups)),
			Expected: fmt.Sprintf("at most %d", maxParts)}
	}
	parts := make([]part, len(groups))
	prefix := strings.TrimSuffix(w.path, ".gguf")
	for i, tensors := range groups {
		parts[i] = part{partName(prefix, i, len(groups)), w.partEntries(i, len(groups)), tensors}
	}
	return parts, nil
}

// divide groups the tensors so that each part keeps within the limit.
func (w *Writer) divide() [][]source {
	var groups [][]source
	first, size := 0, w.partSize(0)
	for i := range w.tensors {
		add := w.tensorCost(&w.tensors[i])
		full := w.limit.Tensors > 0 && i-first >= w.limit.Tensors || w.limit.Bytes > 0 && size+add > w.limit.Bytes
		if full && i > first {
			groups = append(groups, w.tensors[first:i])
			first, size = i, w.partSize(len(groups))
		}
		size = min(size+add, math.MaxInt64/2) // headOf refuses what comes near
	}
	return append(groups, w.tensors[first:])
}

// partSize returns the bytes of a part without tensors, padding included.
func (w *Writer) partSize(no int) int64 {
	head := headBytes
	for _, e := range w.partEntries(no, maxParts) {
		head += entryBytes(e)
	}
	return int64(head) + int64(w.alignment())
}

// tensorCost returns the most that a tensor adds to a part: its row in the table, its data, the padding.
func (w *Writer) tensorCost(t *source) int64 {
	if t.Size > math.MaxInt64/4 {
		return math.MaxInt64 / 4
	}
	padded, _ := alignUp(t.Size, w.alignment())
	return padded + int64(minTensorEntry+len(t.Name)+8*len(t.Shape))
}

// partEntries returns the keys of a part, in the types that other programs read: 16 bits for the numbers, which hold
// 65,535 parts, and 32 for the tensors.
func (w *Writer) partEntries(no, count int) []entry {
	var entries []entry
	if no == 0 {
		entries = slices.Clone(w.entries)
	} else if i, ok := w.index[keyAlignment]; ok {
		entries = []entry{w.entries[i]}
	}
	for _, e := range []struct {
		key string
		v   any
	}{{keySplitNo, uint16(no)}, {keySplitCount, uint16(count)}, {keySplitTensors, int32(len(w.tensors))}} {
		v, _ := encodeValue(e.v) // numbers cannot fail
		entries = append(entries, entry{e.key, v})
	}
	return entries
}
