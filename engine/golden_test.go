package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine/hub"
	"github.com/infer-go/infer/internal/fixtures"
)

// Bounds on how far answers may be from llama.cpp's on the same file. Both round activations to 8 bits, in blocks of their
// own choice, and so a token whose lead is within the rounding may differ; from there on the texts are different.
const (
	goldenTokens     = 16    // tokens of each answer that are compared
	goldenAgreement  = 0.9   // share of the answers in which all of them are equal
	goldenPerplexity = 0.005 // relative
	goldenWindows    = 4     // of 512 tokens; under -short none
)

// golden is a file that bench/peers/golden.py wrote.
type golden struct {
	Model   string `json:"model"`
	File    string `json:"file"`
	Size    int64  `json:"size"`
	SHA256  string `json:"sha256"`
	Prompts []struct {
		Name      string    `json:"name"`
		Prompt    string    `json:"prompt"`
		PromptIDs []int32   `json:"prompt_ids"`
		IDs       []int32   `json:"ids"`
		Second    []int32   `json:"second"`
		Margins   []float64 `json:"margins"` // lead of the likeliest token's logit before the second's
		Ended     bool      `json:"ended"`
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
// The file must be the very one that llama.cpp answered from. Without it the test is skipped.
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
	t.Skipf("%s is not in the cache: infer pull %s, or name a folder with %s in INFER_GOLDEN_MODELS", g.Model, g.Model, g.File)
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
			t.Run("answers", func(t *testing.T) { compareAnswers(t, e, g) })
			t.Run("perplexity", func(t *testing.T) { comparePerplexity(t, e, g) })
		})
	}
}

func compareAnswers(t *testing.T, e *Engine, g golden) {
	equal := 0
	for _, p := range g.Prompts {
		ids, err := e.Tokenize(p.Prompt, true)
		require.NoError(t, err)
		require.Equal(t, p.PromptIDs, ids, p.Name)
		n := answerAgreement(t, e, p.Prompt, p.IDs)
		if n == min(goldenTokens, len(p.IDs)) {
			equal++
			continue
		}
		t.Logf("%s: %d tokens equal; the next led by %.3f", p.Name, n, p.Margins[n])
	}
	assert.GreaterOrEqual(t, float64(equal), goldenAgreement*float64(len(g.Prompts)), "answers of %d whose first %d tokens are equal", len(g.Prompts), goldenTokens)
}

// answerAgreement returns how many of the first tokens of the greedy answer are the expected ones.
func answerAgreement(t *testing.T, e *Engine, prompt string, want []int32) int {
	n, same := 0, true
	for token, err := range e.Generate(context.Background(), Request{Prompt: prompt, MaxTokens: min(goldenTokens, len(want)), Sampling: greedy()}) {
		require.NoError(t, err)
		if same = same && token.ID == want[n]; same {
			n++
		}
	}
	return n
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
