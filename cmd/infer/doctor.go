package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/infer-go/infer/engine/hub"
	"github.com/infer-go/infer/kernels"
)

// backendsJSON describes the CPU and the backends in libraries, usable or not.
func backendsJSON(found []kernels.Found) []map[string]any {
	all := []map[string]any{{"name": "cpu", "usable": true}}
	for _, f := range found {
		entry := map[string]any{"name": f.Backend, "usable": f.Err == nil}
		if f.Path != "" {
			entry["library"] = f.Path
		}
		if f.Err != nil {
			entry["error"] = f.Err.Error()
		} else {
			entry["device"], entry["memory_bytes"], entry["free_bytes"] = f.Device, f.Total, f.Available
		}
		all = append(all, entry)
	}
	return all
}

func printBackends(w io.Writer, found []kernels.Found) {
	for _, f := range found {
		if f.Err != nil {
			fmt.Fprintf(w, "            not usable: %v\n", f.Err)
			continue
		}
		fmt.Fprintf(w, "            %s, %.1f GiB free (%s)\n", f.Device, float64(f.Available)/(1<<30), f.Path)
	}
}

// newDoctor builds `infer doctor`.
func newDoctor() *cobra.Command {
	var asJSON bool
	var threads int
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Show what this machine offers: CPU variants, measured limits, backends, model cache",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			variants := kernels.Variants()
			chosen := os.Getenv("INFER_CPU")
			if chosen == "" {
				chosen = variants[0]
			}
			found := kernels.FindBackends()
			peaks := kernels.MeasurePeaks(threads)
			models, listErr := hub.List(hub.Options{})
			var cached int64
			for _, m := range models {
				cached += m.Size
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"variants": variants, "variant": chosen, "cores": runtime.NumCPU(),
					"threads": peaks.Threads, "read_gb_per_second": peaks.ReadBytes / 1e9, "int8_gmac_per_second": peaks.MultiplyAdds / 1e9,
					"matrix_int8_gmac_per_second": peaks.MatrixInt8 / 1e9, "matrix_bf16_gmac_per_second": peaks.MatrixBF16 / 1e9,
					"backends": backendsJSON(found), "cached_models": len(models), "cached_bytes": cached})
			}
			w := cmd.OutOrStdout()
			fmt.Fprintf(w, "system      %s/%s, %d cores\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
			fmt.Fprintf(w, "backends    cpu\n")
			printBackends(w, found)
			fmt.Fprintf(w, "variants    %s; in use: %s (INFER_CPU chooses another)\n", strings.Join(variants, ", "), chosen)
			fmt.Fprintf(w, "memory      %.1f GB/s read with %d threads\n", peaks.ReadBytes/1e9, peaks.Threads)
			if peaks.MultiplyAdds > 0 {
				fmt.Fprintf(w, "integers    %.0f billion 8-bit multiply-adds a second with %d threads\n", peaks.MultiplyAdds/1e9, peaks.Threads)
			}
			if peaks.MatrixInt8 > 0 {
				fmt.Fprintf(w, "matrix unit %.0f billion 8-bit and %.0f billion bf16 multiply-adds a second with %d threads\n", peaks.MatrixInt8/1e9, peaks.MatrixBF16/1e9, peaks.Threads)
			}
			if listErr != nil {
				fmt.Fprintf(w, "cache       not usable: %v\n", listErr)
				return nil
			}
			fmt.Fprintf(w, "cache       %d models, %.1f MB (infer list)\n", len(models), float64(cached)/1e6)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().IntVarP(&threads, "threads", "t", 0, "threads to measure with; 0: one a core")
	return cmd
}
