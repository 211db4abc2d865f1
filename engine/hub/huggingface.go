package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// hubSource is a model in a repository of the Hugging Face hub, by quantization or by file.
type hubSource struct {
	repo     string // org/repo
	revision string // branch, tag or commit; empty for main
	quant    string // upper case; empty: the repository's only one
	file     string // path inside the repository, instead of quant
}

func (s hubSource) String() string {
	ref := "hf:" + s.repo
	if s.revision != "" && s.revision != "main" {
		ref += "@" + s.revision
	}
	if what := s.quant + s.file; what != "" {
		ref += ":" + what
	}
	return ref
}

func (s hubSource) fetch(ctx context.Context, j *job) ([]File, error) {
	chosen, revision, err := s.locate(ctx, j)
	if err != nil {
		return nil, s.explain(j, err)
	}
	files := make([]File, len(chosen))
	for i, f := range chosen {
		r := remote{
			File: File{Name: path.Base(f.Path), Size: f.Size, SHA256: f.SHA256},
			url:  j.HubEndpoint + "/" + s.repo + "/resolve/" + url.PathEscape(revision) + "/" + escapePath(f.Path), bearer: j.HubToken,
		}
		if files[i], err = j.download(ctx, r); err != nil {
			return nil, s.explain(j, err)
		}
	}
	return files, nil
}

// locate finds the files to fetch and the revision to fetch them at: all shards at the same commit, even if somebody
// pushes meanwhile. A file of the table needs no look at the repository.
func (s hubSource) locate(ctx context.Context, j *job) ([]hubFile, string, error) {
	revision := cmp.Or(s.revision, "main")
	if j.want != nil && s.file != "" {
		return []hubFile{{Path: s.file, Size: j.want.Size, SHA256: j.want.SHA256}}, revision, nil
	}
	address := j.HubEndpoint + "/api/models/" + s.repo + "/revision/" + url.PathEscape(revision) + "?blobs=true"
	data, err := j.getDocument(ctx, address, j.HubToken, maxListing)
	if err != nil {
		return nil, "", err
	}
	commit, files, err := parseListing(data)
	if err != nil {
		return nil, "", err
	}
	chosen, err := choose(files, s)
	return chosen, cmp.Or(commit, revision), err
}

// explain adds to an answer of the hub what it means there.
func (s hubSource) explain(j *job, err error) error {
	var status *statusError
	if !errors.As(err, &status) {
		return err
	}
	switch status.code {
	case http.StatusUnauthorized, http.StatusForbidden: // 401 is also the answer for what does not exist
		if j.HubToken == "" {
			return fmt.Errorf("%w: %s does not exist, or is private or gated: set HF_TOKEN, and accept its terms on its page", err, s.repo)
		}
		return fmt.Errorf("%w: HF_TOKEN gives no access to %s: accept its terms on its page", err, s.repo)
	case http.StatusNotFound:
		return fmt.Errorf("%w: no such repository, revision or file", err)
	}
	return err
}

// maxListing bounds the hub's description of a repository, bytes. One of ten thousand files takes about 3 MB.
const maxListing = 64 << 20

// hubFile is a file of a repository.
type hubFile struct {
	Path   string // inside the repository
	Size   int64
	SHA256 string // empty for the small files that are not in large-file storage
}

// parseListing reads the hub's description of a repository: its commit and its GGUF files. The document is at
// /api/models/ORG/REPO/revision/REVISION?blobs=true.
func parseListing(data []byte) (commit string, files []hubFile, err error) {
	var doc struct {
		SHA      string `json:"sha"`
		Siblings []struct {
			Name string `json:"rfilename"`
			Size int64  `json:"size"`
			LFS  *struct {
				SHA256 string `json:"sha256"`
				Size   int64  `json:"size"`
			} `json:"lfs"`
		} `json:"siblings"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return "", nil, fmt.Errorf("the hub's description of the repository is not understood: %w", err)
	}
	if strings.Trim(strings.ToLower(doc.SHA), "0123456789abcdef") != "" {
		return "", nil, fmt.Errorf("the hub's description of the repository names an odd commit %q", tidy(doc.SHA, 60))
	}
	for _, s := range doc.Siblings {
		if !isGGUF(s.Name) {
			continue
		}
		if s.Name != path.Clean(s.Name) || strings.HasPrefix(s.Name, "/") || strings.HasPrefix(s.Name, "..") {
			return "", nil, fmt.Errorf("the repository lists an unsafe path %q", tidy(s.Name, 80))
		}
		f := hubFile{Path: s.Name, Size: s.Size}
		if s.LFS != nil {
			if f.SHA256, err = checkSHA256(s.LFS.SHA256); err != nil {
				return "", nil, fmt.Errorf("the hub's sum of %s: %w", tidy(s.Name, 80), err)
			}
			f.Size = s.LFS.Size
		}
		if f.Size < 0 {
			return "", nil, fmt.Errorf("the hub's size of %s is %d", tidy(s.Name, 80), f.Size)
		}
		files = append(files, f)
	}
	return doc.SHA, files, nil
}

// variant is one file or one split set of a repository.
type variant struct {
	quant string // as in the names, upper case; the file's name where it names none
	set   string // path of the file, or of the set without shard numbers
	files []hubFile
}

// choose finds the files that a reference means among those of its repository.
func choose(files []hubFile, s hubSource) ([]hubFile, error) {
	variants := groupVariants(files)
	var fit []variant
	switch {
	case s.file != "":
		fit = slices.DeleteFunc(slices.Clone(variants), func(v variant) bool {
			return !slices.ContainsFunc(v.files, func(f hubFile) bool { return f.Path == s.file })
		})
	default:
		variants = slices.DeleteFunc(variants, func(v variant) bool { return isCompanion(v.set) })
		fit = matchQuant(variants, s.quant)
	}
	switch {
	case len(variants) == 0:
		return nil, fmt.Errorf("%s holds no GGUF model", s.repo)
	case len(fit) == 0 && s.file != "":
		return nil, fmt.Errorf("%s has no file %q; it has: %s", s.repo, s.file, variantNames(variants, true))
	case len(fit) == 0:
		return nil, fmt.Errorf("%s has no quantization %q; it has: %s", s.repo, s.quant, variantNames(variants, false))
	case len(fit) > 1 && s.quant == "":
		return nil, fmt.Errorf("%s has several quantizations, name one (hf:%s:QUANT): %s", s.repo, s.repo, variantNames(fit, false))
	case len(fit) > 1:
		return nil, fmt.Errorf("%s has several models of quantization %q, name a file (hf:%s:FILE): %s", s.repo, s.quant, s.repo, variantNames(fit, true))
	}
	return fit[0].files, fit[0].check()
}

// matchQuant returns the variants of a quantization, or all where none is asked for. A publisher's prefix of the
// quantization's name need not be given where it is clear without.
func matchQuant(variants []variant, quant string) []variant {
	if quant == "" {
		return variants
	}
	var exact, prefixed []variant
	for _, v := range variants {
		switch {
		case strings.EqualFold(v.quant, quant):
			exact = append(exact, v)
		case strings.EqualFold(strings.TrimPrefix(v.quant, "UD-"), quant):
			prefixed = append(prefixed, v)
		}
	}
	if len(exact) > 0 {
		return exact
	}
	return prefixed
}

// groupVariants joins the shards of split sets and names every variant's quantization.
func groupVariants(files []hubFile) []variant {
	var variants []variant
	index := map[string]int{} // of a set in variants
	for _, f := range files {
		set := f.Path
		if sh, ok := parseShard(path.Base(f.Path)); ok {
			set = path.Join(path.Dir(f.Path), fmt.Sprintf("%s-of-%05d%s", sh.stem, sh.n, sh.ext))
		}
		i, ok := index[set]
		if !ok {
			i = len(variants)
			index[set] = i
			quant := cmp.Or(quantOf(path.Base(f.Path)), quantOf(path.Base(path.Dir(f.Path))), strings.ToUpper(trimGGUF(path.Base(f.Path))))
			variants = append(variants, variant{quant: quant, set: set})
		}
		variants[i].files = append(variants[i].files, f)
	}
	for _, v := range variants {
		slices.SortFunc(v.files, func(a, b hubFile) int { return cmp.Compare(a.Path, b.Path) })
	}
	return variants
}

// check refuses a split set with a shard missing, and files whose bytes could not be verified.
func (v variant) check() error {
	names := []string{path.Base(v.files[0].Path)}
	if s, ok := parseShard(names[0]); ok {
		names = s.all()
	}
	for i, name := range names {
		if i >= len(v.files) || path.Base(v.files[i].Path) != name {
			return fmt.Errorf("the repository lacks shard %s of a set of %d", name, len(names))
		}
		if v.files[i].SHA256 == "" {
			return fmt.Errorf("the hub gives no SHA-256 for %s: fetch it by its https:// address", v.files[i].Path)
		}
	}
	return nil
}

// isCompanion reports whether a GGUF file is no language model by itself: a vision projector or an importance matrix.
func isCompanion(name string) bool {
	name = strings.ToLower(path.Base(name))
	return strings.Contains(name, "mmproj") || strings.Contains(name, "imatrix")
}

// variantNames lists quantizations, or files, for a message.
func variantNames(variants []variant, files bool) string {
	var names []string
	for _, v := range variants {
		if files {
			names = append(names, v.files[0].Path)
		} else {
			names = append(names, v.quant)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	const most = 40
	if len(names) > most {
		names = append(names[:most], fmt.Sprintf("and %d more", len(names)-most))
	}
	return tidy(strings.Join(names, ", "), 2000)
}

// escapePath escapes every element of a path inside a repository.
func escapePath(p string) string {
	parts := strings.Split(p, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}
