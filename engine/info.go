package engine

import (
	"context"
	"time"

	"github.com/infer-go/infer/engine/arch"
	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/kernels"
)

// Path returns the path of the model's first file.
func (e *Engine) Path() string { return e.path }

// Model returns what is known of the model. It must not be changed.
func (e *Engine) Model() *arch.Model { return e.model }

// Context returns how many tokens a sequence can have.
func (e *Engine) Context() int { return e.context }

// Device says what computes: variant and threads.
func (e *Engine) Device() string { return e.description }

// Backend says what computes: BackendNative or BackendLlamaCPP.
func (e *Engine) Backend() string { return e.backend }

// Variant returns the instruction set in use; with llama.cpp, "llama.cpp".
func (e *Engine) Variant() string { return e.variant }

// Threads returns how many threads compute.
func (e *Engine) Threads() int { return e.threads }

// LoadTime returns how long Open took.
func (e *Engine) LoadTime() time.Duration { return e.loadTime }

// OpTimes returns the time spent by op since the model was opened, as the device's first thread saw it.
func (e *Engine) OpTimes() map[kernels.OpKind]time.Duration {
	giveBack, err := e.loop.borrow(context.Background())
	if err != nil {
		return nil
	}
	defer giveBack()
	times := map[kernels.OpKind]time.Duration{}
	for k, ns := range e.device.Timing() {
		times[k] = time.Duration(ns)
	}
	return times
}

// CacheBytesPerToken returns what one token of context takes in the cache, for a cache type: layers that see everything, and
// layers with a window, which stop growing. Recurrent layers have a state, whatever the context. With llama.cpp, which does not say, both are 0.
func (e *Engine) CacheBytesPerToken() (full, windowed int64) {
	for _, k := range e.model.Plan.PageKinds {
		switch {
		case k.State:
		case k.Window == 0:
			full += k.PageBytes / kernels.PageTokens
		default:
			windowed += k.PageBytes / kernels.PageTokens
		}
	}
	return full, windowed
}

// WeightBytes returns the size of all tensors in the model's files.
func (e *Engine) WeightBytes() int64 {
	var n int64
	for _, t := range e.file.Tensors {
		n += t.Size
	}
	return n
}

// Quantization names the type that most of the weights' bytes have, as "Q4_K".
func Quantization(f *gguf.File) string {
	bytes := map[gguf.Type]int64{}
	var best gguf.Type
	for _, t := range f.Tensors {
		bytes[t.Type] += t.Size
		if bytes[t.Type] > bytes[best] {
			best = t.Type
		}
	}
	return best.String()
}

// Quantization names the type that most of the weights' bytes have.
func (e *Engine) Quantization() string { return e.quantization }
