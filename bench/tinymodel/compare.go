package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/infer-go/infer/engine"
	"github.com/infer-go/infer/internal/modelspec"
)

// peer runs llama.cpp through the driver of bench/peers.
type peer struct{ dir string }

// describe returns llama.cpp's version and package.
func (p peer) describe() (string, error) {
	found, err := filepath.Glob(filepath.Join(p.dir, "node_modules/@node-llama-cpp/linux-x64/bins/*/_nlcBuildMetadata.json"))
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("%s: found no libraries of llama.cpp, expected what bench/peers/setup.sh installs (-peers or INFER_PEERS names its folder)", p.dir)
	}
	var build struct {
		BuildOptions struct{ LlamaCpp struct{ Release string } }
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		return "", err
	}
	err = json.Unmarshal(data, &build)
	return "llama.cpp " + build.BuildOptions.LlamaCpp.Release, err
}

// result of a model on tokens: logits of all, or of an encoder the text's vector and then all states.
type result struct {
	values []float32
	pooled int // leading values that are the text's vector; 0: all are logits
}

// run computes a model with the given cache type.
func (p peer) run(model string, encoder bool, ids []int32, cache string) (result, error) {
	if encoder {
		return p.command("vectors", model, ids, cache)
	}
	return p.command("logits", model, ids, cache)
}

func (p peer) command(command, model string, ids []int32, cache string) (result, error) {
	out := model + ".f32"
	defer os.Remove(out)
	cmd := exec.Command(filepath.Join(p.dir, "driver"), command, model, "out="+out, "cache="+cache, "threads=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(join(ids)), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return result{}, fmt.Errorf("llama.cpp: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	var r result
	var says struct{ Pooled int }
	if err := json.Unmarshal(stdout.Bytes(), &says); err != nil {
		return r, err
	}
	data, err := os.ReadFile(out)
	r.values, r.pooled = floats(data), says.Pooled
	return r, err
}

func join(ids []int32) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = fmt.Sprint(id)
	}
	return strings.Join(texts, ",")
}

func floats(data []byte) []float32 {
	out := make([]float32, len(data)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return out
}

// ours computes a model with this engine.
func ours(model string, encoder bool, ids []int32, cache string) (result, error) {
	ctx := context.Background()
	o := engine.Options{CacheType: cache, Threads: 1, Backend: engine.BackendNative, AllLogits: !encoder}
	e, err := engine.Open(model, o)
	if err != nil {
		return result{}, err
	}
	defer e.Close()
	var r result
	if !encoder {
		err = e.Logits(ctx, ids, 0, func(_ int, logits []float32) error {
			r.values = append(r.values, logits...)
			return nil
		})
		return r, err
	}
	if r.values, err = e.Pooled(ctx, ids); err != nil {
		return r, err
	}
	r.pooled = len(r.values)
	err = e.States(ctx, ids, func(_ int, state []float32) error {
		r.values = append(r.values, state...)
		return nil
	})
	return r, err
}

// distance is the relative L2 distance, of an encoder the larger one of vector and states.
func distance(got, want result) float64 {
	if len(got.values) != len(want.values) || got.pooled != want.pooled {
		return math.NaN()
	}
	return math.Max(relativeL2(got.values[:want.pooled], want.values[:want.pooled]), relativeL2(got.values[want.pooled:], want.values[want.pooled:]))
}

func relativeL2(a, b []float32) float64 {
	var difference, length float64
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		difference, length = difference+d*d, length+float64(b[i])*float64(b[i])
	}
	if difference == 0 {
		return 0
	}
	return math.Sqrt(difference / length)
}

// golden writes the golden files of cases.
func golden(specs []*modelspec.Spec, names []string, o options) error {
	p := peer{o.peers}
	maker, err := p.describe()
	if err != nil {
		return err
	}
	index, err := modelspec.ReadGoldens(os.DirFS(o.dir))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if len(names) == 0 {
		for _, s := range specs {
			for _, c := range s.Cases {
				names = append(names, c.Name)
			}
		}
	}
	temp, err := os.MkdirTemp("", "tinymodel")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	for _, name := range names {
		s, c, ok := modelspec.Find(specs, name)
		if !ok {
			return fmt.Errorf("no spec has a case %q", name)
		}
		m, err := s.Model(c)
		if err != nil {
			return err
		}
		g := modelspec.Golden{Case: name, Arch: s.Arch, Maker: maker}
		values, further, err := makeGolden(p, m, &g, temp)
		if err != nil {
			return fmt.Errorf("case %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(o.dir, "golden", name+".f32"), values, 0o644); err != nil {
			return err
		}
		if g.Further {
			if err := os.WriteFile(filepath.Join(o.dir, "golden", name+".further.f32"), further, 0o644); err != nil {
				return err
			}
		}
		index = modelspec.Replace(index, g)
		fmt.Printf("%-28s %6d values; llama.cpp's own default configuration is %.1e away\n", name, len(values)/4, g.Default)
	}
	return modelspec.WriteGoldens(o.dir, index)
}

// makeGolden returns what llama.cpp computes, and where the model predicts further tokens what it computes of these.
func makeGolden(p peer, m *modelspec.Model, g *modelspec.Golden, temp string) (values, further []byte, err error) {
	data, err := m.Bytes()
	if err != nil {
		return nil, nil, err
	}
	path := filepath.Join(temp, m.Name+".gguf")
	defer os.Remove(path)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		return nil, nil, err
	}
	sum := sha256.Sum256(data)
	g.SHA256, g.Encoder = hex.EncodeToString(sum[:]), m.Encoder
	exact, err := p.run(path, m.Encoder, m.Ids(), "f32")
	if err != nil {
		return nil, nil, err
	}
	usual, err := p.run(path, m.Encoder, m.Ids(), "f16")
	if err != nil {
		return nil, nil, err
	}
	g.Pooled, g.Default = exact.pooled, distance(usual, exact)
	if values, err = packed(exact); err != nil || m.Keys()["nextn_predict_layers"] == nil {
		return values, nil, err
	}
	g.Further = true
	predicted, err := p.command("further", path, m.Ids(), "f32")
	if err != nil {
		return nil, nil, err
	}
	further, err = packed(predicted)
	return values, further, err
}

func packed(r result) ([]byte, error) {
	var out []byte
	for _, v := range r.values {
		if v-v != 0 {
			return nil, errors.New("llama.cpp's result is not finite")
		}
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
	}
	return out, nil
}
