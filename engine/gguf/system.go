package gguf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// System is what opening a model asks of the operating system. Tests put themselves between to make each call fail in
// turn; [OS] and [InMemory] are the real ones.
type System interface {
	// Stat describes the file at a path, links followed.
	Stat(path string) (fs.FileInfo, error)
	// Open opens a regular file for reading.
	Open(path string) (Handle, error)
}

// Handle is an open file.
type Handle interface {
	Stat() (fs.FileInfo, error)
	// Map makes the first size bytes of the file readable in memory. The mapping outlives the handle.
	Map(size int64) (Mapping, error)
	Close() error
}

// Mapping is a file in memory.
type Mapping interface {
	// Bytes returns the bytes, which must not be written to.
	Bytes() []byte
	// Advise tells the system how a range will be used. It is a hint: a system that knows no such hints does nothing.
	Advise(offset, length int64, advice Advice) error
	// Unmap gives the memory back. It is called once; the bytes are gone after it.
	Unmap() error
}

// Advice is a hint about the use of mapped bytes.
type Advice int

const (
	// WillNeed: the bytes are about to be read; start fetching them.
	WillNeed Advice = iota
	// DontNeed: the bytes will not be read soon; their memory may be taken. Reading them again is slow, not wrong.
	DontNeed
	// Sequential: the bytes are about to be read once, in order; read far ahead.
	Sequential
)

// OS maps files read-only and shared: the page cache is the only copy. On systems without a way to map files it is
// the same as [InMemory].
var OS System = osSystem{mapFile}

// InMemory reads files whole into the program's own memory, outside the Go heap where the system allows. It is for file
// systems that cannot map, and for files that may be cut short by others while they are in use.
var InMemory System = osSystem{readFile}

type osSystem struct {
	mapper func(f *os.File, size int64) (Mapping, error)
}

func (osSystem) Stat(path string) (fs.FileInfo, error) { return os.Stat(path) }

func (s osSystem) Open(path string) (Handle, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return osHandle{f, s.mapper}, nil
}

type osHandle struct {
	*os.File
	mapper func(f *os.File, size int64) (Mapping, error)
}

func (h osHandle) Map(size int64) (Mapping, error) {
	if int64(int(size)) != size {
		return nil, fmt.Errorf("%d bytes are more than this machine's addresses reach", size)
	}
	return h.mapper(h.File, size)
}

func readFile(f *os.File, size int64) (Mapping, error) { return readAll(f, size) }

// readAll reads size bytes into memory of their own.
func readAll(from io.ReaderAt, size int64) (Mapping, error) {
	m, err := allocate(size)
	if err != nil {
		return nil, fmt.Errorf("allocating %d bytes: %w", size, err)
	}
	if _, err := io.ReadFull(io.NewSectionReader(from, 0, size), m.Bytes()); err != nil {
		return nil, errors.Join(fmt.Errorf("reading %d bytes: %w", size, err), m.Unmap())
	}
	return m, nil
}

// memory is a Mapping of bytes that belong to the program.
type memory []byte

func (m memory) Bytes() []byte                   { return m }
func (memory) Advise(_, _ int64, _ Advice) error { return nil }
func (memory) Unmap() error                      { return nil }
