package cuda

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestKernelsInTheEmulator compiles the kernels as C++ and holds them against the definitions of norms and data types.
func TestKernelsInTheEmulator(t *testing.T) {
	for _, compiler := range []string{"gcc", "g++"} {
		if _, err := exec.LookPath(compiler); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("the emulator needs %s: %v", compiler, err)
			}
			t.Skipf("the emulator needs %s: %v", compiler, err)
		}
	}
	dir := t.TempDir()
	run := func(name string, args ...string) string {
		out, err := exec.Command(name, args...).CombinedOutput()
		require.NoErrorf(t, err, "%s %s\n%s", name, strings.Join(args, " "), out)
		return string(out)
	}
	link := []string{"-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-o", filepath.Join(dir, "check"), "emulate/check.cpp", "emulate/emulate.cpp"}
	sources, err := filepath.Glob("../unpack_*.c")
	require.NoError(t, err)
	more, err := filepath.Glob("../quantize_*.c")
	require.NoError(t, err)
	for _, source := range append(append(sources, more...), "../types.c") {
		if strings.HasSuffix(source, "_amd64.c") && runtime.GOARCH != "amd64" {
			continue
		}
		object := filepath.Join(dir, filepath.Base(source)+".o")
		run("gcc", "-std=c11", "-D_GNU_SOURCE", "-O1", "-c", "-o", object, source)
		link = append(link, object)
	}
	run("g++", append(link, "-lm")...)
	require.Equal(t, "ok\n", run(filepath.Join(dir, "check")))
}
