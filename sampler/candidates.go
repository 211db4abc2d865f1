package sampler

import (
	"errors"
	"fmt"
	"math"
)

// ErrNoCandidates says that no token can be chosen: every logit is negative infinity or masked.
var ErrNoCandidates = errors.New("sampler: no candidate token: every logit is -Inf or masked")

// LogitError says that a logit is NaN or positive infinity.
type LogitError struct {
	Index int
	Value float32
}

func (e *LogitError) Error() string {
	return fmt.Sprintf("sampler: logit %d is %g; expected a finite number or -Inf", e.Index, e.Value)
}

var negInf = float32(math.Inf(-1))

// candidate is a token that may be chosen.
type candidate struct {
	x  float64 // logit after the stages so far
	w  float64 // e^(x - largest x), where weigh has run since x changed last
	id int32
}

// candidates is the set that the stages narrow down. It starts dense: the logits themselves, -Inf where a token is out,
// with a pending factor (1/temperature). The first truncation makes it a list, always in ascending order of id, so that
// what is drawn does not depend on how the set was found.
type candidates struct {
	dense  bool
	logits []float32 // dense: [vocab], the caller's or work
	scale  float64   // dense: a candidate's logit is logits[id]·scale
	max    float32   // dense: the largest of logits, once maxKnown
	maxID  int32     // the first id that has it

	maxKnown bool

	list []candidate // when not dense
	top  float64     // the largest x of the list when weigh ran last

	known, touched []int32   // ids of SampleKept's logits, and of those that Needs asks for
	sparse         []float32 // [vocab] the row that SampleKept fills in part: -Inf between calls; nil before the first

	work   []float32  // [vocab] copy of the caller's logits that stages may change
	found  []found    // scratch of scans over dense logits
	floats []float32  // scratch of selection
	masses []weighted // scratch of selection by mass: one for each candidate
	chosen []weighted // and those among which it goes on
	blocks []float64  // mass of each block of drawBlock ids, from moments
}

// found is an id met in a scan, with its logit.
type found struct {
	x  float32
	id int32
}

// reset starts over with a row of logits, of which only those in the bitset count unless it is nil.
func (c *candidates) reset(logits []float32, allowed []uint64) {
	c.dense, c.scale, c.maxKnown = true, 1, false
	c.logits = logits
	c.list = c.list[:0]
	if allowed != nil {
		c.mask(allowed)
	}
}

// own makes logits a copy that may be written.
func (c *candidates) own() {
	if c.work == nil {
		c.work = make([]float32, len(c.logits))
	}
	if &c.logits[0] != &c.work[0] {
		copy(c.work, c.logits)
		c.logits = c.work
	}
	c.maxKnown = false
}

// mask copies the allowed logits and takes the others out.
func (c *candidates) mask(allowed []uint64) {
	if c.work == nil {
		c.work = make([]float32, len(c.logits))
	}
	for block, word := range allowed {
		low := block * 64
		high := min(low+64, len(c.logits))
		from, to := c.logits[low:high], c.work[low:high]
		switch word {
		case ^uint64(0):
			copy(to, from)
		case 0:
			for i := range to {
				to[i] = negInf
			}
		default:
			for i := range to {
				to[i] = negInf
				if word>>uint(i)&1 != 0 {
					to[i] = from[i]
				}
			}
		}
	}
	c.logits = c.work
}

// set changes the logit of one token of the dense set, which must be owned. Logits that are not finite stay.
func (c *candidates) set(id int32, x float64) {
	old := c.logits[id]
	if old-old != 0 {
		return
	}
	c.logits[id] = clampFloat32(x / c.scale)
}

func clampFloat32(x float64) float32 {
	if math.IsInf(x, -1) {
		return negInf
	}
	return float32(min(max(x, -math.MaxFloat32), math.MaxFloat32))
}

// findMax finds the largest logit of the dense set and checks every logit on the way.
func (c *candidates) findMax() error {
	if c.maxKnown {
		return nil
	}
	top, at := negInf, -1
	for i := firstAbove(c.logits, 0, top); i < len(c.logits); i = firstAbove(c.logits, i+1, top) {
		x := c.logits[i]
		if x-x != 0 {
			return &LogitError{Index: i, Value: x}
		}
		top, at = x, i
	}
	if at < 0 {
		return ErrNoCandidates
	}
	c.max, c.maxID, c.maxKnown = top, int32(at), true
	return nil
}

// firstAbove returns the first index from i on whose value is above floor or NaN, or the length. Passes over a vocabulary
// whose hits are few spend their time here, less than a nanosecond for each logit.
func firstAbove(values []float32, i int, floor float32) int {
	for ; i+8 <= len(values); i += 8 {
		v := values[i : i+8 : i+8]
		switch {
		case !(v[0] <= floor):
			return i
		case !(v[1] <= floor):
			return i + 1
		case !(v[2] <= floor):
			return i + 2
		case !(v[3] <= floor):
			return i + 3
		case !(v[4] <= floor):
			return i + 4
		case !(v[5] <= floor):
			return i + 5
		case !(v[6] <= floor):
			return i + 6
		case !(v[7] <= floor):
			return i + 7
		}
	}
	for ; i < len(values); i++ {
		if !(values[i] <= floor) {
			return i
		}
	}
	return len(values)
}

// moments describe the softmax of a set.
type moments struct {
	mass  float64 // sum of e^d, d the distance of a logit from the largest, d ≤ 0
	first float64 // sum of d·e^d
	count int     // candidates
}

// entropy in nats.
func (m moments) entropy() float64 { return max(0, log(m.mass)-m.first/m.mass) }

// drawBlock is the number of consecutive ids whose mass is summed together, in four lanes.
const drawBlock = 1024

// sumMass returns the total mass of the dense set, whose maximum must be known, and leaves the mass of each block.
func (c *candidates) sumMass() float64 {
	c.blocks = c.blocks[:0]
	total := 0.0
	for low := 0; low < len(c.logits); low += drawBlock {
		mass := blockMass(c.logits[low:min(low+drawBlock, len(c.logits))], float64(c.max), c.scale)
		c.blocks = append(c.blocks, mass)
		total += mass
	}
	return total
}

// blockMass sums e^((logit-top)·scale) in four lanes, logit i in lane i%4.
func blockMass(logits []float32, top, scale float64) float64 {
	var a, b, c, d float64
	i := 0
	for ; i+4 <= len(logits); i += 4 {
		v := (*[4]float32)(logits[i:])
		if x := float64((float64(v[0]) - top) * scale); x >= expFloor {
			a += exp(x)
		}
		if x := float64((float64(v[1]) - top) * scale); x >= expFloor {
			b += exp(x)
		}
		if x := float64((float64(v[2]) - top) * scale); x >= expFloor {
			c += exp(x)
		}
		if x := float64((float64(v[3]) - top) * scale); x >= expFloor {
			d += exp(x)
		}
	}
	for _, logit := range logits[i:] {
		if x := float64((float64(logit) - top) * scale); x >= expFloor {
			a += exp(x)
		}
	}
	return (a + b) + (c + d)
}

// denseMoments is moments of the dense set, whose maximum must be known.
func (c *candidates) denseMoments() moments {
	var m moments
	top := float64(c.max)
	for _, logit := range c.logits {
		if logit < -math.MaxFloat32 {
			continue
		}
		m.count++
		if d := float64((float64(logit) - top) * c.scale); d >= expFloor {
			w := exp(d)
			m.mass += w
			m.first += float64(d * w)
		}
	}
	return m
}

// gather makes a list of the dense candidates whose unscaled logit is at least low.
func (c *candidates) gather(low float64) {
	floor := clampFloat32(max(low, -math.MaxFloat32))
	if float64(floor) >= low { // the largest float32 that is less
		floor = math.Nextafter32(floor, negInf)
	}
	c.found = c.found[:0]
	for i := 0; i < len(c.logits); {
		i = firstAbove(c.logits, i, floor)
		end := min(i+64, len(c.logits)) // where one is, there may be more
		for ; i < end; i++ {
			if x := c.logits[i]; x > floor {
				c.found = append(c.found, found{x, int32(i)})
			}
		}
	}
	c.toList(c.found)
}

// gatherAll makes a list of all dense candidates.
func (c *candidates) gatherAll() {
	c.list = c.list[:0]
	for i, x := range c.logits {
		if x >= -math.MaxFloat32 {
			c.list = append(c.list, candidate{x: float64(float64(x) * c.scale), id: int32(i)})
		}
	}
	c.dense = false
}

// toList makes the found tokens, in ascending order of id, the candidates.
func (c *candidates) toList(tokens []found) {
	c.list = c.list[:0]
	for _, t := range tokens {
		c.list = append(c.list, candidate{x: float64(float64(t.x) * c.scale), id: t.id})
	}
	c.dense = false
}

// weigh fills in the weights of the list, and top, and returns the sum of the weights.
func (c *candidates) weigh() float64 {
	c.top = c.listMax()
	total := 0.0
	for i := range c.list {
		t := &c.list[i]
		t.w = 0
		if d := t.x - c.top; d >= expFloor {
			t.w = exp(d)
		}
		total += t.w
	}
	return total
}

func (c *candidates) listMax() float64 {
	top := math.Inf(-1)
	for i := range c.list {
		if x := c.list[i].x; x > top {
			top = x
		}
	}
	return top
}

// listMoments is moments of the list; it fills in the weights.
func (c *candidates) listMoments() moments {
	m := moments{mass: c.weigh(), count: len(c.list)}
	for i := range c.list {
		if t := &c.list[i]; t.w > 0 {
			m.first += float64((t.x - c.top) * t.w)
		}
	}
	return m
}

// filter keeps the candidates of the list for which keep is true.
func (c *candidates) filter(keep func(*candidate) bool) {
	kept := c.list[:0]
	for i := range c.list {
		if keep(&c.list[i]) {
			kept = append(kept, c.list[i])
		}
	}
	c.list = kept
}

// keepBest leaves the most probable candidate alone.
func (c *candidates) keepBest() error {
	if c.dense {
		if err := c.findMax(); err != nil {
			return err
		}
		c.list = append(c.list[:0], candidate{x: float64(float64(c.max) * c.scale), id: c.maxID})
		c.dense = false
		return nil
	}
	best := 0
	for i := range c.list {
		if c.list[i].x > c.list[best].x {
			best = i
		}
	}
	c.list[0] = c.list[best]
	c.list = c.list[:1]
	return nil
}

// draw returns the token at the share u of the total mass, 0 ≤ u < 1, ids in ascending order, with its probability.
func (c *candidates) draw(u float64) (id int32, probability float64, err error) {
	if c.dense {
		return c.drawDense(u)
	}
	total := c.weigh()
	target, sum, last := u*total, 0.0, 0
	for i := range c.list {
		if c.list[i].w == 0 {
			continue
		}
		sum += c.list[i].w
		last = i
		if sum > target {
			break
		}
	}
	return c.list[last].id, c.list[last].w / total, nil
}

func (c *candidates) drawDense(u float64) (id int32, probability float64, err error) {
	if err := c.findMax(); err != nil {
		return 0, 0, err
	}
	total := c.sumMass()
	target, block := float64(u*total), 0
	for i, mass := range c.blocks {
		if mass > 0 {
			block = i
		}
		if target < mass {
			break
		}
		target -= mass
	}
	low := block * drawBlock
	high := min(low+drawBlock, len(c.logits))
	last, lastMass, sum := low, 0.0, 0.0
	for i, logit := range c.logits[low:high] {
		d := float64((float64(logit) - float64(c.max)) * c.scale)
		if d < expFloor {
			continue
		}
		last, lastMass = low+i, exp(d)
		sum += lastMass
		if sum > target {
			break
		}
	}
	return int32(last), lastMass / total, nil
}
