package hub

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cache is the folder of fetched models:
//
//	ROOT/FOLDER/file.gguf        one folder a model, with its files under their own names
//	ROOT/FOLDER/model.json       the manifest, written last: a model without one is not complete
//	ROOT/FOLDER/file.gguf.part   a fetch that was interrupted, and file.gguf.part.json what it is a part of
//	ROOT/.locks/FOLDER           held while a process fetches or removes the model
type cache struct{ root string }

const (
	manifestName = "model.json"
	partSuffix   = ".part"
	locksFolder  = ".locks"
	maxManifest  = 1 << 20 // bytes; a thousand shards need 200 KB
)

// manifest is the content of model.json.
type manifest struct {
	Name   string    `json:"name"`
	Ref    string    `json:"ref"` // canonical reference
	Source string    `json:"source"`
	Time   time.Time `json:"time"`
	Files  []File    `json:"files"`
}

func (c cache) folder(key string) string { return filepath.Join(c.root, key) }

// makeFolder creates the folder of a model.
func (c cache) makeFolder(key string) (string, error) {
	dir := c.folder(key)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", localError{err}
	}
	return dir, nil
}

// discardEmpty removes the folder of a model of which nothing has arrived.
func (c cache) discardEmpty(key string) { os.Remove(c.folder(key)) }

// lock waits until this call is the only one that works on a model. wait is called once if it has to wait. The file of
// the lock stays: removing it would let two processes lock two files of the same name.
func (c cache) lock(ctx context.Context, key string, wait func()) (unlock func(), err error) {
	dir := filepath.Join(c.root, locksFolder)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, localError{err}
	}
	f, err := os.OpenFile(filepath.Join(dir, key), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, localError{err}
	}
	for first := true; ; first = false {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, localError{fmt.Errorf("locking %s: %w", f.Name(), err)}
		}
		if first {
			wait()
		}
		if sleep(ctx, 50*time.Millisecond) != nil {
			f.Close()
			return nil, fmt.Errorf("waiting for another process that fetches the same model: %w", ended(ctx))
		}
	}
}

// read returns the model in a folder. A folder without a manifest gives fs.ErrNotExist; files that are missing or of
// another size give the model with its Fault set.
func (c cache) read(key string) (Model, manifest, error) {
	f, err := os.Open(filepath.Join(c.folder(key), manifestName))
	if err != nil {
		return Model{}, manifest{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxManifest))
	if err != nil {
		return Model{}, manifest{}, err
	}
	man, err := parseManifest(data)
	if err != nil {
		return Model{}, manifest{}, fmt.Errorf("%s: %w", f.Name(), err)
	}
	m := Model{
		Path: filepath.Join(c.folder(key), man.Files[0].Name), Name: man.Name, Source: man.Source, Time: man.Time,
		SHA256: man.Files[0].SHA256, Quant: quantOf(man.Files[0].Name), Files: man.Files,
	}
	for _, file := range man.Files {
		m.Size += file.Size
		info, err := os.Stat(filepath.Join(c.folder(key), file.Name))
		switch {
		case m.Fault != "":
		case err != nil:
			m.Fault = err.Error()
		case !info.Mode().IsRegular():
			m.Fault = file.Name + " is not a regular file"
		case info.Size() != file.Size:
			m.Fault = fmt.Sprintf("%s has %d bytes, expected %d", file.Name, info.Size(), file.Size)
		}
	}
	return m, man, nil
}

// parseManifest reads model.json, which other programs may have damaged.
func parseManifest(data []byte) (manifest, error) {
	var man manifest
	if err := json.Unmarshal(data, &man); err != nil {
		return manifest{}, fmt.Errorf("not a manifest: %w", err)
	}
	if len(man.Files) == 0 || len(man.Files) > maxShards {
		return manifest{}, fmt.Errorf("lists %d files, expected 1 to %d", len(man.Files), maxShards)
	}
	for _, f := range man.Files {
		if err := checkFileName(f.Name); err != nil {
			return manifest{}, err
		}
		if _, err := checkSHA256(f.SHA256); err != nil {
			return manifest{}, fmt.Errorf("%s: %w", f.Name, err)
		}
		if f.Size < 0 || f.Size > 1<<50 {
			return manifest{}, fmt.Errorf("%s: absurd size %d", f.Name, f.Size)
		}
	}
	return man, nil
}

// find returns the model of a reference if it is in the cache, complete. It writes nothing: a cache can be read-only.
func (c cache) find(r reference) (Model, bool) {
	m, man, err := c.read(r.key)
	if err != nil || m.Fault != "" || man.Ref != r.canon {
		return Model{}, false
	}
	// A table that has moved on to another file must not be answered with the old one.
	if r.want != nil && (len(man.Files) != 1 || man.Files[0].SHA256 != r.want.SHA256) {
		return Model{}, false
	}
	return m, true
}

// store gives the verified parts of a model their names, writes its manifest, and drops what else a fetch left there.
func (c cache) store(r reference, source string, files []File) (Model, error) {
	for _, f := range files {
		path := filepath.Join(c.folder(r.key), f.Name)
		// A file that another model shares is in place already and has no part.
		if err := os.Rename(path+partSuffix, path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Model{}, localError{err}
		}
	}
	man := manifest{Name: r.name, Ref: r.canon, Source: source, Time: time.Now().UTC().Truncate(time.Second), Files: files}
	data, err := json.MarshalIndent(man, "", "  ")
	if err != nil {
		return Model{}, err
	}
	if err := writeFile(filepath.Join(c.folder(r.key), manifestName), append(data, '\n')); err != nil {
		return Model{}, localError{err}
	}
	c.sweep(r.key, files)
	m, _, err := c.read(r.key)
	return m, err
}

// sweep removes from a model's folder all but its manifest and its files. What cannot be removed costs only space.
func (c cache) sweep(key string, files []File) {
	entries, _ := os.ReadDir(c.folder(key))
	for _, e := range entries {
		keep := e.Name() == manifestName || slices.ContainsFunc(files, func(f File) bool { return f.Name == e.Name() })
		if !keep {
			os.RemoveAll(filepath.Join(c.folder(key), e.Name()))
		}
	}
}

// adopt links a file that another model of the cache already has into dir, so that no byte is fetched or kept twice, and
// returns it with the source that once served it. The bytes are verified first: a manifest says only what they were.
func (c cache) adopt(ctx context.Context, dir string, want File) (file File, source string, ok bool) {
	if want.SHA256 == "" {
		return File{}, "", false
	}
	models, _ := c.list()
	for _, m := range models {
		for _, f := range m.Files {
			if m.Fault != "" || f.SHA256 != want.SHA256 || want.Size > 0 && f.Size != want.Size {
				continue
			}
			from, to := filepath.Join(filepath.Dir(m.Path), f.Name), filepath.Join(dir, want.Name)
			if from == to {
				continue
			}
			if got, err := sumFile(ctx, from); err != nil || got != want.SHA256 {
				continue
			}
			os.Remove(to)
			os.Remove(to + partSuffix)
			if os.Link(from, to) == nil {
				return File{Name: want.Name, Size: f.Size, SHA256: f.SHA256}, m.Source, true
			}
		}
	}
	return File{}, "", false
}

// list returns the models of the cache by name. A manifest that cannot be read gives a model with its Fault set.
func (c cache) list() ([]Model, error) {
	entries, err := os.ReadDir(c.root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var models []Model
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || !e.IsDir() {
			continue
		}
		m, _, err := c.read(e.Name())
		switch {
		case errors.Is(err, fs.ErrNotExist): // a fetch that has not finished
		case err != nil:
			models = append(models, Model{Name: e.Name(), Path: c.folder(e.Name()), Fault: tidy(err.Error(), 300)})
		default:
			models = append(models, m)
		}
	}
	slices.SortFunc(models, func(a, b Model) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Path, b.Path)) })
	return models, nil
}

// List returns the models in the cache, sorted by name. Where Fault is set the model's files are damaged, and the next
// Resolve fetches it again. The files' sums are not computed; [Verify] does that.
func List(o Options) ([]Model, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	return cache{root: o.Dir}.list()
}

// Verify reads all files of a model and compares their sums with those recorded at the fetch. The error is a
// [*ChecksumError] for the first file that differs.
func Verify(ctx context.Context, m Model) error {
	if m.Fault != "" {
		return errors.New(m.Fault)
	}
	for _, f := range m.Files {
		got, err := sumFile(ctx, filepath.Join(filepath.Dir(m.Path), f.Name))
		if err != nil {
			return err
		}
		if f.SHA256 != "" && got != f.SHA256 {
			return &ChecksumError{File: f.Name, Want: f.SHA256, Got: got}
		}
	}
	return nil
}

// Remove deletes a model from the cache, by its name or by any reference that means it; what an interrupted fetch of it
// has left is deleted too. It returns the bytes that the model had. Files outside the cache are never touched.
func Remove(name string, o Options) (freed int64, err error) {
	o, err = o.withDefaults()
	if err != nil {
		return 0, err
	}
	c := cache{root: o.Dir}
	key, err := c.keyOf(name)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	unlock, err := c.lock(ctx, key, func() {})
	if errors.Is(err, context.DeadlineExceeded) {
		return 0, fmt.Errorf("%s is being fetched by another process", tidy(name, 200))
	}
	if err != nil {
		return 0, c.explain(err)
	}
	defer unlock()
	m, _, _ := c.read(key)
	// The manifest goes first: were the rest to fail, no half of a model would be taken for a whole one.
	if err := os.Remove(filepath.Join(c.folder(key), manifestName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, c.explain(localError{err})
	}
	if err := os.RemoveAll(c.folder(key)); err != nil {
		return 0, c.explain(localError{err})
	}
	return m.Size, nil
}

// keyOf finds the folder of a model in the cache: by reference, by name, or, for damaged ones, by the folder's name.
func (c cache) keyOf(name string) (string, error) {
	r, err := parseReference(name)
	if err == nil && r.path == "" {
		if _, err := os.Stat(c.folder(r.key)); err == nil {
			return r.key, nil
		}
	}
	models, listErr := c.list()
	if listErr != nil {
		return "", listErr
	}
	for _, m := range models {
		switch {
		case m.Name != name:
		case filepath.Dir(m.Path) == c.root: // of a damaged manifest only the folder is known
			return filepath.Base(m.Path), nil
		default:
			return filepath.Base(filepath.Dir(m.Path)), nil
		}
	}
	if err == nil && r.path != "" {
		return "", fmt.Errorf("%s is a path: only models of the cache in %s can be removed", tidy(name, 200), c.root)
	}
	return "", fmt.Errorf("%s: %w (%s)", tidy(name, 200), ErrNotCached, c.root)
}

// writeFile puts data at path at once or not at all.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, bytes.NewReader(data))
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// sumFile returns the SHA-256 of a file in hex.
func sumFile(ctx context.Context, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.CopyBuffer(h, readerWithContext{ctx, f}, make([]byte, copyBuffer)); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// copyBuffer is the size of the pieces in which files are read and written, bytes: large enough for the disk, small
// enough for the cache of the processor that hashes them.
const copyBuffer = 256 << 10

// readerWithContext is a reader that ends when its context does.
type readerWithContext struct {
	ctx context.Context
	r   io.Reader
}

func (r readerWithContext) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(p)
}

// checkSpace says in numbers that a file of size bytes does not fit, before a long fetch finds out.
func checkSpace(dir string, size int64) error {
	var st unix.Statfs_t
	if size <= 0 || unix.Statfs(dir, &st) != nil {
		return nil
	}
	free := uint64(st.Bavail) * uint64(st.Bsize)
	if uint64(size) > free {
		return localError{fmt.Errorf("%s needed in %s, %s free: %w", Bytes(size), dir, Bytes(int64(free)), syscall.ENOSPC)}
	}
	return nil
}

// Bytes formats a size for people, in decimal units: 98.4 MB.
func Bytes(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1000, 0
	for value >= 999.95 && unit < 4 {
		value /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %cB", value, "kMGTP"[unit])
}
