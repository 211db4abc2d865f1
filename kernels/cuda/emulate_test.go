package cuda

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEmulator checks the emulator itself, and what no plan's op reaches alone.
func TestEmulator(t *testing.T) {
	needCompilers(t)
	dir := t.TempDir()
	run := func(name string, args ...string) string {
		out, err := exec.Command(name, args...).CombinedOutput()
		require.NoErrorf(t, err, "%s %s\n%s", name, strings.Join(args, " "), out)
		return string(out)
	}
	program := filepath.Join(dir, "check")
	run("g++", "-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-o", program, "emulate/check.cpp", "emulate/emulate.cpp")
	require.Equal(t, "ok\n", run(program))
}
