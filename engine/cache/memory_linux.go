package cache

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// AvailableMemory returns how many bytes this process can still take: what the system says is available, and no more than a
// container's limit leaves.
func AvailableMemory() (int64, error) { return availableMemory(os.ReadFile) }

func availableMemory(read func(string) ([]byte, error)) (int64, error) {
	info, err := read("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	free := int64(-1)
	for line := range strings.Lines(string(info)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "MemAvailable:" && fields[2] == "kB" {
			kib, err := strconv.ParseInt(fields[1], 10, 53)
			if err != nil || kib < 0 {
				return 0, fmt.Errorf("/proc/meminfo: %q", line)
			}
			free = kib * 1024
		}
	}
	if free < 0 {
		return 0, fmt.Errorf("/proc/meminfo: no MemAvailable")
	}
	for _, files := range [][2]string{{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"},
		{"/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"}} {
		limit, ok := readNumber(read, files[0])
		used, there := readNumber(read, files[1])
		if ok && there {
			free = min(free, max(0, limit-used))
		}
	}
	return free, nil
}

// readNumber reads a file that holds one number; false where it holds none, as "max".
func readNumber(read func(string) ([]byte, error), path string) (int64, bool) {
	text, err := read(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil && n >= 0
}
