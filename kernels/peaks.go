package kernels

/*
#include <stdlib.h>
#include "peaks.h"
*/
import "C"

import (
	"runtime"
	"sync"
	"time"
	"unsafe"
)

// Peaks is what the machine can do at most, measured.
type Peaks struct {
	Threads      int
	ReadBytes    float64 // bytes a second, streaming from memory
	MultiplyAdds float64 // of 8-bit integers, a second, from registers; 0: not measured on this processor
}

const peakBuffer = 256 << 20 // bytes read a thread: well beyond the caches

// MeasurePeaks measures for some hundred milliseconds with that many threads (0: one a core) and takes the best runs.
func MeasurePeaks(threads int) Peaks {
	if threads <= 0 {
		threads = runtime.NumCPU()
	}
	p := Peaks{Threads: threads}
	buffers := make([]unsafe.Pointer, threads)
	onAll(threads, func(i int) { buffers[i] = C.infer_peak_alloc(peakBuffer) }) // the thread that reads touches first
	for range 5 {
		seconds := onAll(threads, func(i int) {
			if buffers[i] != nil {
				C.infer_peak_read(buffers[i], peakBuffer)
			}
		})
		p.ReadBytes = max(p.ReadBytes, float64(threads)*peakBuffer/seconds)
	}
	for _, b := range buffers {
		C.free(b)
	}
	const rounds = 2_000_000
	for range 5 {
		var each int64
		seconds := onAll(threads, func(i int) {
			var sink C.int32_t
			n := C.infer_peak_multiply(rounds, &sink)
			if i == 0 {
				each = int64(n)
			}
		})
		p.MultiplyAdds = max(p.MultiplyAdds, float64(threads)*rounds*float64(each)/seconds)
	}
	return p
}

// onAll runs f on that many system threads and returns the seconds until the last is done.
func onAll(threads int, f func(i int)) float64 {
	var ready, done sync.WaitGroup
	begin := make(chan struct{})
	ready.Add(threads)
	done.Add(threads)
	for i := range threads {
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			defer done.Done()
			ready.Done()
			<-begin
			f(i)
		}()
	}
	ready.Wait()
	start := time.Now()
	close(begin)
	done.Wait()
	return time.Since(start).Seconds()
}
