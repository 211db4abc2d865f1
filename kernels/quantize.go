package kernels

/*
#include "quantize.h"
*/
import "C"

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

// quantizeChunk is the number of weights that a goroutine takes at a time: some milliseconds of work.
const quantizeChunk = 1 << 18

// Quantize writes src, rows of cols weights, as blocks of type t to dst. Sizes must agree exactly. The bytes are the same on
// every machine and for any number of threads.
//
// importance is nil, or holds a non-negative factor of the squared error for each column, in any unit: the mean square of
// the activation that the column meets. threads is the number of goroutines, 0 for one a processor.
//
// Weights must be finite and, except for F32 and BF16, not beyond the range of an IEEE half (65504); the error is a
// [*WeightError] where one is.
func Quantize(dst []byte, t DType, src []float32, cols int64, importance []float32, threads int) error {
	rowBytes, err := checkQuantize(dst, t, src, cols, importance)
	if err != nil || len(src) == 0 {
		return err
	}
	if importance, err = normalImportance(importance); err != nil {
		return fmt.Errorf("%s: %w", t, err)
	}
	rows := int64(len(src)) / cols
	chunk := max(1, quantizeChunk/cols)
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	threads = int(min(int64(threads), (rows+chunk-1)/chunk))
	var next atomic.Int64
	var failed atomic.Int32
	var team sync.WaitGroup
	for range threads {
		team.Go(func() {
			for failed.Load() == 0 {
				first := next.Add(chunk) - chunk
				if first >= rows {
					return
				}
				n := min(chunk, rows-first)
				status := quantizeRows(t, src[first*cols:(first+n)*cols], n, cols, importance, dst[first*rowBytes:(first+n)*rowBytes])
				if status != C.INFER_TYPE_OK {
					failed.Store(int32(status))
				}
			}
		})
	}
	team.Wait()
	if C.int(failed.Load()) == C.INFER_TYPE_BAD_VALUE {
		return badWeight(t, src, cols)
	}
	return typeStatus(t, "quantize", C.int(failed.Load()))
}

func checkQuantize(dst []byte, t DType, src []float32, cols int64, importance []float32) (rowBytes int64, err error) {
	if rowBytes, err = t.RowBytes(cols); err != nil {
		return 0, err
	}
	switch {
	case !t.Quantizable():
		return 0, fmt.Errorf("quantizing to %s is not supported", t)
	case cols == 0 && len(src) > 0:
		return 0, fmt.Errorf("%s: %d weights in rows of 0", t, len(src))
	case cols > 0 && int64(len(src))%cols != 0:
		return 0, fmt.Errorf("%s: %d weights are not a whole number of rows of %d", t, len(src), cols)
	case cols > 0 && int64(len(dst)) != int64(len(src))/cols*rowBytes:
		return 0, fmt.Errorf("%s: %d weights take %d bytes, found %d", t, len(src), int64(len(src))/cols*rowBytes, len(dst))
	case importance != nil && int64(len(importance)) != cols:
		return 0, fmt.Errorf("%s: importance of %d columns, expected %d", t, len(importance), cols)
	}
	return rowBytes, nil
}

// leastImportance is what every column counts, in units of the mean: one that met nothing in a calibration text may meet
// something later, and its weights must not become arbitrary.
const leastImportance = 1e-3

// normalImportance scales importance to a mean of 1, so that no product of the search overflows or vanishes. All zeros say
// nothing and become nil.
func normalImportance(importance []float32) ([]float32, error) {
	var sum float64
	for i, v := range importance {
		if !(v >= 0) || math.IsInf(float64(v), 0) {
			return nil, fmt.Errorf("importance of column %d is %g, expected a finite number of at least 0", i, v)
		}
		sum += float64(v)
	}
	if sum == 0 {
		return nil, nil
	}
	scale := float64(len(importance)) / sum
	normal := make([]float32, len(importance))
	for i, v := range importance {
		normal[i] = float32(float64(v)*scale + leastImportance)
	}
	return normal, nil
}

func quantizeRows(t DType, src []float32, rows, cols int64, importance []float32, dst []byte) C.int {
	return C.infer_quantize(C.enum_infer_dtype(t), (*C.float)(&src[0]), C.int64_t(rows), C.int64_t(cols),
		firstFloat(importance), unsafe.Pointer(&dst[0]))
}

// quantizePortable quantizes without the processor's special instructions.
func quantizePortable(dst []byte, t DType, src []float32, cols int64, importance []float32) error {
	if _, err := checkQuantize(dst, t, src, cols, importance); err != nil || len(src) == 0 {
		return err
	}
	importance, err := normalImportance(importance)
	if err != nil {
		return err
	}
	rows := int64(len(src)) / cols
	return typeStatus(t, "quantize", C.infer_quantize_portable(C.enum_infer_dtype(t), (*C.float)(&src[0]), C.int64_t(rows),
		C.int64_t(cols), firstFloat(importance), unsafe.Pointer(&dst[0])))
}

func firstFloat(v []float32) *C.float {
	if len(v) == 0 {
		return nil
	}
	return (*C.float)(&v[0])
}

// WeightError is a weight that a type cannot hold.
type WeightError struct {
	Type        DType
	Value       float32
	Row, Column int64 // in the matrix that was given
}

// Error gives one line: type, weight, place, bound.
func (e *WeightError) Error() string {
	return fmt.Sprintf("%s: weight %g at row %d, column %d is beyond ±65504", e.Type, e.Value, e.Row, e.Column)
}

// badWeight names the first weight that the type cannot hold.
func badWeight(t DType, src []float32, cols int64) error {
	for i, v := range src {
		if !(v >= -65504 && v <= 65504) {
			return &WeightError{t, v, int64(i) / cols, int64(i) % cols}
		}
	}
	return typeStatus(t, "quantize", C.INFER_TYPE_BAD_VALUE)
}
