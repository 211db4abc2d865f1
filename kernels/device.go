package kernels

/*
#include <stdlib.h>
#include "kernels.h"
#include "cpu.h"

static int backend_open(const struct infer_backend *b, const struct infer_options *o, void **d) { return b->open(o, d); }
static void backend_close(const struct infer_backend *b, void *d) { b->close(d); }
static int backend_attach(const struct infer_backend *b, void *d, const void *data, int64_t n, int32_t mapped, int32_t *out) { return b->attach(d, data, n, mapped, out); }
static int backend_prepare(const struct infer_backend *b, void *d, const struct infer_plan *p) { return b->prepare(d, p); }
static int backend_read(const struct infer_backend *b, void *d, int32_t t, int64_t row, float *out) { return b->read_tensor(d, t, row, out); }
static const char *backend_error(const struct infer_backend *b, void *d) { return b->last_error(d); }
static const char *backend_describe(const struct infer_backend *b, void *d) { return b->describe(d); }
static void backend_timing(const struct infer_backend *b, void *d, struct infer_timing *out) { b->timing(d, out); }
static int backend_copy_page(const struct infer_backend *b, void *d, int32_t kind, int32_t from, int32_t to) { return b->copy_page(d, kind, from, to); }
static int backend_read_page(const struct infer_backend *b, void *d, int32_t kind, int32_t page, void *out) { return b->read_page(d, kind, page, out); }
static int backend_write_page(const struct infer_backend *b, void *d, int32_t kind, int32_t page, const void *data) { return b->write_page(d, kind, page, data); }
static int backend_memory(const struct infer_backend *b, void *d, int64_t *available, int64_t *total)
{
    return b->memory ? b->memory(d, available, total) : INFER_ERR_UNSUPPORTED;
}
static int backend_peaks(const struct infer_backend *b, void *d, struct infer_card_peaks *out) { return b->peaks ? b->peaks(d, out) : INFER_ERR_UNSUPPORTED; }
static const char *variant_name(const char *want) { const struct cpu_variant *v = infer_cpu_variant(want); return v ? v->name : NULL; }

#cgo noescape backend_run
#cgo nocallback backend_run
static int backend_run(const struct infer_backend *b, void *d, const int32_t *ids, const int32_t *positions, const int32_t *sequences,
                       const int32_t *types, const int32_t *pages, const int32_t *wanted, const int32_t *cancel, const float *carry,
                       int32_t rows, int32_t sequence_count, int32_t table_pages, int32_t wanted_count, int32_t part,
                       const int32_t *keep, const int32_t *also_first, const int32_t *also, struct infer_result *result)
{
    struct infer_batch batch = {ids, positions, sequences, types, pages, wanted, cancel, carry, rows, sequence_count, table_pages, wanted_count, part, keep != NULL, keep, also_first, also};
    return b->run(d, &batch, result);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"unsafe"

	"github.com/infer-go/infer/internal/topology"
)

// Errors that a backend's status codes become; use errors.Is.
var (
	ErrMemory      = errors.New("out of memory")
	ErrUnsupported = errors.New("not supported by this backend")
	ErrInvalid     = errors.New("invalid plan or batch")
	ErrSystem      = errors.New("the system refused a resource")
	ErrCancelled   = errors.New("the step was cancelled")
	ErrNoDevice    = errors.New("the machine has no such device")
)

var statusErrors = map[C.int]error{C.INFER_ERR_MEMORY: ErrMemory, C.INFER_ERR_UNSUPPORTED: ErrUnsupported,
	C.INFER_ERR_INVALID: ErrInvalid, C.INFER_ERR_SYSTEM: ErrSystem, C.INFER_ERR_CANCELLED: ErrCancelled,
	C.INFER_ERR_ABSENT: ErrNoDevice}

// DeviceOptions choose how a device computes. The zero value is a good default but for Repack.
type DeviceOptions struct {
	Threads  int    // 0: one for each of CPUs, or a physical core
	CPUs     []int  // processors that the threads are bound to, in this order; nil: the system chooses and moves them. Linux only
	Repack   bool   // interleave weights when a plan is prepared: faster, but the file's mapping is no longer what is read
	RoundF16 bool   // round F16 weights to bf16, for processors with its dot product: faster, less exact
	Variant  string // instruction set: "ref", "avx2", "avx512"...; empty: $INFER_CPU, else the best this CPU has
	Mapped   bool   // the weights are read-only mappings of files: their pages may be given back once interleaved
	FailNth  int64  // tests: the n-th allocation or thread start inside the device fails; 0: none

	Backend string // of OpenDevice: "cpu", or one of a library, as "cuda"; empty: "cpu"
	Card    int    // of several GPUs, from 0
}

// Device computes one plan. Its methods must not be called from several goroutines at once, but for Cancel.
type Device struct {
	backend  *C.struct_infer_backend
	handle   unsafe.Pointer
	plan     *Plan
	attached [][]byte
	pinner   runtime.Pinner
	embeds   []Op // for checking ids
	cancel   *int32
	variant  string
	threads  int
	mapped   bool
	bound    *boundThread // the team's first thread, where threads are bound
	paged    bool         // the plan has attention, whose tables cover positions
	slots    []uint8      // for checkSlots
	hidden   hiddenRows
	kept     keptRows
}

// Variants returns the names of the CPU variants that this machine can run, best first.
func Variants() []string {
	var names []string
	for _, n := range []string{"amx", "avx512bf16", "avx512", "vnni256", "avxvnni", "avx2", "neon-i8mm", "neon", "ref"} {
		c := C.CString(n)
		if C.variant_name(c) != nil {
			names = append(names, n)
		}
		C.free(unsafe.Pointer(c))
	}
	return names
}

// OpenCPU opens the CPU as a device.
func OpenCPU(o DeviceOptions) (*Device, error) {
	if o.Variant == "" {
		o.Variant = os.Getenv("INFER_CPU")
	}
	if o.Threads < 0 || o.Threads > 1024 || len(o.CPUs) > 1024 {
		return nil, fmt.Errorf("%d threads: expected 0 (one a core) to 1024", max(o.Threads, len(o.CPUs)))
	}
	if o.Threads > len(o.CPUs) && len(o.CPUs) > 0 {
		return nil, fmt.Errorf("%d threads: expected at most one for each of the CPUs %v", o.Threads, o.CPUs)
	}
	name := C.CString(o.Variant)
	defer C.free(unsafe.Pointer(name))
	variant := C.variant_name(name)
	if variant == nil {
		return nil, fmt.Errorf("CPU variant %q: %w; this machine runs %v", o.Variant, ErrUnsupported, Variants())
	}
	options := C.struct_infer_options{variant: name, fail_allocation: C.int64_t(o.FailNth)}
	if o.Repack {
		options.repack = 1
	}
	if o.RoundF16 {
		options.round_f16 = 1
	}
	d := &Device{backend: (*C.struct_infer_backend)(unsafe.Pointer(C.infer_cpu_backend())), cancel: new(int32),
		variant: C.GoString(variant), threads: o.Threads, mapped: o.Mapped}
	if d.threads == 0 {
		d.threads = len(o.CPUs)
	}
	if d.threads == 0 {
		d.threads = topology.Threads()
	}
	options.threads = C.int32_t(d.threads)
	var pinner runtime.Pinner
	defer pinner.Unpin()
	if len(o.CPUs) > 0 {
		cpus := make([]C.int32_t, d.threads)
		for i := range cpus {
			cpus[i] = C.int32_t(o.CPUs[i])
		}
		pinner.Pin(&cpus[0])
		options.cpus = &cpus[0]
		var err error
		if d.bound, err = startBound(o.CPUs[0]); err != nil {
			return nil, err
		}
	}
	return d.open(&options)
}

func (d *Device) open(options *C.struct_infer_options) (*Device, error) {
	if status := C.backend_open(d.backend, options, &d.handle); status != C.INFER_OK {
		err := d.status("open", status)
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *Device) status(what string, status C.int) error {
	if status == C.INFER_OK {
		return nil
	}
	kind := statusErrors[status]
	if kind == nil {
		kind = fmt.Errorf("status %d", int(status))
	}
	detail := ""
	if d.handle != nil {
		detail = C.GoString(C.backend_error(d.backend, d.handle))
	}
	if status == C.INFER_ERR_CANCELLED || detail == "" {
		return fmt.Errorf("device %s: %w", what, kind)
	}
	return fmt.Errorf("device %s: %s: %w", what, detail, kind)
}

// Close frees everything the device holds. Logits returned by Run are gone with it. It is idempotent.
func (d *Device) Close() {
	if d.handle != nil {
		C.backend_close(d.backend, d.handle)
		d.handle = nil
	}
	d.bound.stop()
	d.bound = nil
	d.pinner.Unpin()
	d.attached = nil
}

// Describe says what computes: variant and threads.
func (d *Device) Describe() string { return C.GoString(C.backend_describe(d.backend, d.handle)) }

// Backend names what computes: "cpu", or a library's backend, as "cuda".
func (d *Device) Backend() string { return C.GoString(d.backend.name) }

// Memory returns the bytes of the device's own memory, those that nobody has and all; false where it computes in the host's.
func (d *Device) Memory() (available, total int64, ok bool) {
	var a, t C.int64_t
	if C.backend_memory(d.backend, d.handle, &a, &t) != C.INFER_OK {
		return 0, 0, false
	}
	return int64(a), int64(t), true
}

func (d *Device) measurePeaks(out *C.struct_infer_card_peaks) error {
	return d.status("peaks", C.backend_peaks(d.backend, d.handle, out))
}

// Variant returns the instruction set in use, or the name of a library's backend.
func (d *Device) Variant() string { return d.variant }

// Threads returns how many threads of the CPU compute; 0 on another device.
func (d *Device) Threads() int { return d.threads }

// Prepare hands a finished plan to the device. weights[i] is buffer i of the plan's tensors and must stay mapped and
// unchanged until Close. Memory for activations, the cache and interleaved weights is reserved here; Run allocates nothing.
func (d *Device) Prepare(p *Plan, weights [][]byte) error {
	if !p.finished {
		return fmt.Errorf("prepare: %w: the plan is not finished", ErrInvalid)
	}
	if d.plan != nil {
		return fmt.Errorf("prepare: %w: the device has a plan", ErrInvalid)
	}
	tensors := append([]Tensor(nil), p.Tensors...)
	for _, w := range weights {
		if err := d.attach(w, d.mapped); err != nil {
			return err
		}
	}
	for _, c := range p.constants { // each is a small buffer of its own, kept alive and in place by the pinner
		index := int32(len(d.attached))
		if err := d.attach(c.data, false); err != nil {
			return err
		}
		tensors[c.ref].Buffer = index
		for i := range tensors { // views of it
			if tensors[i].Base == c.ref {
				tensors[i].Buffer = index
			}
		}
	}
	if err := p.check(tensors, d.attached); err != nil {
		return err
	}
	for _, o := range p.Ops {
		if o.Kind == OpEmbed {
			d.embeds = append(d.embeds, o)
		}
	}
	for kind, k := range p.PageKinds {
		if k.State {
			d.slots = make([]uint8, p.pages[kind])
		} else {
			d.paged = true
		}
	}
	d.plan = p
	return d.prepare(p, tensors)
}

func (d *Device) attach(data []byte, mapped bool) error {
	var isMapped C.int32_t
	if mapped {
		isMapped = 1
	}
	var index C.int32_t
	var at unsafe.Pointer
	if len(data) > 0 {
		at = unsafe.Pointer(&data[0])
		d.pinner.Pin(at) // a no-op for mapped memory
	}
	d.attached = append(d.attached, data)
	return d.status("attach", C.backend_attach(d.backend, d.handle, at, C.int64_t(len(data)), isMapped, &index))
}

func (d *Device) prepare(p *Plan, tensors []Tensor) error {
	var pinner runtime.Pinner
	defer pinner.Unpin()
	plan := C.struct_infer_plan{
		tensor_count: C.int32_t(len(tensors)), op_count: C.int32_t(len(p.Ops)), cache_count: C.int32_t(len(p.Cache)),
		logits: C.int32_t(p.Logits), feed_op: C.int32_t(p.feedOp()), predict_op: C.int32_t(p.predictOp()), hidden: C.int32_t(p.Hidden),
		predict_logits: C.int32_t(p.Predictor.Logits), predict_hidden: C.int32_t(p.Predictor.Hidden), experts_used: C.int32_t(p.ExpertsUsed), max_rows: C.int32_t(p.MaxRows), max_wanted: C.int32_t(p.MaxWanted),
		activation_bytes: C.int64_t(p.ActivationBytes), cache_bytes: C.int64_t(p.CacheBytes),
	}
	pinner.Pin(&tensors[0])
	pinner.Pin(&p.Ops[0])
	plan.tensors = (*C.struct_infer_tensor)(unsafe.Pointer(&tensors[0]))
	plan.ops = (*C.struct_infer_op)(unsafe.Pointer(&p.Ops[0]))
	if len(p.Cache) > 0 {
		pinner.Pin(&p.Cache[0])
		plan.cache = (*C.struct_infer_cache_layer)(unsafe.Pointer(&p.Cache[0]))
	}
	var status C.int
	d.bound.call(func() { status = C.backend_prepare(d.backend, d.handle, &plan) })
	return d.status("prepare", status)
}

// check holds every weight against its buffer: nothing that C reads lies outside of it.
func (p *Plan) check(tensors []Tensor, buffers [][]byte) error {
	for i, t := range tensors {
		if t.RowsKind != RowsFixed {
			continue
		}
		if t.Buffer < 0 || int(t.Buffer) >= len(buffers) {
			return fmt.Errorf("prepare: %w: tensor %s is in buffer %d of %d", ErrInvalid, p.Names[i], t.Buffer, len(buffers))
		}
		end := t.Offset + (t.Mats-1)*t.MatStride + t.Rows*t.Stride
		if t.Offset < 0 || t.Rows < 1 || t.Mats < 1 || t.Stride < 0 || t.MatStride < 0 || end < t.Offset || end > int64(len(buffers[t.Buffer])) {
			return fmt.Errorf("prepare: %w: tensor %s ends at byte %d, its buffer has %d", ErrInvalid, p.Names[i], end, len(buffers[t.Buffer]))
		}
	}
	return nil
}

// Batch is one step's rows. Rows of one sequence are consecutive and their positions ascend by one.
type Batch struct {
	IDs           []int32
	Positions     []int32
	Sequences     []int32 // index of each row's sequence, 0 to SequenceCount-1
	Types         []int32 // token types, for models that have some; nil: all 0
	Pages         []int32 // [page kinds][sequences][TablePages]: page numbers, -1 where given back
	Wanted        []int32 // rows whose logits are returned, ascending
	TablePages    int
	SequenceCount int

	// Of devices that select (Device.Selects): how many of each wanted row's largest logits are returned instead of the row, 0 for the whole row, and
	// ids whose logits are returned, too: those of wanted row w are Also[AlsoFirst[w]:AlsoFirst[w+1]]. Empty: all rows are wanted whole.
	Keep, AlsoFirst, Also []int32

	Part  Part      // of a plan with a predictor
	Carry []float32 // [sequences][width]: the hidden state of the row before each sequence's first one, zeros where it is unknown; nil: all zeros
}

// Run computes a step and returns the wanted rows' logits [wanted][vocab], valid until the next Run or Close.
func (d *Device) Run(b *Batch) ([]float32, error) {
	if err := d.checkBatch(b); err != nil {
		return nil, err
	}
	atomic.StoreInt32(d.cancel, 0)
	var r C.struct_infer_result
	var status C.int
	if d.bound == nil {
		r, status = d.compute(b)
	} else {
		r, status = d.computeBound(b)
	}
	if status != C.INFER_OK {
		return nil, d.status("run", status)
	}
	result, states := d.plan.results(b.Part)
	d.kept = keptOf(&r, b)
	if d.plan.HasPredictor() {
		d.hidden = d.hiddenOf(unsafe.Pointer(r.hidden), states, len(b.IDs))
	}
	if r.logits == nil || len(b.Wanted) == 0 {
		return nil, nil
	}
	t := d.plan.Tensors[result]
	rowFloats := int(t.Stride / 4)
	all := unsafe.Slice((*float32)(unsafe.Pointer(r.logits)), (len(b.Wanted)-1)*rowFloats+int(t.Cols))
	return all, nil
}

func (d *Device) compute(b *Batch) (r C.struct_infer_result, status C.int) {
	var wanted, types, pages, keep, alsoFirst, also *C.int32_t
	var carry *C.float
	if len(b.Carry) > 0 {
		carry = (*C.float)(&b.Carry[0])
	}
	if len(b.Wanted) > 0 {
		wanted = (*C.int32_t)(&b.Wanted[0])
	}
	if len(b.Types) > 0 {
		types = (*C.int32_t)(&b.Types[0])
	}
	if len(b.Pages) > 0 {
		pages = (*C.int32_t)(&b.Pages[0])
	}
	if len(b.Keep) > 0 {
		keep, alsoFirst = (*C.int32_t)(&b.Keep[0]), (*C.int32_t)(&b.AlsoFirst[0])
	}
	if len(b.Also) > 0 {
		also = (*C.int32_t)(&b.Also[0])
	}
	status = C.backend_run(d.backend, d.handle, (*C.int32_t)(&b.IDs[0]), (*C.int32_t)(&b.Positions[0]), (*C.int32_t)(&b.Sequences[0]), types, pages, wanted,
		(*C.int32_t)(d.cancel), carry, C.int32_t(len(b.IDs)), C.int32_t(b.SequenceCount), C.int32_t(b.TablePages), C.int32_t(len(b.Wanted)), C.int32_t(b.Part), keep, alsoFirst, also, &r)
	return r, status
}

func (d *Device) computeBound(b *Batch) (r C.struct_infer_result, status C.int) {
	d.bound.call(func() { r, status = d.compute(b) })
	return r, status
}

// LogitsStride is the distance in floats from a wanted row's logits to the next one's in Run's result.
func (d *Device) LogitsStride() int { return int(d.plan.Tensors[d.plan.Logits].Stride / 4) }

// Cancel makes a Run in progress return ErrCancelled soon. It may be called from any goroutine.
func (d *Device) Cancel() { atomic.StoreInt32(d.cancel, 1) }

// checkBatch makes sure that C reads and writes only what exists.
func (d *Device) checkBatch(b *Batch) error {
	p := d.plan
	if p == nil {
		return fmt.Errorf("run: %w: no plan is prepared", ErrInvalid)
	}
	n := len(b.IDs)
	if n == 0 || n > p.MaxRows || len(b.Positions) != n || len(b.Sequences) != n || len(b.Types) != 0 && len(b.Types) != n || len(b.Wanted) > p.MaxWanted {
		return fmt.Errorf("run: %w: %d ids, %d positions, %d sequences, %d types, %d wanted; the plan takes 1 to %d rows and %d wanted", ErrInvalid, n,
			len(b.Positions), len(b.Sequences), len(b.Types), len(b.Wanted), p.MaxRows, p.MaxWanted)
	}
	if b.SequenceCount < 1 || b.TablePages < 0 || len(b.Pages) != len(p.PageKinds)*b.SequenceCount*b.TablePages {
		return fmt.Errorf("run: %w: %d page numbers, expected %d kinds x %d sequences x %d", ErrInvalid, len(b.Pages), len(p.PageKinds), b.SequenceCount, b.TablePages)
	}
	for i := range n {
		if err := d.checkRow(b, i); err != nil {
			return err
		}
	}
	if err := d.checkPart(b); err != nil {
		return err
	}
	if err := d.checkSlots(b); err != nil {
		return err
	}
	if err := d.checkKeep(b); err != nil {
		return err
	}
	for i, w := range b.Wanted {
		if w < 0 || int(w) >= n || i > 0 && w <= b.Wanted[i-1] {
			return fmt.Errorf("run: %w: wanted row %d of %d", ErrInvalid, w, n)
		}
	}
	return nil
}

func (d *Device) checkRow(b *Batch, i int) error {
	p := d.plan
	seq, pos := b.Sequences[i], b.Positions[i]
	if seq < 0 || int(seq) >= b.SequenceCount || pos < 0 || d.paged && int(pos)/PageTokens >= b.TablePages {
		return fmt.Errorf("run: %w: row %d is position %d of sequence %d; there are %d sequences of %d pages", ErrInvalid, i, pos, seq, b.SequenceCount, b.TablePages)
	}
	first := i == 0 || b.Sequences[i-1] != seq
	if !first && pos != b.Positions[i-1]+1 {
		return fmt.Errorf("run: %w: row %d is position %d after position %d", ErrInvalid, i, pos, b.Positions[i-1])
	}
	if first && pos != 0 && p.Whole {
		return fmt.Errorf("run: %w: row %d begins sequence %d at position %d; this model computes whole sequences", ErrInvalid, i, seq, pos)
	}
	for _, o := range d.embeds {
		limit, index := p.Tensors[o.In[0]].Rows, b.IDs[i]
		switch {
		case o.N[0] == 1:
			index = pos
		case o.N[0] == 2 && len(b.Types) > 0:
			index = b.Types[i]
		case o.N[0] == 2:
			index = 0
		}
		if index < 0 || int64(index) >= limit {
			return fmt.Errorf("run: %w: row %d looks up %d in a table of %d", ErrInvalid, i, index, limit)
		}
	}
	for kind, k := range p.PageKinds {
		table := b.Pages[(kind*b.SequenceCount+int(seq))*b.TablePages:][:b.TablePages]
		if k.State {
			continue // checkSlots
		}
		low := 0
		if !first {
			low = int(pos) / PageTokens // the pages before were checked with the sequence's first row
		} else if k.Window > 0 {
			low = max(0, int(pos)-k.Window+1) / PageTokens
		}
		for j := low; j <= int(pos)/PageTokens; j++ {
			if table[j] < 0 || int64(table[j]) >= d.pagesOf(kind) {
				return fmt.Errorf("run: %w: page %d of sequence %d, kind %d, is %d of %d", ErrInvalid, j, seq, kind, table[j], d.pagesOf(kind))
			}
		}
	}
	return nil
}

// checkSlots makes sure that every sequence of a batch reads a state that is there, and writes where nobody else reads or writes.
func (d *Device) checkSlots(b *Batch) error {
	for kind, k := range d.plan.PageKinds {
		if !k.State || b.Part == PartPredict { // which has none
			continue
		}
		used := d.slots // what this batch does with each slot
		for i := range used {
			used[i] = slotFree
		}
		n := int32(d.pagesOf(kind))
		for i, seq := range b.Sequences {
			if i > 0 && b.Sequences[i-1] == seq {
				continue
			}
			if b.TablePages < 2 {
				return fmt.Errorf("run: %w: a table of %d, recurrent layers need a slot to read and one to write", ErrInvalid, b.TablePages)
			}
			table := b.Pages[(kind*b.SequenceCount+int(seq))*b.TablePages:]
			read, write := table[0], table[1]
			if (read < 0) != (b.Positions[i] == 0) || read >= n || write < 0 || write >= n {
				return fmt.Errorf("run: %w: sequence %d at position %d reads slot %d and writes slot %d of %d", ErrInvalid, seq, b.Positions[i], read, write, n)
			}
			if read >= 0 && used[read] == slotWritten {
				return fmt.Errorf("run: %w: sequence %d reads slot %d, which the batch uses elsewhere", ErrInvalid, seq, read)
			}
			if read >= 0 {
				used[read] = slotRead
			}
			if err := d.checkWritten(b, i, table[1:b.TablePages], n); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkWritten makes sure that a sequence's slots are free, and no more than its rows: one for the certain ones and one for each guess.
func (d *Device) checkWritten(b *Batch, first int, slots []int32, n int32) error {
	for j, slot := range slots {
		if j > 0 && slot < 0 {
			return nil
		}
		if row := first + j; row >= len(b.Sequences) || b.Sequences[row] != b.Sequences[first] {
			return fmt.Errorf("run: %w: sequence %d has %d rows and more slots to write", ErrInvalid, b.Sequences[first], j)
		}
		if slot >= n || d.slots[slot] != slotFree {
			return fmt.Errorf("run: %w: sequence %d writes slot %d of %d, which the batch uses elsewhere", ErrInvalid, b.Sequences[first], slot, n)
		}
		d.slots[slot] = slotWritten
	}
	return nil
}

// What a batch does with a slot.
const (
	slotFree uint8 = iota
	slotRead
	slotWritten
)

func (d *Device) pagesOf(kind int) int64 { return int64(d.plan.pages[kind]) }

// ReadActivation copies a row of an activation after Run: for tests and for hidden states.
func (d *Device) ReadActivation(r Ref, row int) []float32 {
	out := make([]float32, d.plan.Tensors[r].Cols)
	C.backend_read(d.backend, d.handle, C.int32_t(r), C.int64_t(row), (*C.float)(&out[0]))
	return out
}

// CopyPage copies a page's contents in all layers of a kind.
func (d *Device) CopyPage(kind, from, to int) error {
	if err := d.checkPage("copy page", kind, from); err != nil {
		return err
	}
	if err := d.checkPage("copy page", kind, to); err != nil {
		return err
	}
	return d.status("copy page", C.backend_copy_page(d.backend, d.handle, C.int32_t(kind), C.int32_t(from), C.int32_t(to)))
}

// PageBytes returns how many bytes ReadPage and WritePage move for a page of a kind; 0 where there is no such kind.
func (d *Device) PageBytes(kind int) int64 {
	if d.plan == nil || kind < 0 || kind >= len(d.plan.PageKinds) {
		return 0
	}
	return d.plan.PageKinds[kind].PageBytes
}

// ReadPage copies a page out of the device: data takes PageBytes(kind) bytes, the kind's layers one after the other.
func (d *Device) ReadPage(kind, page int, data []byte) error {
	if err := d.checkPageData("read page", kind, page, data); err != nil {
		return err
	}
	return d.status("read page", C.backend_read_page(d.backend, d.handle, C.int32_t(kind), C.int32_t(page), unsafe.Pointer(&data[0])))
}

// WritePage puts a page's contents back, as ReadPage gave them: the same bits.
func (d *Device) WritePage(kind, page int, data []byte) error {
	if err := d.checkPageData("write page", kind, page, data); err != nil {
		return err
	}
	return d.status("write page", C.backend_write_page(d.backend, d.handle, C.int32_t(kind), C.int32_t(page), unsafe.Pointer(&data[0])))
}

func (d *Device) checkPage(what string, kind, page int) error {
	if d.plan == nil {
		return fmt.Errorf("%s: %w: no plan is prepared", what, ErrInvalid)
	}
	if kind < 0 || kind >= len(d.plan.PageKinds) {
		return fmt.Errorf("%s: %w: kind %d of %d", what, ErrInvalid, kind, len(d.plan.PageKinds))
	}
	if n := d.pagesOf(kind); page < 0 || int64(page) >= n {
		return fmt.Errorf("%s: %w: page %d of kind %d, which has %d", what, ErrInvalid, page, kind, n)
	}
	return nil
}

func (d *Device) checkPageData(what string, kind, page int, data []byte) error {
	if err := d.checkPage(what, kind, page); err != nil {
		return err
	}
	if n := d.PageBytes(kind); int64(len(data)) != n {
		return fmt.Errorf("%s: %w: %d bytes, a page of kind %d has %d", what, ErrInvalid, len(data), kind, n)
	}
	return nil
}

// Timing returns the nanoseconds spent by op kind since the device opened, as its first thread saw them.
func (d *Device) Timing() map[OpKind]int64 {
	var t C.struct_infer_timing
	C.backend_timing(d.backend, d.handle, &t)
	result := map[OpKind]int64{}
	for i, ns := range t.ops_ns {
		if ns > 0 {
			result[OpKind(i)] = int64(ns)
		}
	}
	return result
}
