package traffic

import (
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/stat"
	"pgregory.net/rapid"

	"github.com/infer-go/infer/engine/schedule"
	"github.com/infer-go/infer/internal/fixtures"
)

// The times between arrivals are exponential: mean and deviation are 1/rate, and a share of 1-1/e is below the mean.
func TestPoisson(t *testing.T) {
	load := Load{Rate: 8, Requests: 20000, Prompt: Range{10, 30}, Output: Range{5, 5}, Prefix: 12, Groups: 3, Seed: 3,
		Lanes: []LaneShare{{schedule.Online, 3}, {schedule.Batch, 1}}}
	arrivals, err := Poisson(load)
	require.NoError(t, err)
	require.Len(t, arrivals, load.Requests)
	var gaps []float64
	var last time.Duration
	short, batch := 0, 0
	prefixes := map[uint64]int{}
	for i := range arrivals {
		a := &arrivals[i]
		gap := (a.At - last).Seconds()
		last = a.At
		gaps = append(gaps, gap)
		if gap < 1.0/8 {
			short++
		}
		if a.Lane == schedule.Batch {
			batch++
		}
		n := a.PromptTokens()
		assert.True(t, n >= 10 && n <= 30 && a.Output == 5, "%d prompt tokens, %d output", n, a.Output)
		require.Len(t, a.Prompt, 2)
		assert.Equal(t, min(12, n-1), a.Prompt[0].Tokens)
		prefixes[a.Prompt[0].ID]++
	}
	mean, deviation := stat.MeanStdDev(gaps, nil)
	assert.InEpsilon(t, 1.0/8, mean, 0.03)
	assert.InEpsilon(t, 1.0/8, deviation, 0.05)
	assert.InDelta(t, 1-1/math.E, float64(short)/float64(len(gaps)), 0.02)
	assert.InDelta(t, 0.25, float64(batch)/float64(len(gaps)), 0.02)
	assert.Len(t, prefixes, 3)
	again, err := Poisson(load)
	require.NoError(t, err)
	assert.Equal(t, arrivals, again)
}

func TestPoissonRefuses(t *testing.T) {
	good := Load{Rate: 1, Requests: 1, Prompt: Range{1, 1}, Output: Range{1, 1}}
	_, err := Poisson(good)
	require.NoError(t, err)
	for want, spoil := range map[string]func(*Load){
		"rate: found 0":             func(l *Load) { l.Rate = 0 },
		"rate: found NaN":           func(l *Load) { l.Rate = math.NaN() },
		"rate: found +Inf":          func(l *Load) { l.Rate = math.Inf(1) },
		"requests: found 0":         func(l *Load) { l.Requests = 0 },
		"found 0 and 1 tokens":      func(l *Load) { l.Prompt = Range{} },
		"found 1 and 3-2 tokens":    func(l *Load) { l.Output = Range{3, 2} },
		"5 tokens of 0 groups":      func(l *Load) { l.Prefix = 5 },
		"found a share of -1":       func(l *Load) { l.Lanes = []LaneShare{{schedule.Batch, -1}} },
		"requests: found 999999999": func(l *Load) { l.Requests = 999999999 },
	} {
		l := good
		spoil(&l)
		_, err := Poisson(l)
		assert.ErrorContains(t, err, want)
	}
}

// Equal blocks give equal tokens, others do not, and all are in the vocabulary.
func TestTokens(t *testing.T) {
	a := Arrival{Prompt: []Block{{1, 40}, {2, 30}}}
	b := Arrival{Prompt: []Block{{1, 40}, {3, 30}}}
	x, y := a.tokens(100), b.tokens(100)
	require.Len(t, x, 70)
	assert.Equal(t, x[:40], y[:40])
	assert.NotEqual(t, x[40:], y[40:])
	for _, id := range x {
		assert.True(t, id >= 0 && id < 100)
	}
}

// UnboundedHits agrees with a search through all earlier prompts.
func TestUnboundedHits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const page = 4
		var arrivals []Arrival
		var prompts [][]int32
		want, all := 0, 0
		for range rapid.IntRange(1, 8).Draw(t, "requests") {
			var a Arrival
			for range rapid.IntRange(1, 4).Draw(t, "blocks") {
				a.Prompt = append(a.Prompt, Block{ID: uint64(rapid.IntRange(0, 2).Draw(t, "id")), Tokens: rapid.IntRange(1, 3).Draw(t, "size") * 3})
			}
			ids := a.tokens(1 << 30)
			best := 0
			for _, p := range prompts {
				n := 0
				for n < min(len(p), len(ids)-1) && p[n] == ids[n] {
					n++
				}
				best = max(best, n/page*page)
			}
			want, all = want+best, all+len(ids)
			prompts, arrivals = append(prompts, ids), append(arrivals, a)
		}
		hits, tokens := UnboundedHits(arrivals, page)
		assert.Equal(t, all, tokens)
		assert.Equal(t, want, hits)
	})
}

func TestReadMooncake(t *testing.T) {
	text := `{"timestamp": 0, "input_length": 1100, "output_length": 7, "hash_ids": [4, 5, 6]}

{"timestamp": 3000, "input_length": 600, "output_length": 16, "hash_ids": [4, 9], "more": 1}
`
	got, err := ReadMooncake(strings.NewReader(text), Scale{})
	require.NoError(t, err)
	assert.Equal(t, []Arrival{
		{At: 0, Output: 7, Prompt: []Block{{4, 512}, {5, 512}, {6, 76}}},
		{At: 3 * time.Second, Output: 16, Prompt: []Block{{4, 512}, {9, 88}}},
	}, got)
	got, err = ReadMooncake(strings.NewReader(text), Scale{Lengths: 1.0 / 16, Time: 0.5})
	require.NoError(t, err)
	assert.Equal(t, Arrival{At: 1500 * time.Millisecond, Output: 1, Prompt: []Block{{4, 32}, {9, 6}}}, got[1])
	got, err = ReadMooncake(strings.NewReader(text), Scale{Requests: 1})
	require.NoError(t, err)
	assert.Len(t, got, 1)
}

func TestReadAzure(t *testing.T) {
	text := "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:48.6805900,396,109\n"
	got, err := ReadAzure(strings.NewReader(text), Scale{})
	require.NoError(t, err)
	require.Len(t, got, 2)
	assert.Equal(t, 2*time.Second, got[1].At)
	assert.Equal(t, 396, got[1].PromptTokens())
	assert.Equal(t, 109, got[1].Output)
	assert.NotEqual(t, got[0].Prompt[0].ID, got[1].Prompt[0].ID)
}

func TestTraceFaults(t *testing.T) {
	line := `{"timestamp": 5, "input_length": 10, "output_length": 7, "hash_ids": [4]}` + "\n"
	for text, want := range map[string]string{
		"":          "no request",
		"\n\n":      "no request",
		"{":         "line 1",
		line + "[]": "line 2",
		line + "{}": "line 2: expected timestamp",
		line + `{"timestamp": 4, "input_length": 10, "output_length": 7}`:                       "line 2: timestamp: found one before",
		`{"timestamp": -1, "input_length": 10, "output_length": 7}`:                             "timestamp: found -0.001",
		`{"timestamp": 1e300, "input_length": 10, "output_length": 7}`:                          "timestamp: found 1e+297",
		`{"timestamp": 0, "input_length": 0, "output_length": 7}`:                               "found 0 prompt tokens",
		`{"timestamp": 0, "input_length": 99999999999, "output_length": 7}`:                     "found 99999999999 prompt tokens",
		`{"timestamp": 0, "input_length": 1, "output_length": -7}`:                              "-7 generated",
		`{"timestamp": 0, "input_length": 513, "output_length": 7, "hash_ids": [1]}`:            "hash_ids: found 1, expected 2",
		`{"timestamp": 0, "input_length": 5, "output_length": 7, "hash_ids": [-1]}`:             "cannot unmarshal",
		`{"timestamp": 0, "input_length": 5, "x": "` + strings.Repeat("y", maxLine) + `"}` + "": "line 1: bufio.Scanner: token too long",
	} {
		_, err := ReadMooncake(strings.NewReader(text), Scale{})
		assert.ErrorContains(t, err, want, "%.60s", text)
	}
	head := "TIMESTAMP,ContextTokens,GeneratedTokens\n"
	for text, want := range map[string]string{
		"":                                 "line 1",
		head:                               "no request",
		head + "yesterday,1,1\n":           "line 2",
		head + "2023-11-16 18:15:46,x,1\n": "line 2: prompt tokens",
		head + "2023-11-16 18:15:46,1,x\n": "line 2: generated tokens",
		head + "2023-11-16 18:15:46,0,1\n": "found 0 prompt tokens",
		head + "2023-11-16 18:15:46,1\n":   "wrong number of fields",
		head + "2023-11-16 18:15:46,1,1\n2023-11-16 18:15:45,1,1\n": "line 3: timestamp",
	} {
		_, err := ReadAzure(strings.NewReader(text), Scale{})
		assert.ErrorContains(t, err, want, text)
	}
	for _, s := range []Scale{{Lengths: -1}, {Time: math.NaN()}, {Time: 1e9}, {Requests: -1}} {
		_, err := ReadMooncake(strings.NewReader(line), s)
		assert.ErrorContains(t, err, "expected", "%v", s)
	}
	_, err := ReadTraceFile("trace.parquet", Scale{})
	assert.Error(t, err)
}

func FuzzTrace(f *testing.F) {
	f.Add(`{"timestamp": 0, "input_length": 1100, "output_length": 7, "hash_ids": [4, 5, 6]}`, 0.5)
	f.Add("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n", 1.0)
	f.Fuzz(func(t *testing.T, text string, scale float64) {
		for _, read := range []func(Scale) ([]Arrival, error){
			func(s Scale) ([]Arrival, error) { return ReadMooncake(strings.NewReader(text), s) },
			func(s Scale) ([]Arrival, error) { return ReadAzure(strings.NewReader(text), s) },
		} {
			arrivals, err := read(Scale{Lengths: scale, Time: scale})
			for i := range arrivals {
				require.NoError(t, err)
				assert.True(t, arrivals[i].PromptTokens() >= 1 && arrivals[i].Output >= 1 && arrivals[i].At >= 0)
			}
		}
	})
}

// The recorded traces are read whole.
func TestRecordedTraces(t *testing.T) {
	arrivals, err := ReadTraceFile(fixtures.Path(t, "traces", "mooncake_fast25_synthetic.jsonl"), Scale{Lengths: 1.0 / 16})
	require.NoError(t, err)
	assert.Len(t, arrivals, 3993)
	hits, all := UnboundedHits(arrivals, 32)
	assert.InDelta(t, 0.4, float64(hits)/float64(all), 0.3, "the trace shares prefixes")
	arrivals, err = ReadTraceFile(fixtures.Path(t, "traces", "azure_llm_2023_conversation.csv"), Scale{})
	require.NoError(t, err)
	assert.Len(t, arrivals, 19366)
}

func TestSkip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.jsonl")
	writeTrace(t, path)
	arrivals, err := ReadTraceFile(path, Scale{Skip: 2, Requests: 3})
	require.NoError(t, err)
	require.Len(t, arrivals, 3)
	assert.Equal(t, time.Duration(0), arrivals[0].At)
	assert.Equal(t, 600*time.Millisecond, arrivals[2].At)
	assert.EqualValues(t, 12, arrivals[0].Prompt[2].ID)
	_, err = ReadTraceFile(path, Scale{Skip: 6})
	assert.ErrorContains(t, err, "found 6 requests, expected more than the 6 to skip")
	_, err = ReadTraceFile(path, Scale{Skip: -1})
	assert.ErrorContains(t, err, "expected 0 or more")
}

// Lines without hash ids share nothing, even where they come at the same time.
func TestMooncakeWithoutHashes(t *testing.T) {
	line := `{"timestamp": 7, "input_length": 40, "output_length": 3}` + "\n"
	got, err := ReadMooncake(strings.NewReader(line+line), Scale{})
	require.NoError(t, err)
	require.Len(t, got, 2)
	assert.NotEqual(t, got[0].Prompt[0].ID, got[1].Prompt[0].ID)
}
