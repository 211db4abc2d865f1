package gguf

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"sync"
)

// File is an open model: its keys, its tensors, and the mapped files with their data. The exported fields are for
// reading. A File may be used by several goroutines, except that Close must not run beside readers of tensor bytes.
type File struct {
	Version   uint32    // 2 or 3
	Metadata  *Metadata // of the first part, where the model is split
	Tensors   []Tensor  // of all parts, in the order of the files
	Alignment int       // of the first part's data, in bytes
	Paths     []string  // one path a part

	index map[string]int // into Tensors

	mutex    sync.RWMutex
	mappings []Mapping // one a part; nil after Close
}

// Open opens a model: a single file, or the first part of a split set ("name-00001-of-00003.gguf"), whose other parts
// it opens too. The files are mapped read-only and checked completely; the tensors' data is not read.
func Open(path string) (*File, error) { return OpenWith(path, OS) }

// OpenWith is [Open] on the given system: [OS], [InMemory], or one for tests.
func OpenWith(path string, system System) (*File, error) {
	mapping, size, err := mapPath(system, path)
	if err != nil {
		return nil, err
	}
	return finish(path, mapping, size, system)
}

// OpenBytes opens a model that is in memory already. The name stands for the path in errors. The bytes are used in
// place and must not change until Close. A split set cannot be opened this way.
func OpenBytes(name string, data []byte) (*File, error) {
	return finish(name, memory(data), int64(len(data)), nil)
}

// finish checks the first part and opens the others. The mapping is given back where it fails.
func finish(path string, mapping Mapping, size int64, system System) (*File, error) {
	f := &File{Paths: []string{path}, mappings: []Mapping{mapping}}
	h, err := readHeader(path, mapping.Bytes(), size)
	if err == nil {
		f.Version, f.Alignment = h.version, h.alignment
		f.Metadata = newMetadata(path, h.entries)
		f.index = make(map[string]int, len(h.tensors))
		err = f.addTensors(h.tensors, 0)
	}
	if err == nil {
		err = f.addParts(system)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// mapPath maps a regular file. The descriptor is closed again: the mapping does not need it.
func mapPath(system System, path string) (mapping Mapping, size int64, err error) {
	info, err := system.Stat(path)
	if err != nil {
		return nil, 0, ioError(path, err)
	}
	// Before opening: to open a pipe would wait for its writer.
	if err := checkRegular(path, info); err != nil {
		return nil, 0, err
	}
	file, err := system.Open(path)
	if err != nil {
		return nil, 0, ioError(path, err)
	}
	mapping, size, err = mapHandle(path, file)
	if closeErr := file.Close(); closeErr != nil && err == nil {
		return nil, 0, errors.Join(ioError(path, closeErr), mapping.Unmap())
	}
	return mapping, size, err
}

func mapHandle(path string, file Handle) (Mapping, int64, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, 0, ioError(path, err)
	}
	if err := checkRegular(path, info); err != nil {
		return nil, 0, err
	}
	mapping, err := file.Map(info.Size())
	if err != nil {
		return nil, 0, ioError(path, err)
	}
	return mapping, info.Size(), nil
}

func checkRegular(path string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return &FormatError{Path: path, Err: ErrNotFile, Found: "a directory", Expected: "a GGUF file"}
	case !info.Mode().IsRegular():
		return &FormatError{Path: path, Err: ErrNotFile, Found: fmt.Sprintf("a special file (%s)", info.Mode()),
			Expected: "a GGUF file"}
	case info.Size() == 0:
		return &FormatError{Path: path, Err: ErrNotGGUF, Found: "an empty file", Expected: "the letters GGUF at the start"}
	}
	return nil
}

// ioError names the file once: errors of package os already carry the path.
func ioError(path string, err error) error {
	var named *fs.PathError
	if errors.As(err, &named) {
		err = fmt.Errorf("%s: %w", named.Op, named.Err)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// readHeader checks the header in the mapped file, copies it, and parses the copy. The copy cannot change under the
// program, and nothing is copied of a file that is refused. A page that another process took away by truncating the
// file becomes an error.
func readHeader(path string, data []byte, size int64) (h header, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		if _, isFault := r.(interface{ Addr() uintptr }); !isFault {
			panic(r)
		}
		h, err = header{}, &FormatError{Path: path, Err: ErrChanged, Found: "fewer bytes than when it was opened"}
	}()
	if h, err = parseHeader(path, data, size); err != nil {
		return header{}, err
	}
	return parseCopy(path, bytes.Clone(data[:h.bytes]), size)
}

// parseCopy parses a header that was sound a moment ago.
func parseCopy(path string, copied []byte, size int64) (header, error) {
	h, err := parseHeader(path, copied, size)
	if err != nil {
		return header{}, &FormatError{Path: path, Err: fmt.Errorf("%w: %w", ErrChanged, err)}
	}
	return h, nil
}

// addTensors takes over the tensors of one part.
func (f *File) addTensors(tensors []Tensor, part int) error {
	if len(f.Tensors)+len(tensors) > maxTensors {
		return &FormatError{Path: f.Paths[part], Err: ErrLimit,
			Found:    fmt.Sprintf("%d tensors in parts 1 to %d", len(f.Tensors)+len(tensors), part+1),
			Expected: fmt.Sprintf("at most %d", maxTensors)}
	}
	for _, t := range tensors {
		if i, twice := f.index[t.Name]; twice {
			return &FormatError{Path: f.Paths[part], Tensor: t.Name, Err: ErrDuplicate,
				Found: "the tensor also in " + f.Paths[f.Tensors[i].Part], Expected: "each tensor in one part"}
		}
		t.Part = part
		f.index[t.Name] = len(f.Tensors)
		f.Tensors = append(f.Tensors, t)
	}
	return nil
}

// Tensor returns the tensor of that name.
func (f *File) Tensor(name string) (*Tensor, bool) {
	i, ok := f.index[name]
	if !ok {
		return nil, false
	}
	return &f.Tensors[i], true
}

// Bytes returns the data of a tensor of this file: the mapped file itself, not a copy, and not to be written to. It is
// invalid after [File.Close]: touching it then ends the program. For a tensor whose range is not inside the file,
// and after Close, Bytes returns nil.
func (f *File) Bytes(t *Tensor) []byte {
	f.mutex.RLock()
	defer f.mutex.RUnlock()
	if !f.holds(t) {
		return nil
	}
	return f.mappings[t.Part].Bytes()[t.Offset : t.Offset+t.Size : t.Offset+t.Size]
}

// Advise tells the system how a tensor's data is about to be used. It is a hint; its failure changes no result.
func (f *File) Advise(t *Tensor, advice Advice) error {
	f.mutex.RLock()
	defer f.mutex.RUnlock()
	if !f.holds(t) {
		return fmt.Errorf("%s: tensor %s: advice on bytes that are not mapped", f.Paths[0], quote(t.Name))
	}
	return f.mappings[t.Part].Advise(t.Offset, t.Size, advice)
}

// holds reports whether a tensor lies inside a mapped part; the mutex is held.
func (f *File) holds(t *Tensor) bool {
	if t.Part < 0 || t.Part >= len(f.mappings) || t.Offset < 0 || t.Size < 0 {
		return false
	}
	size := int64(len(f.mappings[t.Part].Bytes()))
	return t.Offset <= size && t.Size <= size-t.Offset
}

// Close unmaps the files. Slices that Bytes returned are invalid from then on; Metadata and Tensors stay readable. A
// second Close does nothing.
func (f *File) Close() error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	var faults []error
	for i, m := range f.mappings {
		if err := m.Unmap(); err != nil {
			faults = append(faults, ioError(f.Paths[i], fmt.Errorf("unmapping: %w", err)))
		}
	}
	f.mappings = nil
	return errors.Join(faults...)
}
