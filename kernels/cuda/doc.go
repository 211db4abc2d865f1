// Package cuda holds the CUDA backend, libinfer_cuda.so, which package kernels loads at run time, and the emulator that tests all of it on machines
// without a GPU. There is no Go code here but the tests: docs/cuda.md describes the rest.
package cuda
