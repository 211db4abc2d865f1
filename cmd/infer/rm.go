package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/infer-go/infer/engine/hub"
)

// newRm builds `infer rm`.
func newRm() *cobra.Command {
	return &cobra.Command{
		Use:   "rm NAME",
		Short: "Remove a model from the cache",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := hub.Remove("", args[0]); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "removed %s\n", args[0])
			return nil
		},
	}
}
