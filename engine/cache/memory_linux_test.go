package cache

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAvailableMemory(t *testing.T) {
	n, err := AvailableMemory()
	require.NoError(t, err)
	assert.Positive(t, n)
	files := map[string]string{"/proc/meminfo": "MemTotal: 100 kB\nMemAvailable:   80 kB\n"}
	read := func(path string) ([]byte, error) {
		if text, ok := files[path]; ok {
			return []byte(text), nil
		}
		return nil, os.ErrNotExist
	}
	available := func() int64 {
		n, err := availableMemory(read)
		require.NoError(t, err)
		return n
	}
	assert.Equal(t, int64(80*1024), available())
	files["/sys/fs/cgroup/memory.max"], files["/sys/fs/cgroup/memory.current"] = "max\n", "5\n"
	assert.Equal(t, int64(80*1024), available())
	files["/sys/fs/cgroup/memory.max"] = "50000\n"
	assert.Equal(t, int64(49995), available())
	files["/sys/fs/cgroup/memory/memory.limit_in_bytes"], files["/sys/fs/cgroup/memory/memory.usage_in_bytes"] = "100\n", "200\n"
	assert.Zero(t, available())
	for _, bad := range []string{"", "MemAvailable: x kB\n", "MemAvailable: -5 kB\n"} {
		files["/proc/meminfo"] = bad
		_, err := availableMemory(read)
		assert.ErrorContains(t, err, "/proc/meminfo")
	}
	delete(files, "/proc/meminfo")
	_, err = availableMemory(read)
	assert.ErrorIs(t, err, os.ErrNotExist)
}
