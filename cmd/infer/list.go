package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/infer-go/infer/engine/hub"
)

// newList is `infer list`: the models in the cache.
func newList() *cobra.Command {
	var asJSON, verify bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the models in the cache",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			models, err := hub.List(hub.Options{})
			if err != nil {
				return err
			}
			damaged := 0
			if verify {
				ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
				defer stop()
				for i := range models {
					if err := hub.Verify(ctx, models[i]); ctx.Err() != nil {
						return ctx.Err()
					} else if err != nil {
						models[i].Fault = err.Error()
						damaged++
					}
				}
			}
			if err := printModels(cmd.OutOrStdout(), models, asJSON, verify); err != nil {
				return err
			}
			if damaged > 0 {
				return fmt.Errorf("%d of %d models are damaged; remove them with 'infer rm NAME' and pull them again", damaged, len(models))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON array")
	cmd.Flags().BoolVar(&verify, "verify", false, "read all files and compare their SHA-256; exit code 1 if any differs")
	return cmd
}

// printModels writes the table, or the same as JSON.
func printModels(w io.Writer, models []hub.Model, asJSON, verified bool) error {
	if asJSON {
		if models == nil {
			models = []hub.Model{} // an empty array, not null
		}
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(models)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tSIZE\tQUANT\tSOURCE\tSTATE\tPATH")
	for _, m := range models {
		state := "ok"
		if verified {
			state = "verified"
		}
		if m.Fault != "" {
			state = "damaged: " + m.Fault
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", m.Name, hub.Bytes(m.Size), cmp.Or(m.Quant, "-"), cmp.Or(m.Source, "-"), state, m.Path)
	}
	return t.Flush()
}
