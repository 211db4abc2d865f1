package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/engine/quantize"
	"github.com/infer-go/infer/kernels"
	"github.com/infer-go/infer/sampler"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func seeded(seed uint64) *sampler.Params {
	p := sampler.DefaultParams()
	p.Seed = seed
	return &p
}

// collect runs a request to its end.
func collect(t testing.TB, e *Engine, r Request) (ids []int32, text string, last Token) {
	for token, err := range e.Generate(context.Background(), r) {
		require.NoError(t, err)
		ids = append(ids, token.ID)
		text += token.Text
		last = token
	}
	return ids, text, last
}

func openTiny(t testing.TB, m tinyModel, o Options) *Engine {
	e, err := Open(m.write(t), o)
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, e.checkCache())
		assert.NoError(t, e.Close())
	})
	return e
}

func TestGenerate(t *testing.T) {
	e := openTiny(t, tiny, Options{})
	ids, _, last := collect(t, e, Request{Prompt: "ab ab", MaxTokens: 20, Sampling: seeded(1), IgnoreEnd: true})
	assert.Len(t, ids, 20)
	assert.Equal(t, FinishLength, last.Finish)
	require.NotNil(t, last.Usage)
	assert.Equal(t, 20, last.Usage.GeneratedTokens)
	assert.Positive(t, last.Usage.PromptTokens)
	again, _, _ := collect(t, e, Request{Prompt: "ab ab", MaxTokens: 20, Sampling: seeded(1), IgnoreEnd: true})
	assert.Equal(t, ids, again, "the same seed")
	other, _, _ := collect(t, e, Request{Prompt: "ab ab", MaxTokens: 20, Sampling: seeded(2), IgnoreEnd: true})
	assert.NotEqual(t, ids, other, "another seed")
}

// TestConcurrent generates in many goroutines: each gets what it would get alone.
func TestConcurrent(t *testing.T) {
	e := openTiny(t, tiny, Options{Sequences: 3, Threads: 2})
	request := func(i int) Request {
		return Request{Prompt: strings.Repeat("ab ", i+1), MaxTokens: 12, Sampling: seeded(uint64(i)), IgnoreEnd: true}
	}
	var want, got [8][]int32
	for i := range want {
		want[i], _, _ = collect(t, e, request(i))
	}
	var all sync.WaitGroup
	for i := range got {
		all.Add(1)
		go func() {
			defer all.Done()
			for token, err := range e.Generate(context.Background(), request(i)) {
				if assert.NoError(t, err) {
					got[i] = append(got[i], token.ID)
				}
			}
		}()
	}
	all.Wait()
	assert.Equal(t, want, got)
}

// TestSessionReuse holds what a session generates from a shared prefix against a fresh one, with and without windows.
func TestSessionReuse(t *testing.T) {
	window := tiny
	window.window = 40
	for name, m := range map[string]tinyModel{"full": tiny, "window": window} {
		t.Run(name, func(t *testing.T) {
			e := openTiny(t, m, Options{StepRows: 32})
			s, err := e.Session(context.Background())
			require.NoError(t, err)
			defer s.Close()
			base := strings.Repeat("a b ab ", 20)
			for _, tail := range []string{"x", "x and more", "y", strings.Repeat("z", 100)} {
				r := Request{Prompt: base + tail, MaxTokens: 10, Sampling: greedy(), IgnoreEnd: true}
				var ids []int32
				var usage *Usage
				for token, err := range s.Generate(context.Background(), r) {
					require.NoError(t, err)
					ids, usage = append(ids, token.ID), token.Usage
				}
				r.CacheKey = tail
				fresh, _, last := collect(t, e, r)
				assert.Equal(t, fresh, ids, tail)
				assert.Zero(t, last.Usage.CachedTokens)
				if tail == "x and more" {
					assert.Positive(t, usage.CachedTokens)
				}
			}
		})
	}
}

// quantized writes a model anew in a mix of types.
func quantized(t *testing.T, path, mix string) string {
	t.Helper()
	f, err := gguf.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	parsed, err := quantize.ParseMix(mix)
	require.NoError(t, err)
	out := filepath.Join(t.TempDir(), mix+".gguf")
	_, err = quantize.Model(t.Context(), f, out, quantize.Options{Mix: parsed})
	require.NoError(t, err)
	return out
}

// TestVariants holds every instruction set of this machine, thread count and layout against the reference, bit for bit.
func TestVariants(t *testing.T) {
	experts := tiny
	experts.experts, experts.used = 4, 2
	window := tiny
	window.window = 16
	tokens := make([]int32, 75)
	for i := range tokens {
		tokens[i] = int32(i * 37 % tinyVocab)
	}
	paths := map[string]string{"dense": tiny.write(t), "experts": experts.write(t), "window": window.write(t)}
	for name, path := range paths {
		want, err := allLogits(path, tokens, 0, Options{Variant: "ref", Threads: 1})
		require.NoError(t, err)
		for _, variant := range kernels.Variants() {
			for _, threads := range []int{1, 2, 3} {
				for _, chunk := range []int{1, 16, 64} {
					for _, noRepack := range []bool{false, true} {
						got, err := allLogits(path, tokens, chunk, Options{Variant: variant, Threads: threads, NoRepack: noRepack})
						require.NoError(t, err)
						requireSameBits(t, want, got, fmt.Sprint(name, variant, threads, chunk, noRepack))
					}
				}
			}
		}
	}
}

// TestQuantizedVariants does so on quantized weights, as they lie in the file and interleaved.
func TestQuantizedVariants(t *testing.T) {
	wide := tiny
	wide.layers, wide.dim, wide.ff, wide.experts, wide.used = 1, 256, 256, 3, 2
	tokens := []int32{5, 3, 200, 17, 90, 44, 260, 9, 9, 31, 77}
	for _, mix := range []string{"Q4_0", "Q5_1", "Q8_0", "Q2_K", "Q4_K_M", "Q5_K_M", "IQ4_XS"} {
		path := quantized(t, wide.write(t), mix)
		want, err := allLogits(path, tokens, 0, Options{Variant: "ref", Threads: 1})
		require.NoError(t, err)
		for _, variant := range kernels.Variants() {
			for _, noRepack := range []bool{false, true} {
				for _, chunk := range []int{1, len(tokens)} {
					got, err := allLogits(path, tokens, chunk, Options{Variant: variant, Threads: 2, NoRepack: noRepack})
					require.NoError(t, err)
					requireSameBits(t, want, got, fmt.Sprint(mix, variant, chunk, noRepack))
				}
			}
		}
	}
}

func TestCancel(t *testing.T) {
	e := openTiny(t, tiny, Options{Sequences: 1, Context: 1 << 14})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	count := 0
	var last error
	for _, err := range e.Generate(ctx, Request{Prompt: "ab", MaxTokens: 300, IgnoreEnd: true, Sampling: greedy()}) {
		last = err
		if count++; count == 5 {
			cancel()
		}
	}
	assert.ErrorIs(t, last, context.Canceled)
	assert.LessOrEqual(t, count, 6, "cancelled within a step")
	// A request that waits for a sequence gives up too.
	_, end := keepBusy(t, e)
	defer end()
	waiting, stop := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer stop()
	for _, err := range e.Generate(waiting, Request{Prompt: "ab"}) {
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	}
}

// TestCancelAnywhere cancels steps of more threads than cores at random moments: a thread that looks late must not miss a barrier.
func TestCancelAnywhere(t *testing.T) {
	e := openTiny(t, tiny, Options{Sequences: 1, Threads: 8})
	random := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		ctx, cancel := context.WithCancel(context.Background())
		timer := time.AfterFunc(time.Duration(random.IntN(2000))*time.Microsecond, cancel)
		var last error
		for _, err := range e.Generate(ctx, Request{Prompt: "ab", MaxTokens: 400, IgnoreEnd: true, Sampling: greedy()}) {
			last = err
		}
		timer.Stop()
		cancel()
		if last != nil {
			require.ErrorIs(t, last, context.Canceled)
		}
	}
}

func TestRefusals(t *testing.T) {
	e := openTiny(t, tiny, Options{Context: 64})
	bare := tiny
	bare.noVocabulary = true
	none := openTiny(t, bare, Options{})
	bad := sampler.DefaultParams()
	bad.TopP = 2
	for _, c := range []struct {
		engine  *Engine
		request Request
		is      error
		says    []string
	}{
		{e, Request{Tokens: make([]int32, 65)}, ErrTooLong, []string{"65", "64"}},
		{e, Request{Tokens: make([]int32, 64)}, ErrTooLong, []string{"64"}},
		{e, Request{}, nil, []string{"exactly one"}},
		{e, Request{Prompt: "a", Tokens: []int32{1}}, nil, []string{"exactly one"}},
		{e, Request{Tokens: []int32{1, tinyVocab}}, nil, []string{"token 1", fmt.Sprint(tinyVocab)}},
		{e, Request{Tokens: []int32{-1}}, nil, []string{"id -1"}},
		{e, Request{Prompt: "a", MaxTokens: -1}, nil, []string{"MaxTokens"}},
		{e, Request{Prompt: "a", Sampling: &bad}, nil, []string{"2"}},
		{none, Request{Prompt: "a"}, ErrNoVocabulary, []string{"tiny.gguf"}},
	} {
		var got error
		for _, err := range c.engine.Generate(context.Background(), c.request) {
			got = err
		}
		require.Error(t, got)
		if c.is != nil {
			assert.ErrorIs(t, got, c.is)
		}
		for _, word := range c.says {
			assert.ErrorContains(t, got, word)
		}
	}
	for _, o := range []Options{{CacheType: "q9"}, {Context: -1}, {StepRows: -1}, {Sequences: -1}, {Threads: -1}, {Variant: "z80"}} {
		_, err := Open(tiny.write(t), o)
		assert.Error(t, err, "%+v", o)
	}
}

func TestStops(t *testing.T) {
	e := openTiny(t, tiny, Options{})
	_, text, _ := collect(t, e, Request{Prompt: "ab", MaxTokens: 60, Sampling: seeded(3), IgnoreEnd: true})
	runes := []rune(text)
	require.Greater(t, len(runes), 12)
	stop := string(runes[5:8])
	_, cut, last := collect(t, e, Request{Prompt: "ab", MaxTokens: 60, Sampling: seeded(3), IgnoreEnd: true, Stop: []string{stop}})
	assert.Equal(t, text[:strings.Index(text, stop)], cut)
	assert.Equal(t, FinishEnd, last.Finish)
	assert.Equal(t, stop, last.Usage.Stopped)
}

func TestMessages(t *testing.T) {
	m := tiny
	m.template = "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
	e := openTiny(t, m, Options{})
	text, err := e.Render([]Message{{Role: "user", Content: "ab"}}, nil)
	require.NoError(t, err)
	assert.Equal(t, "<s>[user]ab[assistant]", text)
	ids, err := e.encode(&Request{Messages: []Message{{Role: "user", Content: "ab"}}})
	require.NoError(t, err)
	assert.Equal(t, int32(1), ids[0])
	assert.NotEqual(t, int32(1), ids[1], "BOS of the template and of the vocabulary are one")
	_, source, err := e.ChatTemplate()
	require.NoError(t, err)
	assert.Equal(t, "file", source)
	plain := openTiny(t, tiny, Options{})
	_, source, err = plain.ChatTemplate()
	require.NoError(t, err)
	assert.Equal(t, "chatml", source)
}

func TestClose(t *testing.T) {
	before := threadCount(t)
	path := tiny.write(t)
	for range 5 {
		e, err := Open(path, Options{Threads: 4})
		require.NoError(t, err)
		collect(t, e, Request{Prompt: "ab", MaxTokens: 3, IgnoreEnd: true})
		require.NoError(t, e.Close())
		require.NoError(t, e.Close())
		for _, err := range e.Generate(context.Background(), Request{Prompt: "ab"}) {
			assert.ErrorIs(t, err, ErrClosed)
		}
	}
	assert.LessOrEqual(t, threadCount(t), before+8, "threads of closed devices are gone")
}

func threadCount(t *testing.T) int {
	if runtime.GOOS != "linux" {
		return 0
	}
	tasks, err := os.ReadDir("/proc/self/task")
	require.NoError(t, err)
	return len(tasks)
}

// failingSystem makes the n-th call to the operating system fail.
type failingSystem struct {
	gguf.System
	left int
}

var errInjected = errors.New("injected")

func (s *failingSystem) fail() bool {
	s.left--
	return s.left == 0
}

func (s *failingSystem) Stat(path string) (fs.FileInfo, error) {
	if s.fail() {
		return nil, errInjected
	}
	return s.System.Stat(path)
}

func (s *failingSystem) Open(path string) (gguf.Handle, error) {
	if s.fail() {
		return nil, errInjected
	}
	h, err := s.System.Open(path)
	return &failingHandle{h, s}, err
}

type failingHandle struct {
	gguf.Handle
	system *failingSystem
}

func (h *failingHandle) Stat() (fs.FileInfo, error) {
	if h.system.fail() {
		return nil, errInjected
	}
	return h.Handle.Stat()
}

func (h *failingHandle) Map(size int64) (gguf.Mapping, error) {
	if h.system.fail() {
		return nil, errInjected
	}
	return h.Handle.Map(size)
}

// TestFaults makes each call of Open to the system, and each allocation and thread start of the device, fail in turn: an
// error each time, and a model that opens once none fails.
func TestFaults(t *testing.T) {
	m := tiny
	m.experts, m.used = 4, 2
	path := m.write(t)
	failed := 0
	for n := 1; ; n++ {
		e, err := Open(path, Options{System: &failingSystem{gguf.OS, n}})
		if err == nil {
			require.NoError(t, e.Close())
			break
		}
		require.ErrorIs(t, err, errInjected)
		failed++
	}
	assert.GreaterOrEqual(t, failed, 4)
	failed = 0
	for n := int64(1); ; n++ {
		e, err := Open(path, Options{Threads: 2, FailNth: n})
		if err == nil {
			_, _, last := collect(t, e, Request{Prompt: "ab", MaxTokens: 3, IgnoreEnd: true})
			assert.Equal(t, 3, last.Usage.GeneratedTokens)
			require.NoError(t, e.Close())
			break
		}
		require.True(t, errors.Is(err, kernels.ErrMemory) || errors.Is(err, kernels.ErrSystem), "%v", err)
		failed++
	}
	assert.GreaterOrEqual(t, failed, 15)
}
