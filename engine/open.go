package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/infer-go/infer/engine/arch"
	"github.com/infer-go/infer/engine/cache"
	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/kernels"
)

// Default sizes.
const (
	DefaultContext   = 8192 // tokens, or the model's own length where that is shorter
	DefaultStepRows  = 512  // tokens computed in one step of a prefill
	DefaultSequences = 4
)

// Options say how a model is opened. The zero value is a good default.
type Options struct {
	Context   int    // tokens a sequence can have; 0: the model's own length, at most DefaultContext
	Sequences int    // sequences of full length that the cache has room for; 0: DefaultSequences
	Threads   int    // 0: one a core
	Variant   string // instruction set ("avx512", "avx2", "ref"); empty: $INFER_CPU, else the best
	CacheType string // "f16" or "f32"; empty: f16, for embeddings f32
	NoRepack  bool   // use the weights as they lie in the file: less memory, slower
	StepRows  int    // tokens of a step; 0: DefaultStepRows, or the context of a model that must see a text whole
	AllLogits bool   // reserve memory for the logits of every row of a step, as Logits and Perplexity need
	Trace     bool   // keep what every op of a step computed, as Trace needs

	Backend string       // BackendNative or BackendLlamaCPP; empty: native where the architecture is, else llama.cpp where the build has it
	Log     *slog.Logger // of what llama.cpp says; nil: dropped

	// Pooling opens a model for Embed: "mean", "cls" or "last" pooling instead of the file's. "none" opens one for Generate whose
	// file names a pooling. Empty: what the file says.
	Pooling string

	PreTokenizer string // names the pre-tokenizer of a file whose own is unknown
	Template     string // names a built-in chat template, or holds one; empty: the file's

	System  gguf.System // how files are opened; nil: gguf.OS
	FailNth int64       // tests: the n-th allocation inside the device fails
}

// Engine is an open model. Its methods may be called from several goroutines; their steps take turns.
type Engine struct {
	file    *gguf.File
	model   *arch.Model
	device  device
	backend string
	options Options
	context int
	text    *text // nil for a file without a vocabulary
	encoder encoder

	observer *observer // of a traced foreign device, else nil

	path, description, variant, quantization string
	threads                                  int
	loadTime                                 time.Duration

	slots  chan struct{} // one a sequence in use
	mutex  sync.Mutex    // held for a step, and by whoever touches the pools
	pools  []*cache.Pool
	batch  kernels.Batch
	closed bool
	active sync.WaitGroup
}

// Open opens the model in a GGUF file (or the first part of a split set), reserves all memory that its steps need, and
// interleaves the weights. Errors name the file and what is wrong with it.
func Open(path string, o Options) (*Engine, error) {
	if o.System == nil {
		o.System = gguf.OS
	}
	start := time.Now()
	file, err := gguf.OpenWith(path, o.System)
	if err != nil {
		return nil, err
	}
	e := &Engine{file: file, options: o, path: file.Paths[0], quantization: Quantization(file)}
	if err := e.open(); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	e.description, e.variant, e.threads = e.device.Describe(), e.device.Variant(), e.device.Threads()
	e.loadTime = time.Since(start)
	return e, nil
}

func (e *Engine) open() error {
	o := &e.options
	if err := o.check(); err != nil {
		return err
	}
	var err error
	if e.backend, err = o.backend(e.file); err != nil {
		return err
	}
	if e.backend == BackendLlamaCPP {
		return e.openForeign()
	}
	model, err := arch.Record(e.file, arch.Options{Context: o.Context, DefaultContext: DefaultContext, Pooling: arch.Pooling(o.Pooling)})
	if err != nil {
		return hintForeign(err)
	}
	e.model = model
	e.context = o.Context
	if e.context == 0 {
		e.context = DefaultContext
		if model.ContextLength > 0 {
			e.context = min(e.context, model.ContextLength)
		}
	}
	limits := e.limits()
	if err := model.Plan.Finish(limits); err != nil {
		return fmt.Errorf("%s: %w", e.file.Paths[0], err)
	}
	if e.text, err = newText(e.file, model.Vocab, o); err != nil {
		return err
	}
	for _, n := range limits.Pages {
		e.pools = append(e.pools, cache.NewPool(n))
	}
	e.slots = make(chan struct{}, o.Sequences)
	return e.openDevice()
}

func (o *Options) check() error {
	if o.Sequences == 0 {
		o.Sequences = DefaultSequences
	}
	switch {
	case o.CacheType != "" && o.CacheType != "f16" && o.CacheType != "f32":
		return fmt.Errorf("cache type %q: expected f16 or f32", o.CacheType)
	case o.Context < 0 || o.Context > 1<<26:
		return fmt.Errorf("context of %d tokens: expected 1 to %d, or 0 for the model's own", o.Context, 1<<26)
	case o.StepRows < 0 || o.StepRows > 1<<16:
		return fmt.Errorf("step of %d tokens: expected 1 to %d", o.StepRows, 1<<16)
	case o.Sequences < 0 || o.Sequences > 1<<16:
		return fmt.Errorf("%d sequences: expected 1 to %d", o.Sequences, 1<<16)
	}
	return nil
}

// complete sets what was left open for a model that generates.
func (o *Options) complete() {
	if o.CacheType == "" {
		o.CacheType = "f16"
	}
	if o.StepRows == 0 {
		o.StepRows = DefaultStepRows
	}
}

// limits sizes the plan: full tables for every sequence, of windowed layers only what their window and a step cover.
func (e *Engine) limits() kernels.Limits {
	o := &e.options
	if e.model.Pooling != arch.NoPooling {
		return e.encoderLimits()
	}
	o.complete()
	l := kernels.Limits{KeepActivations: o.Trace, MaxRows: o.StepRows, MaxWanted: min(o.StepRows, max(o.Sequences, scoreRows)), CacheDType: kernels.F16}
	if o.AllLogits {
		l.MaxWanted = o.StepRows
	}
	if o.CacheType == "f32" {
		l.CacheDType = kernels.F32
	}
	for _, k := range e.model.Plan.PageKinds {
		pages := (e.context + kernels.PageTokens - 1) / kernels.PageTokens
		if k.Window > 0 {
			pages = min(pages, (k.Window+o.StepRows)/kernels.PageTokens+2)
		}
		l.Pages = append(l.Pages, pages*o.Sequences)
	}
	return l
}

func (e *Engine) openDevice() error {
	o := &e.options
	device, err := kernels.OpenCPU(kernels.DeviceOptions{Threads: o.Threads, Repack: !o.NoRepack, Variant: o.Variant, FailNth: o.FailNth})
	if err != nil {
		return err
	}
	e.device = device
	parts := make([][]byte, len(e.file.Paths))
	for i := range parts {
		parts[i] = e.file.Part(i)
	}
	if err := device.Prepare(e.model.Plan, parts); err != nil {
		return fmt.Errorf("%s: %w", e.file.Paths[0], err)
	}
	return nil
}

// Close waits for running requests, which end with [ErrClosed] at their next step, and frees everything. It is idempotent.
func (e *Engine) Close() error {
	e.mutex.Lock()
	e.closed = true
	e.mutex.Unlock()
	e.active.Wait()
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.device != nil {
		e.device.Close()
		e.device = nil
	}
	if e.file == nil {
		return nil
	}
	err := e.file.Close()
	e.file = nil
	return err
}

// enter registers a request; leave must be called where it returns nil.
func (e *Engine) enter() error {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.closed {
		return ErrClosed
	}
	e.active.Add(1)
	return nil
}

func (e *Engine) leave() { e.active.Done() }
