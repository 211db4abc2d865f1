// Command prefix measures what a known beginning saves: the time to the first token of a random prompt that is new, and of others that share
// nine tenths of it. The cache holds what the prompts before left in it.
//
// With -labels it measures what scoring that many labels behind a new prompt costs, against reading the prompt alone.
//
//	go run ./bench/prefix -m model.gguf -p 1024
//	go run ./bench/prefix -m model.gguf -p 500 -labels 20
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"

	"github.com/infer-go/infer/engine"
)

func main() {
	model := flag.String("m", "", "GGUF file")
	prompt := flag.Int("p", 1024, "tokens of a prompt")
	threads := flag.Int("t", 0, "threads; 0: all cores")
	labels := flag.Int("labels", 0, "measure a classification among so many labels instead")
	flag.Parse()
	if *model == "" || *prompt < 10 || *labels < 0 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*model, *prompt, *threads, *labels); err != nil {
		fmt.Fprintln(os.Stderr, "prefix:", err)
		os.Exit(1)
	}
}

func run(model string, prompt, threads, labels int) error {
	e, err := engine.Open(model, engine.Options{Context: 2 * prompt, Threads: threads})
	if err != nil {
		return err
	}
	defer e.Close()
	if labels > 0 {
		return classify(e, prompt, labels)
	}
	return share(e, prompt)
}

// share prints the times to the first token of a prompt that is new, and of others that share nine tenths of it.
func share(e *engine.Engine, prompt int) error {
	random := rand.New(rand.NewPCG(1, 2))
	tokens := make([]int32, prompt)
	follow := func(from int) {
		for i := from; i < prompt; i++ {
			tokens[i] = 10 + random.Int32N(1000)
		}
	}
	follow(0)
	if _, _, err := first(e, tokens); err != nil { // memory is touched for the first time
		return err
	}
	follow(0)
	cold, _, err := first(e, tokens)
	if err != nil {
		return err
	}
	fmt.Printf("%-28s %7.0f ms\n", "new", cold*1e3)
	for _, what := range []string{"shares nine tenths", "shares them too", "and this one"} {
		follow(prompt * 9 / 10)
		warm, cached, err := first(e, tokens)
		if err != nil {
			return err
		}
		fmt.Printf("%-28s %7.0f ms  %.2f of it, %d of %d tokens found\n", what, warm*1e3, warm/cold, cached, prompt)
	}
	return nil
}

// first returns the seconds to a prompt's first token, and how many of its tokens were found.
func first(e *engine.Engine, tokens []int32) (float64, int, error) {
	for token, err := range e.Generate(context.Background(), engine.Request{Tokens: tokens, MaxTokens: 1, IgnoreEnd: true}) {
		if err != nil {
			return 0, 0, err
		}
		if token.Usage != nil {
			return token.Usage.Timeline.Total.Seconds(), token.Usage.CachedTokens, nil
		}
	}
	return 0, 0, fmt.Errorf("no token")
}
