package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/infer-go/infer/engine/hub"
)

// newRemove is `infer rm`: delete a model from the cache.
func newRemove() *cobra.Command {
	return &cobra.Command{
		Use:   "rm MODEL",
		Short: "Delete a model from the cache",
		Long:  "Delete a model from the cache, by the name that 'infer list' shows or by any reference that means it.",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			freed, err := hub.Remove(args[0], hub.Options{})
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s removed, %s freed\n", args[0], hub.Bytes(freed))
			return nil
		},
	}
}
