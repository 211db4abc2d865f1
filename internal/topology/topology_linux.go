package topology

import (
	"os"

	"golang.org/x/sys/unix"
)

// Machine returns the CPUs that this process may use, in ascending order.
func Machine() ([]CPU, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, os.NewSyscallError("sched_getaffinity", err)
	}
	return read(os.DirFS("/sys/devices"), set.IsSet)
}

// Bind lets the calling thread run on one CPU only, until unbind is called on it.
func Bind(cpu int) (unbind func() error, err error) {
	var before, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, os.NewSyscallError("sched_getaffinity", err)
	}
	set.Set(cpu)
	return func() error { return setAffinity(&before) }, setAffinity(&set)
}

func setAffinity(set *unix.CPUSet) error {
	return os.NewSyscallError("sched_setaffinity", unix.SchedSetaffinity(0, set))
}
