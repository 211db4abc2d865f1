package main

import (
	"errors"
	"fmt"
	"image/color"
	"math"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// result is what the picture needs of a measurement.
type result struct {
	CPU         string  `json:"cpu_info"`
	Filename    string  `json:"model_filename"`
	Threads     int     `json:"n_threads"`
	Prompt      int     `json:"n_prompt"`
	Generate    int     `json:"n_gen"`
	Sequences   int     `json:"n_sequences"`
	Test        string  `json:"test"`
	Speed       float64 `json:"median_ts"`
	Limit       string  `json:"limit"`
	LimitValue  float64 `json:"limit_value"`
	PeakRead    float64 `json:"peak_read"`
	MultiplyAdd float64 `json:"macs_per_token"`
	ReadBytes   float64 `json:"bytes_per_step"`
}

const mostTokens = 1 << 30

const stepRows = 512 // tokens of a step while a prompt is read: weights are read once for so many

// intensity is the multiply-adds for each byte of weights that is read: prompts are read one after the other, in full steps, and each
// generated step holds a row of every sequence.
func (r *result) intensity() float64 {
	sequences := float64(max(1, r.Sequences))
	steps := sequences*math.Ceil(float64(r.Prompt)/stepRows) + float64(r.Generate)
	rows := sequences * float64(r.Prompt+r.Generate)
	return rows / steps * r.MultiplyAdd / r.ReadBytes
}

// perSecond is the multiply-adds a second, in G.
func (r *result) perSecond() float64 { return r.Speed * r.MultiplyAdd / 1e9 }

func readResults(paths []string) ([]result, error) {
	var out []result
	for _, path := range paths {
		results, err := readAll[result](path)
		if err != nil {
			return nil, err
		}
		for i := range results {
			r := &results[i]
			if r.Prompt < 0 || r.Generate < 0 || r.Prompt > mostTokens || r.Generate > mostTokens || r.Prompt+r.Generate == 0 {
				return nil, fmt.Errorf("%s: result %d: found n_prompt %d and n_gen %d, expected the tokens of a test", path, i+1, r.Prompt, r.Generate)
			}
			if !(r.Speed > 0) || !(r.MultiplyAdd > 0) || !(r.ReadBytes > 0) {
				return nil, fmt.Errorf("%s: result %d: found median_ts %v, macs_per_token %v and bytes_per_step %v, expected what infer bench -o json writes",
					path, i+1, r.Speed, r.MultiplyAdd, r.ReadBytes)
			}
		}
		out = append(out, results...)
	}
	if len(out) == 0 {
		return nil, errors.New("no result in the files")
	}
	return out, nil
}

// drawRoofline draws every test at its multiply-adds for a byte read, below the limits: read bandwidth to the left, the peaks of
// multiply-adds to the right.
func drawRoofline(paths []string) (*plot.Plot, error) {
	results, err := readResults(paths)
	if err != nil {
		return nil, err
	}
	limits := map[string]float64{}
	low, high := math.Inf(1), math.Inf(-1)
	for i := range results {
		r := &results[i]
		limits[r.Limit] = math.Max(limits[r.Limit], r.LimitValue/1e9)
		limits["read"] = math.Max(limits["read"], r.PeakRead/1e9)
		low, high = math.Min(low, r.intensity()), math.Max(high, r.intensity())
	}
	low, high = low/3, high*3
	p := plot.New()
	p.Title.Text = describeMachines(results)
	p.Title.Padding, p.Legend.Padding = vg.Points(8), vg.Points(4)
	p.X.Label.Text, p.Y.Label.Text = "multiply-adds for each byte of weights read", "G multiply-adds a second"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.LogTicks{Prec: -1}, plot.LogTicks{Prec: -1}
	p.Legend.Top, p.Legend.Left = true, true
	p.Add(plotter.NewGrid())
	if err := addRoofs(p, limits, low, high); err != nil {
		return nil, err
	}
	if err := addPoints(p, results); err != nil {
		return nil, err
	}
	p.X.Max *= 2 // room for the last label, and above the highest roof
	p.Y.Max *= 2
	return p, nil
}

// describeMachines names the processors and the numbers of threads that the results are of.
func describeMachines(results []result) string {
	var names []string
	for i := range results {
		name := fmt.Sprintf("%s, %d threads", results[i].CPU, results[i].Threads)
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, "; ")
}

var roofNames = map[string]string{"int8": "8-bit integers", "bf16": "bf16 dot product", "f32": "f32"}

// addRoofs adds the limits that the results name.
func addRoofs(p *plot.Plot, limits map[string]float64, low, high float64) error {
	bandwidth := limits["read"]
	names := make([]string, 0, len(limits))
	for name := range limits {
		if name != "read" && name != "" {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for i, name := range names {
		peak, from := limits[name], low
		if bandwidth > 0 {
			from = math.Max(low, peak/bandwidth)
		}
		if err := addLine(p, fmt.Sprintf("%s: %.0f G/s", roofNames[name], peak), i+1, from, peak, high, peak); err != nil {
			return err
		}
	}
	if bandwidth == 0 {
		return nil
	}
	until := high
	for _, name := range names {
		until = math.Min(high, math.Max(limits[name]/bandwidth, low*2))
	}
	return addLine(p, fmt.Sprintf("read bandwidth: %.1f GB/s", bandwidth), 0, low, low*bandwidth, until, until*bandwidth)
}

var palette = []color.RGBA{{0x1f, 0x4e, 0x79, 0xff}, {0xb0, 0x3a, 0x2e, 0xff}, {0x1e, 0x84, 0x49, 0xff}, {0x7d, 0x3c, 0x98, 0xff}, {0xb9, 0x77, 0x0e, 0xff}, {0x2e, 0x40, 0x53, 0xff}}

func addLine(p *plot.Plot, name string, style int, x0, y0, x1, y1 float64) error {
	line, err := plotter.NewLine(plotter.XYs{{X: x0, Y: y0}, {X: x1, Y: y1}})
	if err != nil {
		return err
	}
	line.Color, line.Width = palette[style%len(palette)], vg.Points(1.5)
	p.Add(line)
	p.Legend.Add(name, line)
	return nil
}

// addPoints adds the tests, a colour a model, with their names beside them.
func addPoints(p *plot.Plot, results []result) error {
	models := map[string]int{}
	for i := range results {
		r := &results[i]
		model := filepath.Base(r.Filename)
		at, known := models[model]
		if !known {
			at = len(models)
			models[model] = at
		}
		points, err := plotter.NewScatter(plotter.XYs{{X: r.intensity(), Y: r.perSecond()}})
		if err != nil {
			return err
		}
		points.Color, points.Shape, points.Radius = palette[at%len(palette)], draw.CircleGlyph{}, vg.Points(3)
		labels, err := plotter.NewLabels(plotter.XYLabels{XYs: plotter.XYs{{X: r.intensity(), Y: r.perSecond()}}, Labels: []string{" " + r.Test}})
		if err != nil {
			return err
		}
		p.Add(points, labels)
		if !known {
			p.Legend.Add(model, points)
		}
	}
	return nil
}
