//go:build linux || darwin

package gguf

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mapped is a file mapped read-only and shared.
type mapped []byte

func mapFile(f *os.File, size int64) (Mapping, error) {
	data, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping %d bytes: %w", size, err)
	}
	return mapped(data), nil
}

// allocate takes anonymous memory: a model that does not fit gives an error here, where the Go heap would end the
// program, and Unmap returns the memory at once.
func allocate(size int64) (Mapping, error) {
	data, err := unix.Mmap(-1, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	return anonymous{data}, err
}

// anonymous is memory without a file behind it: advice to drop pages would lose their content.
type anonymous struct{ mapped }

func (anonymous) Advise(_, _ int64, _ Advice) error { return nil }

func (m mapped) Bytes() []byte { return m }

// Advise widens the range to whole pages, except for DontNeed, where pages shared with a neighbour stay.
func (m mapped) Advise(offset, length int64, advice Advice) error {
	page := int64(os.Getpagesize())
	first, last := offset&^(page-1), min((offset+length+page-1)&^(page-1), int64(len(m)))
	hint := unix.MADV_WILLNEED
	switch advice {
	case Sequential:
		hint = unix.MADV_SEQUENTIAL
	case DontNeed:
		hint = unix.MADV_DONTNEED
		first, last = (offset+page-1)&^(page-1), (offset+length)&^(page-1)
	}
	if first >= last {
		return nil
	}
	if err := unix.Madvise(m[first:last], hint); err != nil {
		return fmt.Errorf("advising on %d mapped bytes: %w", last-first, err)
	}
	return nil
}

func isMapped(m Mapping) bool { _, ok := m.(mapped); return ok }

func (m mapped) Unmap() error { return unix.Munmap(m) }
