package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/infer-go/infer/engine/arch"
	"github.com/infer-go/infer/engine/cache"
	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/kernels"
)

// Backends: what computes a model.
const (
	BackendNative   = "native"
	BackendLlamaCPP = "llama.cpp" // an installed libllama; only in builds with the tag llamacpp
)

// ErrNoLlamaCPP says that the program was built without llama.cpp.
var ErrNoLlamaCPP = errors.New("this build has no llama.cpp (build tag llamacpp)")

// LlamaCPP returns the version of the llama.cpp library that models run through whose architecture is not native; false where this
// build has none.
func LlamaCPP() (version string, built bool) { return llamaCPPVersion() }

// foreignOptions are what a foreign device is opened with.
type foreignOptions struct {
	rows, pages, sequences, threads int
	f32Cache, noRepack              bool
	observe                         *observer // nil: nothing is observed
	log                             *slog.Logger
}

// foreignDevice is a device that reads the file itself.
type foreignDevice interface {
	device
	facts() foreignFacts
}

// foreignFacts are what a foreign device knows of its model.
type foreignFacts struct {
	vocab, dim, layers, heads, kvHeads, context int
	parameters                                  int64
}

// backend decides what computes the file: the native engine where it knows the architecture, llama.cpp where it does not and the
// build has it, or what the options ask for.
func (o *Options) backend(f *gguf.File) (string, error) {
	switch o.Backend {
	case BackendNative, BackendLlamaCPP:
		return o.Backend, nil
	case "":
	default:
		return "", fmt.Errorf("backend %q: expected %s or %s, or none for the first that knows the architecture", o.Backend, BackendNative, BackendLlamaCPP)
	}
	name, present, err := f.Metadata.String("general.architecture")
	if _, built := llamaCPPVersion(); err != nil || !present || !built || arch.Native(name) {
		return BackendNative, nil // which reports what is wrong
	}
	return BackendLlamaCPP, nil
}

// hintForeign adds to an unknown architecture's error what could run it.
func hintForeign(err error) error {
	var unknown *arch.UnknownArchitectureError
	if _, built := llamaCPPVersion(); built || !errors.As(err, &unknown) {
		return err
	}
	return fmt.Errorf("%w; llama.cpp may know it: a build with the tag llamacpp runs it through an installed libllama", err)
}

// openForeign opens the file with llama.cpp. Its pages are all of one kind, that sees everything: what is behind a window, and what
// states hold, is its own affair.
func (e *Engine) openForeign() error {
	o := &e.options
	if o.Device != "" && o.Device != DeviceAuto && o.Device != DeviceCPU {
		return fmt.Errorf("device %q: llama.cpp chooses its own", o.Device)
	}
	if o.CacheType == "q8_0" {
		return errors.New("cache type q8_0: llama.cpp's cache is f16 or f32 here")
	}
	o.complete()
	name, _, err := e.file.Metadata.String("general.architecture")
	if err != nil {
		return err
	}
	trained, _, err := e.file.Metadata.Uint(name + ".context_length")
	if err != nil {
		return err
	}
	e.context = o.Context
	if e.context == 0 {
		e.context = DefaultContext
		if trained > 0 {
			e.context = int(min(uint64(e.context), trained))
		}
	}
	if o.Trace {
		e.observer = &observer{}
	}
	pages := (e.context + kernels.PageTokens - 1) / kernels.PageTokens * o.Sequences
	d, err := openLlamaCPP(e.file, foreignOptions{rows: o.StepRows, pages: pages, sequences: o.Sequences, threads: o.Threads,
		f32Cache: o.CacheType == "f32", noRepack: o.NoRepack, observe: e.observer, log: o.Log})
	if err != nil {
		return err
	}
	e.device = d
	e.model = foreignModel(e.file, name, d.facts())
	if e.text, err = newText(e.file, e.model.Vocab, o); err != nil {
		return err
	}
	e.kinds, e.maxWanted = []cache.Kind{{Pages: pages}}, o.StepRows
	return nil
}

// foreignModel describes a model that has no plan. What a token reads is estimated by the tensors' names: those of experts count by
// the share that a token uses, and the embedding table where it serves as the output matrix too.
func foreignModel(f *gguf.File, name string, facts foreignFacts) *arch.Model {
	m := &arch.Model{Arch: name, Plan: &kernels.Plan{PageKinds: []kernels.PageKind{{Layers: facts.layers}}, Logits: kernels.None, Hidden: kernels.None},
		Vocab: facts.vocab, Dim: facts.dim, Layers: facts.layers, Heads: facts.heads, KVHeads: facts.kvHeads, ContextLength: facts.context,
		Parameters: facts.parameters}
	if n, present, err := f.Metadata.Uint(name + ".expert_count"); err == nil && present {
		m.Experts = int(min(n, 1<<20))
	}
	if n, present, err := f.Metadata.Uint(name + ".expert_used_count"); err == nil && present {
		m.ExpertsUsed = int(min(n, 1<<20))
	}
	_, hasOutput := f.Tensor("output.weight")
	for _, t := range f.Tensors {
		bytes, products := t.Size, t.Elements()
		if strings.HasSuffix(t.Name, "_exps.weight") && m.Experts > 0 && m.ExpertsUsed <= m.Experts {
			bytes, products = bytes/int64(m.Experts)*int64(m.ExpertsUsed), products/int64(m.Experts)*int64(m.ExpertsUsed)
		}
		if strings.HasPrefix(t.Name, "token_embd") && hasOutput {
			continue
		}
		m.WeightBytesPerToken += bytes
		if strings.HasPrefix(t.Name, "blk.") && len(t.Shape) > 1 {
			m.MultiplyAddsPerToken += products
		}
	}
	return m
}
