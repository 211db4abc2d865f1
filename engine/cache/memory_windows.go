package cache

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// AvailableMemory returns how many bytes of physical memory are free.
func AvailableMemory() (int64, error) {
	status := struct { // MEMORYSTATUSEX
		length, load                                                          uint32
		total, free, totalFile, freeFile, totalVirtual, freeVirtual, extended uint64
	}{}
	status.length = uint32(unsafe.Sizeof(status))
	call := windows.NewLazySystemDLL("kernel32.dll").NewProc("GlobalMemoryStatusEx")
	if ok, _, err := call.Call(uintptr(unsafe.Pointer(&status))); ok == 0 {
		return 0, err
	}
	return int64(status.free), nil
}
