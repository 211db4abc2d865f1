package kernels

/*
#include "kernels.h"
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// Part is which part of a plan with a predictor a run computes.
type Part int32

// The parts.
const (
	PartModel   Part = C.INFER_PART_MODEL   // the model alone
	PartFeed    Part = C.INFER_PART_FEED    // the model, then the predictor's feed of the same rows: a row's token with the hidden state of the row before it
	PartPredict Part = C.INFER_PART_PREDICT // feed and predictor of one row a sequence, each with the hidden state that the batch carries
)

// Predictor is a block behind a model that predicts a token further than the model (multi-token prediction): from the hidden state of a token
// and the token after it, the one after that. It has a cache layer of its own, which its feed fills.
type Predictor struct {
	Feed, First    int // the first op of the feed, and of the rest; both 0 where the plan has none
	Logits, Hidden Ref // results: WANTED rows, and BATCH rows that can be carried into the next run of the predictor
}

// HasPredictor says whether the plan has a predictor.
func (p *Plan) HasPredictor() bool { return p.Predictor.Feed > 0 }

// Previous begins a predictor: the hidden states of the rows before, SetHidden's. Result: the shape of those.
func (p *Plan) Previous() Ref {
	t, ok := p.activationOf("a predictor's input", p.Hidden)
	if !ok {
		return None
	}
	if t.RowsKind != RowsBatch || p.HasPredictor() || len(p.Ops) == 0 {
		p.Fail("op %d: a predictor needs a hidden state of each row, and the plan has one predictor at most", len(p.Ops))
		return None
	}
	p.Predictor.Feed = len(p.Ops)
	out := p.activation(RowsBatch, t.Cols)
	p.op(OpPrevious, out, p.Hidden)
	return out
}

// SetPredictor marks the predictor's results: [wanted, vocab], and the state [tokens, dim] that takes the hidden state's place when the predictor goes on
// from its own guess. Of the ops since Previous those that the predictor's cache layer depends on come first: they are its feed.
func (p *Plan) SetPredictor(logits, hidden Ref) {
	l, ok := p.activationOf("a predictor's logits", logits)
	h, ok2 := p.activationOf("a predictor's state", hidden)
	if !ok || !ok2 {
		return
	}
	if !p.HasPredictor() || l.RowsKind != RowsWanted || h.RowsKind != RowsBatch || h.Cols != p.Cols(p.Hidden) || l.Cols != p.Cols(p.Logits) {
		p.Fail("op %d: a predictor of %d logits and a state of %d, the model has %d and %d", len(p.Ops), l.Cols, h.Cols, p.Cols(p.Logits), p.Cols(p.Hidden))
		return
	}
	p.Predictor.Logits, p.Predictor.Hidden = logits, hidden
	feed, rest := p.splitPredictor(p.Ops[p.Predictor.Feed:])
	p.Predictor.First = p.Predictor.Feed + len(feed)
	p.Ops = append(append(p.Ops[:p.Predictor.Feed:p.Predictor.Feed], feed...), rest...)
	if len(feed) == 0 || len(rest) == 0 {
		p.Fail("op %d: a predictor without a cache layer", len(p.Ops))
	}
}

// splitPredictor parts a predictor's ops into those that a store depends on, and the others; both keep their order.
func (p *Plan) splitPredictor(ops []Op) (feed, rest []Op) {
	needed, chosen := map[Ref]bool{}, make([]bool, len(ops))
	for i := len(ops) - 1; i >= 0; i-- {
		o := ops[i]
		chosen[i] = o.Kind == OpStore || o.Out != None && needed[p.Tensors[o.Out].Base] || o.Out2 != None && needed[p.Tensors[o.Out2].Base]
		for _, r := range o.In {
			if chosen[i] && r != None {
				needed[p.Tensors[r].Base] = true
			}
		}
	}
	for i, o := range ops {
		if chosen[i] {
			feed = append(feed, o)
		} else {
			rest = append(rest, o)
		}
	}
	return feed, rest
}

// feedOp and predictOp are the ops at which the parts begin; behind all where there are none.
func (p *Plan) feedOp() int {
	if p.HasPredictor() {
		return p.Predictor.Feed
	}
	return len(p.Ops)
}

func (p *Plan) predictOp() int {
	if p.HasPredictor() {
		return p.Predictor.First
	}
	return len(p.Ops)
}

// Model returns the model's own ops, without a predictor's.
func (p *Plan) Model() []Op { return p.Ops[:p.feedOp()] }

// results returns the tensors that running a part gives.
func (p *Plan) results(part Part) (logits, hidden Ref) {
	if part == PartPredict {
		return p.Predictor.Logits, p.Predictor.Hidden
	}
	return p.Logits, p.Hidden
}

// hiddenRows are the hidden states of the last run, in the device's memory.
type hiddenRows struct {
	data         []float32
	stride, cols int
}

func (d *Device) hiddenOf(at unsafe.Pointer, states Ref, rows int) hiddenRows {
	if at == nil || states == None {
		return hiddenRows{}
	}
	t := d.plan.Tensors[states]
	stride := int(t.Stride / 4)
	return hiddenRows{unsafe.Slice((*float32)(at), (rows-1)*stride+int(t.Cols)), stride, int(t.Cols)}
}

// Hidden returns the hidden state of a row of the last batch, of a plan with a predictor; it is valid until the next Run or Close. After a run
// of the predictor it is the state that the predictor goes on from.
func (d *Device) Hidden(row int) []float32 {
	h := d.hidden
	return h.data[row*h.stride:][:h.cols]
}

// checkPart makes sure that the part exists, and that what its rows carry is there.
func (d *Device) checkPart(b *Batch) error {
	p := d.plan
	if b.Part < PartModel || b.Part > PartPredict || b.Part != PartModel && !p.HasPredictor() {
		return fmt.Errorf("run: %w: part %d of a plan whose predictor is at op %d", ErrInvalid, b.Part, p.Predictor.Feed)
	}
	if want := int64(b.SequenceCount) * p.Cols(p.Hidden); len(b.Carry) > 0 && (b.Part == PartModel || int64(len(b.Carry)) != want) {
		return fmt.Errorf("run: %w: %d carried numbers for %d sequences of a hidden state of %d, part %d", ErrInvalid, len(b.Carry), b.SequenceCount, p.Cols(p.Hidden), b.Part)
	}
	if b.Part != PartPredict {
		return nil
	}
	for i := 1; i < len(b.Sequences); i++ {
		if b.Sequences[i] == b.Sequences[i-1] {
			return fmt.Errorf("run: %w: row %d is a second one of sequence %d; a predictor takes one", ErrInvalid, i, b.Sequences[i])
		}
	}
	return nil
}
