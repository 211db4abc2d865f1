package kernels

// -std=c11 also keeps gcc from contracting a*b+c into fused operations where the source does not ask for one.

/*
#cgo CFLAGS: -std=c11 -O3 -Wall -Wextra -D_GNU_SOURCE
#cgo LDFLAGS: -lm -lpthread
*/
import "C"
