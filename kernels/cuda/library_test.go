package cuda

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/kernels"
)

// The library that the tests run: the one in $INFER_CUDA_LIBRARY's folder, for a card; or the emulated one, which is built first.
var library struct {
	once sync.Once
	dir  string
	err  error
}

// emulated says whether the tests run in the emulator, which is thousands of times slower than a card.
func emulated() bool { return os.Getenv("INFER_CUDA_LIBRARY") == "" }

// complete says whether all cases run: on a card they do, in the emulator where $INFER_EMULATE_ALL asks for it.
func complete() bool {
	return !testing.Short() && (!emulated() || os.Getenv("INFER_EMULATE_ALL") != "")
}

// useLibrary makes kernels.OpenDevice find the library.
func useLibrary(t *testing.T) {
	t.Helper()
	if emulated() {
		needCompilers(t)
	}
	library.once.Do(func() {
		if library.dir = os.Getenv("INFER_CUDA_LIBRARY"); library.dir == "" {
			library.dir, library.err = buildEmulated()
		}
	})
	require.NoError(t, library.err)
	t.Setenv("INFER_BACKENDS", library.dir)
}

func needCompilers(t *testing.T) {
	for _, compiler := range []string{"gcc", "g++"} {
		if _, err := exec.LookPath(compiler); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("the emulator needs %s: %v", compiler, err)
			}
			t.Skipf("the emulator needs %s: %v", compiler, err)
		}
	}
}

// headersHash stands for all that the sources include.
func headersHash() (string, error) {
	hash := sha256.New()
	for _, pattern := range []string{"*.cuh", "*.h", "emulate/*.h", "../*.h"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(hash, "%s %d\n%s", file, len(data), data)
		}
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

var emulatedFlags = []string{"-x", "c++", "-std=c++17", "-O2", "-g0", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-DINFER_CUDA_EMULATE"}

// compile makes an object of a source, unless the same text was compiled before.
func compile(source, headers, dir string) (string, error) {
	text, err := os.ReadFile(source)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(strings.Join(emulatedFlags, " ") + headers + source + string(text)))
	object := filepath.Join(dir, hex.EncodeToString(sum[:12])+".o")
	if _, err := os.Stat(object); err == nil {
		return object, nil
	}
	made := fmt.Sprintf("%s.%d", object, os.Getpid())
	compiler, args := "g++", append(append([]string(nil), emulatedFlags...), "-c", "-o", made, source)
	if filepath.Ext(source) == ".c" { // of the types' definitions, which the CPU's kernels share
		compiler, args = "gcc", []string{"-std=c11", "-D_GNU_SOURCE", "-O2", "-g0", "-fPIC", "-fvisibility=hidden", "-c", "-o", made, source}
	}
	if out, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", compiler, source, err, out)
	}
	return object, os.Rename(made, object)
}

func compileAll(sources []string, headers, dir string) ([]string, error) {
	objects, faults := make([]string, len(sources)), make([]error, len(sources))
	var wait sync.WaitGroup
	room := make(chan struct{}, runtime.NumCPU())
	for i, source := range sources {
		wait.Go(func() {
			room <- struct{}{}
			objects[i], faults[i] = compile(source, headers, dir)
			<-room
		})
	}
	wait.Wait()
	return objects, errors.Join(faults...)
}

// buildEmulated compiles the backend as C++ over the emulator; objects are kept in bin/ by their content.
func buildEmulated() (string, error) {
	dir, err := filepath.Abs("../../bin/cuda/emulated")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	headers, err := headersHash()
	if err != nil {
		return "", err
	}
	sources, err := filepath.Glob("*.cu")
	if err != nil {
		return "", err
	}
	sources = append(sources, "emulate/emulate.cpp", "emulate/rt.cpp", "../types.c", "../unpack_32.c", "../unpack_k.c", "../unpack_iq.c")
	objects, err := compileAll(sources, headers, dir)
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "libinfer_cuda.so")
	made := fmt.Sprintf("%s.%d", name, os.Getpid())
	args := append([]string{"-shared", "-Wl,-z,defs", "-o", made}, objects...)
	if runtime.GOOS == "darwin" {
		name = filepath.Join(dir, "libinfer_cuda.dylib")
		args = append([]string{"-shared", "-o", made}, objects...)
	}
	if out, err := exec.Command("g++", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("g++ %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return dir, os.Rename(made, name)
}

// openCard opens the backend under test.
func openCard(t *testing.T, o kernels.DeviceOptions) *kernels.Device {
	t.Helper()
	useLibrary(t)
	o.Backend = "cuda"
	d, err := kernels.OpenDevice(o)
	require.NoError(t, err)
	t.Cleanup(d.Close)
	return d
}
