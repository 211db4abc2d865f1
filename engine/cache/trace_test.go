package cache

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"

	"github.com/infer-go/infer/internal/fixtures"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mooncake returns the prompts of a real trace, 16 times shorter: a block of 512 tokens becomes a page.
func mooncake(t *testing.T) (prompts [][]int32, pages int) {
	file, err := os.Open(fixtures.Path(t, "traces", "mooncake_fast25_synthetic.jsonl"))
	require.NoError(t, err)
	defer file.Close()
	unique := map[int32]bool{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var request struct {
			Length int     `json:"input_length"`
			Blocks []int32 `json:"hash_ids"`
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &request))
		tokens := make([]int32, 0, len(request.Blocks)*PageTokens)
		for _, id := range request.Blocks {
			unique[id] = true
			for range PageTokens {
				tokens = append(tokens, id)
			}
		}
		prompts = append(prompts, tokens[:min(len(tokens), max(1, request.Length/16))])
	}
	require.NoError(t, lines.Err())
	return prompts, len(unique)
}

// replay runs prompts through a cache, 16 open at a time, and returns the share of tokens that were found.
func replay(t *testing.T, prompts [][]int32, pages int) float64 {
	kinds := []Kind{{Pages: pages}}
	c, err := New(kinds, noDevice{}, Options{})
	require.NoError(t, err)
	var open []*Sequence
	for _, tokens := range prompts {
		if len(open) == 16 {
			open[0].Close()
			open = open[1:]
		}
		open = append(open, compute(t, c, tokens))
	}
	for _, s := range open {
		s.Close()
	}
	require.NoError(t, c.Check())
	stats := c.Stats()
	return float64(stats.HitTokens) / float64(stats.PromptTokens)
}

// best is the share that a cache finds which forgets nothing: prefixes of whole blocks that were there before.
func best(prompts [][]int32) float64 {
	known := map[uint64]bool{}
	found, all := 0, 0
	for _, tokens := range prompts {
		all += len(tokens)
		hash, hit := keyHash(""), true
		for at := 0; at+PageTokens <= len(tokens); at += PageTokens {
			hash = fingerprint(hash, tokens[at:at+PageTokens])
			if hit = hit && known[hash]; hit {
				found += PageTokens
			}
			known[hash] = true
		}
	}
	return float64(found) / float64(all)
}

// On a real trace the cache finds what can be found, while memory allows.
func TestMooncakeTrace(t *testing.T) {
	prompts, unique := mooncake(t)
	most := best(prompts)
	for _, c := range []struct{ memory, least float64 }{{1, 0.999}, {0.8, 0.99}, {0.5, 0.9}, {0.25, 0.65}} {
		share := replay(t, prompts, int(c.memory*float64(unique)))
		t.Logf("memory for %3.0f %% of all pages: %.1f %% of the tokens found, %.1f %% with endless memory", 100*c.memory, 100*share, 100*most)
		assert.GreaterOrEqual(t, share, c.least*most)
	}
}

// noDevice has pages of one byte; nothing is read or written.
type noDevice struct{}

func (noDevice) PageBytes(int) int64              { return 1 }
func (noDevice) CopyPage(int, int, int) error     { return nil }
func (noDevice) ReadPage(int, int, []byte) error  { return nil }
func (noDevice) WritePage(int, int, []byte) error { return nil }
