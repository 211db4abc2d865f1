// Package quantize rewrites a GGUF model with smaller data types: choose a [Mix], and [Model] reads one file and writes
// another, tensor by tensor. Memory stays at some tens of megabytes, whatever the size of the model.
package quantize

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"sync"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/kernels"
)

// Options says how a model is quantized.
type Options struct {
	Mix             Mix
	Importance      *Importance    // of each matrix's columns; nil counts all alike
	AllowRequantize bool           // convert matrices that are quantized already
	Pure            bool           // Mix.Base for every matrix
	KeepOutput      bool           // leave output.weight as it is
	OutputType      *kernels.DType // of output.weight; nil lets the mix choose
	EmbeddingType   *kernels.DType // of the token embeddings; nil lets the mix choose
	Overrides       []Override     // the first that matches a tensor's name decides its type
	Measure         bool           // compare with the source: fills the errors of TensorReport
	Threads         int            // 0: one a processor
	Progress        func(Progress) // called before each tensor and at the end; may be nil
}

// Progress says how far the work is.
type Progress struct {
	Tensor      string // the next one; "" at the end
	Done, Total int64  // bytes of source data
}

// TensorReport describes one tensor of the result. The errors are 0 for a copied tensor, and without [Options.Measure].
type TensorReport struct {
	Name     string  `json:"name"`
	Shape    []int64 `json:"shape"` // the length of a row first
	From     string  `json:"from"`
	To       string  `json:"to"`
	Wanted   string  `json:"wanted,omitempty"` // the mix's choice, where rows are not whole blocks of it
	Weighted bool    `json:"weighted"`         // quantized with the importance of its columns
	Bytes    int64   `json:"bytes"`
	RMSE     float64 `json:"rmse"`           // root mean square difference from the source
	Relative float64 `json:"relative_error"` // RMSE over the source's root mean square
	Largest  float64 `json:"largest_error"`  // of a single weight
}

// Report describes a result.
type Report struct {
	Type          string         `json:"type"`
	SourceBytes   int64          `json:"source_bytes"` // of tensor data
	Bytes         int64          `json:"bytes"`
	BitsPerWeight float64        `json:"bits_per_weight"`
	Tensors       []TensorReport `json:"tensors"`
}

// quantizationVersion is the version of the block formats: 2 since scales are IEEE halves.
const quantizationVersion = 2

// Model writes a quantized copy of a model to a file, which appears under its name when it is complete. Where the context
// ends first, so does the work.
func Model(ctx context.Context, f *gguf.File, path string, o Options) (Report, error) {
	assignments, err := Assign(f, o)
	if err != nil {
		return Report{}, err
	}
	w := gguf.NewFileWriter(path)
	if err := describeResult(w, f, o); err != nil {
		return Report{}, err
	}
	report, total := Report{Type: o.Mix.Name, Tensors: make([]TensorReport, len(assignments))}, int64(0)
	for _, a := range assignments {
		total += a.Tensor.Size
	}
	var done, weights int64
	for i, a := range assignments {
		columns, err := o.Importance.of(a)
		if err != nil {
			return Report{}, err
		}
		job := conversion{ctx: ctx, source: f.Bytes(a.Tensor), assignment: a, importance: columns, measure: o.Measure, threads: o.Threads}
		if err := w.AddTensor(a.Tensor.Name, gguf.Type(a.Type), a.Tensor.Shape, func(out io.Writer) error {
			if o.Progress != nil {
				o.Progress(Progress{a.Tensor.Name, done, total})
			}
			tensor, err := job.run(out)
			if err != nil {
				return fmt.Errorf("tensor %s: %w", a.Tensor.Name, err)
			}
			report.Tensors[i] = tensor
			report.Bytes += tensor.Bytes
			done += a.Tensor.Size
			weights += a.Tensor.Elements()
			_ = f.Advise(a.Tensor, gguf.DontNeed) // a hint: its pages will not be read again
			return ctx.Err()
		}); err != nil {
			return Report{}, err
		}
	}
	if err := w.Write(); err != nil {
		return Report{}, err
	}
	report.SourceBytes = total
	report.BitsPerWeight = 8 * float64(report.Bytes) / float64(max(weights, 1))
	if o.Progress != nil {
		o.Progress(Progress{"", total, total})
	}
	return report, nil
}

func describeResult(w *gguf.Writer, f *gguf.File, o Options) error {
	if err := w.CopyMetadata(f.Metadata); err != nil {
		return err
	}
	if err := w.SetUint32("general.file_type", o.Mix.FileType); err != nil {
		return err
	}
	if err := w.SetUint32("general.quantization_version", quantizationVersion); err != nil {
		return err
	}
	return o.Importance.describe(w)
}

// rowsWeights is the number of weights that a goroutine converts at a time, and stepWeights what one step holds in memory
// as floats.
const (
	rowsWeights = 1 << 17
	stepWeights = 1 << 22
)

// conversion is the work on one tensor.
type conversion struct {
	ctx        context.Context
	source     []byte
	assignment Assignment
	importance []float32 // [matrices][columns], or nil
	measure    bool
	threads    int
}

// difference sums what the errors need.
type difference struct{ squares, source, largest float64 }

func (d *difference) add(e difference) {
	d.squares += e.squares
	d.source += e.source
	d.largest = max(d.largest, e.largest)
}

func (c *conversion) run(out io.Writer) (TensorReport, error) {
	a := c.assignment
	bytes, err := a.Bytes()
	if err != nil {
		return TensorReport{}, err
	}
	report := TensorReport{Name: a.Tensor.Name, Shape: a.Tensor.Shape, From: a.Tensor.Type.String(), To: a.Type.String(),
		Weighted: c.importance != nil, Bytes: bytes}
	if a.Wanted != a.Type {
		report.Wanted = a.Wanted.String()
	}
	if !a.Changes() {
		_, err := out.Write(c.source)
		return report, err
	}
	sum, err := c.convert(out)
	if err != nil {
		return TensorReport{}, err
	}
	report.RMSE = math.Sqrt(sum.squares / float64(a.Tensor.Elements()))
	report.Largest = sum.largest
	if sum.source > 0 {
		report.Relative = math.Sqrt(sum.squares / sum.source)
	}
	return report, nil
}

// convert takes the tensor matrix by matrix and step by step; the pieces of a step are shared among goroutines.
func (c *conversion) convert(out io.Writer) (sum difference, err error) {
	from, to, cols := kernels.DType(c.assignment.Tensor.Type), c.assignment.Type, c.assignment.Tensor.Shape[0]
	fromBytes, err := from.RowBytes(cols)
	if err != nil {
		return sum, err
	}
	toBytes, err := to.RowBytes(cols)
	if err != nil {
		return sum, err
	}
	rows := c.assignment.Tensor.Shape[1]
	matrices := c.assignment.Tensor.Rows() / rows
	step := min(max(1, stepWeights/cols), rows)
	buffer := make([]byte, step*toBytes)
	for first := int64(0); first < rows*matrices; {
		n := min(step, rows-first%rows) // never across matrices: their importance differs
		var importance []float32
		if c.importance != nil {
			importance = c.importance[first/rows*cols:][:cols]
		}
		if err := c.ctx.Err(); err != nil {
			return sum, err
		}
		d, err := c.convertRows(piece{from, to, cols, c.source[first*fromBytes:][:n*fromBytes], buffer[:n*toBytes], importance, first})
		if err != nil {
			return sum, err
		}
		sum.add(d)
		if _, err := out.Write(buffer[:n*toBytes]); err != nil {
			return sum, err
		}
		first += n
	}
	return sum, nil
}

// piece is some rows of one matrix.
type piece struct {
	from, to   kernels.DType
	cols       int64
	src, dst   []byte
	importance []float32
	first      int64 // row of the tensor, for errors
}

// convertRows splits a step into pieces of whole rows and works on them in parallel. Sums are added in the order of the
// rows, so that reports do not depend on the threads.
func (c *conversion) convertRows(p piece) (sum difference, err error) {
	threads := c.threads
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	fromBytes, _ := p.from.RowBytes(p.cols)
	toBytes, _ := p.to.RowBytes(p.cols)
	rows, each := int64(len(p.src))/fromBytes, max(1, rowsWeights/p.cols)
	count := (rows + each - 1) / each
	sums, errs := make([]difference, count), make([]error, count)
	slots := make(chan struct{}, threads)
	var team sync.WaitGroup
	for i := range count {
		slots <- struct{}{}
		team.Go(func() {
			defer func() { <-slots }()
			low, high := i*each, min((i+1)*each, rows)
			part := p
			part.src, part.dst, part.first = p.src[low*fromBytes:high*fromBytes], p.dst[low*toBytes:high*toBytes], p.first+low
			sums[i], errs[i] = part.convert((high-low)*p.cols, c.measure)
		})
	}
	team.Wait()
	for i := range sums {
		if errs[i] != nil {
			return sum, errs[i]
		}
		sum.add(sums[i])
	}
	return sum, nil
}

func (p piece) convert(weights int64, measure bool) (d difference, err error) {
	x := make([]float32, weights)
	if err := kernels.Dequantize(x, p.from, p.src); err != nil {
		return d, err
	}
	if err := kernels.Quantize(p.dst, p.to, x, p.cols, p.importance, 1); err != nil {
		var weight *kernels.WeightError
		if errors.As(err, &weight) {
			weight.Row += p.first
		}
		return d, err
	}
	if !measure {
		return d, nil
	}
	y := make([]float32, weights)
	if err := kernels.Dequantize(y, p.to, p.dst); err != nil {
		return d, err
	}
	for i, v := range x {
		e := float64(y[i]) - float64(v)
		d.squares += e * e
		d.source += float64(v) * float64(v)
		d.largest = max(d.largest, math.Abs(e))
	}
	return d, nil
}
