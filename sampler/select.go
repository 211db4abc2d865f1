package sampler

// Selection without sorting: the k-th largest value, and the value where a mass is reached.

// kthLargest returns the k-th largest of values, 1 ≤ k ≤ len(values), and reorders them. Expected time is linear.
func kthLargest(values []float32, k int) float32 {
	for random := pivotSeed; len(values) > 1; {
		pivot := values[random.below(len(values))]
		above, equal := partition(values, pivot)
		switch {
		case k <= above:
			values = values[:above]
		case k <= above+equal:
			return pivot
		default:
			values = values[above+equal:]
			k -= above + equal
		}
	}
	return values[0]
}

// partition moves the values above pivot to the front, equal ones behind them, and returns how many there are of each.
func partition(values []float32, pivot float32) (above, equal int) {
	end := len(values)
	for i := 0; i < end; {
		switch x := values[i]; {
		case x > pivot:
			values[i], values[above] = values[above], x
			above++
			i++
		case x < pivot:
			end--
			values[i], values[end] = values[end], x
		default:
			i++
		}
	}
	return above, end - above
}

// weighted is a value with the mass that it brings.
type weighted struct{ value, mass float64 }

// massCut returns the value at which the mass of the items, taken in descending order of value, is reached, and the mass of
// all items above that value; before is mass above all of them. Where it is never reached (rounding), it is the smallest
// value. With strict the mass must be exceeded. Items are reordered; there must be one. Expected time is linear.
func massCut(items []weighted, mass, before float64, strict bool) (value, above float64) {
	above = before
	for random := pivotSeed; ; {
		pivot := items[random.below(len(items))].value
		front, equal, frontMass, equalMass := partitionMass(items, pivot)
		switch {
		case front > 0 && reached(above+frontMass, mass, strict):
			items = items[:front]
		case front+equal == len(items) || reached(above+(frontMass+equalMass), mass, strict):
			return pivot, above + frontMass
		default:
			above += frontMass + equalMass
			items = items[front+equal:]
		}
	}
}

// manyItems is the number from which sums over buckets first narrow the items down: a pass over all of them at a steady pace
// beats the first rounds of partitioning, whose branches cannot be predicted.
const (
	manyItems = 2048
	buckets   = 1024
)

// findCut is massCut of masses, which it leaves in order.
func (c *candidates) findCut(mass float64, strict bool) (value, above float64) {
	if len(c.masses) < manyItems {
		c.chosen = append(c.chosen[:0], c.masses...)
		return massCut(c.chosen, mass, 0, strict)
	}
	top, bottom := c.masses[0].value, c.masses[0].value
	for _, item := range c.masses {
		if item.value > top {
			top = item.value
		} else if item.value < bottom {
			bottom = item.value
		}
	}
	// Buckets are of equal width over the values that can matter; all below share the last.
	perUnit := (buckets - 1) / min(max(top-bottom, 1e-30), bucketSpan)
	var sums [buckets]float64
	var counts [buckets]int32
	for _, item := range c.masses {
		b := bucket(top-item.value, perUnit)
		sums[b] += item.mass
		counts[b]++
	}
	at, sum := 0, 0.0 // the bucket that reaches the mass, or where rounding lets none reach it, the last with any item
	for i, bucketMass := range sums {
		if counts[i] == 0 {
			continue
		}
		at, above = i, sum
		if sum += bucketMass; reached(sum, mass, strict) {
			break
		}
	}
	c.chosen = c.chosen[:0]
	for _, item := range c.masses {
		if bucket(top-item.value, perUnit) == at {
			c.chosen = append(c.chosen, item)
		}
	}
	return massCut(c.chosen, mass, above, strict)
}

// bucketSpan is the width of values, in nats, spread over the buckets: a token further down has too little mass to matter.
const bucketSpan = 40

func bucket(distance, perUnit float64) int {
	if b := distance * perUnit; b < buckets-1 {
		return int(b)
	}
	return buckets - 1
}

func reached(sum, mass float64, strict bool) bool { return sum > mass || !strict && sum == mass }

func partitionMass(items []weighted, pivot float64) (front, equal int, frontMass, equalMass float64) {
	end := len(items)
	for i := 0; i < end; {
		switch item := items[i]; {
		case item.value > pivot:
			items[i], items[front] = items[front], item
			frontMass += item.mass
			front++
			i++
		case item.value < pivot:
			end--
			items[i], items[end] = items[end], item
		default:
			equalMass += item.mass
			i++
		}
	}
	return front, end - front, frontMass, equalMass
}

// pivots is a small generator (xorshift) that picks pivots: no order of the input is slow every time, and every run picks
// the same ones.
type pivots uint64

const pivotSeed pivots = 0x9e3779b97f4a7c15

func (p *pivots) below(n int) int {
	x := *p
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	*p = x
	return int((uint64(x) >> 33) % uint64(n))
}
