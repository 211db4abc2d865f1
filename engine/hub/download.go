package hub

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// job is one source's attempt to fetch one model.
type job struct {
	Options
	client *http.Client
	cache  cache
	dir    string // the model's folder
	source string
	want   *File // the file, where it is known in advance
	hasty  bool  // other sources follow: give up on a server that does not answer soon

	adopted []string // for each file found in the cache under another name, the source that once served it
}

// adopt takes a file from another model of the cache, if one has it.
func (j *job) adopt(ctx context.Context, want File) (File, bool) {
	file, source, ok := j.cache.adopt(ctx, j.dir, want)
	if ok {
		j.adopted = append(j.adopted, source)
	}
	return file, ok
}

// served returns the source that the bytes of n files came from.
func (j *job) served(n int) string {
	if len(j.adopted) == n {
		return j.adopted[0]
	}
	return j.source
}

// remote is one file to download.
type remote struct {
	File          // name; size and sum where they are known
	url    string // https://…
	bearer string // token for the host of url
}

// partial is the content of file.gguf.part.json: what the bytes in file.gguf.part are a part of.
type partial struct {
	URL       string `json:"url"`
	Validator string `json:"validator,omitempty"` // strong ETag, else Last-Modified, of the response they came with
	SHA256    string `json:"sha256,omitempty"`    // of the whole file, where it was known
}

// download is the state of one file's transfer, over all its attempts.
type download struct {
	*job
	remote
	f        *os.File
	h        hash.Hash // of the bytes before offset
	offset   int64     // bytes in f that are part of the file
	total    int64     // 0 while unknown
	meta     partial
	earlier  bool // some of the bytes come from an earlier process
	reported time.Time
}

// download fetches one file into the job's folder, continuing an interrupted fetch where there is one, and verifies it.
func (j *job) download(ctx context.Context, r remote) (File, error) {
	if err := checkFileName(r.Name); err != nil {
		return File{}, err
	}
	if file, ok := j.adopt(ctx, r.File); ok {
		return file, nil
	}
	d := &download{job: j, remote: r, total: r.Size}
	if err := d.open(ctx); err != nil {
		return File{}, err
	}
	defer d.f.Close()
	for {
		err := j.retry(ctx, d.attempt)
		if err != nil {
			if d.offset == 0 {
				d.discard()
			}
			return File{}, err
		}
		file, err := d.finish()
		if err == nil {
			return file, nil
		}
		var sum *ChecksumError
		again := errors.As(err, &sum) && d.earlier
		if isLocal(err) {
			return File{}, err
		}
		if err := d.restart(); err != nil {
			return File{}, err
		}
		if !again { // all bytes came from this server, in this run: they are wrong
			d.discard()
			return File{}, err
		}
	}
}

func (d *download) path() string { return filepath.Join(d.dir, d.Name) }

// open opens the part that is there, if it is known what it is a part of, and hashes it; else it begins an empty one.
func (d *download) open(ctx context.Context) error {
	f, err := os.OpenFile(d.path()+partSuffix, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return localError{err}
	}
	d.f, d.h = f, sha256.New()
	data, err := os.ReadFile(d.path() + partSuffix + ".json")
	usable := err == nil && json.Unmarshal(data, &d.meta) == nil &&
		(d.SHA256 != "" && d.meta.SHA256 == d.SHA256 || d.meta.URL == d.url && d.meta.Validator != "")
	if !usable {
		return d.restart()
	}
	if d.meta.URL != d.url { // the validator is another server's
		d.meta = partial{URL: d.url, SHA256: d.SHA256}
	}
	d.offset, err = io.CopyBuffer(d.h, readerWithContext{ctx, f}, make([]byte, copyBuffer))
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if d.Size > 0 && d.offset > d.Size {
		return d.restart()
	}
	d.earlier = d.offset > 0
	return nil
}

// restart forgets all bytes.
func (d *download) restart() error {
	d.offset, d.earlier, d.total = 0, false, d.Size
	d.meta = partial{URL: d.url, SHA256: d.SHA256}
	d.h.Reset()
	if err := d.f.Truncate(0); err != nil {
		return localError{err}
	}
	if _, err := d.f.Seek(0, io.SeekStart); err != nil {
		return localError{err}
	}
	return nil
}

// discard removes the part and what was noted about it.
func (d *download) discard() {
	os.Remove(d.path() + partSuffix)
	os.Remove(d.path() + partSuffix + ".json")
}

// attempt makes one request for the bytes that are missing. progress says whether any arrived.
func (d *download) attempt(ctx context.Context) (progress bool, err error) {
	if d.total > 0 && d.offset == d.total {
		return false, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := watchdog(cancel, d.timing.answer(d.hasty), "no answer")
	defer watch.Stop()

	req, err := newRequest(ctx, d.url, d.bearer)
	if err != nil {
		return false, permanent(err)
	}
	if d.offset > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.offset))
		if d.meta.Validator != "" {
			req.Header.Set("If-Range", d.meta.Validator)
		}
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return false, requestError(ctx, req, err)
	}
	defer resp.Body.Close()
	watch.Stop()
	if err := d.accept(resp); err != nil {
		return false, err
	}
	stalled := watchdog(cancel, d.timing.stall, "no bytes")
	defer stalled.Stop()
	before := d.offset
	err = d.receive(ctx, resp.Body, stalled)
	return d.offset > before, err
}

// accept checks that the response continues the part, or begins anew, and notes what is needed to continue later.
func (d *download) accept(resp *http.Response) error {
	total := resp.ContentLength
	switch resp.StatusCode {
	case http.StatusOK: // the whole file: the server ignores ranges, or the file has changed
		if err := d.restart(); err != nil {
			return permanent(err)
		}
	case http.StatusPartialContent:
		start, of, ok := parseContentRange(resp.Header.Get("Content-Range"))
		changed := d.meta.Validator != "" && validatorOf(resp) != "" && validatorOf(resp) != d.meta.Validator
		if !ok || start != d.offset || changed && d.SHA256 == "" {
			if err := d.restart(); err != nil {
				return permanent(err)
			}
			return fmt.Errorf("the server's answer (Content-Range %q) does not continue what is there; beginning anew",
				tidy(resp.Header.Get("Content-Range"), 60))
		}
		total = of
	case http.StatusRequestedRangeNotSatisfiable:
		_, of, ok := parseContentRange(resp.Header.Get("Content-Range"))
		if ok && of == d.offset && d.offset > 0 { // all bytes are here, only the end was not noticed
			d.total = of
			return nil
		}
		if err := d.restart(); err != nil {
			return permanent(err)
		}
		return errors.New("the file on the server is shorter than what is there; beginning anew")
	default:
		return newStatusError(resp)
	}
	if total > 0 && d.Size > 0 && total != d.Size {
		return permanent(fmt.Errorf("%s: the server offers %d bytes, expected %d", d.Name, total, d.Size))
	}
	if total > 0 {
		d.total = total
	}
	d.meta.Validator = validatorOf(resp)
	data, err := json.Marshal(d.meta)
	if err == nil {
		err = writeFile(d.path()+partSuffix+".json", data)
	}
	if err == nil {
		err = checkSpace(d.dir, d.total-d.offset)
	}
	if err != nil {
		return permanent(localError{err})
	}
	return nil
}

// receive appends the body to the part.
func (d *download) receive(ctx context.Context, body io.Reader, stalled *time.Timer) error {
	buf := make([]byte, copyBuffer)
	for d.total == 0 || d.offset < d.total {
		n, err := body.Read(buf)
		if n > 0 {
			stalled.Reset(d.timing.stall)
			if d.total > 0 && d.offset+int64(n) > d.total {
				return permanent(fmt.Errorf("%s: the server sends more than the %d bytes announced", d.Name, d.total))
			}
			if _, err := d.f.Write(buf[:n]); err != nil {
				return permanent(localError{err})
			}
			d.h.Write(buf[:n])
			d.offset += int64(n)
			d.progress(false)
		}
		if err == io.EOF {
			if d.total > 0 && d.offset < d.total {
				return fmt.Errorf("%s: the connection ended at %d of %d bytes", d.Name, d.offset, d.total)
			}
			d.total = d.offset
			break
		}
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return fmt.Errorf("%s: the connection broke at byte %d: %w", d.Name, d.offset, err)
		}
	}
	return nil
}

// finish verifies the part. It keeps its name until the whole model is there: were the fetch of the next shard to be
// interrupted, this one would be found complete.
func (d *download) finish() (File, error) {
	file := File{Name: d.Name, Size: d.offset, SHA256: hex.EncodeToString(d.h.Sum(nil))}
	if d.SHA256 != "" && file.SHA256 != d.SHA256 {
		return File{}, &ChecksumError{File: d.Name, Want: d.SHA256, Got: file.SHA256}
	}
	if err := checkMagic(d.f, d.Name); err != nil {
		return File{}, err
	}
	if err := d.f.Sync(); err != nil {
		return File{}, localError{err}
	}
	d.total = d.offset
	d.progress(true)
	return file, nil
}

// progress reports at most ten times a second, and always the end.
func (d *download) progress(last bool) {
	if now := time.Now(); last || now.Sub(d.reported) >= 100*time.Millisecond && d.offset != d.total {
		d.reported = now
		d.report(Progress{Stage: StageDownloading, Source: d.source, File: d.Name, Done: d.offset, Total: d.total})
	}
}

// checkMagic refuses files that are no GGUF at all, such as the page of a login form.
func checkMagic(f io.ReaderAt, name string) error {
	var head [16]byte
	n, err := f.ReadAt(head[:], 0)
	if err != nil && err != io.EOF {
		return localError{err}
	}
	if n < 4 || string(head[:4]) != "GGUF" {
		return fmt.Errorf("%s is not a GGUF file: it begins with %q, expected \"GGUF\"", name, head[:n])
	}
	return nil
}

// validatorOf returns what If-Range can compare: a strong ETag, else the date of change.
func validatorOf(resp *http.Response) string {
	if tag := resp.Header.Get("ETag"); strings.HasPrefix(tag, `"`) {
		return tag
	}
	return resp.Header.Get("Last-Modified")
}

var contentRangePattern = regexp.MustCompile(`^bytes (?:(\d{1,15})-\d{1,15}|\*)/(\d{1,15})$`)

// parseContentRange reads "bytes 10-99/100" and "bytes */100".
func parseContentRange(s string) (start, total int64, ok bool) {
	m := contentRangePattern.FindStringSubmatch(s)
	if m == nil {
		return 0, 0, false
	}
	start, _ = strconv.ParseInt(m[1], 10, 64)
	total, _ = strconv.ParseInt(m[2], 10, 64)
	return start, total, true
}
