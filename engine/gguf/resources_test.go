package gguf

import (
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
