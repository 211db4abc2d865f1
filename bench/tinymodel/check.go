package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/infer-go/infer/internal/modelspec"
)

// bound is the corpus' bound for float weights.
const bound = 1e-3

// check compares the engine with llama.cpp on random cases and prints what differs.
func check(specs []*modelspec.Spec, names []string, o options) error {
	p := peer{o.peers}
	if _, err := p.describe(); err != nil {
		return err
	}
	specs, err := choose(specs, names)
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp("", "tinymodel")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	failed, total := 0, 0
	for _, s := range specs {
		worst, bad := 0.0, 0
		for n := range o.count {
			c, m, err := s.Random(o.seed, n)
			if err != nil {
				return err
			}
			d, limit, err := checkOne(p, m, o, filepath.Join(temp, "model.gguf"))
			total++
			if o.verbose || err != nil || !(d <= limit) {
				fmt.Printf("  %.1e (limit %.1e) %s\n", d, limit, c.Text())
			}
			if err != nil || !(d <= limit) {
				bad++
			}
			if err != nil {
				fmt.Printf("  %v\n", err)
			} else {
				worst = max(worst, d)
			}
		}
		fmt.Printf("%-18s %d cases, largest distance %.1e, %d failed\n", s.Arch, o.count, worst, bad)
		failed += bad
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d cases failed", failed, total)
	}
	return nil
}

// checkOne returns the distance from llama.cpp on one model, and what it may be.
func checkOne(p peer, m *modelspec.Model, o options, path string) (distance_, limit float64, err error) {
	data, err := m.Bytes()
	if err != nil {
		return 0, 0, err
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		return 0, 0, err
	}
	target, err := p.run(path, m.Encoder, m.Ids(), "f32")
	if err != nil {
		return 0, 0, err
	}
	got, err := ours(path, m.Encoder, m.Ids(), "f32")
	return distance(got, target), bound, err
}
