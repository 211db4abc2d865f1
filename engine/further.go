package engine

import (
	"time"

	"github.com/infer-go/infer/engine/speculate"
	"github.com/infer-go/infer/kernels"
)

// further asks the model's predictor of further tokens for guesses. A nil one is that of a model without.
//
// Beside the model's own layers every step fills the predictor's: at each position with the token there and the hidden state of the position
// before, which depend on nothing that comes later, so that prefixes are shared with it. Guesses are then one row a sequence: the
// token that was just chosen, with the hidden state that it was chosen from, and after it each guess with the state that the
// predictor made it from.
type further struct {
	device *kernels.Device
	width  int // of hidden states
	vocab  int
	most   int // sequences of one run

	asked  []*branch     // this step
	batch  kernels.Batch // of the predictor
	states []float32     // what it carries, and next will
	run    time.Duration // of the predictor, and
	step   time.Duration // of the model's steps that decode, recently
	took   time.Duration // of the predictor for this step
}

// newFurther is nil where the model's plan has no predictor.
func newFurther(e *Engine) *further {
	d, ok := e.device.(*kernels.Device)
	if !ok || !e.model.Plan.HasPredictor() {
		return nil
	}
	return &further{device: d, width: int(e.model.Plan.Cols(e.model.Plan.Hidden)), vocab: e.model.Vocab,
		most: min(e.options.StepRows, e.maxWanted)}
}

// wantsPredictor says whether a model's predictor is of use: where answers are generated, and may be guessed.
func (o *Options) wantsPredictor() bool { return !o.NoSpeculation && !o.Trace && !o.AllLogits }

// hiddenStates are those of the last rows of a branch that a step computed.
type hiddenStates struct {
	rows  []float32 // [n][width]
	after int       // tokens before which the first one stands
}

// state returns the hidden state after n tokens; nil where it is not known, as behind a prefix that was found.
func (f *further) state(b *branch, n int) []float32 {
	at := (n - b.hidden.after) * f.width
	if n == 0 || at < 0 || at >= len(b.hidden.rows) {
		return nil
	}
	return b.hidden.rows[at:][:f.width]
}

// feed makes a batch of the model fill the predictor's layer, too.
func (f *further) feed(b *kernels.Batch, parts []part) {
	if f == nil {
		return
	}
	b.Part, b.Carry = kernels.PartFeed, b.Carry[:0]
	for i := range parts {
		var state []float32
		if parts[i].branch != nil {
			state = f.state(parts[i].branch, parts[i].sequence.Len())
		}
		b.Carry = f.carry(b.Carry, state)
	}
}

// carry appends a hidden state, zeros for one that is not known: the one guess that depends on it is the worse for it.
func (f *further) carry(to, state []float32) []float32 {
	if state != nil {
		return append(to, state...)
	}
	n := len(to) + f.width
	for len(to) < n {
		to = append(to, 0)
	}
	return to
}

// keep notes the hidden states that a step left for its branches: of the last certain row, and of the guesses behind it. Certain rows have
// been committed.
func (f *further) keep(parts []part) {
	if f == nil {
		return
	}
	row := 0
	for i := range parts {
		p := &parts[i]
		row += len(p.ids)
		h := &p.branch.hidden
		h.rows, h.after = h.rows[:0], p.sequence.Len()
		for at := row - max(1, p.wanted); at < row; at++ {
			h.rows = append(h.rows, f.device.Hidden(at)...)
		}
	}
}

// share gives a branch the states of the one that it was forked from.
func (h *hiddenStates) share(from *hiddenStates) {
	h.rows, h.after = append(h.rows[:0], from.rows...), from.after
}

// begin forgets whom the step before asked for.
func (f *further) begin() {
	if f != nil {
		f.asked, f.took = f.asked[:0], 0
	}
}

// consider asks for guesses in place of those that a branch has, if the predictor's are likelier and pay.
func (f *further) consider(b *branch, cost float64, most int) {
	if f == nil || b.further == nil || len(f.asked) == f.most || f.state(b, b.sequence.Len()) == nil || len(b.guesses.ids) > 0 && b.draft.Likely() >= b.further.Likely() {
		return
	}
	n := b.further.Length(cost, f.share(), most)
	if n == 0 || b.sequence.Reserve(len(b.tokens)+n) != nil { // where memory is short nothing is guessed
		return
	}
	b.guesses.ids, b.guesses.further = b.guesses.ids[:0], n
	f.asked = append(f.asked, b)
}

// share is what the predictor takes for one guess of each sequence, as a share of a step.
func (f *further) share() float64 {
	if f.step == 0 {
		return 0
	}
	return float64(f.run) / float64(f.step)
}

// predict makes the guesses that were asked for: the first ones of all branches in a run of the predictor, then the second ones, and so on.
func (f *further) predict(l *loop) {
	if f == nil || len(f.asked) == 0 {
		return
	}
	f.states = f.states[:0]
	for _, b := range f.asked {
		f.states = append(f.states, f.state(b, b.sequence.Len())...)
	}
	for len(f.asked) > 0 {
		if err := f.pass(l); err != nil {
			for _, b := range f.asked {
				b.guesses = guesses{ids: b.guesses.ids[:0]}
				b.job.stream.fail(err)
			}
			return
		}
	}
}

// pass makes one more guess for each branch, and leaves those that want another.
func (f *further) pass(l *loop) error {
	b := &f.batch
	b.IDs, b.Positions, b.Sequences, b.Wanted = b.IDs[:0], b.Positions[:0], b.Sequences[:0], b.Wanted[:0]
	b.Part, b.Carry, b.SequenceCount = kernels.PartPredict, f.states, len(f.asked)
	l.tables = l.tables[:0]
	for i, asked := range f.asked {
		n, id := len(asked.guesses.ids), asked.tokens[len(asked.tokens)-1]
		if n > 0 {
			id = asked.guesses.ids[n-1]
		}
		b.IDs, b.Positions = append(b.IDs, id), append(b.Positions, int32(asked.sequence.Len()+n))
		b.Sequences, b.Wanted = append(b.Sequences, int32(i)), append(b.Wanted, int32(i))
		l.tables = append(l.tables, asked.sequence)
	}
	l.fillTables(b)
	begin := time.Now()
	logits, err := f.device.Run(b)
	if err != nil {
		return err
	}
	took := time.Since(begin)
	f.took += took
	recently(&f.run, took)
	left, states := f.asked[:0], f.states[:0]
	for i, asked := range f.asked {
		g := &asked.guesses
		g.ids = append(g.ids, largest(logits[i*f.device.LogitsStride():][:f.vocab]))
		if len(g.ids) < g.further {
			left, states = append(left, asked), append(states, f.device.Hidden(i)...)
		}
	}
	f.asked, f.states = left, states
	return nil
}

// decoded notes what a step that only decodes took.
func (f *further) decoded(parts []part, took time.Duration) {
	if f == nil {
		return
	}
	for i := range parts {
		if parts[i].wanted == 0 {
			return
		}
	}
	recently(&f.step, took)
}

// recently follows a time with a mean over about the last eight.
func recently(mean *time.Duration, took time.Duration) {
	if *mean == 0 {
		*mean = took
		return
	}
	*mean += (took - *mean) / 8
}

// largest returns the index of the largest logit; the predictor's need not even be numbers where its layer was never filled.
func largest(logits []float32) int32 {
	best, at := logits[0], 0
	for i, v := range logits {
		if v > best || best != best {
			best, at = v, i
		}
	}
	return int32(at)
}

// newFurtherOdds makes what decides how many tokens the predictor guesses for an answer; nil where nothing is to be guessed.
func (e *Engine) newFurtherOdds(r *Request) *speculate.Further {
	if r.NoSpeculation || e.loop.further == nil {
		return nil
	}
	return speculate.NewFurther()
}
