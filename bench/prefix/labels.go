package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/infer-go/infer/engine"
)

const (
	rounds      = 7
	labelTokens = 3
)

// classify prints the cost of a classification behind a new prompt, in turns with that of reading a new prompt up to its last row of
// logits: one label of one token. Of each the median counts.
func classify(e *engine.Engine, prompt, labels int) error {
	random := rand.New(rand.NewPCG(3, 4))
	some := func(n int) []int32 {
		out := make([]int32, n)
		for i := range out {
			out[i] = 10 + random.Int32N(1000)
		}
		return out
	}
	cost := func(labels, tokens int) (float64, error) {
		prefix, continuations := some(prompt), make([][]int32, labels)
		for i := range continuations {
			continuations[i] = some(tokens)
		}
		begin := time.Now()
		_, err := e.ScoreTokens(context.Background(), prefix, continuations)
		return time.Since(begin).Seconds(), err
	}
	var alone, all, ratios []float64
	for round := range rounds + 1 {
		a, err := cost(1, 1)
		if err != nil {
			return err
		}
		b, err := cost(labels, labelTokens)
		if err != nil {
			return err
		}
		if round > 0 { // memory is touched for the first time
			alone, all, ratios = append(alone, a), append(all, b), append(ratios, b/a)
		}
	}
	for _, v := range [][]float64{alone, all, ratios} {
		slices.Sort(v)
	}
	fmt.Printf("a prompt of %d tokens      %7.0f ms\n", prompt, 1e3*alone[rounds/2])
	fmt.Printf("with %d labels of %d tokens %7.0f ms  %.2f of it (%.2f to %.2f)\n", labels, labelTokens, 1e3*all[rounds/2], ratios[rounds/2], ratios[0], ratios[rounds-1])
	return nil
}
