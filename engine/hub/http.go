package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// timing holds the waits and limits of a fetch.
type timing struct {
	connect      time.Duration // to open a connection
	patient      time.Duration // until the answer to a request begins, where there is no other source
	hurried      time.Duration // the same, where there is another one to turn to
	stall        time.Duration // without any byte, within an answer
	backoff      time.Duration // before the first new attempt; doubles from one to the next
	maxBackoff   time.Duration
	maxAskedWait time.Duration // the longest Retry-After that is obeyed
	attempts     int           // in a row without progress
}

func (t timing) withDefaults() timing {
	if t != (timing{}) {
		return t
	}
	return timing{
		connect: 10 * time.Second, patient: 30 * time.Second, hurried: 4 * time.Second, stall: 30 * time.Second,
		backoff: 500 * time.Millisecond, maxBackoff: 10 * time.Second, maxAskedWait: time.Minute, attempts: 5,
	}
}

// answer is the time until an answer must begin.
func (t timing) answer(hasty bool) time.Duration {
	if hasty {
		return t.hurried
	}
	return t.patient
}

// client returns the HTTP client of one call, and what closes its connections.
func (o Options) client() (*http.Client, func()) {
	if o.Client != nil {
		c := *o.Client
		c.CheckRedirect = checkRedirect
		return &c, func() {}
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: o.timing.connect, KeepAlive: 30 * time.Second}).DialContext
	return &http.Client{Transport: t, CheckRedirect: checkRedirect}, t.CloseIdleConnections
}

// checkRedirect follows up to ten redirections, never from https to http, and keeps the token from every other host:
// net/http itself would pass it on to sub-domains, where the hub's storage refuses it beside a signed URL.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return permanent(errors.New("more than 10 redirections"))
	}
	if via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return permanent(fmt.Errorf("redirected from https to %s on %s", req.URL.Scheme, req.URL.Host))
	}
	if req.URL.Host != via[0].URL.Host {
		req.Header.Del("Authorization")
	}
	req.Header.Del("Referer") // it can hold a signature
	return nil
}

// newRequest makes a GET request for the bytes as they are stored.
func newRequest(ctx context.Context, rawURL, bearer string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "infer")
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	return req, nil
}

// watchdog cancels a request, with a cause that says what was waited for, unless it is stopped or reset in time.
func watchdog(cancel context.CancelCauseFunc, after time.Duration, what string) *time.Timer {
	return time.AfterFunc(after, func() { cancel(fmt.Errorf("%s within %s", what, after)) })
}

// requestError drops from an error of net/http the URL, which can hold a signature, but keeps the host.
func requestError(ctx context.Context, req *http.Request, err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("%s: %w", req.URL.Host, err)
}

// statusError is an answer other than success.
type statusError struct {
	host    string
	code    int
	message string        // the server's own words, if it has any
	asked   time.Duration // Retry-After
}

func newStatusError(resp *http.Response) error {
	e := &statusError{host: resp.Request.URL.Host, code: resp.StatusCode, message: tidy(resp.Header.Get("X-Error-Message"), 200)}
	e.asked = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	return e
}

func (e *statusError) Error() string {
	s := fmt.Sprintf("%s answered %d %s", e.host, e.code, http.StatusText(e.code))
	if e.message != "" {
		s += " (" + e.message + ")"
	}
	return s
}

// transient reports whether the same request can succeed later.
func (e *statusError) transient() bool {
	return e.code == http.StatusTooManyRequests || e.code == http.StatusRequestTimeout || e.code >= 500 && e.code != http.StatusNotImplemented
}

// retryAfter reads the header's two forms, seconds and a date; 0 where there is none.
func retryAfter(s string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(s, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if t, err := http.ParseTime(s); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}

// permanentError marks an error that no new attempt will mend.
type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

func permanent(err error) error { return permanentError{err} }

// retry repeats what fails for a passing reason. Attempts that make progress do not count against the limit.
func (j *job) retry(ctx context.Context, attempt func(context.Context) (progress bool, err error)) error {
	failures, reached := 0, false
	for {
		progress, err := attempt(ctx)
		reached = reached || progress
		if err == nil {
			return nil
		}
		var lasting permanentError
		var status *statusError
		isStatus := errors.As(err, &status)
		switch {
		case ctx.Err() != nil:
			return err
		case errors.As(err, &lasting):
			return unmarked(err)
		case isStatus && !status.transient():
			return err
		case isStatus && status.asked > j.timing.maxAskedWait:
			return fmt.Errorf("%w and asks to wait for %s, more than the %s allowed", err, status.asked, j.timing.maxAskedWait)
		}
		if progress {
			failures = 0
		}
		failures++
		if failures >= j.timing.attempts || j.hasty && !reached {
			return err
		}
		wait := min(j.timing.backoff<<(failures-1), j.timing.maxBackoff)
		wait += rand.N(wait/4 + 1) // many clients of one server must not come back together
		if isStatus {
			wait = max(wait, status.asked)
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// unmarked takes the mark off an error that is permanent itself.
func unmarked(err error) error {
	if p, ok := err.(permanentError); ok {
		return p.error
	}
	return err
}

// sleep waits, unless ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// getDocument fetches a document of at most limit bytes.
func (j *job) getDocument(ctx context.Context, rawURL, bearer string, limit int64) (data []byte, err error) {
	err = j.retry(ctx, func(ctx context.Context) (bool, error) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		watch := watchdog(cancel, j.timing.answer(j.hasty), "no answer")
		defer watch.Stop()
		req, err := newRequest(ctx, rawURL, bearer)
		if err != nil {
			return false, permanent(err)
		}
		resp, err := j.client.Do(req)
		if err != nil {
			return false, requestError(ctx, req, err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return false, newStatusError(resp)
		}
		data, err = io.ReadAll(io.LimitReader(resp.Body, limit+1))
		if err != nil {
			return false, requestError(ctx, req, err)
		}
		if int64(len(data)) > limit {
			return false, permanent(fmt.Errorf("%s sends more than %d bytes", req.URL.Host, limit))
		}
		return false, nil
	})
	return data, err
}

// urlSource is a plain URL.
type urlSource struct {
	url   *url.URL // without fragment
	names []string // file names, all shards of a split set
	sums  []string // SHA-256 of each, or nil
}

// String leaves out a password, which has no place in a manifest.
func (s urlSource) String() string {
	u := *s.url
	u.User = nil
	ref := u.String()
	for i, sum := range s.sums {
		sep := ","
		if i == 0 {
			sep = "#sha256="
		}
		ref += sep + sum
	}
	return ref
}

func (s urlSource) fetch(ctx context.Context, j *job) ([]File, error) {
	files := make([]File, len(s.names))
	for i, name := range s.names {
		u := *s.url
		if len(s.names) > 1 {
			u = *s.url.JoinPath("..", url.PathEscape(name))
		}
		r := remote{File: File{Name: name}, url: u.String()}
		if s.sums != nil {
			r.SHA256 = s.sums[i]
		}
		var err error
		if files[i], err = j.download(ctx, r); err != nil {
			return nil, err
		}
	}
	return files, nil
}
