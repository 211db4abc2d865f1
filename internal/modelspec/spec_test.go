package modelspec

import (
	"bytes"
	"os"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine/gguf"
)

const blocks = `
let  layers=2 dim=8*wide wide=1 vocab=11 encoder=0 experts=0 used=0 odd=0   # the sizes
vary wide=1,2 layers=1,2,3
block norms
tensor blk.*.attn_norm.weight dim
block base
key  embedding_length u32 dim
key  block_count u32 layers
use  norms
tensor token_embd.weight dim vocab
`

func folder(spec string) fstest.MapFS {
	return fstest.MapFS{"common.spec": {Data: []byte(blocks)}, "a.spec": {Data: []byte(spec)}}
}

func load(t *testing.T, spec string) (*Spec, error) {
	t.Helper()
	specs, err := Load(folder(spec))
	if err != nil {
		return nil, err
	}
	require.Len(t, specs, 1)
	return specs[0], nil
}

func TestModel(t *testing.T) {
	s, err := load(t, `
arch a
case one
case two wide=2 odd=1 layers=3
use  base
key  scale f32 (dim-4)/2
key  heads i32[] 4,2,4*2    # no expression: one word
`)
	require.NoError(t, err)
	_, err = s.Model(s.Cases[0])
	assert.ErrorContains(t, err, "case one: ")

	s, err = load(t, `
arch a
case one
case two wide=2 odd=1 layers=3 heads=4,2
let  heads=3
use  base
key  scale f32 (dim-4)/2
key  heads u32[] heads*2
if odd key flag bool 1
if odd if 1-odd key never bool 1
if odd tensor blk.{1:layers}.extra.bias 2*dim ~ 5 0
key  tokenizer.ggml.pre str default
key  scale none
`)
	require.NoError(t, err)
	m, err := s.Model(s.Cases[1])
	require.NoError(t, err)
	first, err := m.Bytes()
	require.NoError(t, err)
	again, err := m.Bytes()
	require.NoError(t, err)
	assert.True(t, bytes.Equal(first, again), "the same bytes every time")

	path := t.TempDir() + "/m.gguf"
	require.NoError(t, os.WriteFile(path, first, 0o600))
	f, err := gguf.Open(path)
	require.NoError(t, err)
	defer f.Close()
	heads, _, err := f.Metadata.Ints("a.heads")
	require.NoError(t, err)
	assert.Equal(t, []int64{8, 4, 8}, heads, "one value a layer, in turn")
	assert.True(t, f.Metadata.Has("a.flag"))
	assert.False(t, f.Metadata.Has("a.never"))
	assert.False(t, f.Metadata.Has("a.scale"), "dropped")
	assert.True(t, f.Metadata.Has("tokenizer.ggml.pre"))
	names := map[string]bool{}
	for _, tensor := range f.Tensors {
		names[tensor.Name] = true
	}
	assert.Equal(t, map[string]bool{"token_embd.weight": true, "blk.0.attn_norm.weight": true, "blk.1.attn_norm.weight": true, "blk.2.attn_norm.weight": true,
		"blk.1.extra.bias": true, "blk.2.extra.bias": true}, names)
	assert.Len(t, m.Ids(), Tokens)
	for _, id := range m.Ids() {
		assert.True(t, id >= 0 && id < 11)
	}
}

func TestRandom(t *testing.T) {
	s, err := load(t, "arch a\ncase one\ncase two wide=2\nuse base\n")
	require.NoError(t, err)
	seen := map[string]bool{}
	for n := range 30 {
		c, _, err := s.Random(1, n)
		require.NoError(t, err)
		again, _, err := s.Random(1, n)
		require.NoError(t, err)
		assert.Equal(t, c, again)
		seen[c.Text()] = true
	}
	assert.Greater(t, len(seen), 20)
}

func TestFaults(t *testing.T) {
	for spec, want := range map[string]string{
		"case one\n":                                 "expected an arch",
		"arch a\n":                                   "at least one case",
		"arch a b\n":                                 "a.spec:1: expected one architecture",
		"arch a\ncase\n":                             "a case without a name",
		"arch a\ncase one x\n":                       "expected NAME=VALUE",
		"arch a\ncase one\nuse nothing\n":            "no block \"nothing\"",
		"arch a\ncase one\nkey x u64 1\n":            "found the type \"u64\"",
		"arch a\ncase one\nkey x\n":                  "expected a name and values",
		"arch a\ncase one\nfrom x\n":                 "found \"from\"",
		"arch a\ncase one\nkey x u32 none\n":         "no variable \"none\"",
		"arch a\ncase one\nkey x u32 (1\n":           "a bracket without its end",
		"arch a\ncase one\nkey x u32 1)\n":           "expected an operator",
		"arch a\ncase one\nkey x u32 1 2\n":          "found 2 values",
		"arch a\ncase one\nlet q=q+1\nkey x u32 q\n": "made from itself",
		"arch a\ncase one\ntensor t dim/16\n":        "expected an integer",
		"arch a\ncase one\ntensor t 1 ~ 1\n":         "expected ~ MEAN DEVIATION",
		"arch a\ncase one\ntensor t.{1} 1\n":         "expected {A:B}",
		"arch a\ncase one\ntensor t.{0:2:0} 1\n":     "expected an integer of at least 1",
		"arch a\ncase one\ncase one\n":               "case one is in the specs",
	} {
		s, err := load(t, spec)
		if err == nil {
			_, err = s.Model(s.Cases[0])
		}
		assert.ErrorContains(t, err, want, spec)
	}
}
