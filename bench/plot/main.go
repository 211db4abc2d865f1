// Command plot draws what `infer bench` measured.
//
//	go run . -o roofline.svg results.json ...        speeds below the machine's limits (infer bench -o json or jsonl)
//	go run . -o traffic.svg report.json ...          times under load (infer bench --traffic --json)
//
// The kind of picture follows from the files, its format from the ending of -o: .svg, .png or .pdf.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
)

func main() {
	out := flag.String("o", "", "picture to write: .svg, .png or .pdf")
	title := flag.String("title", "", "title (default: the processor and its threads)")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: plot -o FILE.svg RESULTS.json ...")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := drawFiles(*out, *title, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

var formats = []string{".svg", ".png", ".pdf"}

func drawFiles(out, title string, paths []string) error {
	if !slices.Contains(formats, filepath.Ext(out)) {
		return fmt.Errorf("-o: found %q, expected a file ending in %s", out, strings.Join(formats, ", "))
	}
	if len(paths) == 0 {
		return errors.New("expected a file of results")
	}
	var p *plot.Plot
	first, err := os.ReadFile(paths[0])
	if err != nil {
		return err
	}
	if isReport(first) {
		p, err = drawTraffic(paths)
	} else {
		p, err = drawRoofline(paths)
	}
	if err != nil {
		return err
	}
	if title != "" {
		p.Title.Text = title
	}
	return p.Save(24*vg.Centimeter, 15*vg.Centimeter, out)
}

// isReport tells a report of traffic from results of tests.
func isReport(text []byte) bool {
	var probe struct {
		Lanes []json.RawMessage `json:"lanes"`
	}
	return json.Unmarshal(text, &probe) == nil && probe.Lanes != nil
}

const mostBytes = 64 << 20

// readAll reads a file of an array, or of objects one after the other.
func readAll[T any](path string) ([]T, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []T
	d := json.NewDecoder(io.LimitReader(f, mostBytes))
	for {
		var raw json.RawMessage
		err := d.Decode(&raw)
		if err == io.EOF {
			return out, nil
		}
		if err == nil && raw[0] == '[' {
			var many []T
			err = json.Unmarshal(raw, &many)
			out = append(out, many...)
		} else if err == nil {
			var one T
			err = json.Unmarshal(raw, &one)
			out = append(out, one)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
}
