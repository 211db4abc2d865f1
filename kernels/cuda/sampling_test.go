package cuda

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine"
	"github.com/infer-go/infer/internal/fixtures"
	"github.com/infer-go/infer/kernels"
	"github.com/infer-go/infer/sampler"
)

// What the card selects decides the token that all logits would: answers with log-probabilities, for which all logits come back, are the same.
func TestSelectedTokens(t *testing.T) {
	useLibrary(t)
	c := readCase(t, filepath.Join(fixtures.Path(t, "conformance", "cases"), "llama"))
	e, err := engine.Open(c.model, engine.Options{Device: "cuda", Context: 96, StepRows: 64, Threads: 1})
	require.NoError(t, err)
	defer e.Close()
	greedy, penalised := sampler.NeutralParams(), sampler.DefaultParams()
	greedy.Temperature = 0
	penalised.RepeatPenalty, penalised.FrequencyPenalty, penalised.LogitBias = 1.2, 0.3, map[int32]float32{5: 2, 6: -100}
	for name, p := range map[string]sampler.Params{"greedy": greedy, "default": sampler.DefaultParams(), "penalties": penalised} {
		for seed := range uint64(4) {
			p.Seed, p.Temperature = seed, p.Temperature*1.5
			ids := func(whole bool, choices int) map[int][]int32 {
				p := p
				p.LogProbs = whole
				s, err := e.Submit(context.Background(), engine.Request{Tokens: c.tokens[:9], MaxTokens: 12, Sampling: &p, IgnoreEnd: true, Choices: choices})
				require.NoError(t, err)
				all := map[int][]int32{}
				for event, err := range s.All() {
					require.NoError(t, err)
					all[event.Choice] = append(all[event.Choice], event.Token.ID)
				}
				return all
			}
			want := ids(true, 2)
			require.Len(t, want[1], 12)
			require.Equal(t, want, ids(false, 2), "%s, seed %d", name, seed)
			if name == "greedy" {
				break
			}
		}
	}
}

// The selection itself, against sorted logits, with ties.
func TestSelection(t *testing.T) {
	r := (&trial{record: func(r *recording) {
		r.SetLogits(r.Wanted(r.Element(kernels.ElClamp, kernels.ActNone, r.rows(3000), none, -1.5, 1.5)))
	}}).recorded(t, 3, 1, false)
	d := openCard(t, kernels.DeviceOptions{})
	require.NoError(t, d.Prepare(r.Plan, [][]byte{r.data}))
	b := &kernels.Batch{SequenceCount: 1}
	for i := range 6 {
		b.IDs, b.Positions, b.Sequences, b.Wanted = append(b.IDs, int32(i)), append(b.Positions, int32(i)), append(b.Sequences, 0), append(b.Wanted, int32(i))
	}
	logits, err := d.Run(b)
	require.NoError(t, err)
	var rows [][]float32
	for w := range b.Wanted {
		rows = append(rows, append([]float32(nil), logits[w*d.LogitsStride():][:3000]...))
	}
	b.Keep, b.AlsoFirst, b.Also = []int32{1, 0, 40, 700, 1000, 3}, []int32{0, 0, 0, 2, 3, 3, 6}, []int32{2999, 0, 17, 1, 1, 2}
	for range 3 { // launched, captured, replayed
		logits, err = d.Run(b)
		require.NoError(t, err)
		for w, keep := range b.Keep {
			if keep == 0 {
				require.Equal(t, rows[w], logits[w*d.LogitsStride():][:3000], "a row that is wanted whole")
				continue
			}
			also := b.Also[b.AlsoFirst[w]:b.AlsoFirst[w+1]]
			got := d.Kept(w, int(keep)+len(also))
			for i, id := range largest(rows[w], int(keep), also) {
				require.Equal(t, kernels.Kept{Logit: rows[w][id], ID: id}, got[i], "row %d, number %d", w, i)
			}
		}
	}
}
