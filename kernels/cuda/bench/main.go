// Command bench measures a card: what its memory and matrix units reach, then steps of model shapes over random weights, made on the spot.
// Times are of whole steps as the host sees them, with the batch's way to the card and the logits' way back.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/infer-go/infer/kernels"
)

// result is one measured case.
type result struct {
	Shape           string  `json:"shape"`
	Types           string  `json:"types"`
	Test            string  `json:"test"` // tg or pp
	Batch           int     `json:"batch"`
	Depth           int     `json:"depth"`
	TokensPerSecond float64 `json:"tokens_per_second,omitempty"`
	StepMS          float64 `json:"step_ms,omitempty"`
	ReadGBPerSecond float64 `json:"read_gb_per_second,omitempty"` // weights and cache
	GMACPerSecond   float64 `json:"gmac_per_second,omitempty"`
	Share           float64 `json:"share_of_peak,omitempty"` // of read bandwidth for tg, of the matrix units' 8-bit (F16: half) peak for pp
	Skipped         string  `json:"skipped,omitempty"`
}

type report struct {
	Device  string            `json:"device"`
	Date    string            `json:"date"`
	Peaks   kernels.CardPeaks `json:"peaks"`
	Results []result          `json:"results"`
}

type settings struct {
	shapes, mixes, batches, depths string
	prompt                         int
	budget                         time.Duration
	until                          time.Time
}

func main() {
	var s settings
	flag.StringVar(&s.shapes, "shapes", "1B,8B", "shapes of models")
	flag.StringVar(&s.mixes, "types", "Q4_0,Q4_K_M,Q6_K,Q8_0,F16,MXFP4", "types of weights")
	flag.StringVar(&s.batches, "batches", "1,8,32,128", "sequences of a decode step")
	flag.StringVar(&s.depths, "depths", "0,4096,32768", "tokens in the cache before a step")
	flag.IntVar(&s.prompt, "prompt", 512, "tokens of a prefill step")
	flag.DurationVar(&s.budget, "time", 9*time.Minute, "stop to begin new cases after so long")
	out := flag.String("json", "", "file for the results as JSON")
	flag.Parse()
	s.until = time.Now().Add(s.budget)
	if err := run(&s, os.Stdout, *out); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(s *settings, w io.Writer, path string) error {
	r := report{Date: time.Now().UTC().Format("2006-01-02")}
	d, err := open()
	if err != nil {
		return err
	}
	r.Device = d.Describe()
	r.Peaks, err = d.Peaks()
	d.Close()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s, %s\n\nread %.0f GB/s, copy %.0f GB/s, 8-bit integers %.0f G multiply-adds/s, halves %.0f G multiply-adds/s\n\n", r.Date, r.Device,
		r.Peaks.ReadBytes/1e9, r.Peaks.CopyBytes/1e9, r.Peaks.Int8MultiplyAdds/1e9, r.Peaks.HalfMultiplyAdds/1e9)
	fmt.Fprintln(w, "| shape | types | test | batch | depth | t/s | ms a step | GB/s read | G multiply-adds/s | of the peak |\n|---|---|---|---|---|---|---|---|---|---|")
	for _, shape := range shapes {
		for _, x := range mixes {
			if !listed(s.shapes, shape.Name) || !listed(s.mixes, x.Name) {
				continue
			}
			results, err := measureModel(s, shape, x, r.Peaks, w)
			r.Results = append(r.Results, results...)
			if err != nil {
				return err
			}
		}
	}
	if path == "" {
		return nil
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

func listed(list, name string) bool { return slices.Contains(strings.Split(list, ","), name) }

func open() (*kernels.Device, error) {
	return kernels.OpenDevice(kernels.DeviceOptions{Backend: "cuda"})
}

// numbers reads a list of whole numbers.
func numbers(list string) ([]int, error) {
	var all []int
	for _, part := range strings.Split(list, ",") {
		var n int
		if _, err := fmt.Sscanf(part, "%d", &n); err != nil || n < 0 {
			return nil, fmt.Errorf("%q in %q: expected a number from 0 up", part, list)
		}
		all = append(all, n)
	}
	return all, nil
}

// pagesOf is how many pages a batch of sequences of a depth needs, with room for the step's own tokens.
func pagesOf(batch, depth, rows int) int {
	return batch * ((depth+rows+kernels.PageTokens-1)/kernels.PageTokens + 1)
}

// measureModel opens a model with as large a cache as its largest case that fits needs, and measures all of its cases.
func measureModel(s *settings, shape shape, x mix, peaks kernels.CardPeaks, w io.Writer) ([]result, error) {
	batches, err := numbers(s.batches)
	if err != nil {
		return nil, err
	}
	depths, err := numbers(s.depths)
	if err != nil {
		return nil, err
	}
	var cases []result
	for _, depth := range depths {
		for _, batch := range batches {
			cases = append(cases, result{Shape: shape.Name, Types: x.Name, Test: "tg", Batch: batch, Depth: depth})
		}
		cases = append(cases, result{Shape: shape.Name, Types: x.Name, Test: "pp", Batch: s.prompt, Depth: depth})
	}
	m, d, pages, err := openModel(s, shape, x, cases)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	for i := range cases {
		c := &cases[i]
		switch {
		case time.Now().After(s.until):
			c.Skipped = "no time was left"
		case casePages(c) > pages:
			c.Skipped = "the cache does not fit the card"
		default:
			if err := measure(d, m, c, peaks); err != nil {
				return cases, err
			}
		}
		c.print(w)
	}
	return cases, nil
}

func casePages(c *result) int {
	if c.Test == "pp" {
		return pagesOf(1, c.Depth, c.Batch)
	}
	return pagesOf(c.Batch, c.Depth, 1)
}

// openModel prepares a model with the largest cache of any case that the card's memory takes.
func openModel(s *settings, shape shape, x mix, cases []result) (*model, *kernels.Device, int, error) {
	var sizes []int
	rows := s.prompt
	for i := range cases {
		sizes = append(sizes, casePages(&cases[i]))
		rows = max(rows, cases[i].Batch)
	}
	slices.Sort(sizes)
	sizes = slices.Compact(sizes)
	for i := len(sizes) - 1; i >= 0; i-- {
		m, data, err := record(shape, x, rows, rows, sizes[i])
		if err != nil {
			return nil, nil, 0, err
		}
		d, err := open()
		if err != nil {
			return nil, nil, 0, err
		}
		if err = d.Prepare(m.plan, data); err == nil {
			return m, d, sizes[i], nil
		}
		d.Close()
		if !errors.Is(err, kernels.ErrMemory) || i == 0 {
			return nil, nil, 0, err
		}
	}
	return nil, nil, 0, errors.New("no cases")
}

// batchOf is a step of a case. A prefill step wants its last row alone.
func batchOf(c *result) *kernels.Batch {
	sequences, rows := c.Batch, 1
	if c.Test == "pp" {
		sequences, rows = 1, c.Batch
	}
	each := pagesOf(1, c.Depth, rows)
	b := &kernels.Batch{TablePages: each, SequenceCount: sequences}
	for s := range sequences {
		for i := range rows {
			b.IDs, b.Positions, b.Sequences = append(b.IDs, int32((s*31+i*7)%1000)), append(b.Positions, int32(c.Depth+i)), append(b.Sequences, int32(s))
		}
		for j := range each {
			b.Pages = append(b.Pages, int32(s*each+j))
		}
		b.Wanted = append(b.Wanted, int32(len(b.IDs)-1))
	}
	return b
}

// measure repeats a step for half a second, five times at least, and takes the median.
func measure(d *kernels.Device, m *model, c *result, peaks kernels.CardPeaks) error {
	b := batchOf(c)
	for range 3 { // the second one makes the graph
		if _, err := d.Run(b); err != nil {
			return err
		}
	}
	var times []time.Duration
	for begin := time.Now(); len(times) < 5 || time.Since(begin) < 500*time.Millisecond; {
		start := time.Now()
		if _, err := d.Run(b); err != nil {
			return err
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	step := times[len(times)/2].Seconds()
	kv := int64(0)
	for _, l := range m.plan.Cache {
		kv += 2 * int64(l.Heads) * int64(l.KDim+l.VDim)
	}
	read := float64(m.weightBytes) + float64(kv)*float64(len(b.Wanted))*float64(c.Depth)
	c.StepMS, c.TokensPerSecond = step*1e3, float64(len(b.IDs))/step
	c.ReadGBPerSecond, c.GMACPerSecond = read/step/1e9, float64(m.multiplyAdds)*float64(len(b.IDs))/step/1e9
	c.Share = read / step / peaks.ReadBytes
	if c.Test == "pp" {
		peak := peaks.Int8MultiplyAdds
		if c.Types == "F16" {
			peak = peaks.HalfMultiplyAdds
		}
		c.Share = c.GMACPerSecond * 1e9 / peak
	}
	return nil
}

func (c *result) print(w io.Writer) {
	if c.Skipped != "" {
		fmt.Fprintf(w, "| %s | %s | %s | %d | %d | - | - | - | - | %s |\n", c.Shape, c.Types, c.Test, c.Batch, c.Depth, c.Skipped)
		return
	}
	fmt.Fprintf(w, "| %s | %s | %s | %d | %d | %.1f | %.3f | %.0f | %.0f | %.0f %% |\n", c.Shape, c.Types, c.Test, c.Batch, c.Depth, c.TokensPerSecond, c.StepMS,
		c.ReadGBPerSecond, c.GMACPerSecond, 100*c.Share)
}
