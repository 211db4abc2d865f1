package hub

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stocked returns options whose cache holds two models, and the server they came from.
func stocked(t *testing.T) (o Options, s *fileServer, a, b Model) {
	t.Helper()
	s = newFileServer(t, map[string][]byte{"/a.Q4_0.gguf": gguf(1000, 1), "/b.gguf": gguf(2000, 2)})
	o = testOptions(t)
	a, err := Resolve(t.Context(), s.urlRef("/a.Q4_0.gguf"), o)
	require.NoError(t, err)
	b, err = Resolve(t.Context(), s.urlRef("/b.gguf"), o)
	require.NoError(t, err)
	s.count()
	return o, s, a, b
}

func TestListAndRemove(t *testing.T) {
	o, s, a, b := stocked(t)
	models, err := List(o)
	require.NoError(t, err)
	require.Equal(t, []Model{a, b}, models)

	freed, err := Remove(a.Name, o)
	require.NoError(t, err)
	assert.Equal(t, int64(1000), freed)
	assert.NoFileExists(t, a.Path)
	models, err = List(o)
	require.NoError(t, err)
	require.Equal(t, []Model{b}, models)
	_, err = Remove(a.Name, o)
	require.ErrorIs(t, err, ErrNotCached)

	_, err = Resolve(t.Context(), s.urlRef("/a.Q4_0.gguf"), o)
	require.NoError(t, err)
	requests, _ := s.count()
	assert.Equal(t, 1, requests)
}

func TestListOfNothing(t *testing.T) {
	models, err := List(Options{Dir: filepath.Join(t.TempDir(), "none")})
	require.NoError(t, err)
	assert.Empty(t, models)
}

func TestRemoveTouchesNothingOutside(t *testing.T) {
	o, _, a, _ := stocked(t)
	file := filepath.Join(t.TempDir(), "mine.gguf")
	require.NoError(t, os.WriteFile(file, gguf(10, 1), 0o644))
	for _, name := range []string{file, "../" + filepath.Base(o.Dir), "..", ".", "", "/", a.Path, filepath.Dir(a.Path), locksFolder, "nosuch"} {
		_, err := Remove(name, o)
		assert.Error(t, err, name)
	}
	assert.FileExists(t, file)
	assert.FileExists(t, a.Path)
}

func TestRemoveAnInterruptedFetch(t *testing.T) {
	s := newFileServer(t, map[string][]byte{"/a.gguf": gguf(1000, 1)})
	s.cut, s.statuses = []int{500}, []int{0, 404}
	o := testOptions(t)
	_, err := Resolve(t.Context(), s.urlRef("/a.gguf"), o)
	require.Error(t, err)
	require.Len(t, parts(t, o.Dir), 1)
	models, err := List(o)
	require.NoError(t, err)
	assert.Empty(t, models, "an unfinished model is none")
	_, err = Remove(s.urlRef("/a.gguf"), o)
	require.NoError(t, err)
	assert.Empty(t, parts(t, o.Dir))
}

func TestDamagedModelsAreSeenAndFetchedAgain(t *testing.T) {
	o, s, a, b := stocked(t)
	require.NoError(t, os.Truncate(a.Path, 999))
	require.NoError(t, os.Remove(b.Path))
	models, err := List(o)
	require.NoError(t, err)
	assert.Equal(t, "a.Q4_0.gguf has 999 bytes, expected 1000", models[0].Fault)
	assert.Contains(t, models[1].Fault, "no such file")
	require.EqualError(t, Verify(t.Context(), models[0]), models[0].Fault)

	again, err := Resolve(t.Context(), s.urlRef("/a.Q4_0.gguf"), o)
	require.NoError(t, err)
	requireContent(t, again, s.files["/a.Q4_0.gguf"])
	offline := o
	offline.Offline = true
	_, err = Resolve(t.Context(), s.urlRef("/b.gguf"), offline)
	require.ErrorIs(t, err, ErrOffline)
}

func TestVerify(t *testing.T) {
	o, _, a, b := stocked(t)
	require.NoError(t, Verify(t.Context(), a))
	data, err := os.ReadFile(b.Path)
	require.NoError(t, err)
	data[1000] ^= 1
	require.NoError(t, os.WriteFile(b.Path, data, 0o644))
	models, err := List(o)
	require.NoError(t, err)
	assert.Empty(t, models[1].Fault, "listing does not read the files")
	var sum *ChecksumError
	require.ErrorAs(t, Verify(t.Context(), models[1]), &sum)
	assert.Equal(t, ChecksumError{File: "b.gguf", Want: b.SHA256, Got: sumOf(data)}, *sum)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, Verify(ctx, a), context.Canceled)
}

func TestForeignManifests(t *testing.T) {
	o, s, a, _ := stocked(t)
	path := filepath.Join(filepath.Dir(a.Path), manifestName)
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	for name, c := range map[string]struct{ from, to, err string }{
		"not JSON":    {"{", "[", "not a manifest"},
		"traversal":   {`"a.Q4_0.gguf"`, `"../../a.gguf"`, "it is a path"},
		"no sum":      {`"sha256": "` + a.SHA256, `"sha256": "`, "a SHA-256 is 64 hex digits"},
		"absurd size": {`"size": 1000`, `"size": -1`, "absurd size -1"},
	} {
		require.Contains(t, string(good), c.from)
		require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(good), c.from, c.to, 1)), 0o644))
		models, err := List(o)
		require.NoError(t, err, name)
		require.Len(t, models, 2)
		bad := models[0]
		if bad.Fault == "" {
			bad = models[1]
		}
		assert.Contains(t, bad.Fault, c.err, name)
		require.Error(t, Verify(t.Context(), bad))
		m, err := Resolve(t.Context(), s.urlRef("/a.Q4_0.gguf"), o)
		require.NoError(t, err, name)
		requireContent(t, m, s.files["/a.Q4_0.gguf"])
	}
	require.NoError(t, os.WriteFile(path, nil, 0o644))
	_, err = Remove(filepath.Base(filepath.Dir(a.Path)), o)
	require.NoError(t, err, "a damaged one is removed by its folder's name")
	assert.NoDirExists(t, filepath.Dir(a.Path))
}

func FuzzManifest(f *testing.F) {
	data, _ := json.Marshal(manifest{Name: "a", Ref: "b", Files: []File{{"a.gguf", 1, strings.Repeat("0", 64)}}})
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		man, err := parseManifest(data)
		if err != nil {
			return
		}
		for _, file := range man.Files {
			assert.True(t, filepath.IsLocal(file.Name))
			assert.NotContains(t, file.Name, "/")
		}
	})
}

// A newer table may name another file for a short name: the old one must not be taken for it.
func TestTableMovesOn(t *testing.T) {
	s := newFileServer(t, map[string][]byte{"/a.gguf": gguf(1000, 1), "/b.gguf": gguf(1000, 2)})
	o, err := testOptions(t).withDefaults()
	require.NoError(t, err)
	for _, path := range []string{"/a.gguf", "/b.gguf"} {
		u, err := parseURL(s.urlRef(path))
		require.NoError(t, err)
		k := knownModel{name: "x:1", file: File{Name: "m.gguf", Size: 1000, SHA256: sumOf(s.files[path])}}
		m, err := resolve(t.Context(), k.reference([]source{u}), o)
		require.NoError(t, err)
		assert.Equal(t, sumOf(s.files[path]), m.SHA256)
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 98362432: "98.4 MB", 999_999_999: "1.0 GB", 1 << 62: "4611.7 PB"} {
		assert.Equal(t, want, Bytes(n))
	}
}
