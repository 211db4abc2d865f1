//go:build !linux

package topology

// Machine returns the CPUs that this process may use.
func Machine() ([]CPU, error) { return nil, ErrUnsupported }

// Bind lets the calling thread run on one CPU only, until unbind is called on it.
func Bind(int) (unbind func() error, err error) { return nil, ErrUnsupported }
