package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/infer-go/infer/engine"
)

// newRerank builds `infer rerank`.
func newRerank() *cobra.Command {
	var m encoderFlags
	var documents textFlags
	var query string
	var o engine.RerankOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "rerank -m MODEL -q QUERY [DOCUMENT...]",
		Short: "Sort documents by how well they answer a query",
		Long: "Prints the documents, best first, each after its score from 0 to 1 and its place in the input, from 0; with --json an\n" +
			"object a line. The model must be a reranker.",
		Args: usageArgs(cobra.ArbitraryArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Top < 0 {
				return usageError{fmt.Errorf("--top: found %d, expected 1 or more, or 0 for all", o.Top)}
			}
			all, err := documents.read(cmd, args)
			if err != nil {
				return err
			}
			e, err := m.open(cmd)
			if err != nil {
				return err
			}
			defer e.Close()
			o.Truncate = m.truncate
			ranked, err := e.Rerank(cmd.Context(), query, all, o)
			if err != nil {
				return err
			}
			encoder := json.NewEncoder(cmd.OutOrStdout())
			for _, r := range ranked {
				sayCut(cmd, "document", r.Index, r.Tokens, r.Cut)
				if !asJSON {
					fmt.Fprintf(cmd.OutOrStdout(), "%.6f  %d  %s\n", r.Score, r.Index, all[r.Index])
				} else if err := encoder.Encode(map[string]any{"index": r.Index, "score": r.Score, "document": all[r.Index], "tokens": r.Tokens, "truncated": r.Cut}); err != nil {
					return err
				}
			}
			return nil
		},
	}
	m.add(cmd)
	documents.add(cmd, "document")
	cmd.Flags().StringVarP(&query, "query", "q", "", "what the documents should answer")
	cmd.Flags().IntVar(&o.Top, "top", 0, "documents to print at most; 0: all")
	cmd.Flags().BoolVar(&o.Raw, "raw", false, "scores as the model gives them, which may have no bounds")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, an object a line")
	if err := cmd.MarkFlagRequired("query"); err != nil {
		panic(err) // a flag that was just defined
	}
	return cmd
}
