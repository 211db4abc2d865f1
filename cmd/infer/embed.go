package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/infer-go/infer/engine"
)

// newEmbed builds `infer embed`.
func newEmbed() *cobra.Command {
	var m encoderFlags
	var texts textFlags
	var raw, asJSON, stats bool
	cmd := &cobra.Command{
		Use:   "embed -m MODEL [TEXT...]",
		Short: "Turn texts into vectors",
		Long: "Prints a vector for each text, in their order: numbers with spaces between them, or with --json an object a line. Vectors\n" +
			"have length 1 unless --raw is given. Each is the same bits alone or beside others.",
		Example: "  infer embed -m all-minilm.gguf \"a cat\" \"a dog\"\n  infer embed -m all-minilm.gguf -f lines.txt --json",
		Args:    usageArgs(cobra.ArbitraryArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := texts.read(cmd, args)
			if err != nil {
				return err
			}
			e, err := m.open(cmd)
			if err != nil {
				return err
			}
			defer e.Close()
			start := time.Now()
			vectors, err := e.Embed(cmd.Context(), all, engine.EmbedOptions{Raw: raw, Truncate: m.truncate})
			if err != nil {
				return err
			}
			seconds, tokens := time.Since(start).Seconds(), 0
			for i, v := range vectors {
				sayCut(cmd, "text", i, v.Tokens, v.Cut)
				tokens += v.Tokens
			}
			if stats {
				fmt.Fprintf(cmd.ErrOrStderr(), "%d texts, %d tokens in %.3f s: %.1f texts/s, %.0f tokens/s\n", len(vectors), tokens, seconds, float64(len(vectors))/seconds, float64(tokens)/seconds)
			}
			return printVectors(cmd, vectors, asJSON)
		},
	}
	m.add(cmd)
	texts.add(cmd, "text")
	cmd.Flags().StringVar(&m.options.Pooling, "pooling", "", "mean, cls or last (default: the file's)")
	cmd.Flags().BoolVar(&raw, "raw", false, "vectors as the model gives them, not scaled to length 1")
	cmd.Flags().BoolVar(&stats, "stats", false, "print the speed to standard error")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, an object a line")
	return cmd
}

func printVectors(cmd *cobra.Command, vectors []engine.Embedding, asJSON bool) error {
	w := bufio.NewWriterSize(cmd.OutOrStdout(), 1<<16)
	if asJSON {
		encoder := json.NewEncoder(w)
		for i, v := range vectors {
			if err := encoder.Encode(map[string]any{"index": i, "embedding": v.Vector, "tokens": v.Tokens, "truncated": v.Cut}); err != nil {
				return err
			}
		}
		return w.Flush()
	}
	var line []byte
	for _, v := range vectors {
		line = line[:0]
		for i, x := range v.Vector {
			if i > 0 {
				line = append(line, ' ')
			}
			line = strconv.AppendFloat(line, float64(x), 'g', -1, 32)
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return w.Flush()
}
