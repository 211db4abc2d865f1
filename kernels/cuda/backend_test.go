package cuda

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine"
	"github.com/infer-go/infer/internal/fixtures"
	"github.com/infer-go/infer/kernels"
)

// largest are the ids of the largest values, equal ones by id, then also.
func largest(values []float32, n int, also []int32) []int32 {
	ids := make([]int32, len(values))
	for i := range ids {
		ids[i] = int32(i)
	}
	slices.SortStableFunc(ids, func(a, b int32) int {
		switch {
		case values[a] > values[b]:
			return -1
		case values[a] < values[b]:
			return 1
		}
		return 0
	})
	return append(ids[:n:n], also...)
}

// small is a plan with a cache, for tests of the backend itself.
func small(t *testing.T) *recording {
	return (&trial{record: attentions(attentionShape{heads: 2, group: 2, k: 32, v: 32}.record)}).recorded(t, 1, 2, false)
}

func rowBatch(r *recording, rows int) *kernels.Batch {
	return r.batches([]int{rows}, []turn{{[]int{0}, []int{0}, []int{rows}}})[0]
}

// Every allocation fails in turn: an error each time, and never a crash.
func TestBackendAllocations(t *testing.T) {
	useLibrary(t)
	for n := int64(1); ; n++ {
		require.Less(t, n, int64(60))
		d, err := kernels.OpenDevice(kernels.DeviceOptions{Backend: "cuda", FailNth: n})
		if err != nil {
			require.ErrorIs(t, err, kernels.ErrSystem)
			continue
		}
		r := small(t)
		err = d.Prepare(r.Plan, [][]byte{r.data})
		if err == nil {
			_, err = d.Run(rowBatch(r, 5))
			d.Close()
			require.NoError(t, err)
			require.Greater(t, n, int64(5), "so few allocations")
			return
		}
		require.ErrorIs(t, err, kernels.ErrMemory, "allocation %d", n)
		d.Close()
	}
}

func TestBackendMemory(t *testing.T) {
	if !emulated() {
		t.Skip("the memory of a card cannot be chosen")
	}
	t.Setenv("INFER_EMULATED_MEMORY", "300000")
	d := openCard(t, kernels.DeviceOptions{})
	_, total, ok := d.Memory()
	require.True(t, ok)
	assert.Equal(t, int64(300000), total)
	r := small(t)
	err := d.Prepare(r.Plan, [][]byte{r.data})
	require.ErrorIs(t, err, kernels.ErrMemory)
	assert.ErrorContains(t, err, "MiB of the card's memory (weights")
}

func TestBackendLibrary(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("INFER_BACKENDS", dir)
	_, err := kernels.OpenDevice(kernels.DeviceOptions{Backend: "cuda"})
	require.ErrorIs(t, err, kernels.ErrNoBackend)
	assert.ErrorContains(t, err, dir, "where it was looked for")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "libinfer_cuda.so"), []byte("no library"), 0o644))
	_, err = kernels.OpenDevice(kernels.DeviceOptions{Backend: "cuda"})
	require.Error(t, err)
	require.NotErrorIs(t, err, kernels.ErrNoBackend)
	found := kernels.FindBackends()
	require.Len(t, found, 1)
	assert.Error(t, found[0].Err)
	assert.Equal(t, filepath.Join(dir, "libinfer_cuda.so"), found[0].Path)
}

func TestBackendDevice(t *testing.T) {
	useLibrary(t)
	_, err := kernels.OpenDevice(kernels.DeviceOptions{Backend: "cuda", Card: 77})
	require.ErrorIs(t, err, kernels.ErrNoDevice)
	assert.ErrorContains(t, err, "card 77")
	d := openCard(t, kernels.DeviceOptions{})
	assert.Equal(t, "cuda", d.Backend())
	assert.Contains(t, d.Describe(), "cuda 0")
	peaks, err := d.Peaks()
	require.NoError(t, err)
	assert.Positive(t, min(peaks.ReadBytes, peaks.CopyBytes, peaks.Int8MultiplyAdds, peaks.HalfMultiplyAdds))
}

// Pages go to the host and back, and from one to another, with all their bits.
func TestBackendPages(t *testing.T) {
	r := small(t)
	d := openCard(t, kernels.DeviceOptions{})
	require.NoError(t, d.Prepare(r.Plan, [][]byte{r.data}))
	b := rowBatch(r, 20)
	want, err := d.Run(b)
	require.NoError(t, err)
	want = slices.Clone(want)
	page, saved := int(b.Pages[0]), make([]byte, d.PageBytes(0))
	require.NoError(t, d.ReadPage(0, page, saved))
	require.NotEqual(t, make([]byte, len(saved)), saved)
	other := (page + 1) % 8
	require.NoError(t, d.CopyPage(0, page, other))
	copied := make([]byte, len(saved))
	require.NoError(t, d.ReadPage(0, other, copied))
	require.Equal(t, saved, copied)
	require.NoError(t, d.WritePage(0, page, make([]byte, len(saved))))
	require.NoError(t, d.WritePage(0, page, saved))
	last := &kernels.Batch{IDs: b.IDs[19:], Positions: b.Positions[19:], Sequences: []int32{0}, Types: b.Types[19:], Pages: b.Pages, Wanted: []int32{0}, TablePages: b.TablePages, SequenceCount: 1}
	got, err := d.Run(last)
	require.NoError(t, err)
	if b.Wanted[len(b.Wanted)-1] == 19 {
		require.Equal(t, want[(len(b.Wanted)-1)*d.LogitsStride():], got)
	}
}

// More shapes than graphs are remembered, each three times: launched, captured, replayed.
func TestBackendGraphs(t *testing.T) {
	r := small(t)
	d := openCard(t, kernels.DeviceOptions{})
	require.NoError(t, d.Prepare(r.Plan, [][]byte{r.data}))
	first := map[int][]float32{}
	for round := range 3 {
		for rows := 1; rows <= 60; rows += 3 {
			got, err := d.Run(rowBatch(r, rows))
			require.NoError(t, err)
			if round == 0 {
				first[rows] = slices.Clone(got)
			}
			require.Equal(t, first[rows], got, "%d rows, round %d", rows, round)
		}
	}
}

// The benchmark's program measures a small shape, and leaves out what does not fit.
func TestBenchmark(t *testing.T) {
	useLibrary(t)
	if !emulated() {
		t.Skip("on a card the benchmark is run for its own sake")
	}
	t.Setenv("INFER_EMULATED_MEMORY", "40000000")
	out := filepath.Join(t.TempDir(), "bench.json")
	program := exec.Command("go", "run", "./bench", "--shapes", "tiny", "--types", "Q4_K_M", "--batches", "1,2", "--depths", "40,100000", "--prompt", "3", "--json", out)
	text, err := program.CombinedOutput()
	require.NoError(t, err, string(text))
	assert.Contains(t, string(text), "| tiny | Q4_K_M | tg | 2 | 40 |")
	assert.Contains(t, string(text), "the cache does not fit the card")
	var report struct {
		Results []struct {
			TokensPerSecond float64 `json:"tokens_per_second"`
			Skipped         string  `json:"skipped"`
		} `json:"results"`
	}
	data, err := os.ReadFile(out)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &report))
	require.Len(t, report.Results, 6)
	measured := 0
	for _, r := range report.Results {
		if r.Skipped == "" {
			measured++
			assert.Positive(t, r.TokensPerSecond)
		}
	}
	assert.Equal(t, 3, measured)
}

// A model that does not fit the card is refused where the card was asked for, and computed by the CPU, which says so, where the choice was left.
func TestChoiceOfDevice(t *testing.T) {
	if !emulated() {
		t.Skip("the memory of a card cannot be chosen")
	}
	useLibrary(t)
	c := readCase(t, filepath.Join(fixtures.Path(t, "conformance", "cases"), "llama"))
	open := func(device string) (*engine.Engine, error) {
		return engine.Open(c.model, engine.Options{Device: device, Context: 64, Threads: 1, StepRows: 16})
	}
	e, err := open("auto")
	require.NoError(t, err)
	assert.False(t, e.OnCPU())
	assert.Empty(t, e.Note())
	assert.Contains(t, e.Device(), "emulated")
	require.NoError(t, e.Close())
	t.Setenv("INFER_EMULATED_MEMORY", "1000000")
	_, err = open("cuda")
	require.ErrorIs(t, err, kernels.ErrMemory)
	e, err = open("auto")
	require.NoError(t, err)
	defer e.Close()
	assert.True(t, e.OnCPU())
	assert.Contains(t, e.Note(), "MiB of the card's memory")
}
