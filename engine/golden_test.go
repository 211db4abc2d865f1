package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine/hub"
	"github.com/infer-go/infer/internal/fixtures"
)

// Bounds on how far answers may be from llama.cpp's on the same file. Both engines round activations to 8 bits, in blocks of
// their own choice, so a token whose lead is within the rounding may differ, and from there on the text is another. Which of
// two texts is right is told by the same weights computed without rounding: an engine is as good as it agrees with that.
const (
	goldenTokens     = 16    // tokens of each answer that are compared
	goldenMargin     = 0.5   // largest lead, in logits, that rounding may turn round
	goldenPerplexity = 0.005 // relative
)

// goldenAnswer is a greedy continuation.
type goldenAnswer struct {
	IDs     []int32   `json:"ids"`
	Margins []float64 `json:"margins"` // lead of each before the second likeliest, in logits
}

// golden is a file that bench/peers/golden.py wrote.
type golden struct {
	Model   string `json:"model"`
	File    string `json:"file"`
	Size    int64  `json:"size"`
	SHA256  string `json:"sha256"`
	Prompts []struct {
		Name      string  `json:"name"`
		Prompt    string  `json:"prompt"`
		PromptIDs []int32 `json:"prompt_ids"`
		goldenAnswer
		Exact goldenAnswer `json:"exact"` // of the same weights as F32, with an f32 cache
	} `json:"prompts"`
	Perplexity []struct {
		Text       string  `json:"text"`
		SHA256     string  `json:"sha256"`
		Perplexity float64 `json:"perplexity"`
		Tokens     int     `json:"tokens"`
		Scored     int     `json:"scored"`
		Windows    int     `json:"windows"`
		Window     int     `json:"ctx"`
	} `json:"perplexity"`
}

// goldenFiles reads testdata/golden.
func goldenFiles(t *testing.T) []golden {
	paths, err := filepath.Glob(filepath.Join(fixtures.Root(t), "testdata", "golden", "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	files := make([]golden, len(paths))
	for i, path := range paths {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(data, &files[i]), path)
		require.NotEmpty(t, files[i].Prompts, path)
		require.NotEmpty(t, files[i].Perplexity, path)
	}
	return files
}

// find returns the model's path: from the folder that INFER_GOLDEN_MODELS names, else from the cache of fetched models.
// The file must be the very one that llama.cpp answered from. Without it the test fails.
func (g golden) find(t *testing.T) string {
	if dir := os.Getenv("INFER_GOLDEN_MODELS"); dir != "" {
		path := filepath.Join(dir, g.File)
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		sum := sha256.Sum256(data)
		require.Equal(t, g.SHA256, hex.EncodeToString(sum[:]), path)
		return path
	}
	models, err := hub.List(hub.Options{})
	require.NoError(t, err)
	for _, m := range models {
		if m.SHA256 == g.SHA256 && m.Fault == "" {
			return m.Path
		}
	}
	require.FailNowf(t, "no model", "%s is not in the cache: infer pull %s, or name a folder with %s in INFER_GOLDEN_MODELS", g.Model, g.Model, g.File)
	return ""
}

// TestGolden holds answers on real models against llama.cpp's. It needs models of 350 MB and minutes, so it runs by `make
// golden` alone.
func TestGolden(t *testing.T) {
	if os.Getenv("INFER_GOLDEN") != "1" {
		t.Skip("real models are compared by `make golden`")
	}
	for _, g := range goldenFiles(t) {
		t.Run(g.Model, func(t *testing.T) {
			e, err := Open(g.find(t), Options{Context: 512, Sequences: 1, AllLogits: true})
			require.NoError(t, err)
			defer func() { require.NoError(t, e.Close()) }()
			t.Run("answers without rounding", func(t *testing.T) { compareExact(t, e, g) })
			t.Run("answers of llama.cpp", func(t *testing.T) { comparePeer(t, e, g) })
			t.Run("perplexity", func(t *testing.T) { comparePerplexity(t, e, g) })
		})
	}
}

// compareExact requires as many answers without a fault as llama.cpp has. Where a token differs the right one must have led
// by little, and ours must lead the right one by little.
func compareExact(t *testing.T, e *Engine, g golden) {
	ours, theirs := 0, 0
	for _, p := range g.Prompts {
		ids, err := e.Tokenize(p.Prompt, true)
		require.NoError(t, err)
		require.Equal(t, p.PromptIDs, ids, p.Name)
		got, leads := continueGreedily(t, e, p.Prompt, p.Exact.IDs)
		want := p.Exact.IDs
		require.Len(t, p.Exact.Margins, len(want), p.Name)
		n, peer := commonPrefix(got, want), commonPrefix(p.IDs, want)
		ours += count(n == len(want))
		theirs += count(peer == len(want))
		if n < len(want) {
			require.Less(t, n, len(got), "%s: the answer ended early", p.Name)
			t.Logf("%s: %d tokens as without rounding (llama.cpp: %d); the next led by %.3f, and in ours came behind by %.3f",
				p.Name, n, peer, p.Exact.Margins[n], leads[n])
			assert.Less(t, p.Exact.Margins[n], goldenMargin, "%s: token %d", p.Name, n)
			assert.Less(t, leads[n], goldenMargin, "%s: token %d", p.Name, n)
		}
	}
	t.Logf("of %d answers, as without rounding: %d, llama.cpp's: %d", len(g.Prompts), ours, theirs)
	assert.GreaterOrEqual(t, ours, theirs)
}

// comparePeer reports how many answers are llama.cpp's. Rounding decides that: an engine that rounds nothing agrees with it in no
// more answers than ours. What is required is that the texts part at near ties alone.
func comparePeer(t *testing.T, e *Engine, g golden) {
	equal, exact := 0, 0
	for _, p := range g.Prompts {
		got, _ := continueGreedily(t, e, p.Prompt, nil)
		n, length := commonPrefix(got, p.IDs), min(goldenTokens, len(p.IDs))
		equal += count(n == length)
		exact += count(commonPrefix(p.Exact.IDs, p.IDs) >= length)
		if n < length {
			t.Logf("%s: %d tokens equal; the next led by %.3f", p.Name, n, p.Margins[n])
			assert.Less(t, p.Margins[n], 2*goldenMargin, // both engines round
				"%s: token %d", p.Name, n)
		}
	}
	t.Logf("of %d answers, as llama.cpp's: %d; of the unrounded ones: %d", len(g.Prompts), equal, exact)
}

// continueGreedily returns an answer, and each token's lead before the token wanted in its place, in logits; infinite where
// that is not among the likeliest.
func continueGreedily(t *testing.T, e *Engine, prompt string, want []int32) (ids []int32, leads []float64) {
	params := greedy()
	params.LogProbs, params.TopLogProbs = true, 5
	for token, err := range e.Generate(context.Background(), Request{Prompt: prompt, MaxTokens: goldenTokens, Sampling: params}) {
		require.NoError(t, err)
		lead := math.Inf(1)
		for _, c := range token.Top {
			if n := len(ids); n < len(want) && c.ID == want[n] {
				lead = float64(token.LogProb - c.LogProb)
			}
		}
		ids, leads = append(ids, token.ID), append(leads, lead)
	}
	return ids, leads
}

func commonPrefix(a, b []int32) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

func comparePerplexity(t *testing.T, e *Engine, g golden) {
	for _, want := range g.Perplexity {
		if testing.Short() {
			t.Skip("takes seconds a window")
		}
		text, err := os.ReadFile(fixtures.Path(t, "text", want.Text))
		require.NoError(t, err)
		sum := sha256.Sum256(text)
		require.Equal(t, want.SHA256, hex.EncodeToString(sum[:]))
		ids, err := e.Tokenize(strings.TrimSuffix(string(text), "\n"), true)
		require.NoError(t, err)
		require.Len(t, ids, want.Tokens)
		got, err := e.Perplexity(context.Background(), ids, want.Window, want.Windows, nil)
		require.NoError(t, err)
		assert.Equal(t, want.Scored, got.Scored)
		assert.InEpsilon(t, want.Perplexity, got.Perplexity, goldenPerplexity)
		t.Logf("perplexity %.4f, llama.cpp %.4f", got.Perplexity, want.Perplexity)
	}
}
