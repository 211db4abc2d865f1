package engine

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/infer-go/infer/sampler"
)

// exampleModel makes the random model that the examples run on; with a real one, give its path.
func exampleModel() (path string, remove func()) {
	dir, err := os.MkdirTemp("", "infer")
	if err != nil {
		log.Fatal(err)
	}
	path = filepath.Join(dir, "model.gguf")
	if err := tiny.writeTo(path); err != nil {
		log.Fatal(err)
	}
	return path, func() { os.RemoveAll(dir) }
}

// Opens a model and streams an answer.
func Example() {
	path, remove := exampleModel()
	defer remove()

	e, err := Open(path, Options{Threads: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()

	greedy := sampler.DefaultParams()
	greedy.Temperature = 0
	request := Request{Prompt: "The sea is", MaxTokens: 8, Sampling: &greedy, IgnoreEnd: true}
	tokens := 0
	for token, err := range e.Generate(context.Background(), request) {
		if err != nil {
			log.Fatal(err)
		}
		tokens++ // a chat would print token.Text
		if token.Usage != nil {
			fmt.Println(tokens, "tokens,", token.Finish)
		}
	}
	// Output: 8 tokens, length
}

// A session keeps a conversation in the cache: the second request computes only what is new.
func ExampleEngine_Session() {
	path, remove := exampleModel()
	defer remove()
	e, err := Open(path, Options{Threads: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()
	s, err := e.Session(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	for _, prompt := range []string{"Once upon a time", "Once upon a time there was"} {
		for token, err := range s.Generate(context.Background(), Request{Prompt: prompt, MaxTokens: 1}) {
			if err != nil {
				log.Fatal(err)
			}
			if u := token.Usage; u != nil {
				fmt.Println(u.PromptTokens, "tokens in the prompt,", u.CachedTokens, "of them already computed")
			}
		}
	}
	// Output:
	// 17 tokens in the prompt, 0 of them already computed
	// 27 tokens in the prompt, 17 of them already computed
}

// Logits visits the scores of the next token after each token of a text.
func ExampleEngine_Logits() {
	path, remove := exampleModel()
	defer remove()
	e, err := Open(path, Options{Threads: 1, AllLogits: true})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()
	ids := []int32{1, 70, 80}
	err = e.Logits(context.Background(), ids, 0, func(position int, logits []float32) error {
		fmt.Println("after token", ids[position], "there are", len(logits), "scores")
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// after token 1 there are 264 scores
	// after token 70 there are 264 scores
	// after token 80 there are 264 scores
}
