//go:build llamacpp

package llamacpp

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/internal/fixtures"
	"github.com/infer-go/infer/kernels"
)

// The kinds of cache that libllama has: keys of all positions, a sliding window, a state, and both.
var cacheKinds = []string{"llama", "gemma3", "mamba2", "falcon-h1", "qwen35"}

func corpus(t *testing.T, name string) string {
	return fixtures.Path(t, "conformance", "cases", name, "model.gguf")
}

// clone copies values that the next step overwrites.
func clone(values []float32, err error) ([]float32, error) { return slices.Clone(values), err }

// TestSteps computes a sequence at once, token by token, and in chunks: the logits agree but for rounding.
func TestSteps(t *testing.T) {
	for _, name := range cacheKinds {
		t.Run(name, func(t *testing.T) {
			path := corpus(t, name)
			tokens := readTokens(t, filepath.Dir(path))
			want, err := clone(open(t, path, Options{F32Cache: true}).Run(batchOf(tokens, 0)))
			require.NoError(t, err)
			for _, chunk := range []int{1, 7} {
				d := open(t, path, Options{F32Cache: true})
				var got []float32
				for at := 0; at < len(tokens); at += chunk {
					values, err := d.Run(batchOf(tokens[at:min(at+chunk, len(tokens))], at))
					require.NoError(t, err)
					got = append(got, values...)
				}
				assert.LessOrEqual(t, relativeL2(got, want), 2e-3, "chunks of %d", chunk)
			}
		})
	}
}

// request is a sequence of the model test: its tokens, and which of its pages hold them.
type request struct {
	tokens []int32
	pages  []int32
	done   int
}

// TestSequences steps several sequences through random batches, copies of each other, rewinds, and more of them than libllama keeps
// in turn; the last logits are always those of the sequence computed alone.
func TestSequences(t *testing.T) {
	for _, name := range cacheKinds {
		t.Run(name, func(t *testing.T) {
			path := corpus(t, name)
			// weights as they lie: tiles (AMX) multiply interleaved ones with other roundings for one row than for several
			alone := open(t, path, Options{F32Cache: true, NoRepack: true})
			several := open(t, path, Options{F32Cache: true, NoRepack: true, Sequences: 3, Rows: 16})
			rapid.Check(t, func(r *rapid.T) { stepSequences(r, alone, several) })
		})
	}
}

func stepSequences(r *rapid.T, alone, several *Device) {
	const pagesEach = 3
	all := make([]request, 4) // one more than the device's cache holds side by side
	for i := range all {
		for p := range pagesEach {
			all[i].pages = append(all[i].pages, int32(i*pagesEach+p))
		}
	}
	for range rapid.IntRange(1, 6).Draw(r, "steps") {
		switch i := rapid.IntRange(0, len(all)-1).Draw(r, "sequence"); rapid.IntRange(0, 4).Draw(r, "what") {
		case 0: // forget the end
			all[i].done = rapid.IntRange(0, all[i].done).Draw(r, "keep")
			all[i].tokens = all[i].tokens[:all[i].done]
		case 1: // start as another one did
			j := rapid.IntRange(0, len(all)-1).Draw(r, "from")
			for p := range pagesEach {
				require.NoError(r, several.CopyPage(0, int(all[j].pages[p]), int(all[i].pages[p])))
			}
			all[i].tokens, all[i].done = slices.Clone(all[j].tokens), all[j].done
		default:
			checkStep(r, alone, several, pick(r, all))
		}
	}
}

// pick chooses the sequences of a batch and gives each new tokens.
func pick(r *rapid.T, all []request) []*request {
	var chosen []*request
	for i := range all {
		if len(chosen) < 3 && rapid.Bool().Draw(r, "in") {
			n := min(rapid.IntRange(1, 5).Draw(r, "tokens"), 96-all[i].done)
			for range n {
				all[i].tokens = append(all[i].tokens, rapid.Int32Range(0, 300).Draw(r, "id"))
			}
			if n > 0 {
				chosen = append(chosen, &all[i])
			}
		}
	}
	return chosen
}

func checkStep(r *rapid.T, alone, several *Device, chosen []*request) {
	if len(chosen) == 0 {
		return
	}
	b := &kernels.Batch{SequenceCount: len(chosen), TablePages: 3}
	for i, q := range chosen {
		for p := q.done; p < len(q.tokens); p++ {
			b.IDs, b.Positions, b.Sequences = append(b.IDs, q.tokens[p]), append(b.Positions, int32(p)), append(b.Sequences, int32(i))
		}
		b.Wanted = append(b.Wanted, int32(len(b.IDs)-1))
		b.Pages = append(b.Pages, q.pages...)
	}
	got, err := clone(several.Run(b))
	require.NoError(r, err)
	for i, q := range chosen {
		q.done = len(q.tokens)
		alone.cache = newStore(1)
		require.NoError(r, alone.reset())
		whole := batchOf(q.tokens, 0)
		whole.Wanted = []int32{int32(len(q.tokens) - 1)}
		want, err := alone.Run(whole)
		require.NoError(r, err)
		assert.LessOrEqual(r, relativeL2(got[i*several.LogitsStride():][:several.LogitsStride()], want), 5e-3)
	}
}

// reset empties the only sequence, whatever the mirror says.
func (d *Device) reset() error {
	d.cache.sequences[0].tokens = []int32{0}
	return d.cut(0, 0)
}

func TestCancel(t *testing.T) {
	for _, name := range []string{"llama", "mamba2"} {
		d := open(t, corpus(t, name), Options{})
		tokens := readTokens(t, filepath.Dir(corpus(t, name)))
		want, err := clone(d.Run(batchOf(tokens, 0)))
		require.NoError(t, err)
		require.NoError(t, d.reset())
		var stop sync.WaitGroup
		done := make(chan struct{})
		stop.Add(1)
		go func() {
			defer stop.Done()
			for {
				select {
				case <-done:
					return
				default:
					d.Cancel()
				}
			}
		}()
		cancelled := 0
		for range 50 {
			if _, err := d.Run(batchOf(tokens, 0)); err != nil {
				require.ErrorIs(t, err, kernels.ErrCancelled)
				cancelled++
			}
		}
		close(done)
		stop.Wait()
		assert.Positive(t, cancelled)
		got, err := d.Run(batchOf(tokens, 0))
		require.NoError(t, err)
		assert.LessOrEqual(t, relativeL2(got, want), 1e-6, "after a cancelled step")
	}
}

// TestRefusals: batches that libllama would assert on, or misread, are errors.
func TestRefusals(t *testing.T) {
	d := open(t, corpus(t, "llama"), Options{Sequences: 2, Rows: 4})
	for what, change := range map[string]func(b *kernels.Batch){
		"no rows":              func(b *kernels.Batch) { b.IDs = nil },
		"too many rows":        func(b *kernels.Batch) { *b = *batchOf(make([]int32, 5), 0) },
		"an id too high":       func(b *kernels.Batch) { b.IDs[1] = 1 << 20 },
		"a negative id":        func(b *kernels.Batch) { b.IDs[1] = -1 },
		"a gap":                func(b *kernels.Batch) { b.Positions[1] = 5 },
		"a negative position":  func(b *kernels.Batch) { b.Positions[0] = -1 },
		"a position off pages": func(b *kernels.Batch) { b.Positions = []int32{127, 128} },
		"an unknown sequence":  func(b *kernels.Batch) { b.Sequences[1] = 1 },
		"rows apart": func(b *kernels.Batch) {
			*b = kernels.Batch{IDs: []int32{1, 1, 1}, Positions: []int32{0, 0, 1}, Sequences: []int32{0, 1, 0}, SequenceCount: 2, TablePages: 1, Pages: []int32{0, 1}}
		},
		"three sequences":      func(b *kernels.Batch) { b.SequenceCount, b.Pages = 3, make([]int32, 12) },
		"a page given back":    func(b *kernels.Batch) { b.Pages[0] = -1 },
		"a page too high":      func(b *kernels.Batch) { b.Pages[0] = 8 },
		"short tables":         func(b *kernels.Batch) { b.Pages = b.Pages[:3] },
		"a wanted row too far": func(b *kernels.Batch) { b.Wanted = []int32{2} },
		"wanted rows unsorted": func(b *kernels.Batch) { b.Wanted = []int32{1, 0} },
	} {
		b := batchOf([]int32{1, 2}, 0)
		change(b)
		_, err := d.Run(b)
		assert.ErrorIs(t, err, kernels.ErrInvalid, what)
	}
	_, err := d.Run(batchOf([]int32{1, 2}, 0))
	require.NoError(t, err)
	_, err = d.Embed([]int32{1})
	assert.ErrorIs(t, err, kernels.ErrInvalid)
	d.Close()
	d.Close()
	d.Cancel()
	_, err = d.Run(batchOf([]int32{1, 2}, 0))
	assert.ErrorIs(t, err, kernels.ErrInvalid)
}

// rewrite copies a model with some of its metadata changed.
func rewrite(t *testing.T, from string, change func(w *gguf.Writer)) string {
	return rewriteTensors(t, from, change, func(string) bool { return true })
}

func rewriteTensors(t *testing.T, from string, change func(w *gguf.Writer), keep func(name string) bool) string {
	f, err := gguf.Open(from)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	path := filepath.Join(t.TempDir(), "changed.gguf")
	w := gguf.NewFileWriter(path)
	for _, key := range f.Metadata.Keys() {
		w.Set(key, f.Metadata.Value(key))
	}
	change(w)
	for _, tensor := range f.Tensors {
		if !keep(tensor.Name) {
			continue
		}
		data := f.Bytes(&tensor)
		w.AddTensor(tensor.Name, tensor.Type, tensor.Shape, func(out io.Writer) error { _, err := out.Write(data); return err })
	}
	require.NoError(t, w.Write())
	return path
}

// TestHostileFiles opens files whose numbers libllama asserts on or divides by.
func TestHostileFiles(t *testing.T) {
	for what, c := range map[string]struct {
		model  string
		change func(w *gguf.Writer)
	}{
		"no layers":         {"llama", func(w *gguf.Writer) { w.SetUint32("llama.block_count", 0) }},
		"many layers":       {"llama", func(w *gguf.Writer) { w.SetUint32("llama.block_count", 1<<20) }},
		"no state groups":   {"mamba2", func(w *gguf.Writer) { w.SetUint32("mamba2.ssm.group_count", 0) }},
		"odd state groups":  {"mamba2", func(w *gguf.Writer) { w.SetUint32("mamba2.ssm.group_count", 7) }},
		"no convolution":    {"mamba", func(w *gguf.Writer) { w.SetUint32("mamba.ssm.conv_kernel", 0) }},
		"experts of none":   {"mixtral", func(w *gguf.Writer) { w.SetUint32("llama.expert_used_count", 0) }},
		"too many used":     {"mixtral", func(w *gguf.Writer) { w.SetUint32("llama.expert_used_count", 64) }},
		"rope of some kind": {"llama", func(w *gguf.Writer) { w.SetString("llama.rope.scaling.type", "magic") }},
		"no such model":     {"llama", func(w *gguf.Writer) { w.SetString("general.architecture", "no-such-model") }},
		"key heads":         {"llama", func(w *gguf.Writer) { w.SetUint32("llama.attention.head_count_kv", 3) }},
	} {
		t.Run(what, func(t *testing.T) {
			f, err := gguf.Open(rewrite(t, corpus(t, c.model), c.change))
			require.NoError(t, err)
			defer f.Close()
			d, err := Open(f, Options{Rows: 8, Pages: 4, Sequences: 1, Threads: 1})
			if err == nil {
				d.Close()
			}
			require.Error(t, err)
			t.Log(err)
		})
	}
}

// TestMissingTensors leaves each tensor out in turn. Some are needed where the library takes them for optional and reads through a null
// pointer: the file is refused and the process lives.
func TestMissingTensors(t *testing.T) {
	for _, name := range []string{"mamba2", "qwen35moe"} {
		f, err := gguf.Open(corpus(t, name))
		require.NoError(t, err)
		defer f.Close()
		crashed := 0
		for _, tensor := range f.Tensors {
			if !strings.Contains(tensor.Name, "blk.0.") && !strings.Contains(tensor.Name, "blk.3.") {
				continue
			}
			g, err := gguf.Open(rewriteTensors(t, corpus(t, name), func(*gguf.Writer) {}, func(n string) bool { return n != tensor.Name }))
			require.NoError(t, err)
			d, err := Open(g, Options{Rows: 8, Pages: 4, Sequences: 1, Threads: 1})
			if err == nil {
				_, err = d.Run(batchOf([]int32{1, 2, 3}, 0))
				d.Close()
			}
			require.NoError(t, g.Close())
			if err != nil && strings.Contains(err.Error(), "Segmentation") {
				require.ErrorIs(t, err, kernels.ErrInvalid)
				crashed++
			}
		}
		t.Logf("%s: %d tensors that the library does not check for", name, crashed)
	}
}

// TestUnusableTypes: matrices of types that are never multiplied.
func TestUnusableTypes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "odd.gguf")
	w := gguf.NewFileWriter(path)
	for key, value := range map[string]any{"general.architecture": "llama", "llama.block_count": uint32(1), "llama.embedding_length": uint32(256), "llama.context_length": uint32(64)} {
		require.NoError(t, w.Set(key, value))
	}
	size, err := gguf.SizeOf(gguf.Q8_K, []int64{256, 2})
	require.NoError(t, err)
	require.NoError(t, w.AddTensorBytes("token_embd.weight", gguf.Q8_K, []int64{256, 2}, make([]byte, size)))
	require.NoError(t, w.Write())
	f, err := gguf.Open(path)
	require.NoError(t, err)
	defer f.Close()
	_, err = Open(f, Options{Rows: 8, Pages: 4, Sequences: 1})
	require.ErrorContains(t, err, "token_embd.weight: found type Q8_K")
}

// TestAssertion reaches an assertion of the library past the checks: the process lives, and the error carries its text.
func TestAssertion(t *testing.T) {
	d := open(t, corpus(t, "llama"), Options{})
	d.cache = newStore(2000) // a sequence that the library does not have
	d.cache.sequences[1500].tokens = []int32{1, 2}
	err := d.cut(1500, 1)
	require.ErrorIs(t, err, ErrBroken)
	assert.Contains(t, err.Error(), "seq_id")
	_, err = d.Run(batchOf([]int32{1}, 0))
	require.ErrorIs(t, err, ErrBroken, "nothing is computed after it")
	d.Close()
	again := open(t, corpus(t, "llama"), Options{})
	_, err = again.Run(batchOf([]int32{1}, 0))
	require.NoError(t, err, "other models are as before")
}

func TestVectors(t *testing.T) {
	d := open(t, corpus(t, "bert"), Options{Vectors: true, Pooled: true})
	one, err := d.Embed([]int32{1, 2, 3})
	require.NoError(t, err)
	two, err := d.Embed([]int32{1, 2, 4})
	require.NoError(t, err)
	assert.Greater(t, relativeL2(one, two), 1e-3)
	again, err := d.Embed([]int32{1, 2, 3})
	require.NoError(t, err)
	assert.Equal(t, one, again)
	assert.Equal(t, PoolMean, d.Info().Pooling)
	for _, bad := range [][]int32{nil, {-1}, {1 << 20}, make([]int32, 1000)} {
		_, err := d.Embed(bad)
		assert.ErrorIs(t, err, kernels.ErrInvalid)
	}
}

// lines collects what is logged.
type lines struct {
	slog.Handler
	mutex sync.Mutex
	all   []string
}

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }
func (l *lines) Handle(_ context.Context, r slog.Record) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.all = append(l.all, r.Level.String()+" "+r.Message)
	return nil
}

func TestLog(t *testing.T) {
	l := &lines{}
	f, err := gguf.Open(corpus(t, "llama"))
	require.NoError(t, err)
	defer f.Close()
	d, err := Open(f, Options{Rows: 8, Pages: 4, Sequences: 1, Log: slog.New(l)})
	require.NoError(t, err)
	defer d.Close()
	sink.use(nil)
	text := strings.Join(l.all, "\n")
	assert.Contains(t, text, "DEBUG llama_model_loader")
	assert.NotContains(t, text, "INFO ")
	for _, line := range l.all {
		assert.NotContains(t, line, "\n")
	}
}

// nodes counts what an observer sees.
type nodes struct{ seen map[string]int }

func (n *nodes) Wants(name string) bool                 { return strings.HasPrefix(name, "l_out") }
func (n *nodes) See(name string, r, c int, v []float32) { n.seen[fmt.Sprint(name, r, c, len(v))]++ }

func TestObserver(t *testing.T) {
	n := &nodes{map[string]int{}}
	d := open(t, corpus(t, "llama"), Options{Observer: n})
	_, err := d.Run(batchOf([]int32{1, 2, 3}, 0))
	require.NoError(t, err)
	dim := d.Info().Dim
	assert.Equal(t, map[string]int{fmt.Sprint("l_out-0", 3, dim, 3*dim): 1, fmt.Sprint("l_out-1", 3, dim, 3*dim): 1}, n.seen)
}
