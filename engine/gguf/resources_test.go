package gguf

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// resources are the descriptors and the mapped model files that the program holds.
type resources struct{ descriptors, maps int }

// openResources counts what is open, where the system tells; elsewhere every count is 0 and comparisons hold.
func openResources(t testing.TB) resources {
	if runtime.GOOS != "linux" {
		return resources{}
	}
	descriptors, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	maps, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	return resources{len(descriptors), strings.Count(string(maps), ".gguf")}
}

// addressSpace returns the bytes of address space that the program has taken, where the system tells; elsewhere 0.
func addressSpace(t testing.TB) int64 {
	if runtime.GOOS != "linux" {
		return 0
	}
	statm, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	var pages int64
	_, err = fmt.Sscan(string(statm), &pages)
	require.NoError(t, err)
	return pages * int64(os.Getpagesize())
}
