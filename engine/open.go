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
	"github.com/infer-go/infer/internal/topology"
	"github.com/infer-go/infer/kernels"
)

// Default sizes.
const (
	DefaultContext   = 8192 // tokens, or the model's own length where that is shorter
	DefaultStepRows  = 512  // tokens computed in one step of a prefill
	DefaultSequences = 4
	DefaultQueue     = 1024 // requests that wait
)

// Options say how a model is opened. The zero value is a good default.
type Options struct {
	Context   int    // tokens a sequence can have; 0: the model's own length, at most DefaultContext
	Sequences int    // answers that are generated at the same time at most; 0: DefaultSequences
	Cache     string // memory of the cache, as "2GiB" or "40%" of what is available; empty: room for Sequences of full length
	Device    string // "cpu", "cuda", one of several cards as "cuda:1", or "auto": a GPU that takes the model, else the CPU; empty: $INFER_DEVICE, else auto
	Threads   int    // of the CPU; 0: one for each of CPUs, or a physical core
	CPUs      string // processors that threads are bound to: "0-3,8", "cores", "big" (cores of the fastest kind) or "node0"; empty: the system moves them. Linux only
	Variant   string // instruction set ("amx", "avx512bf16", "avx512", "avx2", "neon", "ref"); empty: $INFER_CPU, else the best
	CacheType string // "f16", "q8_0" (half the memory, less exact) or "f32"; empty: f16, for embeddings f32
	NoRepack  bool   // use the weights as they lie in the file: less memory, slower
	RoundF16  bool   // round F16 weights to bf16, where the processor has its dot product: prompts are read in about half the time, less exactly
	StepRows  int    // tokens of a step; 0: DefaultStepRows, or the context of a model that must see a text whole
	AllLogits bool   // reserve memory for the logits of every row of a step, as Logits and Perplexity need
	Trace     bool   // keep what every op of a step computed, as Trace needs

	TargetITL time.Duration // time between two tokens of an online request that prompts of others should not exceed; 0: none
	// MicroBatchWindow is how long a request of the micro-batch lane may wait for others that fill its batch; 0: it does not wait.
	MicroBatchWindow time.Duration
	MicroBatchJobs   int           // requests that fill its batch sooner; 0: as many as run at the same time
	BatchSlowdown    float64       // by how much the batch lane may lengthen a step of others: 0.5 is by half; 0: a fifth
	BatchStep        time.Duration // what a step without online requests should take at most, so that an arrival does not wait; 0: TargetITL, or 100 ms
	MaxWait          time.Duration // refuse requests whose first token is predicted to come later; 0: none
	// Aging is how long a request of a lower lane or priority may be passed over: the one that waited longest then goes first, one at
	// a time. 0: for ever.
	Aging       time.Duration
	Queue       int                // requests that may wait; 0: DefaultQueue
	QueueTokens int                // tokens that their prompts may have together; 0: any
	Tenants     map[string]float64 // weights of tenants, whose shares of the machine are fair otherwise; others have 1
	ParkDir     string             // where the memory of preempted requests goes when ParkBytes are used; empty: nowhere
	ParkBytes   int64              // host memory for it; 0: as much as it takes

	// NoSpeculation computes no guessed tokens ahead, for any request. Layers of the file that predict further tokens are then not
	// loaded.
	NoSpeculation bool

	Backend string       // BackendNative or BackendLlamaCPP; empty: native where the architecture is, else llama.cpp where the build has it
	Log     *slog.Logger // of what llama.cpp says, and of faults; nil: dropped

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
	note                                     string // see Note
	threads                                  int
	loadTime                                 time.Duration

	loop      *loop
	kinds     []cache.Kind
	maxWanted int           // rows whose logits a step can give
	directs   chan struct{} // has room for one call outside of the schedule
	print     fingerprint
	closing   sync.Once
	closed    error
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
	e := &Engine{file: file, options: o, path: file.Paths[0], quantization: Quantization(file), directs: make(chan struct{}, 1)}
	e.loop = newLoop(e)
	err = e.open()
	if err == nil {
		err = e.loop.prepare()
	}
	go e.loop.run()
	if err != nil {
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
	return e.openNative()
}

// plan records the model's plan, lays it out for the device, and reads the vocabulary.
func (e *Engine) plan() error {
	o := &e.options
	model, err := arch.Record(e.file, arch.Options{Context: o.Context, DefaultContext: DefaultContext, Pooling: arch.Pooling(o.Pooling), Predictor: o.wantsPredictor()})
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
	limits, err := e.limits()
	if err != nil {
		return fmt.Errorf("%s: %w", e.file.Paths[0], err)
	}
	if err := model.Plan.Finish(limits); err != nil {
		return fmt.Errorf("%s: %w", e.file.Paths[0], err)
	}
	e.text, err = newText(e.file, model.Vocab, o)
	return err
}

func (o *Options) check() error {
	if o.Sequences == 0 {
		o.Sequences = DefaultSequences
	}
	if o.Queue == 0 {
		o.Queue = DefaultQueue
	}
	switch {
	case o.CacheType != "" && o.CacheType != "f16" && o.CacheType != "f32" && o.CacheType != "q8_0":
		return fmt.Errorf("cache type %q: expected f16, q8_0 or f32", o.CacheType)
	case o.Context < 0 || o.Context > 1<<26:
		return fmt.Errorf("context of %d tokens: expected 1 to %d, or 0 for the model's own", o.Context, 1<<26)
	case o.StepRows < 0 || o.StepRows > 1<<16:
		return fmt.Errorf("step of %d tokens: expected 1 to %d", o.StepRows, 1<<16)
	case o.Sequences < 0 || o.Sequences > 1<<16:
		return fmt.Errorf("%d sequences: expected 1 to %d", o.Sequences, 1<<16)
	case o.Queue < 0 || min(o.TargetITL, o.MicroBatchWindow, o.MaxWait, o.Aging) < 0 || o.ParkBytes < 0:
		return fmt.Errorf("queue of %d, target of %v, window of %v, wait of %v, aging of %v, %d bytes for parking: expected 0 or more", o.Queue, o.TargetITL,
			o.MicroBatchWindow, o.MaxWait, o.Aging, o.ParkBytes)
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

func (o *Options) cacheDType() kernels.DType {
	switch o.CacheType {
	case "f32":
		return kernels.F32
	case "q8_0":
		return kernels.Q8_0
	}
	return kernels.F16
}

// limits sizes the plan, and the cache as the options say.
func (e *Engine) limits() (kernels.Limits, error) {
	o := &e.options
	if e.model.Pooling != arch.NoPooling {
		return e.encoderLimits(), nil
	}
	o.complete()
	e.maxWanted = min(o.StepRows, max(2*o.Sequences, scoreRows))
	if o.AllLogits {
		e.maxWanted = o.StepRows
	}
	l := kernels.Limits{KeepActivations: o.Trace, MaxRows: o.StepRows, MaxWanted: e.maxWanted, CacheDType: o.cacheDType()}
	var err error
	if e.kinds, err = e.sizeCache(l.CacheDType); err != nil {
		return l, err
	}
	for _, k := range e.kinds {
		l.Pages = append(l.Pages, k.Pages)
	}
	return l, nil
}

// cpus are the processors that Options.CPUs names; nil: threads are not bound.
func (o *Options) cpus() ([]int, error) {
	if o.CPUs == "" {
		return nil, nil
	}
	machine, err := topology.Machine()
	if err != nil {
		return nil, fmt.Errorf("CPUs %q: %w", o.CPUs, err)
	}
	return topology.Choose(machine, o.CPUs)
}

// Close ends running requests with [ErrClosed] after the step that is being computed, and frees everything. It is idempotent.
func (e *Engine) Close() error {
	e.closing.Do(func() {
		e.loop.close()
		e.print.mutex.Lock()
		defer e.print.mutex.Unlock()
		if e.device != nil {
			e.device.Close()
		}
		e.closed = e.file.Close()
	})
	return e.closed
}
