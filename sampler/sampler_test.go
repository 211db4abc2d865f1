package sampler

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func neutral(change func(*Params)) Params {
	p := NeutralParams()
	change(&p)
	return p
}

func mustNew(t testing.TB, p Params, vocab int) *Sampler {
	s, err := New(p, vocab)
	require.NoError(t, err)
	return s
}

func sampleN(t testing.TB, s *Sampler, logits []float32, n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		token, err := s.Sample(logits)
		require.NoError(t, err)
		ids[i] = token.ID
	}
	return ids
}

// requireDistribution draws many tokens and compares their counts with exact probabilities: impossible tokens never come,
// and chi-square stays below its 99.99 % point (by Wilson and Hilferty's approximation).
func requireDistribution(t *testing.T, s *Sampler, logits []float32, want []float64) {
	const n = 100_000
	counts := make([]float64, len(logits))
	for _, id := range sampleN(t, s, logits, n) {
		counts[id]++
	}
	chi, freedom := 0.0, -1.0
	for id, p := range want {
		if p == 0 {
			require.Zero(t, counts[id], "token %d is impossible", id)
			continue
		}
		expected := p * n
		require.Greater(t, expected, 5.0, "the test's own condition")
		chi += (counts[id] - expected) * (counts[id] - expected) / expected
		freedom++
	}
	a := 2 / (9 * max(freedom, 1))
	limit := max(freedom, 1) * math.Pow(1-a+3.72*math.Sqrt(a), 3)
	require.Less(t, chi, limit, "chi-square with %g degrees of freedom", freedom)
}

// exact returns the probability of each token of a vocabulary under a reference set.
func exact(set refSet, vocab int) []float64 {
	p := make([]float64, vocab)
	for i, q := range set.probabilities() {
		p[set[i].id] = q
	}
	return p
}

func mix(share float64, a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = share*a[i] + (1-share)*b[i]
	}
	return out
}

func TestDistributions(t *testing.T) {
	logits := []float32{0.5, 2, -1, 3, negInf, 1, 1, 2.5, 0, -2, 1.5, 0.25}
	set, n := newRefSet(logits), len(logits)
	cases := []struct {
		name   string
		params Params
		want   []float64
	}{
		{"neutral", NeutralParams(), exact(set, n)},
		{"temperature 0.7", neutral(func(p *Params) { p.Temperature = 0.7 }), exact(set.temperature(0.7), n)},
		{"temperature 3", neutral(func(p *Params) { p.Temperature = 3 }), exact(set.temperature(3), n)},
		{"dynamic", neutral(func(p *Params) { p.DynamicRange, p.DynamicExponent = 0.6, 1.5 }),
			exact(set.temperature(set.dynamic(0.4, 1.6, 1.5)), n)},
		{"top-k", neutral(func(p *Params) { p.TopK = 4 }), exact(set.topK(4), n)},
		{"top-p", neutral(func(p *Params) { p.TopP = 0.8 }), exact(set.topP(0.8), n)},
		{"min-p", neutral(func(p *Params) { p.MinP = 0.2 }), exact(set.minP(0.2), n)},
		{"typical", neutral(func(p *Params) { p.TypicalP = 0.6 }), exact(set.typical(0.6), n)},
		{"top-n-sigma", neutral(func(p *Params) { p.TopNSigma = 1 }), exact(set.topNSigma(1), n)},
		{"xtc always", neutral(func(p *Params) { p.XTCProbability = 1 }), exact(set.xtc(0.1), n)},
		{"xtc sometimes", neutral(func(p *Params) { p.XTCProbability = 0.3 }), mix(0.3, exact(set.xtc(0.1), n), exact(set, n))},
		{"default", DefaultParams(), exact(set.topP(0.95).minP(0.05).temperature(0.8), n)},
		{"all", neutral(func(p *Params) {
			p.TopNSigma, p.TopK, p.TypicalP, p.TopP, p.MinP, p.XTCProbability, p.Temperature = 2, 8, 0.97, 0.95, 0.1, 1, 1.4
		}), exact(set.topNSigma(2).topK(8).typical(0.97).topP(0.95).minP(0.1).xtc(0.1).temperature(1.4), n)},
		{"bias", neutral(func(p *Params) { p.LogitBias = map[int32]float32{3: negInf, 0: 2, 4: 50} }),
			exact(newRefSet([]float32{2.5, 2, -1, negInf, negInf, 1, 1, 2.5, 0, -2, 1.5, 0.25}), n)},
		{"greedy", neutral(func(p *Params) { p.Temperature = 0 }), exact(set[:1], n)},
		{"greedy leaves XTC and typical out", neutral(func(p *Params) {
			p.Temperature, p.XTCProbability, p.TypicalP = 0, 1, 0.1
		}), exact(set[:1], n)},
		{"no stage", neutral(func(p *Params) { p.Temperature, p.TopK, p.Order = 0, 1, []Stage{} }), exact(set, n)},
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.params.Seed = uint64(i)
			requireDistribution(t, mustNew(t, c.params, n), logits, c.want)
		})
	}
}

// TestDistributionOverManyBlocks spreads the mass over more ids than one block of the dense draw holds.
func TestDistributionOverManyBlocks(t *testing.T) {
	logits := make([]float32, 3*drawBlock+17)
	for i := range logits {
		logits[i] = negInf
	}
	for i := 0; i < len(logits); i += 297 {
		logits[i] = float32(i%5) * 0.4
	}
	logits[len(logits)-1] = 1
	want := exact(newRefSet(logits), len(logits))
	requireDistribution(t, mustNew(t, NeutralParams(), len(logits)), logits, want)
	one := neutral(func(p *Params) { p.TopP = 0.9999999 }) // the same through a list
	requireDistribution(t, mustNew(t, one, len(logits)), logits, want)
}

func TestOrderChanges(t *testing.T) {
	logits := []float32{0.5, 2, -1, 3, 1, 1, 2.5, 0}
	set, n := newRefSet(logits), len(logits)
	base := func(order ...Stage) Params {
		return neutral(func(p *Params) { p.Temperature, p.TopP, p.TopK, p.Order = 2, 0.7, 5, order })
	}
	requireDistribution(t, mustNew(t, base(StageTopK, StageTopP, StageTemperature), n), logits, exact(set.topK(5).topP(0.7).temperature(2), n))
	requireDistribution(t, mustNew(t, base(StageTemperature, StageTopP, StageTopK), n), logits, exact(set.temperature(2).topP(0.7).topK(5), n))
	requireDistribution(t, mustNew(t, base(StageTopP), n), logits, exact(set.topP(0.7), n))

	// Penalties in the middle: on a list, and on dense logits that have a temperature pending.
	p := base(StageTemperature, StagePenalties, StageTopK)
	p.PresencePenalty, p.RepeatPenalty = 0.5, 1.3
	s := mustNew(t, p, n)
	require.NoError(t, s.Accept(3, 2))
	hot := make([]float32, n)
	for i, x := range logits {
		hot[i] = x / 2
	}
	lowered := refPenalties(hot, []int32{3, 2}, p)
	requireDistribution(t, s, logits, exact(newRefSet(lowered).topK(5), n))
	p.Order = []Stage{StageTopK, StageTemperature, StagePenalties}
	s = mustNew(t, p, n)
	require.NoError(t, s.Accept(3, 2))
	kept := make([]float32, n)
	for i := range kept {
		kept[i] = negInf
	}
	for _, tok := range set.topK(5) {
		kept[tok.id] = lowered[tok.id]
	}
	requireDistribution(t, s, logits, exact(newRefSet(kept), n))
}

// TestDRYOnAList has DRY behind a cut: it acts on what is left.
func TestDRYOnAList(t *testing.T) {
	logits := []float32{0.5, 2, -1, 3, 1, 1, 2.5, 0}
	p := neutral(func(p *Params) { p.DRYMultiplier, p.TopK, p.Order = 0.8, 4, []Stage{StageTopK, StageDRY} })
	history := []int32{3, 1, 6, 0, 3, 1}
	s := mustNew(t, p, len(logits))
	require.NoError(t, s.Accept(history...))
	want := make([]float32, len(logits))
	for i := range want {
		want[i] = negInf
	}
	lowered := refDRY(logits, history, p)
	require.NotEqual(t, logits, lowered)
	for _, tok := range newRefSet(logits).topK(4) {
		want[tok.id] = lowered[tok.id]
	}
	requireDistribution(t, s, logits, exact(newRefSet(want), len(logits)))
}

func TestMirostatHoldsItsTarget(t *testing.T) {
	const vocab, tau, eta = 2000, 3.0, 0.1
	logits := make([]float32, vocab)
	for i := range logits {
		logits[i] = float32(-1.1 * math.Log(float64(i+1))) // Zipf
	}
	p := neutral(func(p *Params) { p.Mirostat, p.MirostatTau, p.MirostatEta = 2, tau, eta })
	p.TopK, p.MinP = 1, 1 // no effect beside mirostat
	s := mustNew(t, p, vocab)
	set, mu, sum := newRefSet(logits), 2*tau, 0.0
	const n = 2000
	for range n {
		require.InDelta(t, mu, s.mirostat.mu, 1e-6)
		token, err := s.Sample(logits)
		require.NoError(t, err)
		probability := exact(set.mirostat(mu), vocab)[token.ID]
		require.Positive(t, probability)
		surprise := -math.Log2(probability)
		sum += surprise
		mu -= eta * (surprise - tau)
	}
	assert.InDelta(t, tau, sum/n, 0.1)
}

func TestSameSeedSameIDs(t *testing.T) {
	logits := benchLogits(3000)
	p := DefaultParams()
	p.XTCProbability, p.DRYMultiplier, p.RepeatPenalty, p.Temperature = 0.5, 0.8, 1.1, 2
	run := func(s *Sampler) (ids []int32) {
		for range 200 {
			token, err := s.Sample(logits)
			require.NoError(t, err)
			require.NoError(t, s.Accept(token.ID))
			ids = append(ids, token.ID)
		}
		return ids
	}
	p.Seed = 42
	s := mustNew(t, p, len(logits))
	first := run(s)
	assert.Equal(t, first, run(mustNew(t, p, len(logits))))
	s.Reset()
	assert.Equal(t, first, run(s), "after Reset")
	p.Seed = 43
	assert.NotEqual(t, first, run(mustNew(t, p, len(logits))))
	assert.NotEqual(t, RandomSeed(), RandomSeed())
}

// TestIDsArePinned holds the ids of fixed seeds: they must not change with the machine, nor from version to version.
func TestIDsArePinned(t *testing.T) {
	logits := make([]float32, 1000)
	for i := range logits {
		logits[i] = float32(i*7919%1000) / 100
	}
	pinned := map[string]struct {
		params Params
		want   []int32
	}{
		"default": {DefaultParams(), []int32{494, 963, 667, 963, 926, 741, 383, 988, 62, 988, 346, 556}},
		"neutral": {NeutralParams(), []int32{471, 963, 657, 964, 893, 729, 371, 990, 26, 992, 346, 531}},
		"xtc":     {neutral(func(p *Params) { p.Seed, p.XTCProbability, p.XTCThreshold = 7, 0.5, 0.005 }), []int32{806, 791, 236, 408, 766, 165, 408, 889, 804, 359, 152, 816}},
		"typical": {neutral(func(p *Params) { p.Seed, p.TypicalP = 1<<63+5, 0.5 }), []int32{520, 520, 890, 334, 742, 668, 198, 137, 705, 322, 544, 532}},
		"dynamic": {neutral(func(p *Params) { p.DynamicRange, p.DynamicExponent = 0.9, 1.3 }), []int32{471, 963, 658, 964, 892, 720, 371, 992, 27, 994, 346, 522}},
		"miro":    {neutral(func(p *Params) { p.Mirostat = 2 }), []int32{482, 963, 656, 963, 902, 729, 371, 989, 26, 988, 334, 531}},
	}
	for name, c := range pinned {
		assert.Equal(t, c.want, sampleN(t, mustNew(t, c.params, len(logits)), logits, 12), name)
	}
}

func TestOneDrawForEachToken(t *testing.T) {
	wide, single := benchLogits(500), make([]float32, 500)
	for i := range single {
		single[i] = negInf
	}
	single[9] = 0
	a, b := mustNew(t, DefaultParams(), 500), mustNew(t, DefaultParams(), 500)
	sampleN(t, a, wide, 5)
	sampleN(t, b, single, 5)
	assert.Equal(t, sampleN(t, a, wide, 20), sampleN(t, b, wide, 20), "a forced token takes one number as well")
}

func TestEdgesOfParameters(t *testing.T) {
	logits := []float32{1, 5, 3, 5}
	only := func(name string, want []int32, p Params) {
		t.Run(name, func(t *testing.T) {
			got := sampleN(t, mustNew(t, p, len(logits)), logits, 400)
			slices.Sort(got)
			assert.Equal(t, want, slices.Compact(got))
		})
	}
	all := []int32{0, 1, 2, 3}
	only("k above the vocabulary", all, neutral(func(p *Params) { p.TopK, p.Temperature = 1000, 4 }))
	only("k of the vocabulary", all, neutral(func(p *Params) { p.TopK, p.Temperature = 4, 4 }))
	only("k 1", []int32{1}, neutral(func(p *Params) { p.TopK = 1 }))
	only("k -1", all, neutral(func(p *Params) { p.TopK, p.Temperature = -1, 4 }))
	only("p 0", []int32{1}, neutral(func(p *Params) { p.TopP = 0 }))
	only("p 1", all, neutral(func(p *Params) { p.TopP, p.Temperature = 1, 4 }))
	only("min-p 1 keeps equals", []int32{1, 3}, neutral(func(p *Params) { p.MinP = 1 }))
	only("typical 0", []int32{1}, neutral(func(p *Params) { p.TypicalP = 0 }))
	only("sigma 0 is off", all, neutral(func(p *Params) { p.TopNSigma, p.Temperature = 0, 4 }))
	only("sigma tiny", []int32{1, 3}, neutral(func(p *Params) { p.TopNSigma = 1e-9 }))
	only("xtc threshold above 0.5", []int32{1, 3}, neutral(func(p *Params) { p.XTCProbability, p.XTCThreshold, p.TopK = 1, 0.51, 2 }))
	only("xtc threshold 0", []int32{0}, neutral(func(p *Params) { p.XTCProbability, p.XTCThreshold = 1, 0 }))
	only("temperature almost 0", []int32{1}, neutral(func(p *Params) { p.Temperature = 1e-12 }))
	only("temperature enormous", all, neutral(func(p *Params) { p.Temperature = 1e9 }))
	only("mirostat tau 0", []int32{1}, neutral(func(p *Params) { p.Mirostat, p.MirostatTau = 2, 0 }))
	only("mirostat greedy", []int32{1}, neutral(func(p *Params) { p.Mirostat, p.Temperature = 2, 0 }))
}

func TestSingleTokenVocabulary(t *testing.T) {
	for name, p := range everySetting() {
		s := mustNew(t, p, 1)
		require.NoError(t, s.Accept(0, 0, 0, 0))
		assert.Equal(t, []int32{0, 0, 0}, sampleN(t, s, []float32{-7}, 3), name)
	}
}

// everySetting has each stage alone and all together.
func everySetting() map[string]Params {
	settings := map[string]Params{
		"neutral": NeutralParams(), "default": DefaultParams(),
		"greedy":  neutral(func(p *Params) { p.Temperature = 0 }),
		"hot":     neutral(func(p *Params) { p.Temperature = 1.5 }),
		"top_k":   neutral(func(p *Params) { p.TopK = 7 }),
		"top_p":   neutral(func(p *Params) { p.TopP = 0.9 }),
		"min_p":   neutral(func(p *Params) { p.MinP = 0.1 }),
		"typical": neutral(func(p *Params) { p.TypicalP = 0.9 }),
		"sigma":   neutral(func(p *Params) { p.TopNSigma = 1 }),
		"xtc":     neutral(func(p *Params) { p.XTCProbability = 1 }),
		"dynamic": neutral(func(p *Params) { p.DynamicRange = 0.5 }),
		"miro":    neutral(func(p *Params) { p.Mirostat = 2 }),
		"penalty": neutral(func(p *Params) { p.RepeatPenalty, p.FrequencyPenalty, p.PresencePenalty = 1.2, 0.1, 0.2 }),
		"dry":     neutral(func(p *Params) { p.DRYMultiplier = 0.8 }),
		"flat": neutral(func(p *Params) {
			p.Temperature, p.TopP, p.Order = 20, 0.9, []Stage{StageTemperature, StageTopP, StageXTC}
		}),
		"logprobs": neutral(func(p *Params) { p.LogProbs, p.TopLogProbs = true, 1 }),
		"bias":     neutral(func(p *Params) { p.LogitBias = map[int32]float32{0: 1.5} }),
	}
	all := DefaultParams()
	all.TopNSigma, all.TypicalP, all.XTCProbability, all.DynamicRange = 2, 0.97, 0.5, 0.3
	all.RepeatPenalty, all.FrequencyPenalty, all.DRYMultiplier = 1.1, 0.1, 0.8
	all.LogProbs, all.TopLogProbs = true, 1
	settings["all"] = all
	return settings
}

func TestBadLogits(t *testing.T) {
	for name, p := range everySetting() {
		for _, bad := range []float32{float32(math.NaN()), -float32(math.NaN()), math.Float32frombits(0xffc00000), float32(math.Inf(1))} {
			for _, at := range []int{0, 3, 41} {
				logits := benchLogits(42)
				logits[at] = bad
				s := mustNew(t, p, 42)
				require.NoError(t, s.Accept(1, 2, 3, 1, 2, 3))
				_, err := s.Sample(logits)
				var fault *LogitError
				require.ErrorAs(t, err, &fault, "%s, %g at %d", name, bad, at)
				assert.Equal(t, at, fault.Index, name)
				assert.Contains(t, err.Error(), fmt.Sprintf("logit %d", at))
			}
		}
		logits := make([]float32, 42)
		for i := range logits {
			logits[i] = negInf
		}
		_, err := mustNew(t, p, 42).Sample(logits)
		assert.ErrorIs(t, err, ErrNoCandidates, name)
		_, err = mustNew(t, p, 42).SampleMasked(benchLogits(42), []uint64{0})
		assert.ErrorIs(t, err, ErrNoCandidates, name)
	}
	s := mustNew(t, DefaultParams(), 42)
	_, err := s.Sample(make([]float32, 41))
	assert.EqualError(t, err, "sampler: 41 logits; expected 42, the size of the vocabulary")
	_, err = s.SampleMasked(make([]float32, 42), make([]uint64, 2))
	assert.EqualError(t, err, "sampler: mask of 2 words; expected 1 for a vocabulary of 42")
	assert.EqualError(t, s.Accept(0, 42), "sampler: accepted token 42 (number 1) is outside the vocabulary; expected 0 to 41")
	assert.Error(t, s.Accept(-1))
}

func TestMask(t *testing.T) {
	const vocab = 200
	logits := benchLogits(vocab)
	r := rand.New(rand.NewPCG(5, 6))
	for range 50 {
		allowed := []uint64{0, ^uint64(0), r.Uint64() & r.Uint64(), r.Uint64() | 1}
		want := slices.Clone(logits)
		for i := range want {
			if allowed[i/64]>>(i%64)&1 == 0 {
				want[i] = negInf
			}
		}
		p := DefaultParams()
		p.Seed = r.Uint64()
		p.LogitBias = map[int32]float32{3: 100, 130: -2}
		masked, plain := mustNew(t, p, vocab), mustNew(t, p, vocab)
		for range 5 {
			got, err := masked.SampleMasked(logits, allowed)
			require.NoError(t, err)
			expected, err := plain.Sample(want)
			require.NoError(t, err)
			require.Equal(t, expected.ID, got.ID)
		}
	}
	logits[0] = float32(math.NaN())
	_, err := mustNew(t, DefaultParams(), vocab).SampleMasked(logits, []uint64{2, 0, 0, 0})
	assert.NoError(t, err, "a masked logit is not looked at")
	_, err = mustNew(t, neutral(func(p *Params) { p.LogProbs = true }), vocab).SampleMasked(logits, []uint64{2, 0, 0, 0})
	assert.ErrorAs(t, err, new(*LogitError), "but it has a part in log-probabilities")
}

func TestLogProbsAreTheModelsOwn(t *testing.T) {
	logits := []float32{0.5, 2, negInf, 3, 3, -90}
	p := DefaultParams()
	p.LogProbs, p.TopLogProbs = true, 6
	p.Temperature, p.RepeatPenalty, p.TopK = 0.3, 2, 2
	p.LogitBias = map[int32]float32{0: 100}
	s := mustNew(t, p, len(logits))
	require.NoError(t, s.Accept(3, 3, 4))
	token, err := s.Sample(logits)
	require.NoError(t, err)
	require.EqualValues(t, 0, token.ID, "by its bias")
	q := exact(newRefSet(logits), len(logits))
	assert.InEpsilon(t, math.Log(q[0]), token.LogProb, 1e-6)
	require.Len(t, token.Top, 5, "five logits are finite")
	for i, id := range []int32{3, 4, 1, 0, 5} {
		assert.Equal(t, id, token.Top[i].ID)
		assert.InEpsilon(t, math.Log(q[id]), token.Top[i].LogProb, 1e-6)
	}

	p.TopLogProbs = 2
	token, err = mustNew(t, p, len(logits)).Sample(logits)
	require.NoError(t, err)
	assert.Len(t, token.Top, 2)
	p.LogProbs, p.TopLogProbs = false, 0
	token, err = mustNew(t, p, len(logits)).Sample(logits)
	require.NoError(t, err)
	assert.Zero(t, token.LogProb)
	assert.Nil(t, token.Top)
}

func TestExtremeLogits(t *testing.T) {
	logits := []float32{-math.MaxFloat32, 0, math.MaxFloat32, -math.SmallestNonzeroFloat32, negInf}
	for name, p := range everySetting() {
		p.LogitBias = map[int32]float32{2: math.MaxFloat32, 0: -math.MaxFloat32}
		s := mustNew(t, p, len(logits))
		require.NoError(t, s.Accept(2, 2, 2, 2, 0, 0))
		for range 5 {
			token, err := s.Sample(logits)
			require.NoError(t, err, name)
			require.NotEqualValues(t, 4, token.ID, name)
			require.NoError(t, s.Accept(token.ID))
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	const vocab = 3000
	logits := benchLogits(vocab)
	for name, p := range everySetting() {
		p.TopLogProbs *= 20
		p.DRYLastN = 100
		s := mustNew(t, p, vocab)
		step := func() {
			token, err := s.Sample(logits)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Accept(token.ID); err != nil {
				t.Fatal(err)
			}
		}
		for range 250 {
			step()
		}
		assert.Zero(t, testing.AllocsPerRun(20, step), name)
	}
}

func TestParametersAreChecked(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	cases := []struct {
		name   string
		change func(*Params)
		want   string
	}{
		{"temperature", func(p *Params) { p.Temperature = -0.1 }, "temperature is -0.1; allowed: 0 to 1e+09"},
		{"temperature NaN", func(p *Params) { p.Temperature = nan }, "temperature is NaN"},
		{"dynatemp_range", func(p *Params) { p.DynamicRange = -1 }, "dynatemp_range is -1"},
		{"dynatemp_exponent", func(p *Params) { p.DynamicExponent = inf }, "dynatemp_exponent is +Inf; allowed: a finite number from 0 up"},
		{"top_k", func(p *Params) { p.TopK = -2 }, "top_k is -2; allowed: -1 to 2147483647"},
		{"top_p", func(p *Params) { p.TopP = 1.01 }, "top_p is 1.01; allowed: 0 to 1"},
		{"min_p", func(p *Params) { p.MinP = nan }, "min_p is NaN"},
		{"typical_p", func(p *Params) { p.TypicalP = -1 }, "typical_p is -1"},
		{"top_n_sigma", func(p *Params) { p.TopNSigma = -0.5 }, "top_n_sigma is -0.5"},
		{"xtc_probability", func(p *Params) { p.XTCProbability = 2 }, "xtc_probability is 2"},
		{"xtc_threshold", func(p *Params) { p.XTCThreshold = -2 }, "xtc_threshold is -2"},
		{"penalty_last_n", func(p *Params) { p.PenaltyLastN = -2 }, "penalty_last_n is -2"},
		{"repeat_penalty", func(p *Params) { p.RepeatPenalty = 0 }, "repeat_penalty is 0"},
		{"frequency_penalty", func(p *Params) { p.FrequencyPenalty = inf }, "frequency_penalty is +Inf"},
		{"presence_penalty", func(p *Params) { p.PresencePenalty = nan }, "presence_penalty is NaN"},
		{"dry_multiplier", func(p *Params) { p.DRYMultiplier = -1 }, "dry_multiplier is -1"},
		{"dry_base", func(p *Params) { p.DRYBase = 0.5 }, "dry_base is 0.5; allowed: 1 to"},
		{"dry_allowed_length", func(p *Params) { p.DRYAllowedLength = -1 }, "dry_allowed_length is -1"},
		{"dry_penalty_last_n", func(p *Params) { p.DRYLastN = -5 }, "dry_penalty_last_n is -5"},
		{"breaker empty", func(p *Params) { p.DRYBreakers = [][]int32{{1}, {}} }, "dry_sequence_breakers[1] is an empty sequence"},
		{"breaker id", func(p *Params) { p.DRYBreakers = [][]int32{{100}} }, "dry_sequence_breakers[0] is token 100; allowed: tokens 0 to 99"},
		{"mirostat", func(p *Params) { p.Mirostat = 1 }, "mirostat is 1; allowed: 0 (off) or 2"},
		{"mirostat_tau", func(p *Params) { p.MirostatTau = -1 }, "mirostat_tau is -1"},
		{"mirostat_eta", func(p *Params) { p.MirostatEta = nan }, "mirostat_eta is NaN"},
		{"bias id", func(p *Params) { p.LogitBias = map[int32]float32{-1: 1} }, "logit_bias is token -1"},
		{"bias value", func(p *Params) { p.LogitBias = map[int32]float32{5: float32(inf)} }, "logit_bias of token 5 is +Inf"},
		{"top_logprobs", func(p *Params) { p.LogProbs, p.TopLogProbs = true, 101 }, "top_logprobs is 101; allowed: 0 to 100"},
		{"top_logprobs alone", func(p *Params) { p.TopLogProbs = 1 }, "top_logprobs is 1; allowed: 0 unless"},
		{"order unknown", func(p *Params) { p.Order = []Stage{"tfs"} }, "order is tfs; allowed: stages out of"},
		{"order twice", func(p *Params) { p.Order = []Stage{StageTopK, StageTopK} }, "order is top_k twice"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := DefaultParams()
			c.change(&p)
			_, err := New(p, 100)
			var fault *ParamError
			require.ErrorAs(t, err, &fault)
			assert.Contains(t, err.Error(), "sampler: "+c.want)
		})
	}
	require.NoError(t, DefaultParams().Validate(1))
	require.NoError(t, NeutralParams().Validate(math.MaxInt32))
	assert.Error(t, DefaultParams().Validate(0))

	p := DefaultParams()
	p.TopP, p.MinP = 7, 8
	err := p.Validate(10)
	assert.Equal(t, 2, strings.Count(err.Error(), "sampler: "), "every fault is reported")
	assert.False(t, errors.Is(err, ErrNoCandidates))
}

func TestParseOrder(t *testing.T) {
	order, err := ParseOrder("penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature")
	require.NoError(t, err)
	assert.Equal(t, DefaultOrder(), order)
	order, err = ParseOrder(" top_k, temperature ")
	require.NoError(t, err)
	assert.Equal(t, []Stage{StageTopK, StageTemperature}, order)
	order, err = ParseOrder("")
	require.NoError(t, err)
	assert.NotNil(t, order)
	_, err = ParseOrder("top_k;nonsense")
	assert.ErrorContains(t, err, "order is nonsense")
}
