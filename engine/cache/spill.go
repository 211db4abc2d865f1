package cache

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
)

// ErrDamaged is the error of pages that did not come back from the disk as they went there.
var ErrDamaged = errors.New("a parked page is damaged")

// blob is a page's contents outside of the device.
type blob struct {
	data   []byte // nil: in the file, at offset
	offset int64
	sum    uint32
}

// spill keeps pages in memory and, where that is used up, in one file, whose space is reused page by page.
type spill struct {
	memory, disk int64     // bytes in use
	buffers      [][]byte  // by kind: one buffer, for moving pages
	file         *os.File  // nil until needed
	size         int64     // of the file
	free         [][]int64 // by kind: offsets that can be used again
}

func (p *spill) init(c *Cache) {
	p.buffers, p.free = make([][]byte, len(c.shelves)), make([][]int64, len(c.shelves))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// save writes a page that parked sequences need to memory or disk, before it is given up.
func (c *Cache) save(n *node, s *shelf) error {
	if n.kept(s.index) == 0 || n.pages[s.index] < 0 {
		return nil
	}
	p, o := &c.spill, &c.options
	toDisk := o.ParkBytes > 0 && p.memory+s.bytes > o.ParkBytes
	if toDisk && o.ParkDir == "" {
		return fmt.Errorf("%w: parked pages take %d bytes of memory, the limit is %d, and no folder for them is named", ErrFull, p.memory, o.ParkBytes)
	}
	if toDisk && o.ParkDiskBytes > 0 && p.disk+s.bytes > o.ParkDiskBytes {
		return fmt.Errorf("%w: parked pages take %d bytes on disk, the limit is %d", ErrFull, p.disk, o.ParkDiskBytes)
	}
	var data []byte
	if toDisk {
		data = p.buffer(s)
	} else {
		data = make([]byte, s.bytes)
	}
	if err := c.device.ReadPage(s.index, int(n.pages[s.index]), data); err != nil {
		return fmt.Errorf("parking a page: %w", err)
	}
	b := &blob{sum: crc32.Checksum(data, castagnoli)}
	if toDisk {
		if err := p.write(c.options.ParkDir, s, b, data); err != nil {
			return fmt.Errorf("parking a page: %w", err)
		}
	} else {
		b.data = data
		p.memory += s.bytes
	}
	if n.blobs == nil {
		n.blobs = make([]*blob, len(c.shelves))
	}
	n.blobs[s.index] = b
	c.counts.spilled++
	return nil
}

// buffer is scratch for one page of a kind.
func (p *spill) buffer(s *shelf) []byte {
	if p.buffers[s.index] == nil {
		p.buffers[s.index] = make([]byte, s.bytes)
	}
	return p.buffers[s.index]
}

func (p *spill) write(dir string, s *shelf, b *blob, data []byte) error {
	if p.file == nil {
		f, err := os.CreateTemp(dir, "infer-parked-*")
		if err != nil {
			return err
		}
		_ = os.Remove(f.Name()) // where the system allows it the file is gone with the process; else close removes it
		p.file = f
	}
	b.offset = p.size
	free := p.free[s.index]
	if len(free) > 0 {
		b.offset = free[len(free)-1]
	}
	if _, err := p.file.WriteAt(data, b.offset); err != nil {
		return err
	}
	if len(free) > 0 {
		p.free[s.index] = free[:len(free)-1]
	} else {
		p.size += s.bytes
	}
	p.disk += s.bytes
	return nil
}

// restore writes a parked page into a page of the device.
func (c *Cache) restore(b *blob, s *shelf, page int32) error {
	data := b.data
	if data == nil {
		data = c.spill.buffer(s)
		if _, err := c.spill.file.ReadAt(data, b.offset); err != nil {
			return fmt.Errorf("resuming: %w", err)
		}
	}
	if sum := crc32.Checksum(data, castagnoli); sum != b.sum {
		return fmt.Errorf("resuming: %w: its checksum is %08x, it was %08x", ErrDamaged, sum, b.sum)
	}
	return c.device.WritePage(s.index, int(page), data)
}

// dropBlob forgets what was kept of a page outside of the device.
func (c *Cache) dropBlob(n *node, kind int) {
	if n.blobs == nil || n.blobs[kind] == nil {
		return
	}
	b := n.blobs[kind]
	n.blobs[kind] = nil
	p, bytes := &c.spill, c.shelves[kind].bytes
	if b.data != nil {
		p.memory -= bytes
		return
	}
	p.disk -= bytes
	p.free[kind] = append(p.free[kind], b.offset)
	if p.disk == 0 {
		p.shrink()
	}
}

// shrink gives the file's space back once nothing is in it.
func (p *spill) shrink() {
	if p.file.Truncate(0) != nil {
		return // the space is used again, at least
	}
	p.size = 0
	for i := range p.free {
		p.free[i] = p.free[i][:0]
	}
}

// Close frees what the cache has outside of the device. Sequences must not be used any more.
func (c *Cache) Close() error {
	f := c.spill.file
	if f == nil {
		return nil
	}
	c.spill.file = nil
	err := f.Close()
	_ = os.Remove(f.Name()) // already gone on most systems
	return err
}
