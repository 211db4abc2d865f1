package sampler_test

import (
	"fmt"

	"github.com/infer-go/infer/sampler"
)

func Example() {
	params := sampler.DefaultParams()
	params.Temperature = 0 // greedy
	params.RepeatPenalty = 1.4
	s, err := sampler.New(params, 4)
	if err != nil {
		fmt.Println(err)
		return
	}
	logits := []float32{1, 2, 3, 2.5}
	for range 3 {
		token, err := s.Sample(logits)
		if err != nil {
			fmt.Println(err)
			return
		}
		if err := s.Accept(token.ID); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(token.ID)
	}
	// Output:
	// 2
	// 3
	// 2
}

func ExampleStopMatcher() {
	stop, err := sampler.NewStopMatcher([]string{"\nUser:"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, text := range []string{"Fine.\n", "Us", "er: and"} {
		show, stopped := stop.Push(text)
		fmt.Printf("%q %t\n", show, stopped)
	}
	// Output:
	// "Fine." false
	// "" false
	// "" true
}
