package hub

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const commit = "0123456789abcdef0123456789abcdef01234567"

// listing describes files as the hub does; those named README are in no large-file storage.
func listing(files map[string][]byte) []byte {
	type lfs struct {
		SHA256 string `json:"sha256"`
		Size   int    `json:"size"`
		Ptr    int    `json:"pointerSize"`
	}
	type sibling struct {
		Name string `json:"rfilename"`
		Size int    `json:"size"`
		LFS  *lfs   `json:"lfs,omitempty"`
	}
	var siblings []sibling
	for name, b := range files {
		s := sibling{Name: name, Size: len(b)}
		if !strings.Contains(name, "small") {
			s.LFS = &lfs{sumOf(b), len(b), 134}
		}
		siblings = append(siblings, s)
	}
	data, _ := json.Marshal(map[string]any{"id": "org/repo", "sha": commit, "siblings": siblings})
	return data
}

// newHub serves one repository, org/repo, as the hub does: a description, and files at the commit behind a redirection.
func newHub(t *testing.T, files map[string][]byte) (hub *fileServer, storage *fileServer, o Options) {
	t.Helper()
	stored := map[string][]byte{}
	for name, b := range files {
		stored["/store/"+path.Base(name)] = b
	}
	storage = newFileServer(t, stored)
	hub = newFileServer(t, map[string][]byte{"/api/models/org/repo/revision/main": listing(files)})
	hub.etag = ""
	inner := hub.Config.Handler
	hub.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, ok := strings.CutPrefix(r.URL.Path, "/org/repo/resolve/"+commit+"/")
		if !ok || files[name] == nil {
			inner.ServeHTTP(w, r)
			return
		}
		hub.mu.Lock()
		hub.requests = append(hub.requests, r)
		hub.mu.Unlock()
		http.Redirect(w, r, storage.URL+"/store/"+path.Base(name)+"?signature=1", http.StatusFound)
	})
	o = testOptions(t)
	o.HubEndpoint = hub.URL + "/"
	return hub, storage, o
}

func TestHubByQuant(t *testing.T) {
	files := map[string][]byte{
		"m-Q4_K_M.gguf": gguf(1000, 1), "m-Q8_0.gguf": gguf(2000, 2), "mmproj-m-Q8_0.gguf": gguf(10, 3),
		"m-F16-00001-of-00002.gguf": gguf(500, 4), "m-F16-00002-of-00002.gguf": gguf(600, 5), "README.small": []byte("text"),
		"UD/m-UD-Q2_K_XL.gguf": gguf(700, 6),
	}
	for quant, want := range map[string][]string{
		"q4_k_m": {"m-Q4_K_M.gguf"}, "Q8_0": {"m-Q8_0.gguf"}, "f16": {"m-F16-00001-of-00002.gguf", "m-F16-00002-of-00002.gguf"},
		"Q2_K_XL": {"UD/m-UD-Q2_K_XL.gguf"}, "ud-q2_k_xl": {"UD/m-UD-Q2_K_XL.gguf"},
		"m-Q8_0.gguf": {"m-Q8_0.gguf"}, "mmproj-m-Q8_0.gguf": {"mmproj-m-Q8_0.gguf"}, "m-F16-00002-of-00002.gguf": {"m-F16-00001-of-00002.gguf", "m-F16-00002-of-00002.gguf"},
	} {
		t.Run(quant, func(t *testing.T) {
			_, storage, o := newHub(t, files)
			storage.cut = []int{300}
			m, err := Resolve(t.Context(), "hf:org/repo:"+quant, o)
			require.NoError(t, err)
			requireContent(t, m, files[want[0]])
			require.Len(t, m.Files, len(want))
			sum := 0
			for i, name := range want {
				assert.Equal(t, File{path.Base(name), int64(len(files[name])), sumOf(files[name])}, m.Files[i])
				sum += len(files[name])
			}
			_, sent := storage.count()
			assert.Equal(t, sum, sent)
			assert.NotContains(t, fmt.Sprint(m), "signature")

			o.Offline = true
			again, err := Resolve(t.Context(), "hf:org/repo:"+strings.ToLower(quant), o)
			if isGGUF(quant) { // files' names are case-sensitive
				return
			}
			require.NoError(t, err)
			assert.Equal(t, m, again)
		})
	}
}

func TestHubWithoutQuant(t *testing.T) {
	only := map[string][]byte{"model.gguf": gguf(100, 1), "imatrix.gguf": gguf(50, 2)}
	_, _, o := newHub(t, only)
	m, err := Resolve(t.Context(), "hf:org/repo", o)
	require.NoError(t, err)
	requireContent(t, m, only["model.gguf"])
}

func TestHubChoices(t *testing.T) {
	for _, c := range []struct {
		name  string
		files []string
		ref   string
		err   string
	}{
		{"several", []string{"a-Q4_0.gguf", "a-Q8_0.gguf"}, "hf:org/repo", "org/repo has several quantizations, name one (hf:org/repo:QUANT): Q4_0, Q8_0"},
		{"missing", []string{"a-Q4_0.gguf", "a-Q8_0.gguf"}, "hf:org/repo:Q4_1", `org/repo has no quantization "Q4_1"; it has: Q4_0, Q8_0`},
		{"ambiguous", []string{"a-Q4_0.gguf", "b-Q4_0.gguf"}, "hf:org/repo:q4_0", `org/repo has several models of quantization "Q4_0", name a file (hf:org/repo:FILE): a-Q4_0.gguf, b-Q4_0.gguf`},
		{"no file", []string{"a-Q4_0.gguf"}, "hf:org/repo:b.gguf", `org/repo has no file "b.gguf"; it has: a-Q4_0.gguf`},
		{"no model", []string{"README.small", "mmproj.gguf"}, "hf:org/repo:Q4_0", "org/repo holds no GGUF model"},
		{"lost shard", []string{"a-Q4_0-00001-of-00003.gguf", "a-Q4_0-00003-of-00003.gguf"}, "hf:org/repo:Q4_0", "lacks shard a-Q4_0-00002-of-00003.gguf of a set of 3"},
		{"no sum", []string{"small-Q4_0.gguf"}, "hf:org/repo:Q4_0", "the hub gives no SHA-256 for small-Q4_0.gguf"},
		{"traversal", []string{"../a-Q4_0.gguf"}, "hf:org/repo:Q4_0", `unsafe path "../a-Q4_0.gguf"`},
		{"inner traversal", []string{"x/../../a-Q4_0.gguf"}, "hf:org/repo:Q4_0", "unsafe path"},
		{"absolute", []string{"/etc/a-Q4_0.gguf"}, "hf:org/repo:Q4_0", "unsafe path"},
		{"backslash", []string{`..\a-Q4_0.gguf`}, "hf:org/repo:Q4_0", "unsafe path"},
		{"hidden", []string{".a-Q4_0.gguf"}, "hf:org/repo:Q4_0", "begins with a dot"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string][]byte{}
			for i, f := range c.files {
				files[f] = gguf(100, uint64(i))
			}
			_, storage, o := newHub(t, files)
			_, err := Resolve(t.Context(), c.ref, o)
			require.ErrorContains(t, err, c.err)
			requests, _ := storage.count()
			assert.Zero(t, requests)
		})
	}
}

func TestHubToken(t *testing.T) {
	files := map[string][]byte{"a-Q4_0.gguf": gguf(1000, 1)}
	hub, storage, o := newHub(t, files)
	o.HubToken = "hf_secret"
	_, err := Resolve(t.Context(), "hf:org/repo:Q4_0", o)
	require.NoError(t, err)
	require.Len(t, hub.requests, 2)
	for _, r := range hub.requests {
		assert.Equal(t, "Bearer hf_secret", r.Header.Get("Authorization"))
	}
	require.NotEmpty(t, storage.requests)
	for _, r := range storage.requests {
		assert.Empty(t, r.Header.Get("Authorization"), "the token is for the hub alone")
		assert.Empty(t, r.Header.Get("Referer"))
	}
}

func TestHubRefusals(t *testing.T) {
	for _, c := range []struct {
		status int
		token  string
		err    string
	}{
		{401, "", "answered 401 Unauthorized: org/repo does not exist, or is private or gated: set HF_TOKEN"},
		{403, "", "set HF_TOKEN"},
		{403, "tok", "answered 403 Forbidden: HF_TOKEN gives no access to org/repo: accept its terms"},
		{404, "", "answered 404 Not Found: no such repository, revision or file"},
	} {
		hub, _, o := newHub(t, map[string][]byte{"a-Q4_0.gguf": gguf(1000, 1)})
		hub.statuses, o.HubToken = []int{c.status}, c.token
		_, err := Resolve(t.Context(), "hf:org/repo:Q4_0", o)
		require.ErrorContains(t, err, c.err)
		assert.NotContains(t, err.Error(), "tok ")
	}
	hub, _, o := newHub(t, map[string][]byte{"a-Q4_0.gguf": gguf(1000, 1)})
	hub.statuses = []int{503, 429}
	_, err := Resolve(t.Context(), "hf:org/repo:Q4_0", o)
	require.NoError(t, err, "what passes is tried again")
}

func TestHubListingIsForeign(t *testing.T) {
	for _, c := range []struct{ body, err string }{
		{"<html>", "is not understood"},
		{`{"sha":"../../x","siblings":[]}`, "odd commit"},
		{`{"sha":"ab","siblings":[{"rfilename":"a.gguf","lfs":{"sha256":"xyz","size":1}}]}`, "hub's sum of a.gguf"},
		{`{"sha":"ab","siblings":[{"rfilename":"a.gguf","lfs":{"sha256":"` + strings.Repeat("0", 64) + `","size":-1}}]}`, "size of a.gguf is -1"},
	} {
		_, _, err := parseListing([]byte(c.body))
		assert.ErrorContains(t, err, c.err, c.body)
	}
}

func FuzzListing(f *testing.F) {
	f.Add(listing(map[string][]byte{"a-Q4_0.gguf": gguf(10, 1), "b-00001-of-00002.gguf": gguf(10, 2)}), "Q4_0")
	f.Add([]byte(`{"sha":"ab","siblings":[{"rfilename":"..gguf"}]}`), "")
	f.Fuzz(func(t *testing.T, data []byte, quant string) {
		_, files, err := parseListing(data)
		if err != nil {
			return
		}
		chosen, err := choose(files, hubSource{repo: "a/b", quant: quant})
		if err != nil {
			return
		}
		require.NotEmpty(t, chosen)
		for _, c := range chosen {
			assert.True(t, filepath.IsLocal(c.Path))
			assert.Len(t, c.SHA256, 64)
		}
	})
}

// A hub that takes the connection and never answers, as behind a firewall, must cost little where another source follows.
func TestSilentHubIsLeftSoon(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	content := gguf(1000, 1)
	s := newFileServer(t, map[string][]byte{"/a.gguf": content})
	o := testOptions(t)
	o.HubEndpoint = "http://" + l.Addr().String()
	var failed []Progress
	o.Progress = func(p Progress) {
		if p.Stage == StageFailed {
			failed = append(failed, p)
		}
	}
	o, err = o.withDefaults()
	require.NoError(t, err)
	u, err := parseURL(s.urlRef("/a.gguf"))
	require.NoError(t, err)
	k := knownModel{name: "x:1", file: File{Name: "a.gguf", Size: 1000, SHA256: sumOf(content)},
		sources: []source{hubSource{repo: "a/b", file: "a.gguf"}, u}}
	start := time.Now()
	m, err := resolve(t.Context(), k.reference(k.sources), o)
	require.NoError(t, err)
	assert.Less(t, time.Since(start), 3*time.Second)
	requireContent(t, m, content)
	assert.Equal(t, "x:1", m.Name)
	require.Len(t, failed, 1)
	assert.Equal(t, "hf:a/b:a.gguf", failed[0].Source)
	assert.ErrorContains(t, failed[0].Err, "no answer within 300ms")
}

func TestNoSourceServesIt(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	defer gone.Close()
	o, err := testOptions(t).withDefaults()
	require.NoError(t, err)
	o.HubEndpoint = gone.URL
	t.Setenv("PATH", t.TempDir())
	k := knownModel{name: "x:1", file: File{Name: "a.gguf", Size: 1000, SHA256: strings.Repeat("0", 64)},
		sources: []source{hubSource{repo: "a/b", file: "a.gguf"}, wheelSource{packages: []pinned{{"p", "1"}}}}}
	_, err = resolve(t.Context(), k.reference(k.sources), o)
	var all *SourcesError
	require.ErrorAs(t, err, &all)
	require.Len(t, all.Failures, 2)
	host := strings.TrimPrefix(gone.URL, "http://")
	assert.EqualError(t, err, "no source of x:1 served it: hf:a/b:a.gguf: "+host+" answered 404 Not Found: no such repository, revision or file; "+
		"pypi:p==1: a package index needs Python's pip: python3 is not on PATH, python is not on PATH, pip3 is not on PATH, pip is not on PATH")
	models, err := List(o)
	require.NoError(t, err)
	assert.Empty(t, models)
	assert.NoDirExists(t, cache{root: o.Dir}.folder(folderName("x:1")), "nothing arrived, nothing is left")
}
