package bench

import (
	"math"
	"path/filepath"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"
)

// Result is one test's measurement. Where llama-bench has a field of the same meaning, its name in JSON is llama-bench's.
type Result struct {
	Engine    string `json:"engine"`
	Version   string `json:"version"`
	CPU       string `json:"cpu_info"`
	Variant   string `json:"variant"` // instruction set
	Filename  string `json:"model_filename"`
	Model     string `json:"model_type"` // architecture and data type
	Size      int64  `json:"model_size"` // bytes of the weights
	Params    int64  `json:"model_n_params"`
	Threads   int    `json:"n_threads"`
	TypeK     string `json:"type_k"`
	TypeV     string `json:"type_v"`
	UseMmap   bool   `json:"use_mmap"` // weights used as they lie in the file
	Prompt    int    `json:"n_prompt"`
	Generate  int    `json:"n_gen"`
	Depth     int    `json:"n_depth"`
	Sequences int    `json:"n_sequences"`
	Test      string `json:"test"`
	Time      string `json:"test_time"` // when, RFC 3339

	AvgNS     int64     `json:"avg_ns"`
	StddevNS  int64     `json:"stddev_ns"`
	AvgTS     float64   `json:"avg_ts"` // tokens a second
	StddevTS  float64   `json:"stddev_ts"`
	MedianTS  float64   `json:"median_ts"`
	MinTS     float64   `json:"min_ts"`
	MaxTS     float64   `json:"max_ts"`
	SamplesNS []int64   `json:"samples_ns"`
	SamplesTS []float64 `json:"samples_ts"`

	Limit       string  `json:"limit"`       // what bounds the test: "int8", "bf16", "f32" or "read"
	LimitValue  float64 `json:"limit_value"` // multiply-adds, or bytes read, a second, measured on this machine
	LimitShare  float64 `json:"limit_share"` // of it, in the median
	PeakInt8    float64 `json:"peak_int8"`   // the machine's limits, measured with these threads: multiply-adds a second; 0: not known here
	PeakBF16    float64 `json:"peak_bf16"`
	PeakF32     float64 `json:"peak_f32"`
	PeakRead    float64 `json:"peak_read"`      // bytes a second
	MultiplyAdd float64 `json:"macs_per_token"` // of the weights
	ReadBytes   float64 `json:"bytes_per_step"` // of weights, each step

	LoadSeconds float64 `json:"load_seconds"`
	OpenBytes   int64   `json:"rss_bytes"`      // resident memory once the model is open; 0: not known here
	PeakBytes   int64   `json:"peak_rss_bytes"` // the most since it was being opened
}

// Measure fills in what follows from the times of the runs.
func (r *Result) Measure(t Test, times []time.Duration) {
	r.Prompt, r.Generate, r.Depth, r.Sequences, r.Test = t.Prompt, t.Generate, t.Depth, t.Sequences, t.Name()
	var ns []float64
	for _, d := range times {
		r.SamplesNS = append(r.SamplesNS, d.Nanoseconds())
		r.SamplesTS = append(r.SamplesTS, float64(t.Tokens())/d.Seconds())
		ns = append(ns, float64(d.Nanoseconds()))
	}
	deviation := func(v []float64) float64 {
		if len(v) < 2 {
			return 0
		}
		return stat.StdDev(v, nil)
	}
	r.AvgNS, r.StddevNS = int64(stat.Mean(ns, nil)), int64(deviation(ns))
	r.AvgTS, r.StddevTS = stat.Mean(r.SamplesTS, nil), deviation(r.SamplesTS)
	r.MedianTS, r.MinTS, r.MaxTS = median(r.SamplesTS), slices.Min(r.SamplesTS), slices.Max(r.SamplesTS)
}

func median(v []float64) float64 {
	sorted := slices.Sorted(slices.Values(v))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// Limits are what the machine can do at most, a second: multiply-adds of a kind from registers, and bytes from memory. 0: unknown.
type Limits struct {
	Int8, BF16, F32, Read float64
}

// Hold compares the median with the limit that such a test runs into: a prompt with multiply-adds of the kind that the weights take,
// generation with the reading of the weights once a step, or with the multiply-adds where many sequences need longer for those.
func (r *Result) Hold(l Limits, kind string) {
	r.PeakInt8, r.PeakBF16, r.PeakF32, r.PeakRead = l.Int8, l.BF16, l.F32, l.Read
	peak := map[string]float64{"int8": l.Int8, "bf16": l.BF16, "f32": l.F32}[kind]
	perSecond := r.MedianTS * r.MultiplyAdd
	reads := r.MedianTS / float64(max(1, r.Sequences)) * r.ReadBytes
	if r.Generate > 0 && r.Prompt == 0 && l.Read > 0 && (peak == 0 || reads/l.Read >= perSecond/peak) {
		r.Limit, r.LimitValue, r.LimitShare = "read", l.Read, reads/l.Read
		return
	}
	if peak > 0 {
		r.Limit, r.LimitValue, r.LimitShare = kind, peak, perSecond/peak
	}
}

// Base is the model's file without folders.
func (r *Result) Base() string { return filepath.Base(r.Filename) }

func (r *Result) share() float64 {
	if math.IsNaN(r.LimitShare) {
		return 0
	}
	return r.LimitShare
}
