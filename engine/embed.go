package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/infer-go/infer/engine/arch"
	"github.com/infer-go/infer/kernels"
	"github.com/infer-go/infer/tokenizer"
)

// Errors of what a model was not made or opened for; use errors.Is.
var (
	ErrNotGenerating = errors.New("the model gives vectors of texts: it does not generate")
	ErrNotEmbedding  = errors.New("the model generates: it was not opened for embeddings")
	ErrNotRanking    = errors.New("the model has no classifier that ranks")
)

// EmbedOptions say what vectors are wanted. The zero value normalises and refuses what is too long.
type EmbedOptions struct {
	Raw      bool // vectors as the model gives them, not scaled to length 1
	Truncate bool // a text that is too long loses its end, and its result says so
}

// Embedding is the vector of a text.
type Embedding struct {
	Vector []float32
	Tokens int // computed
	Cut    int // tokens that were left out at the end, where Truncate allowed it
}

// Embed returns the vector of each text, of [Engine.Model]'s Width. Texts are computed together, as many as fit a step, and each
// gives the same bits as it would alone. Special tokens written in a text are text. A text that does not fit is refused
// with [ErrTooLong] before anything is computed.
func (e *Engine) Embed(ctx context.Context, texts []string, o EmbedOptions) ([]Embedding, error) {
	if e.text == nil {
		return nil, fmt.Errorf("%s: %w: give the texts as token ids", e.path, ErrNoVocabulary)
	}
	all := make([][]int32, len(texts))
	for i, text := range texts {
		var err error
		if all[i], err = e.text.tokens.Encode(text, tokenizer.EncodeOptions{AddSpecial: true}); err != nil {
			return nil, fmt.Errorf("text %d: %w", i, err)
		}
	}
	return e.EmbedTokens(ctx, all, o)
}

// EmbedTokens is [Engine.Embed] for texts given as token ids, with the special tokens that belong to them.
func (e *Engine) EmbedTokens(ctx context.Context, texts [][]int32, o EmbedOptions) ([]Embedding, error) {
	if e.model.Pooling == arch.Rank {
		return nil, fmt.Errorf("%s: %w: its classifier gives scores, which Rerank returns", e.path, ErrNotEmbedding)
	}
	inputs := make([]input, len(texts))
	out := make([]Embedding, len(texts))
	for i, ids := range texts {
		if o.Truncate {
			ids, out[i].Cut = e.truncate(ids)
		}
		inputs[i].ids, out[i].Tokens = ids, len(ids)
	}
	err := e.encodeAll(ctx, inputs, func(i int, vector []float32) {
		out[i].Vector = slices.Clone(vector)
		if !o.Raw {
			normalise(out[i].Vector)
		}
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// normalise scales a vector to length 1; one of zeros stays.
func normalise(v []float32) {
	var squares float64
	for _, x := range v {
		squares += float64(x) * float64(x)
	}
	if squares > 0 {
		factor := 1 / math.Sqrt(squares)
		for i, x := range v {
			v[i] = float32(float64(x) * factor)
		}
	}
}

// truncate leaves out what is too long, before the token that ends texts where the vocabulary has one.
func (e *Engine) truncate(ids []int32) (kept []int32, cut int) {
	most := e.longestText()
	if len(ids) <= most {
		return ids, 0
	}
	kept = slices.Clone(ids[:most])
	if t := e.Tokenizer(); t != nil && t.AddsEOS() {
		kept[most-1] = ids[len(ids)-1]
	}
	return kept, len(ids) - most
}

// Pooled returns the model's result for one text, as it is: a vector that is not normalised, or a classifier's scores.
func (e *Engine) Pooled(ctx context.Context, tokens []int32) ([]float32, error) {
	var out []float32
	err := e.encodeAll(ctx, []input{{ids: tokens}}, func(_ int, result []float32) { out = slices.Clone(result) })
	return out, err
}

// States computes a text's tokens and calls use with the state of each, in order: what pooling reads, [Engine.Model]'s
// Dim wide, valid during the call.
func (e *Engine) States(ctx context.Context, tokens []int32, use func(position int, state []float32) error) error {
	if err := e.checkInput(input{ids: tokens}); err != nil {
		return err
	}
	native := e.device.(*kernels.Device) // no other pools
	c := &e.encoder
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for from := 0; from < len(tokens); from += e.options.StepRows {
		n := min(e.options.StepRows, len(tokens)-from)
		c.begin()
		c.add(e, input{ids: tokens}, from, n)
		for i := range n {
			c.batch.Wanted = append(c.batch.Wanted, int32(i))
		}
		err := e.encode1(ctx, func([]float32, int) error {
			for i := range n {
				if err := use(from+i, native.ReadActivation(e.model.Plan.Hidden, i)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// encoder is what computing vectors needs of an engine beside the device: no sequence outlives a step, or for a text longer
// than a step its steps, so pages are numbered from 0 each time.
type encoder struct {
	mutex sync.Mutex // held while the cache's pages hold a text
	batch kernels.Batch
	pages [][]int32 // of each sequence of the batch
	next  int32     // page
}

// input is a text to compute.
type input struct {
	ids   []int32
	types []int32 // nil: all 0
}

// mostTexts of one step; more would need a cache for as many last pages.
const mostTexts = 64

// encoderLimits sizes a plan that gives vectors, and completes the options.
func (e *Engine) encoderLimits() kernels.Limits {
	o, p := &e.options, e.model.Plan
	if o.CacheType == "" {
		o.CacheType = "f32" // no text stays, so there is nothing to save
	}
	for _, op := range p.Ops {
		if op.Kind == kernels.OpEmbed && op.N[0] == 1 { // learned positions end
			e.context = min(e.context, int(p.Tensors[op.In[0]].Rows))
		}
	}
	if o.StepRows == 0 {
		o.StepRows = DefaultStepRows
		if p.Whole {
			o.StepRows = max(o.StepRows, e.context)
		}
	}
	l := kernels.Limits{MaxRows: o.StepRows, MaxWanted: o.StepRows, CacheDType: o.cacheDType()}
	for range p.PageKinds {
		l.Pages = append(l.Pages, (max(e.context, o.StepRows)+kernels.PageTokens-1)/kernels.PageTokens+mostTexts)
	}
	return l
}

// longestText is how many tokens a text can have.
func (e *Engine) longestText() int {
	if e.model.Plan.Whole {
		return min(e.context, e.options.StepRows)
	}
	return e.context
}

func (e *Engine) checkInput(in input) error {
	if e.model.Pooling == arch.NoPooling {
		return fmt.Errorf("%s: %w", e.path, ErrNotEmbedding)
	}
	if err := e.checkTokens(in.ids); err != nil {
		return err
	}
	if most := e.longestText(); len(in.ids) > most {
		return fmt.Errorf("%w: %d tokens, which this model must see in one step, and a step has %d", ErrTooLong, len(in.ids), most)
	}
	return nil
}

// encodeAll computes texts, longest first, and calls use with the index and the result of each, valid during the call.
func (e *Engine) encodeAll(ctx context.Context, inputs []input, use func(i int, result []float32)) error {
	for i, in := range inputs {
		if err := e.checkInput(in); err != nil {
			return fmt.Errorf("text %d: %w", i, err)
		}
	}
	order := make([]int, len(inputs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return len(inputs[b].ids) - len(inputs[a].ids) })
	for len(order) > 0 {
		n, rows := 0, 0
		most := min(e.options.StepRows, max(DefaultStepRows, len(inputs[order[0]].ids))) // more rows are no faster
		for n < len(order) && n < mostTexts && (n == 0 || rows+len(inputs[order[n]].ids) <= most) {
			rows += len(inputs[order[n]].ids)
			n++
		}
		if err := e.encodeStep(ctx, inputs, order[:n], use); err != nil {
			return err
		}
		order = order[n:]
	}
	return nil
}

// encodeStep computes texts that fit a step, or one that takes several.
func (e *Engine) encodeStep(ctx context.Context, inputs []input, chosen []int, use func(i int, result []float32)) error {
	c := &e.encoder
	c.mutex.Lock()
	defer c.mutex.Unlock()
	first, from := inputs[chosen[0]], 0
	for ; len(first.ids)-from > e.options.StepRows; from += e.options.StepRows {
		c.begin()
		c.add(e, first, from, e.options.StepRows)
		if err := e.encode1(ctx, nil); err != nil {
			return err
		}
	}
	c.begin()
	for _, i := range chosen {
		row := len(c.batch.IDs)
		c.add(e, inputs[i], from, len(inputs[i].ids)-from)
		if !e.readsFirst() {
			row = len(c.batch.IDs) - 1
		}
		c.batch.Wanted = append(c.batch.Wanted, int32(row))
	}
	return e.encode1(ctx, func(results []float32, stride int) error {
		for n, i := range chosen {
			use(i, results[n*stride:][:e.model.Width])
		}
		return nil
	})
}

// readsFirst says whether a text's vector comes from its first token, otherwise from its last or from all.
func (e *Engine) readsFirst() bool {
	return e.model.Pooling == arch.CLS || e.model.Pooling == arch.Rank && !e.model.Causal
}

func (c *encoder) begin() {
	b := &c.batch
	b.IDs, b.Positions, b.Sequences, b.Types, b.Wanted = b.IDs[:0], b.Positions[:0], b.Sequences[:0], b.Types[:0], b.Wanted[:0]
	c.pages, c.next = c.pages[:0], 0
}

// add appends n tokens of a text, from one of its positions on, as a sequence.
func (c *encoder) add(e *Engine, in input, from, n int) {
	b := &c.batch
	for i := from; i < from+n; i++ {
		b.IDs, b.Positions, b.Sequences = append(b.IDs, in.ids[i]), append(b.Positions, int32(i)), append(b.Sequences, int32(len(c.pages)))
		if e.model.TokenTypes > 0 {
			var kind int32
			if in.types != nil {
				kind = in.types[i]
			}
			b.Types = append(b.Types, kind)
		}
	}
	var pages []int32
	for i := 0; i < from+n; i += kernels.PageTokens {
		pages = append(pages, c.next)
		c.next++
	}
	c.pages = append(c.pages, pages)
}

// encode1 computes the batch and calls use with its results [wanted][stride].
func (e *Engine) encode1(ctx context.Context, use func(results []float32, stride int) error) error {
	giveBack, err := e.loop.borrow(ctx)
	if err != nil {
		return err
	}
	defer giveBack()
	c := &e.encoder
	b := &c.batch
	b.SequenceCount, b.TablePages, b.Pages = len(c.pages), 0, b.Pages[:0]
	for _, pages := range c.pages {
		b.TablePages = max(b.TablePages, len(pages))
	}
	for range e.model.Plan.PageKinds {
		for _, pages := range c.pages {
			b.Pages = append(b.Pages, pages...)
			for range b.TablePages - len(pages) {
				b.Pages = append(b.Pages, -1)
			}
		}
	}
	results, err := e.runFor(ctx, b)
	if err != nil || use == nil {
		return err
	}
	return use(results, e.device.LogitsStride())
}
