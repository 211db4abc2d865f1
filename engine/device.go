package engine

import (
	"github.com/infer-go/infer/engine/cache"
	"github.com/infer-go/infer/kernels"
)

// device computes batches for an engine. [kernels.Device] does it from a plan that engine/arch recorded; where the architecture has
// none, another engine can stand in behind the same methods: see foreign.go.
type device interface {
	// Run computes a step and returns the wanted rows' logits, LogitsStride floats apart, valid until the next Run or Close.
	Run(*kernels.Batch) ([]float32, error)
	LogitsStride() int
	Cancel() // makes a Run in progress return kernels.ErrCancelled soon; from any goroutine
	Close()

	cache.Device

	Describe() string
	Variant() string
	Threads() int
	Timing() map[kernels.OpKind]int64
}

// selecting is a device that can return the few logits of a row that decide what is chosen.
type selecting interface {
	Selects() bool
	Kept(w, n int) []kernels.Kept
}

var (
	_ device    = (*kernels.Device)(nil)
	_ selecting = (*kernels.Device)(nil)
)
