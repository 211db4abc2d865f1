package quantize

import (
	"fmt"
	"math"
	"path/filepath"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/kernels"
)

// Importance holds, for the matrices of a model, how much each column counts: the mean square of the activations that it
// met on some text. llama.cpp's imatrix tool writes such files.
type Importance struct {
	path     string
	datasets []string
	chunks   int64
	columns  map[string][]float32 // by tensor: [matrices][columns]
}

// The tensors of an importance file: for the matrix NAME, the sums of squares and the number of activations summed.
const (
	sumsSuffix   = ".in_sum2"
	countsSuffix = ".counts"
)

// ReadImportance reads an importance file in GGUF form: for a matrix NAME the F32 tensors NAME.in_sum2 [columns, matrices]
// and NAME.counts [1, matrices].
func ReadImportance(path string) (*Importance, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if kind, _, err := f.Metadata.String("general.type"); err != nil || kind != "imatrix" {
		return nil, fmt.Errorf("%s: general.type is %q, expected \"imatrix\"", path, kind)
	}
	im := &Importance{path: path, columns: map[string][]float32{}}
	if im.datasets, _, err = f.Metadata.Strings("imatrix.datasets"); err != nil {
		return nil, err
	}
	if im.chunks, _, err = f.Metadata.Int("imatrix.chunk_count"); err != nil {
		return nil, err
	}
	for i := range f.Tensors {
		t := &f.Tensors[i]
		name, ok := cutSuffix(t.Name, sumsSuffix)
		if !ok {
			continue
		}
		if im.columns[name], err = meanSquares(f, t, name+countsSuffix); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	if len(im.columns) == 0 {
		return nil, fmt.Errorf("%s: no tensor named …%s", path, sumsSuffix)
	}
	return im, nil
}

func cutSuffix(name, suffix string) (string, bool) {
	if n := len(name) - len(suffix); n > 0 && name[n:] == suffix {
		return name[:n], true
	}
	return name, false
}

// meanSquares divides sums by counts. An expert that met nothing counts all its columns alike.
func meanSquares(f *gguf.File, sums *gguf.Tensor, countsName string) ([]float32, error) {
	counts, ok := f.Tensor(countsName)
	if !ok {
		return nil, fmt.Errorf("tensor %s is missing", countsName)
	}
	if sums.Type != gguf.F32 || counts.Type != gguf.F32 || counts.Elements() != sums.Rows() {
		return nil, fmt.Errorf("tensors %s and %s: found %s %v and %s %v, expected F32 [columns, n] and F32 [1, n]",
			sums.Name, counts.Name, sums.Type, sums.Shape, counts.Type, counts.Shape)
	}
	out, n := make([]float32, sums.Elements()), make([]float32, counts.Elements())
	if err := kernels.Dequantize(out, kernels.F32, f.Bytes(sums)); err != nil {
		return nil, err
	}
	if err := kernels.Dequantize(n, kernels.F32, f.Bytes(counts)); err != nil {
		return nil, err
	}
	cols := sums.Shape[0]
	for i := range out {
		v, count := out[i], n[int64(i)/cols]
		if !(v >= 0) || !(count >= 0) || math.IsInf(float64(v), 0) || math.IsInf(float64(count), 0) {
			return nil, fmt.Errorf("tensor %s: sum %g of %g activations, expected finite numbers of at least 0", sums.Name, v, count)
		}
		if count > 0 {
			out[i] = v / count
		} else {
			out[i] = 1
		}
	}
	return out, nil
}

// of returns the importance of a tensor's columns, nil where nothing is known.
func (im *Importance) of(a Assignment) ([]float32, error) {
	if im == nil || !a.Changes() {
		return nil, nil
	}
	columns, ok := im.columns[a.Tensor.Name]
	if !ok {
		return nil, nil
	}
	matrices := a.Tensor.Rows() / a.Tensor.Shape[1]
	if want := a.Tensor.Shape[0] * matrices; int64(len(columns)) != want {
		return nil, fmt.Errorf("%s: tensor %s has the importance of %d columns, expected %d (%d in each of %d matrices)",
			im.path, a.Tensor.Name, len(columns), want, a.Tensor.Shape[0], matrices)
	}
	return columns, nil
}

// describe records in a result what it was made with, under the keys that llama.cpp uses.
func (im *Importance) describe(w *gguf.Writer) error {
	if im == nil {
		return nil
	}
	if err := w.SetString("quantize.imatrix.file", filepath.Base(im.path)); err != nil {
		return err
	}
	if len(im.datasets) > 0 {
		if err := w.SetString("quantize.imatrix.dataset", im.datasets[0]); err != nil {
			return err
		}
	}
	if err := w.SetInt32("quantize.imatrix.entries_count", int32(min(len(im.columns), math.MaxInt32))); err != nil {
		return err
	}
	return w.SetInt32("quantize.imatrix.chunks_count", int32(min(im.chunks, math.MaxInt32)))
}
