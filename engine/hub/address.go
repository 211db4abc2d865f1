package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// address is a file at a URL.
type address struct {
	url   string
	token string // sent as a bearer token to the URL's own host
	name  string // file name; empty: from the URL

	sha256 string // that the file must have; empty: any
}

func (a *address) String() string { return a.url }

func (a *address) fetch(ctx context.Context, dir string, o *Options) ([]fetched, error) {
	u, err := url.Parse(a.url)
	if err != nil {
		return nil, err
	}
	name := a.name
	if name == "" {
		name = path.Base(u.Path)
	}
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\") {
		return nil, fmt.Errorf("%s: no file name in the URL", a.url)
	}
	f, err := a.download(ctx, filepath.Join(dir, name), o)
	if err != nil {
		return nil, err
	}
	f.name = name
	return []fetched{f}, checkSum(dir, f, a.sha256)
}

// client gives up quickly on a host that does not answer, and never on a slow transfer.
var client = &http.Client{Transport: &http.Transport{
	Proxy:                 http.ProxyFromEnvironment,
	DialContext:           (&net.Dialer{Timeout: 4 * time.Second}).DialContext,
	TLSHandshakeTimeout:   5 * time.Second,
	ResponseHeaderTimeout: 20 * time.Second,
}}

const (
	tries        = 4
	longestPause = 30 * time.Second
)

// statusError is an answer other than the file.
type statusError struct {
	code  int
	after time.Duration // what Retry-After asks for
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("the server answered %d %s", e.code, http.StatusText(e.code))
	if e.code == http.StatusUnauthorized || e.code == http.StatusForbidden {
		text += " (a gated model needs HF_TOKEN)"
	}
	return text
}

func (e *statusError) temporary() bool { return e.code == http.StatusTooManyRequests || e.code >= 500 }

// download fetches into path, going on where an earlier try stopped as long as the server's file is the same.
func (a *address) download(ctx context.Context, path string, o *Options) (fetched, error) {
	var err error
	for try := range tries {
		if try > 0 {
			pause := time.Duration(1<<try) * 250 * time.Millisecond
			var status *statusError
			if errors.As(err, &status) && status.after > 0 {
				pause = min(status.after, longestPause)
			}
			select {
			case <-ctx.Done():
				return fetched{}, ctx.Err()
			case <-time.After(pause):
			}
		}
		if err = a.attempt(ctx, path, o); err == nil {
			break
		}
		var status *statusError
		if ctx.Err() != nil {
			return fetched{}, ctx.Err()
		}
		if errors.As(err, &status) && !status.temporary() || !retryable(err) {
			return fetched{}, err
		}
	}
	if err != nil {
		return fetched{}, err
	}
	partial := path + partialSuffix
	sum, size, err := sumFile(partial)
	if err != nil {
		return fetched{}, err
	}
	os.Remove(path + ".etag")
	return fetched{sha256: sum, size: size}, os.Rename(partial, path)
}

// retryable says whether a fault may pass: not one of this machine's disk, nor a host that is not there.
func retryable(err error) bool {
	var status *statusError
	var dns *net.DNSError
	var op *net.OpError
	var disk *os.PathError
	switch {
	case errors.As(err, &status):
		return status.temporary()
	case errors.As(err, &dns), errors.As(err, &disk):
		return false
	case errors.As(err, &op) && op.Op == "dial":
		return false
	}
	return true
}

// attempt asks for what the partial file lacks and appends it.
func (a *address) attempt(ctx context.Context, path string, o *Options) error {
	partial := path + partialSuffix
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url, nil)
	if err != nil {
		return err
	}
	if a.token != "" {
		request.Header.Set("Authorization", "Bearer "+a.token)
	}
	var have int64
	etag, _ := os.ReadFile(path + ".etag")
	if info, err := os.Stat(partial); err == nil && info.Size() > 0 && len(etag) > 0 {
		have = info.Size()
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
		request.Header.Set("If-Range", string(etag))
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	flags := os.O_CREATE | os.O_WRONLY
	switch response.StatusCode {
	case http.StatusPartialContent:
		if !strings.HasPrefix(response.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have)) {
			return fmt.Errorf("the server answered with the range %q, expected it to begin at byte %d", response.Header.Get("Content-Range"), have)
		}
		flags |= os.O_APPEND
	case http.StatusOK:
		have = 0
		flags |= os.O_TRUNC
	case http.StatusRequestedRangeNotSatisfiable: // the partial file is no beginning of what the server has
		os.Remove(partial)
		return errors.New("the server has no such range; starting again")
	default:
		return newStatusError(response)
	}
	return a.write(ctx, path, flags, have, response, o)
}

func newStatusError(response *http.Response) error {
	e := &statusError{code: response.StatusCode}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.after = time.Duration(seconds) * time.Second
	}
	return e
}

func (a *address) write(ctx context.Context, path string, flags int, have int64, response *http.Response, o *Options) error {
	if etag := response.Header.Get("ETag"); strings.HasPrefix(etag, `"`) { // weak ones cannot be resumed by
		if err := os.WriteFile(path+".etag", []byte(etag), 0o644); err != nil {
			return err
		}
	} else {
		os.Remove(path + ".etag")
	}
	f, err := os.OpenFile(path+partialSuffix, flags, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	total := int64(0)
	if response.ContentLength > 0 {
		total = have + response.ContentLength
	}
	n, err := copyWithProgress(ctx, f, response.Body, filepath.Base(path), have, total, o)
	if err != nil {
		return err
	}
	if total > 0 && have+n != total {
		return fmt.Errorf("the transfer ended after %d of %d bytes: %w", have+n, total, io.ErrUnexpectedEOF)
	}
	return f.Close()
}

func copyWithProgress(ctx context.Context, w io.Writer, r io.Reader, what string, done, total int64, o *Options) (int64, error) {
	buffer := make([]byte, 1<<20)
	var copied int64
	for {
		if err := ctx.Err(); err != nil {
			return copied, err
		}
		n, err := r.Read(buffer)
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return copied, err
			}
			copied += int64(n)
			if o.Progress != nil {
				o.Progress(what, done+copied, total)
			}
		}
		if err == io.EOF {
			return copied, nil
		}
		if err != nil {
			return copied, err
		}
	}
}
