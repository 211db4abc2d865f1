package topology

import (
	"fmt"
	"io/fs"
	"runtime"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func everyone(int) bool { return true }

// sysfs makes the files of a machine from texts by name.
func sysfs(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range files {
		out[name] = &fstest.MapFile{Data: []byte(text + "\n")}
	}
	return out
}

// twoNodes is a machine of two nodes with four cores each, and two threads a core: CPU n and n+8.
func twoNodes() fstest.MapFS {
	files := map[string]string{"system/cpu/online": "0-15", "system/node/online": "0-2",
		"system/node/node0/cpulist": "0-3,8-11", "system/node/node1/cpulist": "4-7,12-15", "system/node/node2/cpulist": ""}
	for n := range 16 {
		files[fmt.Sprintf("system/cpu/cpu%d/topology/thread_siblings_list", n)] = fmt.Sprintf("%d,%d", n%8, n%8+8)
	}
	return sysfs(files)
}

func TestNodes(t *testing.T) {
	cpus, err := read(twoNodes(), everyone)
	require.NoError(t, err)
	require.Len(t, cpus, 16)
	assert.Equal(t, CPU{Number: 13, Core: 5, Node: 1}, cpus[13])
	for choice, want := range map[string][]int{
		"cores": {0, 1, 2, 3, 4, 5, 6, 7}, "big": {0, 1, 2, 3, 4, 5, 6, 7}, "node1": {4, 5, 6, 7}, "9,0-2": {9, 0, 1, 2},
	} {
		got, err := Choose(cpus, choice)
		require.NoError(t, err, choice)
		assert.Equal(t, want, got, choice)
	}
	for choice, fault := range map[string]string{
		"node2": `found "node2", expected one of the nodes 0,1`, "nodes": "expected one of the nodes 0,1", "0-16": "found 16, expected those that this process may use: 0,1,",
		"1,1": "found 1 twice", "": `found "", expected numbers and ranges`, "3-1": "expected numbers and ranges", "fast": "expected numbers and ranges", "0-99999999999": "expected numbers",
	} {
		_, err := Choose(cpus, choice)
		assert.ErrorContains(t, err, fault, choice)
	}
}

// A process that may use the second threads of some cores only has those cores.
func TestAllowed(t *testing.T) {
	cpus, err := read(twoNodes(), func(n int) bool { return n >= 10 && n != 12 })
	require.NoError(t, err)
	got, err := Choose(cpus, "cores")
	require.NoError(t, err)
	assert.Equal(t, []int{10, 11, 13, 14, 15}, got)
	_, err = Choose(cpus, "0")
	assert.ErrorContains(t, err, "10,11,13,14,15")
}

func TestBigAndLittle(t *testing.T) {
	arm := map[string]string{"system/cpu/online": "0-3"}
	for n, capacity := range []string{"446", "446", "1024", "1024"} {
		arm[fmt.Sprintf("system/cpu/cpu%d/cpu_capacity", n)] = capacity
	}
	for name, files := range map[string]fs.FS{
		"capacities": sysfs(arm),
		"kinds":      sysfs(map[string]string{"system/cpu/online": "0-3", "cpu_core/cpus": "2-3", "cpu_atom/cpus": "0-1"}),
	} {
		t.Run(name, func(t *testing.T) {
			cpus, err := read(files, everyone)
			require.NoError(t, err)
			got, err := Choose(cpus, "big")
			require.NoError(t, err)
			assert.Equal(t, []int{2, 3}, got)
			got, err = Choose(cpus, "cores")
			require.NoError(t, err)
			assert.Len(t, got, 4)
		})
	}
}

func TestBrokenFiles(t *testing.T) {
	_, err := read(sysfs(nil), everyone)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = read(sysfs(map[string]string{"system/cpu/online": "zero"}), everyone)
	require.ErrorContains(t, err, "system/cpu/online")
	_, err = read(sysfs(map[string]string{"system/cpu/online": "0", "system/node/online": "0"}), everyone)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestThisMachine(t *testing.T) {
	assert.Positive(t, Threads())
	assert.LessOrEqual(t, Threads(), runtime.NumCPU())
	cpus, err := Machine()
	if runtime.GOOS != "linux" {
		require.ErrorIs(t, err, ErrUnsupported)
		return
	}
	require.NoError(t, err)
	assert.Len(t, cpus, runtime.NumCPU())
}
