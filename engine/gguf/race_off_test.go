//go:build !race

package gguf

const raceSlowdown = 1
