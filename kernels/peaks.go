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

	"github.com/infer-go/infer/internal/topology"
)

// Peaks is what the machine can do at most, measured.
type Peaks struct {
	Threads      int
	ReadBytes    float64 // bytes a second, streaming from memory
	MultiplyAdds float64 // of 8-bit integers, a second, from registers; 0: not measured on this processor
	BF16         float64 // multiply-adds of the bf16 dot product; 0: the processor has none
	F32          float64 // fused multiply-adds of f32
	MatrixInt8   float64 // multiply-adds of 8-bit integers by the matrix unit, which the variant amx uses; 0: there is none
	MatrixBF16   float64 // the same of bf16
}

const peakBuffer = 256 << 20 // bytes read a thread: well beyond the caches

// MeasurePeaks measures for some hundred milliseconds with that many threads (0: one a core) and takes the best runs.
func MeasurePeaks(threads int) Peaks {
	if threads <= 0 {
		threads = topology.Threads()
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
	p.MultiplyAdds = peak(threads, func() int64 {
		var sink C.int32_t
		return int64(C.infer_peak_multiply(peakRounds, &sink))
	})
	p.BF16 = peak(threads, func() int64 {
		var sink C.float
		return int64(C.infer_peak_bf16(peakRounds, &sink))
	})
	p.MatrixInt8 = peak(threads, func() int64 {
		var sink C.int32_t
		return int64(C.infer_peak_matrix(peakRounds, &sink))
	})
	p.MatrixBF16 = peak(threads, func() int64 {
		var sink C.int32_t
		return int64(C.infer_peak_matrix_bf16(peakRounds, &sink))
	})
	p.F32 = peak(threads, func() int64 {
		var sink C.float
		return int64(C.infer_peak_fuse(peakRounds, &sink))
	})
	return p
}

const peakRounds = 2_000_000

// peak times a function that returns the multiply-adds of one of its rounds.
func peak(threads int, f func() int64) float64 {
	best := 0.0
	for range 5 {
		var each int64
		seconds := onAll(threads, func(i int) {
			if n := f(); i == 0 {
				each = n
			}
		})
		best = max(best, float64(threads)*peakRounds*float64(each)/seconds)
	}
	return best
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
