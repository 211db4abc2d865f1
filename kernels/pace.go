package kernels

/*
#include "cpu_pace.h"
*/
import "C"

import "time"

// pace is cpu_pace.h's choice of threads, for tests.
type pace struct{ c C.struct_pace }

func newPace(threads int) *pace {
	p := new(pace)
	C.infer_pace_start(&p.c, C.int(threads))
	return p
}

func (p *pace) threads(rows int) int { return int(C.infer_pace_threads(&p.c, C.int32_t(rows))) }

func (p *pace) report(rows int, run, wait, clock time.Duration) {
	C.infer_pace_report(&p.c, C.int32_t(rows), C.int64_t(run), C.int64_t(wait), C.int64_t(clock))
}
