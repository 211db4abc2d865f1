//go:build llamacpp

package llamacpp

/*
#include "bridge.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/infer-go/infer/kernels"
)

// rows are what one call of the library takes; the slices are reused.
type rows struct {
	ids, positions, sequences []int32
	wanted                    []int8
}

func (r *rows) reset() {
	r.ids, r.positions, r.sequences, r.wanted = r.ids[:0], r.positions[:0], r.sequences[:0], r.wanted[:0]
}

func (r *rows) add(id, position, sequence int32, wanted int8) {
	r.ids, r.positions = append(r.ids, id), append(r.positions, position)
	r.sequences, r.wanted = append(r.sequences, sequence), append(r.wanted, wanted)
}

// span is one sequence's part of a batch.
type span struct{ from, to int } // rows

// Run computes a step and returns the wanted rows' logits [wanted][vocab], valid until the next Run or Close. Of pages, kind 0 alone
// is used, and no page before a row's own may have been given back.
func (d *Device) Run(b *kernels.Batch) ([]float32, error) {
	spans, err := d.checkBatch(b)
	if err != nil {
		return nil, err
	}
	C.bridge_cancel(d.bridge, 0)
	sink.begin()
	slots, err := d.place(b, spans)
	if err != nil {
		return nil, err
	}
	d.rows.reset()
	for i, s := range spans {
		for r := s.from; r < s.to; r++ {
			d.rows.add(b.IDs[r], b.Positions[r], int32(slots[i]), 0)
		}
	}
	for _, r := range b.Wanted {
		d.rows.wanted[r] = 1
	}
	values, err := d.compute(slots)
	if err != nil {
		return nil, errors.Join(err, d.restore(b, spans, slots))
	}
	for i, s := range spans {
		d.commit(b, s, slots[i])
	}
	if values == nil || len(b.Wanted) == 0 {
		return nil, nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(values)), len(b.Wanted)*d.LogitsStride()), nil
}

// checkBatch makes sure that the library can compute the batch, and splits it into sequences.
func (d *Device) checkBatch(b *kernels.Batch) ([]span, error) {
	n := len(b.IDs)
	switch {
	case d.bridge == nil:
		return nil, fmt.Errorf("run: %w: the device is closed", kernels.ErrInvalid)
	case n == 0 || n > d.options.Rows || n > len(d.pages)*kernels.PageTokens || len(b.Positions) != n || len(b.Sequences) != n || len(b.Wanted) > n:
		return nil, fmt.Errorf("run: %w: %d ids, %d positions, %d sequences, %d wanted; the device takes 1 to %d rows", kernels.ErrInvalid, n,
			len(b.Positions), len(b.Sequences), len(b.Wanted), min(d.options.Rows, len(d.pages)*kernels.PageTokens))
	case b.SequenceCount < 1 || b.SequenceCount > d.options.Sequences:
		return nil, fmt.Errorf("run: %w: %d sequences, the device was opened for %d", kernels.ErrInvalid, b.SequenceCount, d.options.Sequences)
	case b.TablePages < 0 || len(b.Pages) != b.SequenceCount*b.TablePages:
		return nil, fmt.Errorf("run: %w: %d page numbers, expected %d sequences x %d", kernels.ErrInvalid, len(b.Pages), b.SequenceCount, b.TablePages)
	}
	for i, w := range b.Wanted {
		if w < 0 || int(w) >= n || i > 0 && w <= b.Wanted[i-1] {
			return nil, fmt.Errorf("run: %w: wanted row %d of %d", kernels.ErrInvalid, w, n)
		}
	}
	var spans []span
	seen := make([]bool, b.SequenceCount)
	for i := range n {
		seq, pos := b.Sequences[i], b.Positions[i]
		if seq < 0 || int(seq) >= b.SequenceCount || pos < 0 || int(pos)/kernels.PageTokens >= b.TablePages || b.IDs[i] < 0 || int(b.IDs[i]) >= d.info.Vocab {
			return nil, fmt.Errorf("run: %w: row %d is id %d of %d at position %d of sequence %d; there are %d sequences of %d pages", kernels.ErrInvalid, i,
				b.IDs[i], d.info.Vocab, pos, seq, b.SequenceCount, b.TablePages)
		}
		if i > 0 && b.Sequences[i-1] == seq {
			if pos != b.Positions[i-1]+1 {
				return nil, fmt.Errorf("run: %w: row %d is position %d after position %d", kernels.ErrInvalid, i, pos, b.Positions[i-1])
			}
			spans[len(spans)-1].to = i + 1
			continue
		}
		if seen[seq] {
			return nil, fmt.Errorf("run: %w: the rows of sequence %d are apart", kernels.ErrInvalid, seq)
		}
		seen[seq] = true
		spans = append(spans, span{i, i + 1})
	}
	return spans, d.checkPages(b, spans)
}

func (d *Device) checkPages(b *kernels.Batch, spans []span) error {
	for _, s := range spans {
		seq := int(b.Sequences[s.from])
		for j := 0; j <= int(b.Positions[s.to-1])/kernels.PageTokens; j++ {
			if page := b.Pages[seq*b.TablePages+j]; page < 0 || int(page) >= len(d.pages) {
				return fmt.Errorf("run: %w: page %d of sequence %d is %d of %d", kernels.ErrInvalid, j, seq, page, len(d.pages))
			}
		}
	}
	return nil
}

// tokensBefore gathers the tokens of a sequence before its first row, from its pages; valid until the next call.
func (d *Device) tokensBefore(b *kernels.Batch, s span) []int32 {
	n, table := int(b.Positions[s.from]), b.Pages[int(b.Sequences[s.from])*b.TablePages:]
	d.history = d.history[:0]
	for i := 0; len(d.history) < n; i++ {
		d.history = append(d.history, d.pages[table[i]][:min(kernels.PageTokens, n-len(d.history))]...)
	}
	return d.history
}

// place finds a sequence of libllama's cache for each of the batch's, which then holds all its tokens before the batch.
func (d *Device) place(b *kernels.Batch, spans []span) ([]int, error) {
	d.cache.release()
	slots := make([]int, len(spans))
	for i, s := range spans {
		if slots[i] = d.cache.exact(d.tokensBefore(b, s)); slots[i] >= 0 {
			d.cache.take(slots[i])
		}
	}
	for i, s := range spans {
		if slots[i] >= 0 {
			continue
		}
		slot, err := d.adopt(d.tokensBefore(b, s))
		if err != nil {
			return nil, err
		}
		slots[i] = slot
	}
	return slots, nil
}

// adopt makes a sequence hold exactly the tokens: by copying, cutting, and computing what is missing.
func (d *Device) adopt(tokens []int32) (int, error) {
	source, shared := d.cache.longest(tokens)
	slot := d.cache.victim()
	if slot < 0 {
		return 0, fmt.Errorf("run: %w: no sequence of %d is free", kernels.ErrInvalid, len(d.cache.sequences))
	}
	d.cache.take(slot)
	target := &d.cache.sequences[slot]
	var text C.struct_bridge_text
	if shared > 0 && slot != source {
		if err := failure("copy", C.bridge_copy(d.bridge, C.int32_t(source), C.int32_t(slot), &text), &text); err != nil {
			return 0, err
		}
		target.tokens = append(target.tokens[:0], d.cache.sequences[source].tokens...)
	}
	if err := d.cut(slot, shared); err != nil {
		return 0, err
	}
	missing := tokens[len(target.tokens):]
	for len(missing) > 0 {
		n := min(len(missing), d.options.Rows)
		d.rows.reset()
		for i, id := range missing[:n] {
			d.rows.add(id, int32(len(target.tokens)+i), int32(slot), 0)
		}
		if _, err := d.compute([]int{slot}); err != nil {
			return 0, errors.Join(err, d.cut(slot, 0))
		}
		target.tokens = append(target.tokens, missing[:n]...)
		missing = missing[n:]
	}
	return slot, nil
}

// cut shortens a sequence to its first n tokens, or to none where the model cannot.
func (d *Device) cut(slot, n int) error {
	c := &d.cache.sequences[slot]
	if len(c.tokens) == n {
		return nil
	}
	var kept C.int32_t
	var text C.struct_bridge_text
	err := failure("cut", C.bridge_cut(d.bridge, C.int32_t(slot), C.int32_t(n), &kept, &text), &text)
	if err != nil {
		kept = 0
	}
	c.tokens = c.tokens[:kept]
	return err
}

// compute hands the gathered rows to the library. Where its cache is full it forgets what no sequence of the batch needs.
func (d *Device) compute(slots []int) (*C.float, error) {
	values, status, err := d.decode()
	if status != C.BRIDGE_MEMORY {
		return values, err
	}
	forgotten := false
	for i := range d.cache.sequences {
		c := &d.cache.sequences[i]
		if !c.taken && len(c.tokens) > 0 {
			if err := d.cut(i, 0); err != nil {
				return nil, err
			}
			forgotten = true
		}
	}
	if !forgotten {
		return nil, err
	}
	values, _, err = d.decode()
	return values, err
}

func (d *Device) decode() (*C.float, C.int, error) {
	r := &d.rows
	var values *C.float
	var text C.struct_bridge_text
	status := C.bridge_decode(d.bridge, (*C.int32_t)(&r.ids[0]), (*C.int32_t)(&r.positions[0]), (*C.int32_t)(&r.sequences[0]), (*C.int8_t)(&r.wanted[0]),
		C.int32_t(len(r.ids)), &values, &text)
	return values, status, failure("llama.cpp", status, &text)
}

// commit notes what a sequence holds after the batch, in its pages and in the mirror of the cache.
func (d *Device) commit(b *kernels.Batch, s span, slot int) {
	table := b.Pages[int(b.Sequences[s.from])*b.TablePages:]
	for r := s.from; r < s.to; r++ {
		p := int(b.Positions[r])
		d.pages[table[p/kernels.PageTokens]][p%kernels.PageTokens] = b.IDs[r]
	}
	d.cache.sequences[slot].tokens = append(d.cache.sequences[slot].tokens, b.IDs[s.from:s.to]...)
}

// restore undoes what an abandoned batch may have left in the cache.
func (d *Device) restore(b *kernels.Batch, spans []span, slots []int) error {
	var all error
	for i, s := range spans {
		c := &d.cache.sequences[slots[i]]
		n := len(c.tokens)
		c.tokens = append(c.tokens, b.IDs[s.from:s.to]...) // part of them may be there: cut whatever is
		if err := d.cut(slots[i], n); err != nil && !errors.Is(err, ErrBroken) {
			all = errors.Join(all, err)
		}
	}
	return all
}
