package hub

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// cache is the folder with the models: a folder each, named by the reference, holding the files and a record.
type cache struct{ dir string }

const (
	recordName    = "model.json"
	partialSuffix = ".partial"
	staleLock     = 2 * time.Minute // a lock that nobody has touched for so long was left by a process that died
)

// record is what is known of a model in the cache.
type record struct {
	Name, Source string
	Files        []fileRecord
}

type fileRecord struct {
	Name, SHA256 string
	Size         int64
}

// folder turns a reference into a folder's name: letters, digits, dots and dashes stay, and a sum keeps names apart.
func (c cache) folder(name string) string {
	var b strings.Builder
	for _, r := range name {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			b.WriteRune(r)
		} else {
			b.WriteByte('_')
		}
	}
	sum := sha256.Sum256([]byte(name))
	text := b.String()
	return filepath.Join(c.dir, text[max(0, len(text)-80):]+"-"+hex.EncodeToString(sum[:4]))
}

func readRecord(dir string) (record, error) {
	var r record
	data, err := os.ReadFile(filepath.Join(dir, recordName))
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	return r, err
}

// lookup finds a model whose files are all there with their sizes.
func (c cache) lookup(name string) (Model, bool) {
	dir := c.folder(name)
	r, err := readRecord(dir)
	if err != nil || r.Name != name || len(r.Files) == 0 {
		return Model{}, false
	}
	m := Model{Name: name, Source: r.Source, Path: filepath.Join(dir, r.Files[0].Name), SHA256: r.Files[0].SHA256}
	for _, f := range r.Files {
		info, err := os.Stat(filepath.Join(dir, f.Name))
		if err != nil || info.Size() != f.Size {
			return Model{}, false
		}
		m.Size += f.Size
	}
	return m, true
}

// partial returns the folder in which a model is being fetched; it survives interruptions.
func (c cache) partial(name string) (string, error) {
	dir := c.folder(name) + partialSuffix
	return dir, os.MkdirAll(dir, 0o755)
}

// install moves fetched files to their place. The record comes last: a model without one is not there.
func (c cache) install(name, from, partial string, files []fetched) (Model, error) {
	r := record{Name: name, Source: from}
	for _, f := range files {
		r.Files = append(r.Files, fileRecord{f.name, f.sha256, f.size})
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return Model{}, err
	}
	if err := os.WriteFile(filepath.Join(partial, recordName), data, 0o644); err != nil {
		return Model{}, err
	}
	dir := c.folder(name)
	if err := os.RemoveAll(dir); err != nil {
		return Model{}, err
	}
	if err := os.Rename(partial, dir); err != nil {
		return Model{}, err
	}
	m, ok := c.lookup(name)
	if !ok {
		return Model{}, fmt.Errorf("%s: the files in %s are not as they were fetched", name, dir)
	}
	return m, nil
}

// lock makes one process fetch a model while others wait. The holder touches the file from time to time.
func (c cache) lock(ctx context.Context, name string) (func(), error) {
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return nil, err
	}
	path := c.folder(name) + ".lock"
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err == nil {
			f.Close()
			return holdLock(path), nil
		}
		if !errors.Is(err, os.ErrExist) {
			return nil, err
		}
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > staleLock {
			os.Remove(path)
			continue
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for another process that fetches %s: %w", name, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// holdLock keeps the lock's file young until the returned function removes it.
func holdLock(path string) func() {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(staleLock / 8)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				now := time.Now()
				_ = os.Chtimes(path, now, now)
			}
		}
	}()
	return func() {
		close(stop)
		<-done
		os.Remove(path)
	}
}

// List returns the models in the cache, by name. dir is empty for the usual folder.
func List(dir string) ([]Model, error) {
	if dir == "" {
		var err error
		if dir, err = Dir(); err != nil {
			return nil, err
		}
	}
	records, err := filepath.Glob(filepath.Join(dir, "*", recordName))
	if err != nil {
		return nil, err
	}
	models := []Model{}
	for _, path := range records {
		r, err := readRecord(filepath.Dir(path))
		if err != nil || strings.HasSuffix(filepath.Dir(path), partialSuffix) {
			continue
		}
		if m, ok := (cache{dir}).lookup(r.Name); ok {
			models = append(models, m)
		}
	}
	sort.Slice(models, func(i, j int) bool { return models[i].Name < models[j].Name })
	return models, nil
}

// Remove deletes a model from the cache, and what was fetched of it in part. dir is empty for the usual folder.
func Remove(dir, name string) error {
	if dir == "" {
		var err error
		if dir, err = Dir(); err != nil {
			return err
		}
	}
	c := cache{dir}
	found := false
	for _, path := range []string{c.folder(name), c.folder(name) + partialSuffix} {
		if _, err := os.Stat(path); err == nil {
			found = true
		}
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("%w %q: not in the cache %s", ErrUnknown, name, dir)
	}
	return nil
}

// Verify reads a model's files and compares their checksums with those from when they were fetched.
func Verify(dir, name string) error {
	if dir == "" {
		var err error
		if dir, err = Dir(); err != nil {
			return err
		}
	}
	folder := (cache{dir}).folder(name)
	r, err := readRecord(folder)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, f := range r.Files {
		sum, _, err := sumFile(filepath.Join(folder, f.Name))
		if err != nil {
			return err
		}
		if sum != f.SHA256 {
			return fmt.Errorf("%s: %s: %w: found SHA-256 %s, expected %s", name, f.Name, ErrChecksum, sum, f.SHA256)
		}
	}
	return nil
}

func sumFile(path string) (string, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), n, err
}
