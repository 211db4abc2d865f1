//go:build !linux && !darwin

package gguf

import "fmt"

// allocate takes memory from the Go heap.
func allocate(size int64) (m Mapping, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	return memory(make([]byte, size)), nil
}
