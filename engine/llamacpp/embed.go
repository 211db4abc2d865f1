//go:build llamacpp

package llamacpp

/*
#include "bridge.h"
*/
import "C"

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/infer-go/infer/kernels"
)

// Embed computes a sequence on its own, from position 0, on a device opened with Vectors: one pooled vector where it was opened
// with Pooled, and otherwise each token's state [tokens][VectorDim]. Vectors are as the model gives them, not normalised.
func (d *Device) Embed(ids []int32) ([]float32, error) {
	switch {
	case d.bridge == nil || !d.options.Vectors:
		return nil, fmt.Errorf("embed: %w: the device was not opened for vectors", kernels.ErrInvalid)
	case len(ids) == 0 || len(ids) > d.options.Rows:
		return nil, fmt.Errorf("embed: %w: %d tokens, the device takes 1 to %d", kernels.ErrInvalid, len(ids), d.options.Rows)
	}
	for i, id := range ids {
		if id < 0 || int(id) >= d.info.Vocab {
			return nil, fmt.Errorf("embed: %w: token %d is id %d, the vocabulary has %d", kernels.ErrInvalid, i, id, d.info.Vocab)
		}
	}
	d.cache.release()
	if err := d.cut(0, 0); err != nil {
		return nil, err
	}
	C.bridge_cancel(d.bridge, 0)
	sink.begin()
	d.rows.reset()
	for i, id := range ids {
		d.rows.add(id, int32(i), 0, 1)
	}
	d.cache.sequences[0].tokens = append(d.cache.sequences[0].tokens[:0], ids...)
	values, _, err := d.decode()
	if err != nil {
		return nil, err
	}
	n := len(ids) * d.info.VectorDim
	if d.options.Pooled {
		var text C.struct_bridge_text
		if err := failure("llama.cpp", C.bridge_pooled(d.bridge, 0, &values, &text), &text); err != nil {
			return nil, err
		}
		n = d.info.VectorDim
	}
	return slices.Clone(unsafe.Slice((*float32)(unsafe.Pointer(values)), n)), nil
}
