//go:build !linux && !darwin && !windows

package cache

import (
	"fmt"
	"runtime"
)

// AvailableMemory is not known on this system.
func AvailableMemory() (int64, error) {
	return 0, fmt.Errorf("the free memory of a %s system is not known: give a size in bytes", runtime.GOOS)
}
