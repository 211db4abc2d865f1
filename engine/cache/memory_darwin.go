package cache

import "golang.org/x/sys/unix"

// AvailableMemory returns half of the machine's memory: the system does not say how much of it a process can have.
func AvailableMemory() (int64, error) {
	n, err := unix.SysctlUint64("hw.memsize")
	return int64(n / 2), err
}
