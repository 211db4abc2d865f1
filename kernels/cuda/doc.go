// Package cuda holds the CUDA kernels and the emulator that tests their arithmetic on machines without a GPU. There is no
// CUDA device yet: nothing here is reached from the engine.
package cuda
