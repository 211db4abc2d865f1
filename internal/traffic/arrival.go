// Package traffic measures an engine under load: requests arrive by a clock of their own, whether earlier ones are finished or not, and
// what each of them waited for is reported in quantiles.
package traffic

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/infer-go/infer/engine/schedule"
)

// Block is a stretch of a prompt. Blocks of one ID and size hold the same tokens, so that prompts that begin with the same blocks
// share a prefix.
type Block struct {
	ID     uint64
	Tokens int
}

// Arrival is one request of a load.
type Arrival struct {
	At     time.Duration // since the load began
	Prompt []Block
	Output int // tokens to generate
	Lane   schedule.Lane
	Tenant string
}

// PromptTokens is the prompt's length.
func (a *Arrival) PromptTokens() int {
	n := 0
	for _, b := range a.Prompt {
		n += b.Tokens
	}
	return n
}

// Range is a length that is drawn evenly from Low to High, both included.
type Range struct{ Low, High int }

func (r Range) draw(random *rand.Rand) int { return r.Low + random.IntN(r.High-r.Low+1) }

func (r Range) String() string {
	if r.Low == r.High {
		return fmt.Sprint(r.Low)
	}
	return fmt.Sprintf("%d-%d", r.Low, r.High)
}

// Load describes requests that arrive at random.
type Load struct {
	Rate     float64 // requests a second, in the mean; arrivals are a Poisson process
	Requests int
	Prompt   Range // tokens
	Output   Range // tokens
	// Prefix is how many of a prompt's tokens it shares with others: of Groups prefixes each request draws one. A prompt has at least one
	// token of its own.
	Prefix int
	Groups int
	Lanes  []LaneShare // empty: all online
	Seed   uint64
}

// LaneShare is the share of the requests that go to a lane. Shares are relative to their sum.
type LaneShare struct {
	Lane  schedule.Lane
	Share float64
}

func (l *Load) check() error {
	lengths := func(r Range) bool { return r.Low >= 1 && r.High >= r.Low && r.High <= maxTokens }
	switch {
	case !(l.Rate > 0) || math.IsInf(l.Rate, 0):
		return fmt.Errorf("rate: found %v, expected requests a second, above 0", l.Rate)
	case l.Requests < 1 || l.Requests > maxArrivals:
		return fmt.Errorf("requests: found %d, expected 1 to %d", l.Requests, maxArrivals)
	case !lengths(l.Prompt) || !lengths(l.Output):
		return fmt.Errorf("prompt and output: found %v and %v tokens, expected 1 to %d", l.Prompt, l.Output, maxTokens)
	case l.Prefix < 0 || l.Groups < 0 || l.Prefix > 0 && l.Groups == 0:
		return fmt.Errorf("prefix: found %d tokens of %d groups, expected 0 tokens, or a group and more", l.Prefix, l.Groups)
	}
	for _, s := range l.Lanes {
		if !(s.Share >= 0) || math.IsInf(s.Share, 0) {
			return fmt.Errorf("lane %s: found a share of %v, expected 0 or more", s.Lane, s.Share)
		}
	}
	return nil
}

const (
	maxArrivals = 1 << 20
	maxTokens   = 1 << 24 // of a prompt or an answer
)

// Poisson draws the arrivals of a load. The same load gives the same arrivals.
func Poisson(l Load) ([]Arrival, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	random := rand.New(rand.NewPCG(l.Seed, 0x7261666669))
	out := make([]Arrival, l.Requests)
	var at float64
	for i := range out {
		at += random.ExpFloat64() / l.Rate
		a := Arrival{At: time.Duration(at * float64(time.Second)), Output: l.Output.draw(random), Lane: drawLane(l.Lanes, random)}
		own := l.Prompt.draw(random)
		if shared := min(l.Prefix, own-1); shared > 0 {
			a.Prompt = append(a.Prompt, Block{ID: sharedBlock | uint64(random.IntN(l.Groups)), Tokens: shared})
			own -= shared
		}
		a.Prompt = append(a.Prompt, Block{ID: ownBlock | l.Seed<<20 | uint64(i), Tokens: own})
		out[i] = a
	}
	return out, nil
}

// The upper bits of blocks' IDs keep their sources apart.
const (
	sharedBlock = 1 << 62
	ownBlock    = 1 << 63
)

func drawLane(shares []LaneShare, random *rand.Rand) schedule.Lane {
	var sum float64
	for _, s := range shares {
		sum += s.Share
	}
	at := random.Float64() * sum
	for _, s := range shares {
		if at -= s.Share; at < 0 {
			return s.Lane
		}
	}
	return schedule.Online
}

// tokens makes a prompt's tokens, numbers below vocabulary, from its blocks' IDs alone.
func (a *Arrival) tokens(vocabulary int) []int32 {
	out := make([]int32, 0, a.PromptTokens())
	for _, b := range a.Prompt {
		random := rand.New(rand.NewPCG(b.ID, 0x626c6f636b))
		for range b.Tokens {
			out = append(out, int32(random.IntN(vocabulary)))
		}
	}
	return out
}

// UnboundedHits is how many prompt tokens a cache that forgets nothing, in whole pages, would find for arrivals that come one after the
// other, and how many there are. The last token of a prompt is always computed.
func UnboundedHits(arrivals []Arrival, page int) (hits, all int) {
	seen := map[uint64]bool{}
	for i := range arrivals {
		a := &arrivals[i]
		n := a.PromptTokens()
		all += n
		hash, at, covered, known := uint64(14695981039346656037), 0, 0, true
		for _, b := range a.Prompt {
			for k := range b.Tokens {
				hash = (hash ^ (b.ID*0x9e3779b97f4a7c15 + uint64(k))) * 1099511628211
				hash ^= hash >> 29
				if at++; at%page != 0 {
					continue
				}
				if known = known && seen[hash]; known && at < n {
					covered = at
				}
				seen[hash] = true
			}
		}
		hits += covered
	}
	return hits, all
}
