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

	work   []float32  // [vocab] copy of the caller's logits that stages may change
	found  []found    // scratch of scans over dense logits
	floats []float32  // scratch of selection
	masses []weighted // scratch of selection by mass
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
		if low >= len(c.logits) {
			break
		}
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
	for i, x := range c.logits {
		if !(x <= top) { // true for NaN also
			if x-x != 0 {
				return &LogitError{Index: i, Value: x}
			}
			top, at = x, i
		}
	}
	if at < 0 {
		return ErrNoCandidates
	}
	c.max, c.maxID, c.maxKnown = top, int32(at), true
	return nil
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

// sumMass returns the total mass of the dense set, whose maximum must be known, and leaves the mass of each block. Tokens
// with distances from the largest of at most near (in units of the scaled logit) are collected in found.
func (c *candidates) sumMass(near float64) float64 {
	c.blocks, c.found = c.blocks[:0], c.found[:0]
	total := 0.0
	for low := 0; low < len(c.logits); low += drawBlock {
		mass := c.blockMass(low, min(low+drawBlock, len(c.logits)), -near)
		c.blocks = append(c.blocks, mass)
		total += mass
	}
	return total
}

func (c *candidates) blockMass(low, high int, cut float64) float64 {
	top, scale := float64(c.max), c.scale
	var lanes [4]float64
	for i, logit := range c.logits[low:high] {
		d := float64((float64(logit) - top) * scale)
		if d < expFloor {
			continue
		}
		lanes[i%4] += exp(d)
		if d >= cut {
			c.found = append(c.found, found{logit, int32(low + i)})
		}
	}
	return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
}

// denseMoments is moments of the dense set, whose maximum must be known.
func (c *candidates) denseMoments() moments {
	var m moments
	top := float64(c.max)
	for _, logit := range c.logits {
		if logit == negInf {
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
	low32 := clampFloat32(max(low, -math.MaxFloat32))
	if float64(low32) < low {
		low32 = math.Nextafter32(low32, float32(math.Inf(1)))
	}
	c.found = c.found[:0]
	for i, x := range c.logits {
		if x >= low32 {
			c.found = append(c.found, found{x, int32(i)})
		}
	}
	c.toList(c.found)
}

// toList makes the found tokens, in ascending order of id, the candidates.
func (c *candidates) toList(tokens []found) {
	c.list = c.list[:0]
	for _, t := range tokens {
		c.list = append(c.list, candidate{x: float64(float64(t.x) * c.scale), id: t.id})
	}
	c.dense = false
}

// weigh fills in the weights of the list and returns their sum.
func (c *candidates) weigh() float64 {
	top := c.listMax()
	total := 0.0
	for i := range c.list {
		d := c.list[i].x - top
		w := 0.0
		if d >= expFloor {
			w = exp(d)
		}
		c.list[i].w = w
		total += w
	}
	return total
}

func (c *candidates) listMax() float64 {
	top := math.Inf(-1)
	for i := range c.list {
		top = max(top, c.list[i].x)
	}
	return top
}

// listMoments is moments of the list; it fills in the weights.
func (c *candidates) listMoments() moments {
	m := moments{mass: c.weigh(), count: len(c.list)}
	top := c.listMax()
	for _, t := range c.list {
		if t.w > 0 {
			m.first += float64((t.x - top) * t.w)
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
	total := c.sumMass(-1)
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
