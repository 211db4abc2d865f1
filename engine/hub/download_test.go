package hub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const mib = 1 << 20

func TestDownloadOnce(t *testing.T) {
	content := gguf(3*mib, 1)
	s := newFileServer(t, map[string][]byte{"/m/tiny.Q8_0.gguf": content})
	o := testOptions(t)
	var last Progress
	o.Progress = func(p Progress) { last = p }
	ref := s.urlRef("/m/tiny.Q8_0.gguf")
	m, err := Resolve(t.Context(), ref, o)
	require.NoError(t, err)
	requireContent(t, m, content)
	assert.Equal(t, "tiny.Q8_0.gguf", filepath.Base(m.Path))
	assert.Equal(t, "Q8_0", m.Quant)
	assert.Equal(t, ref, m.Source)
	assert.Equal(t, Progress{Stage: StageDownloading, Source: ref, File: "tiny.Q8_0.gguf", Done: 3 * mib, Total: 3 * mib}, last)
	requests, sent := s.count()
	assert.Equal(t, 1, requests)
	assert.Equal(t, 3*mib, sent)

	again, err := Resolve(t.Context(), ref, o)
	require.NoError(t, err)
	assert.Equal(t, m, again)
	requests, _ = s.count()
	assert.Zero(t, requests, "a model of the cache needs no server")
}

func TestInterruptedTransfersContinue(t *testing.T) {
	content := gguf(5*mib, 2)
	s := newFileServer(t, map[string][]byte{"/a.gguf": content})
	s.cut = []int{mib, 1, 2 * mib, 3}
	m, err := Resolve(t.Context(), s.urlRef("/a.gguf"), testOptions(t))
	require.NoError(t, err)
	requireContent(t, m, content)
	for i, r := range s.requests[1:] {
		assert.NotEmpty(t, r.Header.Get("Range"), "request %d", i+1)
		assert.Equal(t, `"v1"`, r.Header.Get("If-Range"), "request %d", i+1)
	}
	requests, sent := s.count()
	assert.Equal(t, 5, requests)
	assert.Equal(t, 5*mib, sent, "no byte may be sent twice")
}

func TestManyInterruptionsWithProgressDoNotGiveUp(t *testing.T) {
	content := gguf(20_000, 3)
	s := newFileServer(t, map[string][]byte{"/a.gguf": content})
	for range 15 {
		s.cut = append(s.cut, 1000)
	}
	m, err := Resolve(t.Context(), s.urlRef("/a.gguf"), testOptions(t))
	require.NoError(t, err)
	requireContent(t, m, content)
	_, sent := s.count()
	assert.Equal(t, 20_000, sent)
}

func TestStalledTransferContinues(t *testing.T) {
	content := gguf(2*mib, 4)
	s := newFileServer(t, map[string][]byte{"/a.gguf": content})
	s.cut, s.stall = []int{mib}, true
	m, err := Resolve(t.Context(), s.urlRef("/a.gguf"), testOptions(t))
	require.NoError(t, err)
	requireContent(t, m, content)
	_, sent := s.count()
	assert.Equal(t, 2*mib, sent)
}

// cancelAt resolves ref and cancels when at least n bytes are there.
func cancelAt(t *testing.T, ref string, o Options, n int64) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.Progress = func(p Progress) {
		if p.Done >= n {
			cancel()
		}
	}
	_, err := Resolve(ctx, ref, o)
	return err
}

func TestCancelLeavesPartThatTheNextFetchContinues(t *testing.T) {
	content := gguf(4*mib, 5)
	s := newFileServer(t, map[string][]byte{"/a.gguf": content})
	s.cut, s.stall = []int{mib + mib/2}, true
	o := testOptions(t)
	o.timing.stall = time.Minute // only the cancellation can end the first fetch
	ref := s.urlRef("/a.gguf")
	err := cancelAt(t, ref, o, 1)
	require.ErrorIs(t, err, context.Canceled)
	left := parts(t, o.Dir)
	require.Len(t, left, 1)
	info, err := os.Stat(left[0])
	require.NoError(t, err)
	require.Positive(t, info.Size())
	s.count()

	m, err := Resolve(t.Context(), ref, o)
	require.NoError(t, err)
	requireContent(t, m, content)
	// The first answer may still count bytes that nobody received: the second request says what was asked for.
	last := s.requests[len(s.requests)-1]
	assert.Equal(t, fmt.Sprintf("bytes=%d-", info.Size()), last.Header.Get("Range"), "the second fetch begins where the first ended")
}

func TestPartIsReusedAcrossServersWhenTheSumIsTheSame(t *testing.T) {
	content := gguf(2*mib, 6)
	first := newFileServer(t, map[string][]byte{"/a.gguf": content})
	second := newFileServer(t, map[string][]byte{"/a.gguf": content})
	second.etag = `"other"`
	first.cut, first.statuses = []int{mib}, []int{0, 404}
	o := testOptions(t)
	k := knownModel{name: "x:1", file: File{Name: "a.gguf", Size: 2 * mib, SHA256: sumOf(content)}}
	k.sources = []source{mustURL(t, first.URL+"/a.gguf"), mustURL(t, second.URL+"/a.gguf")}
	for i := range k.sources {
		u := k.sources[i].(urlSource)
		u.sums = []string{sumOf(content)}
		k.sources[i] = u
	}
	o, err := o.withDefaults()
	require.NoError(t, err)
	m, err := resolve(t.Context(), k.reference(k.sources), o)
	require.NoError(t, err)
	requireContent(t, m, content)
	assert.Equal(t, k.sources[1].String(), m.Source)
	_, sent := second.count()
	assert.Equal(t, mib, sent)
}

func mustURL(t *testing.T, u string) source {
	t.Helper()
	s, err := parseURL(u + "#sha256=" + strings.Repeat("0", 64))
	require.NoError(t, err)
	return s
}

// tlsOptions serves without a sum: plain http refuses that.
func tlsServer(t *testing.T, s *fileServer) (base string, o Options) {
	t.Helper()
	tls := httptest.NewTLSServer(http.HandlerFunc(s.serve))
	t.Cleanup(tls.Close)
	o = testOptions(t)
	o.Client = tls.Client()
	return tls.URL, o
}

func TestChangedFileBeginsAnew(t *testing.T) {
	for _, ignoreIf := range []bool{false, true} {
		t.Run(fmt.Sprintf("server ignores If-Range=%v", ignoreIf), func(t *testing.T) {
			old, content := gguf(2*mib, 7), gguf(2*mib+5, 8)
			s := newFileServer(t, map[string][]byte{"/a.gguf": old})
			base, o := tlsServer(t, s)
			s.cut, s.ignoreIf = []int{mib}, ignoreIf
			s.statuses = []int{0, 404}
			_, err := Resolve(t.Context(), base+"/a.gguf", o)
			require.ErrorContains(t, err, "404")
			require.Len(t, parts(t, o.Dir), 1)

			s.mu.Lock()
			s.files["/a.gguf"], s.etag = content, `"v2"`
			s.mu.Unlock()
			m, err := Resolve(t.Context(), base+"/a.gguf", o)
			require.NoError(t, err)
			requireContent(t, m, content)
		})
	}
}

func TestWithoutValidatorOrSumBeginsAnew(t *testing.T) {
	content := gguf(mib, 9)
	s := newFileServer(t, map[string][]byte{"/a.gguf": content})
	base, o := tlsServer(t, s)
	s.etag, s.cut, s.statuses = "", []int{mib / 2}, []int{0, 404}
	_, err := Resolve(t.Context(), base+"/a.gguf", o)
	require.Error(t, err)
	s.count()
	m, err := Resolve(t.Context(), base+"/a.gguf", o)
	require.NoError(t, err)
	requireContent(t, m, content)
	_, sent := s.count()
	assert.Equal(t, mib, sent, "nothing says that the old part belongs to the same file")
}

func TestServerWithoutRanges(t *testing.T) {
	content := gguf(mib, 10)
	s := newFileServer(t, map[string][]byte{"/a.gguf": content})
	s.ranges, s.cut = false, []int{mib / 2}
	m, err := Resolve(t.Context(), s.urlRef("/a.gguf"), testOptions(t))
	require.NoError(t, err)
	requireContent(t, m, content)
}

func TestAnswerWithoutLength(t *testing.T) {
	content := gguf(mib, 11)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush() // chunked
		w.Write(content)
	}))
	defer s.Close()
	m, err := Resolve(t.Context(), s.URL+"/a.gguf#sha256="+sumOf(content), testOptions(t))
	require.NoError(t, err)
	requireContent(t, m, content)
}

func TestWrongChecksum(t *testing.T) {
	content := gguf(mib, 12)
	s := newFileServer(t, map[string][]byte{"/a.gguf": content})
	o := testOptions(t)
	want := strings.Repeat("ab", 32)
	_, err := Resolve(t.Context(), s.URL+"/a.gguf#sha256="+want, o)
	var sum *ChecksumError
	require.ErrorAs(t, err, &sum)
	assert.Equal(t, ChecksumError{File: "a.gguf", Want: want, Got: sumOf(content)}, *sum)
	assert.ErrorContains(t, err, want)
	assert.ErrorContains(t, err, sumOf(content))
	assert.Empty(t, parts(t, o.Dir))
	models, err := List(o)
	require.NoError(t, err)
	assert.Empty(t, models)
	requests, _ := s.count()
	assert.Equal(t, 1, requests, "asking the same server again gives the same bytes")
}

func TestDamagedPartIsFetchedAgain(t *testing.T) {
	content := gguf(2*mib, 13)
	s := newFileServer(t, map[string][]byte{"/a.gguf": content})
	o := testOptions(t)
	s.cut, s.statuses = []int{mib}, []int{0, 404}
	_, err := Resolve(t.Context(), s.urlRef("/a.gguf"), o)
	require.Error(t, err)
	left := parts(t, o.Dir)
	require.Len(t, left, 1)
	data, err := os.ReadFile(left[0])
	require.NoError(t, err)
	data[len(data)/2] ^= 1
	require.NoError(t, os.WriteFile(left[0], data, 0o644))
	m, err := Resolve(t.Context(), s.urlRef("/a.gguf"), o)
	require.NoError(t, err)
	requireContent(t, m, content)
}

func TestPartLongerThanTheFile(t *testing.T) {
	content := gguf(mib, 14)
	s := newFileServer(t, map[string][]byte{"/a.gguf": content})
	o := testOptions(t)
	s.cut, s.statuses = []int{mib / 2}, []int{0, 404}
	_, err := Resolve(t.Context(), s.urlRef("/a.gguf"), o)
	require.Error(t, err)
	require.NoError(t, os.WriteFile(parts(t, o.Dir)[0], gguf(3*mib, 15), 0o644))
	m, err := Resolve(t.Context(), s.urlRef("/a.gguf"), o)
	require.NoError(t, err)
	requireContent(t, m, content)
}

func TestCompletePartNeedsNoBytes(t *testing.T) {
	content := gguf(mib, 16)
	s := newFileServer(t, map[string][]byte{"/s-00001-of-00002.gguf": content})
	base, o := tlsServer(t, s)
	_, err := Resolve(t.Context(), base+"/s-00001-of-00002.gguf", o)
	require.ErrorContains(t, err, "404", "the second shard is missing")
	second := gguf(mib/2, 17)
	s.mu.Lock()
	s.files["/s-00002-of-00002.gguf"] = second
	s.mu.Unlock()
	s.count()
	m, err := Resolve(t.Context(), base+"/s-00001-of-00002.gguf", o)
	require.NoError(t, err)
	requireContent(t, m, content)
	require.Len(t, m.Files, 2)
	assert.Equal(t, sumOf(second), m.Files[1].SHA256)
	assert.Equal(t, int64(mib+mib/2), m.Size)
	_, sent := s.count()
	assert.Less(t, sent, mib, "the shard that was there is not sent again")
}

func TestStatuses(t *testing.T) {
	content := gguf(1000, 18)
	for _, c := range []struct {
		name     string
		statuses []int
		header   http.Header
		requests int
		err      string
	}{
		{"not found", []int{404}, nil, 1, "answered 404 Not Found"},
		{"unauthorized", []int{401}, nil, 1, "answered 401 Unauthorized"},
		{"gone", []int{410}, nil, 1, "answered 410 Gone"},
		{"passing 503", []int{503, 503}, nil, 3, ""},
		{"passing 429", []int{429}, nil, 2, ""},
		{"lasting 500", []int{500, 500, 500, 500, 500}, nil, 4, "answered 500 Internal Server Error"},
		{"asks for too long", []int{429}, http.Header{"Retry-After": {"3600"}}, 1, "asks to wait for 1h0m0s, more than the 2s allowed"},
		{"a date too far away", []int{503}, http.Header{"Retry-After": {time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)}}, 1, "asks to wait for"},
		{"a past date", []int{503}, http.Header{"Retry-After": {"Mon, 02 Jan 2006 15:04:05 GMT"}}, 2, ""},
		{"nonsense", []int{503}, http.Header{"Retry-After": {"soon"}}, 2, ""},
		{"its own words", []int{403}, http.Header{"X-Error-Message": {"no  entry\there"}}, 1, "(no entry here)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newFileServer(t, map[string][]byte{"/a.gguf": content})
			s.statuses = c.statuses
			if c.header != nil {
				s.header = c.header
			}
			o := testOptions(t)
			m, err := Resolve(t.Context(), s.urlRef("/a.gguf"), o)
			if c.err == "" {
				require.NoError(t, err)
				requireContent(t, m, content)
			} else {
				require.ErrorContains(t, err, c.err)
				assert.NotContains(t, err.Error(), "\n")
				assert.Empty(t, parts(t, o.Dir), "nothing has arrived, nothing is left")
			}
			requests, _ := s.count()
			assert.Equal(t, c.requests, requests)
		})
	}
}

func TestRetryAfterIsObeyed(t *testing.T) {
	s := newFileServer(t, map[string][]byte{"/a.gguf": gguf(100, 19)})
	s.statuses, s.header = []int{429}, http.Header{"Retry-After": {"1"}}
	start := time.Now()
	_, err := Resolve(t.Context(), s.urlRef("/a.gguf"), testOptions(t))
	require.NoError(t, err)
	assert.GreaterOrEqual(t, time.Since(start), time.Second)
}

func TestRedirects(t *testing.T) {
	content := gguf(1000, 20)
	target := newFileServer(t, map[string][]byte{"/x": content})
	hops := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		hops++
		if n > 0 {
			http.Redirect(w, r, fmt.Sprintf("/%d", n-1), http.StatusFound)
			return
		}
		http.Redirect(w, r, target.URL+"/x?signature=secret", http.StatusFound)
	}))
	defer s.Close()
	sum := "#sha256=" + sumOf(content)
	m, err := Resolve(t.Context(), s.URL+"/3"+sum, testOptions(t))
	require.NoError(t, err)
	requireContent(t, m, content)
	assert.Equal(t, "3.gguf", filepath.Base(m.Path))

	hops = 0
	_, err = Resolve(t.Context(), s.URL+"/50"+sum, testOptions(t))
	require.ErrorContains(t, err, "more than 10 redirections")
	assert.Equal(t, 10, hops, "no new attempt")

	target.Close()
	_, err = Resolve(t.Context(), s.URL+"/0"+sum, testOptions(t))
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "secret", "a signed address is not for a log")
}

func TestRedirectToPlainHTTPIsRefused(t *testing.T) {
	s := newFileServer(t, map[string][]byte{"/a.gguf": gguf(1000, 21)})
	tls := httptest.NewTLSServer(http.RedirectHandler(s.URL+"/a.gguf", http.StatusFound))
	defer tls.Close()
	o := testOptions(t)
	o.Client = tls.Client()
	_, err := Resolve(t.Context(), tls.URL+"/a.gguf", o)
	require.ErrorContains(t, err, "redirected from https to http")
	requests, _ := s.count()
	assert.Zero(t, requests)
}

func TestNotAGGUF(t *testing.T) {
	page := []byte("<!DOCTYPE html><title>Log in</title>")
	s := newFileServer(t, map[string][]byte{"/a.gguf": page, "/empty.gguf": {}})
	base, o := tlsServer(t, s)
	_, err := Resolve(t.Context(), base+"/a.gguf", o)
	require.ErrorContains(t, err, `a.gguf is not a GGUF file: it begins with "<!DOCTYPE html><"`)
	_, err = Resolve(t.Context(), base+"/empty.gguf", o)
	require.ErrorContains(t, err, "is not a GGUF file")
	assert.Empty(t, parts(t, o.Dir))
}

func TestServerWithTheWrongSize(t *testing.T) {
	content := gguf(1000, 22)
	s := newFileServer(t, map[string][]byte{"/a.gguf": content})
	o, err := testOptions(t).withDefaults()
	require.NoError(t, err)
	j := newJob(t, o, s.Client())
	_, err = j.download(t.Context(), remote{File: File{Name: "a.gguf", Size: 999, SHA256: sumOf(content)}, url: s.URL + "/a.gguf"})
	require.ErrorContains(t, err, "the server offers 1000 bytes, expected 999")
}

func newJob(t *testing.T, o Options, client *http.Client) *job {
	t.Helper()
	t.Cleanup(client.CloseIdleConnections)
	return &job{Options: o, client: client, cache: cache{root: o.Dir}, dir: t.TempDir(), source: "test"}
}

func TestDiskFullIsNoticedBeforeTheFetch(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.FormatInt(1<<49, 10))
		w.(http.Flusher).Flush()
	}))
	defer s.Close()
	o := testOptions(t)
	_, err := Resolve(t.Context(), s.URL+"/a.gguf#sha256="+strings.Repeat("0", 64), o)
	require.ErrorIs(t, err, syscall.ENOSPC)
	assert.ErrorContains(t, err, "562.9 TB needed in "+o.Dir)
	assert.ErrorContains(t, err, "INFER_MODELS")
}

func TestDiskErrorsAreExplained(t *testing.T) {
	c := cache{root: "/models"}
	err := c.explain(localError{&os.PathError{Op: "mkdir", Path: "/models", Err: syscall.EACCES}})
	assert.EqualError(t, err, "mkdir /models: permission denied: set INFER_MODELS to a folder that can be written")
	err = c.explain(localError{&os.PathError{Op: "write", Path: "/models/a", Err: syscall.ENOSPC}})
	assert.EqualError(t, err, "write /models/a: no space left on device: free some space in /models, or set INFER_MODELS to a folder elsewhere")
	err = c.explain(localError{&os.PathError{Op: "mkdir", Path: "/models", Err: syscall.EROFS}})
	assert.ErrorContains(t, err, "read-only file system: set INFER_MODELS")
	plain := errors.New("other")
	assert.Equal(t, plain, c.explain(plain))

	o := testOptions(t)
	o.Dir = filepath.Join(o.Dir, "file")
	require.NoError(t, os.WriteFile(o.Dir, nil, 0o644))
	_, err = Resolve(t.Context(), "https://example.invalid/a.gguf", o)
	require.ErrorIs(t, err, syscall.ENOTDIR)
	assert.ErrorContains(t, err, o.Dir)
}

func TestConcurrentFetchesOfOneModel(t *testing.T) {
	content := gguf(3*mib, 23)
	s := newFileServer(t, map[string][]byte{"/a.gguf": content})
	o := testOptions(t)
	ref := s.urlRef("/a.gguf")
	var wg sync.WaitGroup
	models := make([]Model, 12)
	for i := range models {
		wg.Go(func() {
			var err error
			models[i], err = Resolve(context.Background(), ref, o)
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	for _, m := range models {
		assert.Equal(t, models[0], m)
	}
	requireContent(t, models[0], content)
	requests, sent := s.count()
	assert.Equal(t, 1, requests)
	assert.Equal(t, 3*mib, sent)
}

func TestWaitingForAnotherFetchCanBeCancelled(t *testing.T) {
	s := newFileServer(t, map[string][]byte{"/a.gguf": gguf(1000, 24)})
	o := testOptions(t)
	r, err := parseReference(s.urlRef("/a.gguf"))
	require.NoError(t, err)
	unlock, err := cache{root: o.Dir}.lock(t.Context(), r.key, func() {})
	require.NoError(t, err)
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	waited := false
	o.Progress = func(p Progress) { waited = p.Stage == StageWaiting; cancel() }
	_, err = Resolve(ctx, s.urlRef("/a.gguf"), o)
	require.ErrorIs(t, err, context.Canceled)
	assert.True(t, waited)

	_, err = Remove(s.urlRef("/a.gguf"), o)
	require.ErrorIs(t, err, ErrNotCached)
	require.NoError(t, os.MkdirAll(filepath.Join(o.Dir, r.key), 0o755))
	_, err = Remove(s.urlRef("/a.gguf"), o)
	require.ErrorContains(t, err, "is being fetched by another process")
}

func TestSameFileByAnotherAddressIsLinked(t *testing.T) {
	content := gguf(mib, 25)
	s := newFileServer(t, map[string][]byte{"/a.gguf": content})
	o := testOptions(t)
	first, err := Resolve(t.Context(), s.urlRef("/a.gguf"), o)
	require.NoError(t, err)
	s.count()
	j := newJob(t, o, s.Client())
	want := File{Name: "b.gguf", Size: mib, SHA256: sumOf(content)}
	got, err := j.download(t.Context(), remote{File: want, url: s.URL + "/a.gguf"})
	require.NoError(t, err)
	assert.Equal(t, want, got)
	requests, _ := s.count()
	assert.Zero(t, requests)
	a, err := os.Stat(first.Path)
	require.NoError(t, err)
	b, err := os.Stat(filepath.Join(j.dir, "b.gguf"))
	require.NoError(t, err)
	assert.True(t, os.SameFile(a, b))
	assert.Equal(t, first.Source, j.served(1), "the source is the one that served the bytes")
	assert.Equal(t, "test", j.served(2), "of two files only one was there")

	s.files["/other/a.gguf"] = content
	second, err := Resolve(t.Context(), s.urlRef("/other/a.gguf"), o)
	require.NoError(t, err)
	requireContent(t, second, content)
	assert.Equal(t, first.Source, second.Source)
	assert.NotEqual(t, first.Name, second.Name)
	requests, _ = s.count()
	assert.Zero(t, requests)

	// A manifest says only what the bytes were: damaged since, they are fetched.
	data := bytes.Clone(content)
	data[500] ^= 1
	require.NoError(t, os.WriteFile(first.Path, data, 0o644))
	j = newJob(t, o, s.Client())
	_, err = j.download(t.Context(), remote{File: want, url: s.URL + "/a.gguf"})
	require.NoError(t, err)
	requests, sent := s.count()
	assert.Equal(t, 1, requests)
	assert.Equal(t, mib, sent)
	assert.Equal(t, "test", j.served(1))
}

func TestReadOnlyUseOfTheCache(t *testing.T) {
	content := gguf(1000, 26)
	s := newFileServer(t, map[string][]byte{"/a.gguf": content})
	o := testOptions(t)
	ref := s.urlRef("/a.gguf")
	_, err := Resolve(t.Context(), ref, o)
	require.NoError(t, err)
	s.Close()
	require.NoError(t, os.RemoveAll(filepath.Join(o.Dir, locksFolder)))
	o.Offline = true
	m, err := Resolve(t.Context(), ref, o)
	require.NoError(t, err)
	requireContent(t, m, content)
	assert.NoDirExists(t, filepath.Join(o.Dir, locksFolder), "finding a model writes nothing")
}

func TestContentRange(t *testing.T) {
	for s, want := range map[string][3]int64{
		"bytes 10-99/100": {10, 100, 1}, "bytes */100": {0, 100, 1}, "bytes 0-0/1": {0, 1, 1},
		"": {}, "bytes 10-99/*": {}, "bytes=10-99/100": {}, "bytes -1-5/6": {}, "bytes 1-5/99999999999999999999": {},
	} {
		start, total, ok := parseContentRange(s)
		assert.Equal(t, want, [3]int64{start, total, map[bool]int64{true: 1}[ok]}, s)
	}
}

func TestTidy(t *testing.T) {
	assert.Equal(t, "a b c", tidy("\x1b a\r\n\tb\u0085c ", 10))
	assert.Equal(t, "äöü…", tidy("äöüß", 3))
	assert.True(t, bytes.Equal([]byte("x"), []byte(tidy("\x9bx"[1:], 5))))
}
