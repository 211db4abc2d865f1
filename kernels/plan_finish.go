package kernels

import (
	"fmt"
	"sort"
	"strings"
)

const activationAlign = 64 // bytes: one vector register of the widest variant, and a cache line

// Limits are the sizes a plan is laid out for.
type Limits struct {
	MaxRows    int   // rows of a step
	MaxWanted  int   // rows whose logits a step can return
	CacheDType DType // F32 or F16
	Pages      []int // pages of each page kind

	KeepActivations bool // no memory is reused within a step: every activation can be read after it
}

// Finish checks the recorded plan, lays out activations (memory is reused once a value's last reader has run) and the
// cache, and returns all faults together.
func (p *Plan) Finish(l Limits) error {
	if p.finished {
		return fmt.Errorf("plan: finished twice")
	}
	if p.Logits == None && p.Hidden == None {
		p.Fail("plan: neither logits nor a hidden state are marked")
	}
	if l.MaxRows <= 0 || l.MaxWanted <= 0 || l.MaxWanted > l.MaxRows {
		p.Fail("plan: %d rows, %d wanted", l.MaxRows, l.MaxWanted)
	}
	if len(p.PageKinds) != len(l.Pages) {
		p.Fail("plan: %d page kinds, sizes for %d", len(p.PageKinds), len(l.Pages))
	}
	if l.CacheDType != F32 && l.CacheDType != F16 && l.CacheDType != Q8_0 {
		p.Fail("plan: cache type %s, expected F32, F16 or Q8_0", l.CacheDType)
	}
	if err := p.Err(); err != nil {
		return err
	}
	p.MaxRows, p.MaxWanted = l.MaxRows, l.MaxWanted
	p.pages = append([]int(nil), l.Pages...)
	p.layOutActivations(l.KeepActivations)
	p.layOutCache(l)
	p.finished = true
	return nil
}

// rowsOf returns the most rows a tensor of a kind can have.
func (p *Plan) rowsOf(k RowsKind) int64 {
	switch k {
	case RowsWanted:
		return int64(p.MaxWanted)
	case RowsExperts:
		return int64(p.MaxRows) * int64(max(p.ExpertsUsed, 1))
	default:
		return int64(p.MaxRows)
	}
}

// lifetime is the span of ops during which an activation's memory holds its value.
type lifetime struct {
	ref         Ref
	first, last int
	bytes       int64
}

// lifetimes lists the activations that own memory, by first use.
func (p *Plan) lifetimes() []lifetime {
	byBase := map[Ref]*lifetime{}
	use := func(r Ref, i int) {
		if r < 0 || p.Tensors[r].Buffer != bufferActivations {
			return
		}
		base := p.Tensors[r].Base
		t := p.Tensors[base]
		if l, ok := byBase[base]; ok {
			l.last = i
			return
		}
		bytes := t.Stride * p.rowsOf(t.RowsKind)
		byBase[base] = &lifetime{base, i, i, (bytes + activationAlign - 1) / activationAlign * activationAlign}
	}
	for i, o := range p.Ops {
		for _, r := range o.In {
			use(r, i)
		}
		use(o.Out, i)
		use(o.Out2, i)
	}
	for _, r := range []Ref{p.Logits, p.Hidden} { // a run of the predictor comes after they were read
		use(r, p.predictOp())
	}
	for _, r := range []Ref{p.Predictor.Logits, p.Predictor.Hidden} {
		use(r, len(p.Ops))
	}
	all := make([]lifetime, 0, len(byBase))
	for _, l := range byBase {
		all = append(all, *l)
	}
	sort.Slice(all, func(i, j int) bool {
		if all[i].first != all[j].first {
			return all[i].first < all[j].first
		}
		return all[i].ref < all[j].ref
	})
	return all
}

// layOutActivations gives each activation the lowest free offset over its lifetime; keep makes lifetimes endless.
func (p *Plan) layOutActivations(keep bool) {
	type placed struct {
		lifetime
		offset int64
	}
	var live []placed
	for _, l := range p.lifetimes() {
		kept := live[:0]
		for _, x := range live {
			if keep || x.last >= l.first {
				kept = append(kept, x)
			}
		}
		live = kept
		sort.Slice(live, func(i, j int) bool { return live[i].offset < live[j].offset })
		var offset int64
		for _, x := range live {
			if offset+l.bytes <= x.offset {
				break
			}
			offset = max(offset, x.offset+x.bytes)
		}
		live = append(live, placed{l, offset})
		p.Tensors[l.ref].Offset = offset
		p.ActivationBytes = max(p.ActivationBytes, offset+l.bytes)
	}
	for i, t := range p.Tensors { // views carried their offset within the base
		if t.Buffer == bufferActivations && t.Base != Ref(i) {
			p.Tensors[i].Offset += p.Tensors[t.Base].Offset
		}
	}
}

// layOutCache places kinds one after the other, of each its pages, and in a page the parts of its layers: a sequence that grows touches
// new memory in one place, and memory that no sequence has needed yet is never touched.
func (p *Plan) layOutCache(l Limits) {
	var offset int64
	for kind := range p.PageKinds {
		var size int64
		for i := range p.Cache {
			if c := &p.Cache[i]; int(c.Kind) == kind {
				if c.DType = l.CacheDType; p.PageKinds[kind].State {
					c.DType = F32
				}
				c.PageBytes = p.layerPageBytes(c, l.CacheDType)
				c.Offset = offset + size
				size += c.PageBytes
			}
		}
		for i := range p.Cache {
			if c := &p.Cache[i]; int(c.Kind) == kind {
				c.PageStride = size
			}
		}
		p.PageKinds[kind].PageBytes = size
		offset += size * int64(l.Pages[kind])
	}
	p.CacheBytes = offset
}

// PageBytes returns the bytes of a page of a kind for a cache type, before the plan is finished: for sizing the cache.
func (p *Plan) PageBytes(kind int, t DType) int64 {
	var total int64
	for _, c := range p.Cache {
		if int(c.Kind) == kind {
			total += p.layerPageBytes(&c, t)
		}
	}
	return total
}

// layerPageBytes returns the bytes of a layer's page, or of its slot.
func (p *Plan) layerPageBytes(c *CacheLayer, t DType) int64 {
	if p.PageKinds[c.Kind].State {
		return (4*int64(c.Heads)*int64(c.KDim) + activationAlign - 1) / activationAlign * activationAlign
	}
	return c.pageBytes(t)
}

// pageBytes returns the bytes of an attention layer's page. Of Q8_0 each 32 values of a head, and what is left of it, have a half as scale.
func (c *CacheLayer) pageBytes(t DType) int64 {
	k, v := int64(c.KDim), int64(c.VDim)
	var each int64 // token and head
	switch t {
	case F16:
		each = 2 * (k + v)
	case Q8_0:
		each = k + v + 2*((k+31)/32+(v+31)/32)
	default:
		each = 4 * (k + v)
	}
	bytes := each * PageTokens * int64(c.Heads)
	return (bytes + activationAlign - 1) / activationAlign * activationAlign
}

var opNames = map[OpKind]string{OpEmbed: "embed", OpNorm: "norm", OpMatMul: "matmul", OpHeads: "heads", OpAngles: "angles",
	OpRope: "rope", OpStore: "store", OpAttention: "attention", OpRoute: "route", OpExperts: "experts",
	OpExpertSum: "expert_sum", OpElement: "element", OpCopy: "copy", OpGather: "gather",
	OpConv: "conv", OpScan: "scan", OpHeadScan: "head_scan", OpDelta: "delta", OpWKV: "wkv",
	OpPool: "pool", OpSoftmax: "softmax", OpPrevious: "previous"}

func (k OpKind) String() string {
	if s, ok := opNames[k]; ok {
		return s
	}
	return fmt.Sprintf("op%d", uint32(k))
}

// String prints the plan, one op a line, without memory offsets: equal text means an equal computation.
func (p *Plan) String() string {
	var b strings.Builder
	for i, c := range p.Cache {
		if p.PageKinds[c.Kind].State {
			fmt.Fprintf(&b, "cache %d: state of %d x %d\n", i, c.Heads, c.KDim)
			continue
		}
		fmt.Fprintf(&b, "cache %d: %d heads, k %d, v %d of %d, window %d\n", i, c.Heads, c.KDim, c.VDim, c.VWidth, p.PageKinds[c.Kind].Window)
	}
	for i, o := range p.Ops {
		if p.HasPredictor() && i == p.Predictor.Feed {
			b.WriteString("feed of the predictor:\n")
		} else if p.HasPredictor() && i == p.Predictor.First {
			b.WriteString("predictor:\n")
		}
		if o.Layer >= 0 {
			fmt.Fprintf(&b, "%2d ", o.Layer)
		} else {
			b.WriteString(" - ")
		}
		fmt.Fprintf(&b, "%s = %s", p.label(o.Out), o.Kind)
		for _, r := range o.In {
			if r != None {
				fmt.Fprintf(&b, " %s", p.label(r))
			} else {
				b.WriteString(" .")
			}
		}
		fmt.Fprintf(&b, " n%v f%v\n", o.N, o.F)
	}
	return b.String()
}

func (p *Plan) label(r Ref) string {
	if r == None {
		return "."
	}
	t := p.Tensors[r]
	if t.RowsKind != RowsFixed {
		return fmt.Sprintf("%s[%d]", p.Names[r], t.Cols)
	}
	if t.Mats > 1 {
		return fmt.Sprintf("%s(%s %dx%dx%d)", p.Names[r], t.DType, t.Mats, t.Rows, t.Cols)
	}
	return fmt.Sprintf("%s(%s %dx%d)", p.Names[r], t.DType, t.Rows, t.Cols)
}
