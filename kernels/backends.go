package kernels

/*
#cgo linux LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>
#include "kernels.h"

static const struct infer_backend *call_symbol(void *symbol) { return ((const struct infer_backend *(*)(void))symbol)(); }
*/
import "C"

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"unsafe"
)

// ErrNoBackend means that no library of a backend was found.
var ErrNoBackend = errors.New("no library of the backend")

// Libraries names the backends that are libraries of their own. They are looked for in the folders of $INFER_BACKENDS, or beside the program where that
// is empty.
var Libraries = []string{"cuda"}

// libraries are those that are loaded, by path; they stay.
var libraries = struct {
	sync.Mutex
	byPath map[string]*C.struct_infer_backend
}{byPath: map[string]*C.struct_infer_backend{}}

// BackendFolders returns the folders in which libraries of backends are looked for, in order.
func BackendFolders() []string {
	if said := os.Getenv("INFER_BACKENDS"); said != "" {
		return filepath.SplitList(said)
	}
	program, err := os.Executable()
	if err != nil {
		return nil
	}
	if real, err := filepath.EvalSymlinks(program); err == nil {
		program = real
	}
	return []string{filepath.Dir(program)}
}

// libraryPath finds a backend's library. The error names where it was looked for.
func libraryPath(name string) (string, error) {
	file := "libinfer_" + name + ".so"
	if runtime.GOOS == "darwin" {
		file = "libinfer_" + name + ".dylib"
	}
	folders := BackendFolders()
	for _, folder := range folders {
		path := filepath.Join(folder, file)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("backend %s: %w", name, err)
		}
	}
	return "", fmt.Errorf("backend %s: %w: there is no %s in %s; $INFER_BACKENDS names other folders", name, ErrNoBackend, file, strings.Join(folders, ", "))
}

// loadLibrary loads a backend's library and checks that it speaks this version of kernels.h.
func loadLibrary(name string) (*C.struct_infer_backend, error) {
	path, err := libraryPath(name)
	if err != nil {
		return nil, err
	}
	libraries.Lock()
	defer libraries.Unlock()
	if b := libraries.byPath[path]; b != nil {
		return b, nil
	}
	file, symbol := C.CString(path), C.CString("infer_"+name+"_backend")
	defer C.free(unsafe.Pointer(file))
	defer C.free(unsafe.Pointer(symbol))
	runtime.LockOSThread() // dlerror speaks of the thread's last call
	defer runtime.UnlockOSThread()
	handle := C.dlopen(file, C.RTLD_NOW|C.RTLD_LOCAL)
	if handle == nil {
		return nil, fmt.Errorf("backend %s: %s", name, C.GoString(C.dlerror()))
	}
	entry := C.dlsym(handle, symbol)
	if entry == nil {
		defer C.dlclose(handle)
		return nil, fmt.Errorf("backend %s: %s: %s", name, path, C.GoString(C.dlerror()))
	}
	b := (*C.struct_infer_backend)(unsafe.Pointer(C.call_symbol(entry)))
	if b.abi != C.INFER_ABI {
		abi := b.abi
		C.dlclose(handle)
		return nil, fmt.Errorf("backend %s: %s is built for version %d of the boundary, this program has %d", name, path, abi, C.INFER_ABI)
	}
	libraries.byPath[path] = b
	return b, nil
}

// OpenDevice opens the device that o.Backend names. [ErrNoBackend] is its library's absence, [ErrNoDevice] a machine without such a device,
// [ErrUnsupported] one whose device the library cannot use.
func OpenDevice(o DeviceOptions) (*Device, error) {
	if o.Backend == "" || o.Backend == "cpu" {
		return OpenCPU(o)
	}
	backend, err := loadLibrary(o.Backend)
	if err != nil {
		return nil, err
	}
	d := &Device{backend: backend, cancel: new(int32), variant: o.Backend, mapped: o.Mapped}
	return d.open(&C.struct_infer_options{card: C.int32_t(o.Card), fail_allocation: C.int64_t(o.FailNth)})
}

// CardPeaks are what a device with memory of its own was measured to reach, a second.
type CardPeaks struct {
	ReadBytes, CopyBytes               float64 // a copied byte counts twice
	Int8MultiplyAdds, HalfMultiplyAdds float64 // of the matrix units, from registers
}

// Peaks measures the device, which takes about a second; [ErrUnsupported] on the CPU, for which there is [MeasurePeaks].
func (d *Device) Peaks() (CardPeaks, error) {
	var p C.struct_infer_card_peaks
	if err := d.measurePeaks(&p); err != nil {
		return CardPeaks{}, err
	}
	return CardPeaks{float64(p.read_bytes), float64(p.copy_bytes), float64(p.int8_multiply_adds), float64(p.half_multiply_adds)}, nil
}

// Found is a backend's library on this machine.
type Found struct {
	Backend, Path    string
	Device           string // as Describe says
	Available, Total int64  // bytes of its memory
	Err              error  // why it cannot be used; Path may be empty then
}

// FindBackends opens the first device of each library, to say what is there.
func FindBackends() []Found {
	var all []Found
	for _, name := range Libraries {
		f := Found{Backend: name}
		var d *Device
		if f.Path, f.Err = libraryPath(name); f.Err == nil {
			d, f.Err = OpenDevice(DeviceOptions{Backend: name})
		}
		if d != nil {
			f.Device = d.Describe()
			f.Available, f.Total, _ = d.Memory()
			d.Close()
		}
		all = append(all, f)
	}
	return all
}
