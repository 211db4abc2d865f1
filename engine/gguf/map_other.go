//go:build !linux && !darwin && !windows

package gguf

// mapFile reads the file: this system has no mapping that the package knows.
var mapFile = readFile

// isMapped is for giving pages back, which nothing here does.
func isMapped(Mapping) bool { return false }
