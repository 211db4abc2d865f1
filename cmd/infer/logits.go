package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"

	"github.com/spf13/cobra"

	"github.com/infer-go/infer/engine"
)

// newLogits builds `infer logits`.
func newLogits() *cobra.Command {
	var m modelFlags
	var tokens, text, file, output string
	var chunk int
	var pooled bool
	cmd := &cobra.Command{
		Use:   "logits -m FILE (--tokens 1,2,3 | --text S | --file F) [--pooled]",
		Short: "Write the logits of every token of a text, or its vector",
		Long: "Computes one sequence and writes every token's logits as float32, little endian, [tokens][vocabulary].\n" +
			"Text is encoded with BOS and EOS as the file says. The result is the same bits for every --chunk. With --pooled a model that\n" +
			"embeds writes its vector as it is, not normalised, and one that ranks its scores: [width].",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if chunk < 0 {
				return usageError{fmt.Errorf("--chunk: found %d, expected 1 or more, or 0 for the default", chunk)}
			}
			if pooled && chunk != 0 {
				return usageError{errors.New("--pooled and --chunk: a vector's steps are not chosen")}
			}
			return writeLogits(cmd, &m, tokens, text, file, output, chunk, pooled)
		},
	}
	m.add(cmd, true)
	cmd.Flags().StringVar(&tokens, "tokens", "", "token ids, comma-separated")
	cmd.Flags().StringVar(&text, "text", "", "text")
	cmd.Flags().StringVar(&file, "file", "", "file with the text")
	cmd.Flags().StringVarP(&output, "output", "o", "", "file to write; default: standard output")
	cmd.Flags().IntVar(&chunk, "chunk", 0, "tokens fed a step; 0: as many as a step takes")
	cmd.Flags().BoolVar(&pooled, "pooled", false, "write the pooled vector instead")
	cmd.MarkFlagsOneRequired("tokens", "text", "file")
	cmd.MarkFlagsMutuallyExclusive("tokens", "text", "file")
	return cmd
}

func writeLogits(cmd *cobra.Command, m *modelFlags, tokens, text, file, output string, chunk int, pooled bool) (err error) {
	var ids []int32
	if tokens != "" {
		if ids, err = parseTokens(tokens); err != nil {
			return err
		}
	} else if file != "" {
		if text, err = readText(file, cmd.InOrStdin()); err != nil {
			return err
		}
	}
	m.options.AllLogits = !pooled
	if ids != nil {
		m.options.Context = max(len(ids), 1)
	} else if m.options.Context, err = countTokens(cmd, m, text); err != nil {
		return err
	}
	if !pooled {
		m.options.StepRows = min(engine.DefaultStepRows, max(chunk, min(m.options.Context, engine.DefaultStepRows)))
	}
	e, err := m.open(cmd)
	if err != nil {
		return err
	}
	defer e.Close()
	if ids == nil {
		if ids, err = e.Tokenize(text, true); err != nil {
			return err
		}
	}
	out := os.Stdout
	if output != "" {
		if out, err = os.Create(output); err != nil {
			return err
		}
		defer func() {
			if closeErr := out.Close(); err == nil {
				err = closeErr
			}
		}()
	}
	if pooled {
		vector, err := e.Pooled(cmd.Context(), ids)
		if err != nil {
			return err
		}
		_, err = out.Write(appendFloats(nil, vector))
		return err
	}
	return streamLogits(cmd.Context(), e, ids, chunk, out)
}

// appendFloats appends numbers as float32, little endian.
func appendFloats(to []byte, values []float32) []byte {
	for _, v := range values {
		to = binary.LittleEndian.AppendUint32(to, math.Float32bits(v))
	}
	return to
}

// countTokens encodes the text with the file's vocabulary alone: the context is sized by it.
func countTokens(cmd *cobra.Command, m *modelFlags, text string) (int, error) {
	t, f, err := openTokenizer(cmd, m.path, m.options.PreTokenizer)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	ids, err := encodeSpecial(t, text)
	return max(len(ids), 1), err
}

func streamLogits(ctx context.Context, e *engine.Engine, ids []int32, chunk int, out *os.File) error {
	w := bufio.NewWriterSize(out, 1<<20)
	var row []byte
	err := e.Logits(ctx, ids, chunk, func(_ int, logits []float32) error {
		row = appendFloats(row[:0], logits)
		_, err := w.Write(row)
		return err
	})
	if err != nil {
		return err
	}
	return w.Flush()
}
