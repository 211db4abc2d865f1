package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/internal/topology"
)

// boundThreads counts this process's threads that may run on one CPU only, by its number.
func boundThreads(t *testing.T) map[string]int {
	t.Helper()
	found := map[string]int{}
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	require.NoError(t, err)
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // it has ended
		}
		_, list, _ := strings.Cut(string(text), "Cpus_allowed_list:")
		list, _, _ = strings.Cut(list, "\n")
		if list = strings.TrimSpace(list); !strings.ContainsAny(list, ",-") {
			found[list]++
		}
	}
	return found
}

// TestBoundThreads has one thread on each CPU, the same bits, and nothing bound once the engine is closed.
func TestBoundThreads(t *testing.T) {
	cpus, err := topology.Machine()
	require.NoError(t, err)
	if len(cpus) < 2 {
		require.NotEqual(t, "true", os.Getenv("CI"), "needs two CPUs")
		t.Skip("needs two CPUs")
	}
	path := tiny.write(t)
	tokens := []int32{1, 5, 9, 3, 7}
	want, err := allLogits(path, tokens, 0, Options{Threads: 2})
	require.NoError(t, err)
	choice := fmt.Sprintf("%d,%d", cpus[1].Number, cpus[0].Number)
	for _, o := range []Options{{CPUs: choice}, {CPUs: choice, Threads: 1}} {
		got, err := allLogits(path, tokens, 2, o)
		require.NoError(t, err)
		requireSameBits(t, want, got, o.CPUs)
	}
	require.Eventually(t, func() bool { return len(boundThreads(t)) == 0 }, 10*time.Second, time.Millisecond)

	e, err := Open(path, Options{CPUs: choice})
	require.NoError(t, err)
	assert.Equal(t, map[string]int{fmt.Sprint(cpus[0].Number): 1, fmt.Sprint(cpus[1].Number): 1}, boundThreads(t))
	assert.Equal(t, 2, e.Threads())
	require.NoError(t, e.Close())
	require.Eventually(t, func() bool { return len(boundThreads(t)) == 0 }, 10*time.Second, time.Millisecond, "a thread stays bound")

	for _, o := range []Options{{CPUs: "node7"}, {CPUs: choice, Threads: 3}, {CPUs: "9999"}} {
		_, err = Open(path, o)
		require.ErrorContains(t, err, "CPUs")
	}
}
