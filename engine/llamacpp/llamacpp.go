//go:build llamacpp

// Package llamacpp computes batches with an installed libllama, for models whose architecture the native engine does not know and
// for holding the native engine against an independent one.
//
// It is compiled with the build tag llamacpp alone and holds nothing of llama.cpp: headers and libraries are found by
// pkg-config under the name "llama" (see `make llamacpp`). A [Device] takes the same batches as the native one. Its pages hold
// token ids; keys, values and states are in libllama's own cache, which the device treats as a store of what it can recompute.
//
// Everything libllama is called with is checked here first. What it throws, and assertions that fail on the calling thread, become
// errors; files that make it crash are found out in a child process first. bridge.cpp says how, and what remains: an
// assertion on one of libllama's own threads that a file's first tokens did not meet ends the process.
package llamacpp

/*
#cgo pkg-config: llama
#cgo CXXFLAGS: -std=c++17
#cgo linux LDFLAGS: -ldl
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/cgo"
	"sync"
	"unsafe"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/internal/topology"
	"github.com/infer-go/infer/kernels"
)

// ErrBroken says that an assertion of the library failed: the device computes nothing any more.
var ErrBroken = errors.New("an assertion of libllama failed")

var statusErrors = map[C.int]error{C.BRIDGE_MEMORY: kernels.ErrMemory, C.BRIDGE_INVALID: kernels.ErrInvalid, C.BRIDGE_SYSTEM: kernels.ErrSystem,
	C.BRIDGE_CANCELLED: kernels.ErrCancelled, C.BRIDGE_BROKEN: ErrBroken}

// Options size a device. All counts are at least 1.
type Options struct {
	Rows      int // of a batch at most
	Pages     int // that batches may name; the cache holds their tokens
	Sequences int // computed side by side
	Threads   int // 0: one a core
	F32Cache  bool
	NoRepack  bool

	Vectors bool // states of tokens instead of logits; with Pooled, one vector a sequence, pooled as the model says
	Pooled  bool

	Observer Observer     // sees what each batch computes; nil: none
	Log      *slog.Logger // of what the library says; nil: dropped, but for the errors that are part of error values
}

// Observer sees named tensors as they are computed. Its methods are called on the goroutine that runs the batch.
type Observer interface {
	// Wants says whether a tensor's values are asked for: copying them costs time.
	Wants(name string) bool
	// See is given a tensor's values [rows][cols], valid during the call.
	See(name string, rows, cols int, values []float32)
}

// Info describes an open model, as libllama understands it.
type Info struct {
	Vocab, Dim, Layers, Heads, KVHeads int
	Context                            int // positions it was trained for
	VectorDim                          int // floats of a state or pooled vector
	Parameters, Bytes                  int64
	Recurrent                          bool // has state that cannot be cut back: a shorter prefix is computed again
	Pooling                            Pooling
}

// Pooling is how a model makes one vector of a sequence.
type Pooling int

// The ways of pooling.
const (
	PoolNone Pooling = iota
	PoolMean
	PoolFirst
	PoolLast
	PoolRank // a score by a classification head
)

// Device computes batches on one model. Its methods must not be called from several goroutines at once, but for Cancel.
type Device struct {
	bridge   *C.struct_bridge
	info     Info
	options  Options
	observer cgo.Handle
	pages    [][kernels.PageTokens]int32
	cache    store
	rows     rows
	history  []int32
	closing  sync.Mutex // Cancel may come while the device closes
}

var start struct {
	once sync.Once
	err  error
}

// initialize prepares the library, once for the process.
func initialize() error {
	start.once.Do(func() {
		var text C.struct_bridge_text
		start.err = failure("libllama", C.bridge_start(&text), &text)
	})
	return start.err
}

// Version returns the library's version.
func Version() string {
	var text C.struct_bridge_text
	C.bridge_version(&text)
	return C.GoString(&text.text[0])
}

// Open opens a validated file with libllama.
func Open(f *gguf.File, o Options) (*Device, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := check(f); err != nil {
		return nil, err
	}
	sink.use(o.Log)
	if err := initialize(); err != nil {
		return nil, err
	}
	if most := int(C.bridge_max_sequences()); o.Sequences > most {
		return nil, fmt.Errorf("%d sequences: llama.cpp takes at most %d", o.Sequences, most)
	}
	d := &Device{options: o, pages: make([][kernels.PageTokens]int32, o.Pages), cache: newStore(o.Sequences)}
	if err := d.open(f); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (o *Options) check() error {
	if o.Threads == 0 {
		o.Threads = topology.Threads()
	}
	switch {
	case o.Rows < 1 || o.Rows > 1<<16:
		return fmt.Errorf("llama.cpp: batches of %d rows: expected 1 to %d", o.Rows, 1<<16)
	case o.Pages < 1 || o.Pages > 1<<25:
		return fmt.Errorf("llama.cpp: a cache of %d pages: expected 1 to %d", o.Pages, 1<<25)
	case o.Sequences < 1:
		return fmt.Errorf("llama.cpp: %d sequences: expected 1 or more", o.Sequences)
	case o.Threads < 1 || o.Threads > 512:
		return fmt.Errorf("llama.cpp: %d threads: expected 0 (one a core) to 512", o.Threads)
	case o.Pooled && !o.Vectors:
		return errors.New("llama.cpp: Pooled without Vectors")
	}
	return nil
}

func (d *Device) open(f *gguf.File) error {
	o := &d.options
	options := C.struct_bridge_options{threads: C.int32_t(o.Threads), cells: C.int32_t(o.Pages * kernels.PageTokens), batch: C.int32_t(o.Rows),
		sequences: C.int32_t(o.Sequences), exact_cache: flag(o.F32Cache), repack: flag(!o.NoRepack), vectors: flag(o.Vectors), pooled: flag(o.Pooled)}
	if o.Observer != nil {
		d.observer = cgo.NewHandle(o.Observer)
		options.observer = C.uintptr_t(d.observer)
	}
	paths := make([]*C.char, len(f.Paths))
	for i, p := range f.Paths {
		paths[i] = C.CString(p)
		defer C.free(unsafe.Pointer(paths[i]))
	}
	var pinner runtime.Pinner
	defer pinner.Unpin()
	pinner.Pin(&paths[0])
	var info C.struct_bridge_info
	var text C.struct_bridge_text
	sink.begin()
	status := C.bridge_open((**C.char)(unsafe.Pointer(&paths[0])), C.int32_t(len(paths)), &options, &d.bridge, &info, &text)
	if status != C.BRIDGE_OK {
		return failure(f.Paths[0]+": llama.cpp", status, &text)
	}
	d.info = Info{Vocab: int(info.vocab), Dim: int(info.dim), Layers: int(info.layers), Heads: int(info.heads), KVHeads: int(info.kv_heads),
		Context: int(info.context), VectorDim: int(info.vector_dim), Parameters: int64(info.parameters), Bytes: int64(info.bytes),
		Recurrent: info.recurrent != 0, Pooling: Pooling(info.pooling)}
	d.cache.state = d.info.Recurrent
	if d.info.Vocab < 1 {
		return fmt.Errorf("%s: llama.cpp: a vocabulary of %d tokens", f.Paths[0], d.info.Vocab)
	}
	return nil
}

func flag(b bool) C.int32_t {
	if b {
		return 1
	}
	return 0
}

// failure makes an error of a status, with what the library logged as errors during the call.
func failure(what string, status C.int, text *C.struct_bridge_text) error {
	logged := sink.errors()
	if status == C.BRIDGE_OK {
		return nil
	}
	kind := statusErrors[status]
	if kind == nil {
		kind = fmt.Errorf("status %d", int(status))
	}
	if status == C.BRIDGE_CANCELLED {
		return fmt.Errorf("%s: %w", what, kind)
	}
	said := C.GoString(&text.text[0])
	if logged != "" {
		said += " (" + logged + ")"
	}
	return fmt.Errorf("%s: %s: %w", what, said, kind)
}

// Close frees the model. It is idempotent.
func (d *Device) Close() {
	d.closing.Lock()
	defer d.closing.Unlock()
	if d.bridge != nil {
		C.bridge_close(d.bridge)
		d.bridge = nil
	}
	if d.observer != 0 {
		d.observer.Delete()
		d.observer = 0
	}
}

// Info returns what is known of the model.
func (d *Device) Info() Info { return d.info }

// Describe says what computes.
func (d *Device) Describe() string {
	var text C.struct_bridge_text
	C.bridge_devices(d.bridge, &text)
	return fmt.Sprintf("llama.cpp %s (%s), %d threads", Version(), C.GoString(&text.text[0]), d.options.Threads)
}

// Variant names the library where the native device names an instruction set.
func (d *Device) Variant() string { return "llama.cpp" }

// Threads returns how many threads compute.
func (d *Device) Threads() int { return d.options.Threads }

// Timing is empty: the library does not split its time by op.
func (d *Device) Timing() map[kernels.OpKind]int64 { return nil }

// LogitsStride is the distance in floats from a wanted row's values to the next one's in Run's result.
func (d *Device) LogitsStride() int {
	if d.options.Vectors {
		return d.info.VectorDim
	}
	return d.info.Vocab
}

// Cancel makes a Run in progress return kernels.ErrCancelled soon. It may be called from any goroutine.
func (d *Device) Cancel() {
	d.closing.Lock()
	defer d.closing.Unlock()
	if d.bridge != nil {
		C.bridge_cancel(d.bridge, 1)
	}
}

// CopyPage copies a page: its token ids.
func (d *Device) CopyPage(kind, from, to int) error {
	if kind != 0 || from < 0 || to < 0 || from >= len(d.pages) || to >= len(d.pages) {
		return fmt.Errorf("copy page: %w: kind %d, from %d to %d of %d", kernels.ErrInvalid, kind, from, to, len(d.pages))
	}
	d.pages[to] = d.pages[from]
	return nil
}

// PageBytes is what a page takes: its token ids.
func (d *Device) PageBytes(int) int64 { return kernels.PageTokens * 4 }

// ReadPage copies a page out of the device, PageBytes of it.
func (d *Device) ReadPage(kind, page int, data []byte) error {
	if err := d.checkPage("read page", kind, page, data); err != nil {
		return err
	}
	for i, id := range d.pages[page] {
		binary.LittleEndian.PutUint32(data[4*i:], uint32(id))
	}
	return nil
}

// WritePage puts a page back, as ReadPage gave it.
func (d *Device) WritePage(kind, page int, data []byte) error {
	if err := d.checkPage("write page", kind, page, data); err != nil {
		return err
	}
	for i := range d.pages[page] {
		d.pages[page][i] = int32(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return nil
}

func (d *Device) checkPage(what string, kind, page int, data []byte) error {
	if kind != 0 || page < 0 || page >= len(d.pages) || int64(len(data)) != d.PageBytes(kind) {
		return fmt.Errorf("%s: %w: kind %d, page %d of %d, %d bytes", what, kernels.ErrInvalid, kind, page, len(d.pages), len(data))
	}
	return nil
}
