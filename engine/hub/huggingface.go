package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
)

// repository is a model repository of the Hugging Face hub.
type repository struct{ name, quant string }

const publicEndpoint = "https://huggingface.co"

func (r *repository) String() string {
	if r.quant == "" {
		return "the Hugging Face hub (" + r.name + ")"
	}
	return "the Hugging Face hub (" + r.name + ", " + r.quant + ")"
}

// hubFile is a file of a repository as the hub lists it.
type hubFile struct {
	Path string `json:"path"`
	Size int64  `json:"size"`
	LFS  struct {
		SHA256 string `json:"oid"`
	} `json:"lfs"`
}

func (r *repository) fetch(ctx context.Context, dir string, o *Options) ([]fetched, error) {
	endpoint := o.Endpoint
	if endpoint == "" {
		endpoint = os.Getenv("HF_ENDPOINT")
	}
	if endpoint == "" {
		endpoint = publicEndpoint
	}
	endpoint = strings.TrimRight(endpoint, "/")
	files, err := r.list(ctx, endpoint)
	if err != nil {
		return nil, err
	}
	chosen, err := r.choose(files)
	if err != nil {
		return nil, err
	}
	var got []fetched
	for _, f := range chosen {
		escaped := (&url.URL{Path: f.Path}).EscapedPath()
		a := address{url: endpoint + "/" + r.name + "/resolve/main/" + escaped, token: os.Getenv("HF_TOKEN"), name: path.Base(f.Path), sha256: f.LFS.SHA256}
		one, err := a.fetch(ctx, dir, o)
		if err != nil {
			return nil, err
		}
		got = append(got, one...)
	}
	return got, nil
}

// list asks the hub for the repository's files.
func (r *repository) list(ctx context.Context, endpoint string) ([]hubFile, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+"/api/models/"+r.name+"/tree/main?recursive=true", nil)
	if err != nil {
		return nil, err
	}
	if token := os.Getenv("HF_TOKEN"); token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, newStatusError(response)
	}
	var files []hubFile
	if err := json.NewDecoder(io.LimitReader(response.Body, 16<<20)).Decode(&files); err != nil {
		return nil, fmt.Errorf("the list of files: %w", err)
	}
	return files, nil
}

var (
	partOf     = regexp.MustCompile(`-(\d{5})-of-(\d{5})\.gguf$`)
	quantInEnd = regexp.MustCompile(`(?i)[-._]((?:UD-)?(?:I?Q\d[A-Z0-9_]*|TQ\d_0|F16|BF16|F32|MXFP4[A-Z_]*))(?:-\d{5}-of-\d{5})?\.gguf$`)
)

// quantOf is the quantization in a file's name; empty where there is none.
func quantOf(name string) string {
	if m := quantInEnd.FindStringSubmatch(name); m != nil {
		return strings.ToUpper(m[1])
	}
	return ""
}

// choose picks the file, or the parts of the set, of the wanted quantization.
func (r *repository) choose(files []hubFile) ([]hubFile, error) {
	byQuant := map[string][]hubFile{}
	var order []string
	for _, f := range files {
		base := path.Base(f.Path)
		if !strings.HasSuffix(strings.ToLower(base), ".gguf") || strings.HasPrefix(strings.ToLower(base), "mmproj") {
			continue
		}
		q := quantOf(base)
		if byQuant[q] == nil {
			order = append(order, q)
		}
		byQuant[q] = append(byQuant[q], f)
	}
	slices.Sort(order)
	available := strings.Join(order, ", ")
	switch {
	case len(order) == 0:
		return nil, fmt.Errorf("%s: the repository has no GGUF file", r.name)
	case r.quant == "" && len(order) > 1:
		return nil, fmt.Errorf("%s: several quantizations: name one of %s, as hf:%s:%s", r.name, available, r.name, order[0])
	}
	want := strings.ToUpper(r.quant)
	if r.quant == "" {
		want = order[0]
	}
	chosen := byQuant[want]
	if len(chosen) == 0 {
		return nil, fmt.Errorf("%s: no quantization %s; there are %s", r.name, r.quant, available)
	}
	slices.SortFunc(chosen, func(a, b hubFile) int { return strings.Compare(a.Path, b.Path) })
	if len(chosen) > 1 && !partOf.MatchString(chosen[0].Path) {
		return nil, fmt.Errorf("%s: %d files of quantization %s, the first two are %s and %s", r.name, len(chosen), want, chosen[0].Path, chosen[1].Path)
	}
	return chosen, nil
}
