package hub

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"regexp"
	"strings"
)

// source is one place that a model can come from.
type source interface {
	// String returns the reference that names this source.
	String() string
	// fetch puts the model's files, complete and verified, into the job's folder and returns them in order.
	fetch(ctx context.Context, j *job) ([]File, error)
}

// reference is a model reference, understood.
type reference struct {
	path    string   // a file used where it is; the other fields are then empty
	canon   string   // the one spelling under which the cache knows the model
	name    string   // what messages and lists call it
	key     string   // its folder in the cache
	want    *File    // the file, where the table of known models says what it must be
	sources []source // in the order in which they are tried
}

// parseReference understands a reference; it touches no network, and of the disk only whether a file exists.
func parseReference(ref string) (reference, error) {
	kind, rest, _ := strings.Cut(ref, ":")
	var src source
	var err error
	switch strings.ToLower(kind) {
	case "hf":
		src, err = parseHub(rest)
	case "pypi":
		src, err = parseWheel(rest)
	case "https", "http":
		src, err = parseURL(ref)
	default:
		return parseLocal(ref)
	}
	if err != nil {
		return reference{}, fmt.Errorf("model %q: %w", tidy(ref, 200), err)
	}
	canon := src.String()
	if r, ok := knownBySource(canon); ok {
		return r, nil
	}
	return reference{canon: canon, name: canon, key: folderName(canon), sources: []source{src}}, nil
}

// parseLocal understands a short name or a path.
func parseLocal(ref string) (reference, error) {
	if ref == "" {
		return reference{}, errors.New("the model reference is empty: give a file, a short name (" + knownNames() + "), or hf:…, pypi:…, https://…")
	}
	if k, ok := knownByName(ref); ok {
		return k.reference(k.sources), nil
	}
	if strings.ContainsAny(ref, `/\`) || isGGUF(ref) {
		return reference{path: ref}, nil
	}
	if _, err := os.Stat(ref); err == nil {
		return reference{path: ref}, nil
	}
	return reference{}, fmt.Errorf("model %q is neither a file nor a known name (%s); other forms: hf:org/repo:quant, pypi:package==version, https://…",
		tidy(ref, 200), knownNames())
}

var hubPattern = regexp.MustCompile(`^([A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(?:@([A-Za-z0-9][\w./-]{0,127}))?(?::([^:\\]{1,200}))?$`)

// parseHub understands what follows "hf:".
func parseHub(rest string) (source, error) {
	m := hubPattern.FindStringSubmatch(rest)
	if m == nil || strings.Contains(rest, "..") {
		return nil, errors.New("expected hf:org/repo:quant, hf:org/repo@revision:quant or hf:org/repo:file.gguf")
	}
	s := hubSource{repo: m[1], revision: m[2]}
	switch {
	case isGGUF(m[3]):
		s.file = m[3]
	case strings.Contains(m[3], "/"):
		return nil, fmt.Errorf("quantization %q: a path must end in .gguf", m[3])
	default:
		s.quant = strings.ToUpper(m[3])
	}
	return s, nil
}

// Names and versions as the Python packaging specifications write them; neither can be taken for an option of pip.
var (
	packagePattern = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,100}[A-Za-z0-9])?$`)
	versionPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.!+_-]{0,60}$`)
)

// maxPackages bounds the wheels that one model may be spread over.
const maxPackages = 64

// parseWheel understands what follows "pypi:".
func parseWheel(rest string) (source, error) {
	var s wheelSource
	for part := range strings.SplitSeq(rest, ",") {
		name, version, ok := strings.Cut(strings.TrimSpace(part), "==")
		if !ok || !packagePattern.MatchString(name) || !versionPattern.MatchString(version) {
			return nil, fmt.Errorf("expected pypi:package==version[,package==version…], found %q", tidy(part, 80))
		}
		s.packages = append(s.packages, pinned{normalizePackage(name), version})
	}
	if len(s.packages) > maxPackages {
		return nil, fmt.Errorf("%d packages, at most %d are allowed", len(s.packages), maxPackages)
	}
	return s, nil
}

// parseURL understands a URL with an optional #sha256=SUM; for a split set SUM is a list, one sum a shard.
func parseURL(ref string) (source, error) {
	u, err := url.Parse(ref)
	if err != nil {
		return nil, errors.New("not a URL: " + strings.TrimPrefix(errors.Unwrap(err).Error(), "net/url: "))
	}
	if u.Host == "" {
		return nil, errors.New("the URL names no host")
	}
	var sums []string
	if u.Fragment != "" {
		list, ok := strings.CutPrefix(u.Fragment, "sha256=")
		if !ok {
			return nil, fmt.Errorf("the URL's fragment %q is not sha256=…", tidy(u.Fragment, 80))
		}
		for sum := range strings.SplitSeq(list, ",") {
			if sum, err = checkSHA256(sum); err != nil {
				return nil, err
			}
			sums = append(sums, sum)
		}
	}
	u.Fragment, u.RawFragment = "", ""
	if u.Scheme == "http" && sums == nil {
		return nil, errors.New("http:// is not protected against changes on the way: use https://, or add #sha256=…")
	}
	s := urlSource{url: u, names: urlFileNames(u), sums: sums}
	if sums != nil && len(sums) != len(s.names) {
		return nil, fmt.Errorf("%d SHA-256 for %d files", len(sums), len(s.names))
	}
	for _, name := range s.names {
		if err := checkFileName(name); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// urlFileNames returns the names under which the files behind a URL are kept: all of a split set for its first shard.
func urlFileNames(u *url.URL) []string {
	base := path.Base(u.Path)
	if base == "." || base == "/" {
		base = "model"
	}
	if !isGGUF(base) {
		base += ".gguf"
	}
	if s, ok := parseShard(base); ok && s.index == 1 {
		return s.all()
	}
	return []string{base}
}

// folderName turns a canonical reference into a folder's name: readable, and distinct on case-insensitive disks too.
func folderName(canon string) string {
	readable := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, canon)
	if len(readable) > 80 {
		readable = readable[:80]
	}
	sum := sha256.Sum256([]byte(canon))
	return strings.Trim(readable, ".-") + "-" + hex.EncodeToString(sum[:4])
}
