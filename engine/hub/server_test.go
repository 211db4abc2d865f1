package hub

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	for _, name := range []string{"INFER_MODELS", "INFER_OFFLINE", "HF_ENDPOINT", "HF_TOKEN", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		os.Unsetenv(name) // the tests must not depend on whose machine this is
	}
	goleak.VerifyTestMain(m)
}

// gguf returns n bytes that begin like a GGUF file.
func gguf(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed)})
	r.Read(b)
	copy(b, "GGUF\x03\x00\x00\x00")
	return b
}

func sumOf(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// fileServer serves files with ranges, and misbehaves as it is told.
type fileServer struct {
	*httptest.Server
	mu       sync.Mutex
	files    map[string][]byte // by path
	etag     string            // of all files; empty for none
	cut      []int             // bytes after which the next answers break off, one by one; 0 does not
	statuses []int             // the next answers, one by one, before any file is served; 0 serves
	header   http.Header       // added to every answer
	ranges   bool              // honoured at all
	stall    bool              // after a cut the connection stays open
	ignoreIf bool              // a range is served whatever If-Range says
	requests []*http.Request
	sent     int // bytes of bodies
}

func newFileServer(t *testing.T, files map[string][]byte) *fileServer {
	t.Helper()
	s := &fileServer{files: files, etag: `"v1"`, ranges: true, header: http.Header{}}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func shift(list *[]int) int {
	if len(*list) == 0 {
		return 0
	}
	first := (*list)[0]
	*list = (*list)[1:]
	return first
}

func (s *fileServer) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Clone(context.Background()))
	content, ok := s.files[r.URL.Path]
	status, cut, etag := shift(&s.statuses), shift(&s.cut), s.etag
	stall := s.stall
	for k, v := range s.header {
		w.Header()[k] = v
	}
	s.mu.Unlock()
	switch {
	case status != 0:
		w.WriteHeader(status)
		return
	case !ok:
		http.NotFound(w, r)
		return
	}
	if !s.ranges {
		r.Header.Del("Range")
	}
	if s.ignoreIf {
		r.Header.Del("If-Range")
	}
	if etag != "" {
		w.Header().Set("ETag", etag)
	}
	out := &cutWriter{ResponseWriter: w, server: s, left: -1}
	if cut > 0 {
		out.left = cut
	}
	defer func() {
		if out.left != 0 {
			return
		}
		w.(http.Flusher).Flush()
		if stall {
			<-r.Context().Done()
		}
		panic(http.ErrAbortHandler)
	}()
	http.ServeContent(out, r, "", time.Time{}, bytes.NewReader(content))
}

// cutWriter counts the bytes of a body and breaks it off.
type cutWriter struct {
	http.ResponseWriter
	server *fileServer
	left   int // -1: no limit
}

func (c *cutWriter) Write(p []byte) (int, error) {
	if c.left == 0 {
		return 0, http.ErrAbortHandler
	}
	if c.left > 0 && len(p) > c.left {
		p = p[:c.left]
	}
	c.server.mu.Lock()
	c.server.sent += len(p) // before the client can have them and look at the count
	c.server.mu.Unlock()
	n, err := c.ResponseWriter.Write(p)
	if c.left > 0 {
		c.left -= n
	}
	return n, err
}

// count returns the number of requests and of bytes sent since the last call.
func (s *fileServer) count() (requests, sent int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests, sent = len(s.requests), s.sent
	s.requests, s.sent = nil, 0
	return requests, sent
}

// testTiming makes waits short and keeps their order.
var testTiming = timing{
	connect: time.Second, patient: 5 * time.Second, hurried: 300 * time.Millisecond, stall: 300 * time.Millisecond,
	backoff: time.Millisecond, maxBackoff: 5 * time.Millisecond, maxAskedWait: 2 * time.Second, attempts: 4,
}

func testOptions(t *testing.T) Options {
	return Options{Dir: t.TempDir(), timing: testTiming}
}

// urlRef returns the reference of a file of the server, with its sum.
func (s *fileServer) urlRef(path string) string {
	return s.URL + path + "#sha256=" + sumOf(s.files[path])
}

// requireContent checks the model's file against its content, and that nothing else is left in its folder.
func requireContent(t *testing.T, m Model, content []byte) {
	t.Helper()
	got, err := os.ReadFile(m.Path)
	require.NoError(t, err)
	require.Equal(t, sumOf(content), sumOf(got))
	require.Equal(t, sumOf(content), m.SHA256)
	require.Equal(t, int64(len(content)), m.Files[0].Size)
	entries, err := os.ReadDir(filepath.Dir(m.Path))
	require.NoError(t, err)
	require.Len(t, entries, len(m.Files)+1, "leftovers beside the model: %v", entries)
}

// parts lists what interrupted fetches have left in a cache.
func parts(t *testing.T, dir string) (paths []string) {
	t.Helper()
	require.NoError(t, filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
		if strings.HasSuffix(path, partSuffix) {
			paths = append(paths, path)
		}
		return err
	}))
	return paths
}
