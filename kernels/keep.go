package kernels

/*
#include "kernels.h"
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// KeepMost is how many logits of a row can be returned in its place.
const KeepMost = C.INFER_KEEP_MOST

// Kept is a logit that was returned in place of a row; it mirrors struct infer_kept.
type Kept struct {
	Logit float32
	ID    int32
}

var _ [unsafe.Sizeof(Kept{})]byte = [C.sizeof_struct_infer_kept]byte{}

// keptRows are what the last run kept, in the device's memory.
type keptRows struct {
	data   []Kept
	stride int
}

// Selects says whether a batch's Keep is heeded. Where it is, the rows' logits need not leave the device.
func (d *Device) Selects() bool { return d.backend.selects != 0 }

// Kept returns what the last run kept of wanted row w: the largest logits, equal ones by ascending id, then those of Also in its order.
// Where the row has a NaN or positive infinity the first of these comes first. It is valid until the next Run or Close.
func (d *Device) Kept(w, n int) []Kept { return d.kept.data[w*d.kept.stride:][:n] }

func keptOf(r *C.struct_infer_result, b *Batch) keptRows {
	if r.kept == nil || len(b.Keep) == 0 {
		return keptRows{}
	}
	stride := int(r.kept_stride)
	return keptRows{unsafe.Slice((*Kept)(unsafe.Pointer(r.kept)), len(b.Wanted)*stride), stride}
}

// checkKeep makes sure that what is to be kept exists and has room.
func (d *Device) checkKeep(b *Batch) error {
	if len(b.Keep) == 0 {
		return nil
	}
	logits, _ := d.plan.results(b.Part)
	if !d.Selects() || len(b.Keep) != len(b.Wanted) || len(b.AlsoFirst) != len(b.Wanted)+1 || b.AlsoFirst[0] != 0 || int(b.AlsoFirst[len(b.Wanted)]) != len(b.Also) {
		return fmt.Errorf("run: %w: %d numbers of logits to keep and %d ends of ids for %d wanted rows, on %s", ErrInvalid, len(b.Keep), len(b.AlsoFirst), len(b.Wanted), d.Backend())
	}
	vocab := d.plan.Cols(logits)
	for w, keep := range b.Keep {
		also := b.AlsoFirst[w+1] - b.AlsoFirst[w]
		if keep < 0 || also < 0 || int64(keep) > vocab || keep+also > KeepMost {
			return fmt.Errorf("run: %w: wanted row %d keeps %d logits and %d more of %d; at most %d can be kept", ErrInvalid, w, keep, also, vocab, KeepMost)
		}
	}
	for _, id := range b.Also {
		if id < 0 || int64(id) >= vocab {
			return fmt.Errorf("run: %w: the logit of token %d is to be kept, the vocabulary has %d", ErrInvalid, id, vocab)
		}
	}
	return nil
}
