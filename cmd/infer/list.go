package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/infer-go/infer/engine/hub"
)

// newList builds `infer list`.
func newList() *cobra.Command {
	var asJSON, verify bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the models in the cache",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			models, err := hub.List("")
			if err != nil {
				return err
			}
			if verify {
				for _, m := range models {
					if err := hub.Verify("", m.Name); err != nil {
						return err
					}
				}
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(models)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tSIZE\tSOURCE\tPATH")
			for _, m := range models {
				fmt.Fprintf(w, "%s\t%.1f MB\t%s\t%s\n", m.Name, float64(m.Size)/1e6, m.Source, m.Path)
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&verify, "verify", false, "read the files and compare their checksums first")
	return cmd
}
