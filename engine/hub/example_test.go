package hub_test

import (
	"context"
	"fmt"
	"log"

	"github.com/infer-go/infer/engine/hub"
)

func ExampleResolve() {
	m, err := hub.Resolve(context.Background(), hub.DefaultModel, hub.Options{
		Progress: func(p hub.Progress) {
			fmt.Printf("%s %s: %s of %s\n", p.Stage, p.File, hub.Bytes(p.Done), hub.Bytes(p.Total))
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Path, m.SHA256)
}
