package main

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// spread is a distribution of seconds.
type spread struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
}

// report is what the picture needs of a load's report.
type report struct {
	Seconds float64 `json:"seconds"`
	Lanes   []struct {
		Lane  string `json:"lane"`
		TTFT  spread `json:"ttft_seconds"`
		ITL   spread `json:"itl_seconds"`
		Total spread `json:"total_seconds"`
	} `json:"lanes"`
}

// drawTraffic draws time to first token and between tokens, p50, p95 and p99, a group of bars a lane and file, on a scale of powers of ten.
func drawTraffic(paths []string) (*plot.Plot, error) {
	var names []string
	bars := map[string]plotter.Values{}
	for _, path := range paths {
		reports, err := readAll[report](path)
		if err != nil {
			return nil, err
		}
		for _, r := range reports {
			for _, l := range r.Lanes {
				if l.TTFT.Count == 0 {
					continue
				}
				name := l.Lane
				if len(paths) > 1 {
					name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)) + ": " + name
				}
				names = append(names, name)
				for key, v := range map[string]float64{"first token, p50": l.TTFT.P50, "first token, p95": l.TTFT.P95, "first token, p99": l.TTFT.P99,
					"between tokens, p50": l.ITL.P50, "between tokens, p99": l.ITL.P99} {
					bars[key] = append(bars[key], height(v))
				}
			}
		}
	}
	if len(names) == 0 {
		return nil, errors.New("no request with a first token in the files")
	}
	p := plot.New()
	p.Title.Text = fmt.Sprintf("times under load, %d groups", len(names))
	p.Y.Label.Text = "milliseconds"
	p.Y.Tick.Marker = powers
	p.Legend.Top = true
	width := vg.Points(12)
	for i, key := range []string{"first token, p50", "first token, p95", "first token, p99", "between tokens, p50", "between tokens, p99"} {
		chart, err := plotter.NewBarChart(bars[key], width)
		if err != nil {
			return nil, err
		}
		chart.Color, chart.LineStyle.Width, chart.Offset = palette[i%len(palette)], 0, width*vg.Length(i-2)
		chart.XMin = 0
		p.Add(chart)
		p.Legend.Add(key, chart)
	}
	p.NominalX(names...)
	p.Y.Min = 0
	p.Y.Max++ // room for the legend
	p.X.Min, p.X.Max = -0.5, float64(len(names))-0.5
	return p, nil
}

const floorMS = 0.1 // where bars begin: a scale of powers has no zero

// height is how far up a time is drawn: in powers of ten above the floor.
func height(seconds float64) float64 { return math.Log10(max(1e3*seconds, floorMS) / floorMS) }

// powers names the powers of ten.
var powers plot.ConstantTicks = func() (ticks []plot.Tick) {
	for ms := floorMS; ms < 1e8; ms *= 10 {
		ticks = append(ticks, plot.Tick{Value: height(ms / 1e3), Label: fmt.Sprintf("%g", ms)})
	}
	return ticks
}()
