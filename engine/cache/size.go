package cache

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Footprint is what a page of a kind takes.
type Footprint struct {
	Window    int
	State     bool
	PageBytes int64
}

// Demand is what a cache is sized for.
type Demand struct {
	Budget    int64 // bytes for all kinds; 0: room for Sequences of full length
	Sequences int   // that run at the same time
	Context   int   // tokens of the longest
	StepRows  int   // tokens of a step, over all sequences
	// Checkpoints is the distance of recurrent states in tokens; 0: as a cache chooses it by default.
	Checkpoints int
}

// Size divides a budget between kinds. First come what running sequences need: of windowed kinds their windows and a step, of state
// kinds a slot to read and one to write, of the others one sequence of full length. The rest goes to the kinds in the proportion in
// which prefixes of half that length use them, once they have ended. It returns the pages of each kind.
func Size(kinds []Footprint, d Demand) ([]int, error) {
	if d.Budget < 0 || d.Sequences < 1 || d.Context < 1 || d.StepRows < 1 {
		return nil, fmt.Errorf("%w: sizing the cache for %+v", ErrUsage, d)
	}
	running, ended := make([]float64, len(kinds)), make([]float64, len(kinds))
	var least, each float64
	for i, k := range kinds {
		if k.PageBytes <= 0 || k.Window < 0 {
			return nil, fmt.Errorf("%w: kind %d has pages of %d bytes and window %d", ErrUsage, i, k.PageBytes, k.Window)
		}
		running[i], ended[i] = k.running(d), k.ended(d, kinds)
		least += running[i] * float64(k.PageBytes)
		each += ended[i] * float64(k.PageBytes)
	}
	prefixes := 2 * float64(d.Sequences) // of half the length
	if d.Budget > 0 {
		if least > float64(d.Budget) {
			return nil, fmt.Errorf("%w: a cache of %s is too small: one sequence of %d tokens and the windows of %d need %s", ErrFull,
				formatBytes(d.Budget), d.Context, d.Sequences, formatBytes(int64(least)))
		}
		prefixes = (float64(d.Budget) - least) / max(each, 1)
	}
	pages := make([]int, len(kinds))
	for i, k := range kinds {
		n := running[i] + math.Floor(prefixes*ended[i])
		if d.Budget == 0 && k.Window == 0 && !k.State {
			n = float64(d.Sequences * pagesOf(d.Context))
		}
		pages[i] = int(min(n, 1<<30))
	}
	return pages, nil
}

func pagesOf(tokens int) int { return (tokens + PageTokens - 1) / PageTokens }

// running is what sequences need that compute: a last page may be copied while the old one is still held.
func (k Footprint) running(d Demand) float64 {
	switch {
	case k.State:
		return float64(2 * d.Sequences)
	case k.Window == 0:
		return float64(pagesOf(d.Context) + d.Sequences)
	}
	window := pagesOf(k.Window) + 2 // it begins and ends inside of a page
	return float64(min(d.Sequences*(window+1)+pagesOf(d.StepRows), d.Sequences*(pagesOf(d.Context)+1)))
}

// ended is what a prefix takes that nobody holds: half a context, and what is needed to go on from its end.
func (k Footprint) ended(d Demand, kinds []Footprint) float64 {
	tokens := max(1, d.Context/2)
	switch {
	case k.State:
		distance := d.Checkpoints
		if distance == 0 {
			distance = checkpointDistance(kinds, DefaultCheckpointShare)
		}
		return 1 + float64(tokens/max(distance, 1))
	case k.Window == 0:
		return float64(pagesOf(tokens))
	}
	return float64(pagesOf(min(tokens, k.Window)) + 1)
}

// checkpointDistance weighs a state's bytes against those of the pages between two checkpoints: tokens from one to the next.
func checkpointDistance(kinds []Footprint, share float64) int {
	var state, page float64
	for _, k := range kinds {
		switch {
		case k.State:
			state += float64(k.PageBytes)
		case k.Window == 0:
			page += float64(k.PageBytes)
		}
	}
	if page == 0 {
		return pureStateDistance
	}
	return PageTokens * int(max(1, min(math.Ceil(state/(share*page)), 1<<20)))
}

var byteUnits = []struct {
	suffix string
	bytes  float64
}{{"TIB", 1 << 40}, {"GIB", 1 << 30}, {"MIB", 1 << 20}, {"KIB", 1 << 10}, {"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1}}

// ParseBudget reads a size: "2GiB", "500MB", a number of bytes, or "40%" of what available returns.
func ParseBudget(text string, available func() (int64, error)) (int64, error) {
	bad := func() (int64, error) {
		return 0, fmt.Errorf("cache size %q: expected a size as 2GiB, 500MB, or a share of the free memory as 40%%", text)
	}
	number, factor := strings.ToUpper(strings.TrimSpace(text)), 1.0
	if rest, ok := strings.CutSuffix(number, "%"); ok {
		free, err := available()
		if err != nil {
			return 0, fmt.Errorf("cache size %q: %w", text, err)
		}
		number, factor = rest, float64(free)/100
		if v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64); err != nil || v > 100 {
			return bad()
		}
	} else {
		for _, u := range byteUnits {
			if rest, ok := strings.CutSuffix(number, u.suffix); ok {
				number, factor = rest, u.bytes
				break
			}
		}
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !(v > 0) || v*factor < 1 || v*factor > 1<<60 {
		return bad()
	}
	return int64(v * factor), nil
}

func formatBytes(n int64) string {
	for _, u := range byteUnits[:4] {
		if float64(n) >= u.bytes {
			return fmt.Sprintf("%.1f %ciB", float64(n)/u.bytes, u.suffix[0])
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
