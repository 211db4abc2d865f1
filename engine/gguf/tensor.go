package gguf

import (
	"fmt"
	"slices"
)

// Tensor describes one tensor of a [File]. Its bytes come from [File.Bytes].
type Tensor struct {
	Name   string
	Type   Type
	Shape  []int64 // GGUF order: Shape[0] is the innermost, the length of a row; Shape[1] counts rows
	Part   int     // the index into File.Paths of the file that holds the data
	Offset int64   // of the data from the start of that file, in bytes
	Size   int64   // in bytes
}

// Elements returns the number of elements: the product of the shape.
func (t *Tensor) Elements() int64 {
	n := int64(1)
	for _, length := range t.Shape {
		n *= length
	}
	return n
}

// Rows returns the number of rows: the product of the shape without its first dimension.
func (t *Tensor) Rows() int64 {
	n := int64(1)
	for _, length := range t.Shape[min(1, len(t.Shape)):] {
		n *= length
	}
	return n
}

// tensors reads the tensor table. Offsets are as in the file, from the start of the data; checkLayout turns them into
// offsets in the file.
func (p *parser) tensors(n int) ([]Tensor, *FormatError) {
	all := make([]Tensor, 0, n)
	seen := make(map[string]struct{}, n)
	lengths := make([]int64, 0, n*2) // one allocation for all shapes, most have one or two dimensions
	for i := range n {
		start := p.at
		name, fault := p.name("tensor", i, maxNameBytes)
		if fault != nil {
			return nil, fault
		}
		if _, twice := seen[name]; twice {
			return nil, p.fault(ErrDuplicate, "the tensor twice", "each tensor once").of("", name).from(start)
		}
		seen[name] = struct{}{}
		t := Tensor{Name: name}
		first := len(lengths)
		if lengths, fault = p.shape(lengths); fault == nil {
			t.Shape = lengths[first:len(lengths):len(lengths)]
			fault = p.placement(&t)
		}
		if fault != nil {
			return nil, fault.of("", name)
		}
		all = append(all, t)
	}
	return all, nil
}

// shape appends the dimensions of one tensor to lengths.
func (p *parser) shape(lengths []int64) ([]int64, *FormatError) {
	start := p.at
	dims, fault := p.uint32("the number of dimensions")
	if fault != nil {
		return lengths, fault
	}
	if dims == 0 || dims > maxDims {
		return lengths, p.fault(ErrShape, fmt.Sprintf("%d dimensions", dims), fmt.Sprintf("1 to %d", maxDims)).from(start)
	}
	for i := range dims {
		n, fault := p.uint64("a dimension")
		if fault != nil {
			return lengths, fault
		}
		if n == 0 || n > 1<<62 {
			return lengths, p.fault(ErrShape, fmt.Sprintf("length %d in dimension %d", n, i), "1 to 2^62")
		}
		lengths = append(lengths, int64(n))
	}
	return lengths, nil
}

// placement reads the type and the offset of a tensor and works out its size.
func (p *parser) placement(t *Tensor) *FormatError {
	start := p.at
	number, fault := p.uint32("the tensor type")
	if fault != nil {
		return fault
	}
	t.Type = Type(number)
	if fault := checkShape(t.Type, t.Shape); fault != nil {
		return fault.from(start)
	}
	t.Size, _ = sizeOf(t.Type, t.Shape)
	offset, fault := p.uint64("the tensor's offset")
	if fault != nil {
		return fault
	}
	if offset > 1<<62 {
		return p.fault(ErrTruncated, fmt.Sprintf("offset %d", offset), "an offset inside the file").from(p.at - 8)
	}
	t.Offset = int64(offset)
	return nil
}

// checkLayout makes the tensors' offsets relative to the file and checks that each lies inside it, on its alignment,
// and apart from the others. size is the file's.
func checkLayout(h *header, size int64) *FormatError {
	start, _ := alignUp(int64(h.bytes), h.alignment) // both are far below 2^62
	for i := range h.tensors {
		t := &h.tensors[i]
		if t.Offset%int64(h.alignment) != 0 {
			return (&FormatError{Err: ErrAlignment, Found: fmt.Sprintf("offset %d", t.Offset),
				Expected: fmt.Sprintf("a multiple of %d", h.alignment)}).of("", t.Name)
		}
		// start and Offset are at most 2^62, so that their sum fits; the end need not.
		t.Offset += start
		if t.Offset > size || t.Size > size-t.Offset {
			return (&FormatError{Err: ErrTruncated, Found: fmt.Sprintf("a file of %d bytes", size),
				Expected: fmt.Sprintf("%d bytes from byte %d: is the download complete?", t.Size, t.Offset)}).of("", t.Name)
		}
	}
	return checkOverlap(h.tensors)
}

func checkOverlap(tensors []Tensor) *FormatError {
	byOffset := make([]int32, len(tensors))
	for i := range byOffset {
		byOffset[i] = int32(i)
	}
	slices.SortFunc(byOffset, func(a, b int32) int {
		return int(min(max(tensors[a].Offset-tensors[b].Offset, -1), 1))
	})
	for i := 1; i < len(byOffset); i++ {
		before, t := &tensors[byOffset[i-1]], &tensors[byOffset[i]]
		if t.Offset < before.Offset+before.Size {
			return (&FormatError{Err: ErrOverlap, Offset: t.Offset,
				Found: fmt.Sprintf("data from byte %d to %d, which shares bytes with tensor %s from byte %d to %d",
					t.Offset, t.Offset+t.Size, quote(before.Name), before.Offset, before.Offset+before.Size),
				Expected: "data of its own"}).of("", t.Name)
		}
	}
	return nil
}
