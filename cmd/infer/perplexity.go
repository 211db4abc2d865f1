package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/infer-go/infer/engine"
)

// newPerplexity builds `infer perplexity`.
func newPerplexity() *cobra.Command {
	var m modelFlags
	var file string
	var window, windows int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "perplexity -m FILE -f TEXT",
		Short: "Measure how well a model predicts a text",
		Long: "Scores the text in windows that do not overlap: each starts with BOS where the vocabulary adds one, and its second\n" +
			"half is scored, as llama.cpp's perplexity tool does it. Lower is better.",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if window < 4 {
				return usageError{fmt.Errorf("--ctx: found %d, expected at least 4", window)}
			}
			text, err := readText(file, cmd.InOrStdin())
			if err != nil {
				return err
			}
			m.options.AllLogits, m.options.Context = true, window
			m.options.StepRows = min(window, engine.DefaultStepRows)
			e, err := m.open(cmd)
			if err != nil {
				return err
			}
			defer e.Close()
			ids, err := e.Tokenize(text, true)
			if err != nil {
				return err
			}
			start := time.Now()
			r, err := e.Perplexity(cmd.Context(), ids, window, windows, func(done, total int, p float64) {
				if !asJSON {
					fmt.Fprintf(cmd.ErrOrStderr(), "\rwindow %d of %d: %.4f ", done, total, p)
				}
			})
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"perplexity": r.Perplexity, "standard_error": r.Error,
					"tokens": r.Tokens, "scored": r.Scored, "windows": r.Windows, "ctx": window, "seconds": time.Since(start).Seconds()})
			}
			fmt.Fprintln(cmd.ErrOrStderr())
			fmt.Fprintf(cmd.OutOrStdout(), "perplexity %.4f +/- %.4f (%d windows of %d, %d tokens scored)\n", r.Perplexity, r.Error, r.Windows, window, r.Scored)
			return nil
		},
	}
	m.add(cmd, true)
	cmd.Flags().StringVarP(&file, "file", "f", "", "file with the text; - for standard input")
	cmd.Flags().IntVar(&window, "ctx", 512, "tokens of a window")
	cmd.Flags().IntVar(&windows, "windows", 0, "windows to score at most; 0: all")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	if err := cmd.MarkFlagRequired("file"); err != nil {
		panic(err) // a flag that was just defined
	}
	return cmd
}
