//go:build race

package gguf

// raceSlowdown is how much longer a refusal may take under the race detector, which slows memory accesses.
const raceSlowdown = 15
