//go:build !linux && !darwin && !windows

package gguf

// mapFile reads the file: this system has no mapping that the package knows.
var mapFile = readFile
