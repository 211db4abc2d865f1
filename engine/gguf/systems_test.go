package gguf

import (
	"errors"
	"io/fs"
	"testing/fstest"
)

// files is a System of files in memory.
type files map[string][]byte

func (s files) open(path string) (fs.File, error) {
	data, ok := s[path]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return fstest.MapFS{"file": {Data: data}}.Open("file")
}

func (s files) Stat(path string) (fs.FileInfo, error) {
	f, err := s.open(path)
	if err != nil {
		return nil, err
	}
	return f.Stat()
}

func (s files) Open(path string) (Handle, error) {
	f, err := s.open(path)
	if err != nil {
		return nil, err
	}
	return fileHandle{f, s[path]}, nil
}

type fileHandle struct {
	fs.File
	data []byte
}

func (h fileHandle) Map(size int64) (Mapping, error) { return memory(h.data[:size]), nil }

var errInjected = errors.New("injected fault")

// faulty is a System that makes one call fail and counts what is open and mapped.
type faulty struct {
	System
	failAt  int // the call to fail, from 1; 0 for none
	calls   int
	handles int // open now
	maps    int // mapped now
}

func (s *faulty) fault() error {
	if s.calls++; s.calls == s.failAt {
		return errInjected
	}
	return nil
}

func (s *faulty) Stat(path string) (fs.FileInfo, error) {
	if err := s.fault(); err != nil {
		return nil, err
	}
	return s.System.Stat(path)
}

func (s *faulty) Open(path string) (Handle, error) {
	if err := s.fault(); err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	h, err := s.System.Open(path)
	if err == nil {
		s.handles++
	}
	return &faultyHandle{h, s}, err
}

type faultyHandle struct {
	Handle
	s *faulty
}

func (h *faultyHandle) Stat() (fs.FileInfo, error) {
	if err := h.s.fault(); err != nil {
		return nil, err
	}
	return h.Handle.Stat()
}

func (h *faultyHandle) Map(size int64) (Mapping, error) {
	if err := h.s.fault(); err != nil {
		return nil, err
	}
	m, err := h.Handle.Map(size)
	if err == nil {
		h.s.maps++
	}
	return &faultyMapping{m, h.s}, err
}

// Close closes in any case, as the system does, and may report a fault.
func (h *faultyHandle) Close() error {
	h.s.handles--
	return errors.Join(h.s.fault(), h.Handle.Close())
}

type faultyMapping struct {
	Mapping
	s *faulty
}

func (m *faultyMapping) Unmap() error {
	m.s.maps--
	return errors.Join(m.s.fault(), m.Mapping.Unmap())
}
