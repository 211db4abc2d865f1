package main

import (
	"bufio"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/infer-go/infer/tokenizer"
)

// newTokenize builds `infer tokenize`.
func newTokenize() *cobra.Command {
	var model, file, pre string
	var special, idsOnly bool
	cmd := &cobra.Command{
		Use:   "tokenize -m FILE [--file F] [--special] [--ids]",
		Short: "Show the tokens of a text",
		Long: "Reads text from standard input, or from --file, and prints its tokens: a line each, or with --ids one line of ids.\n" +
			"No BOS or EOS is added, and special tokens written out in the text are text, unless --special is given.",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, f, err := openTokenizer(cmd, model, pre)
			if err != nil {
				return err
			}
			defer f.Close()
			text, err := readText(file, cmd.InOrStdin())
			if err != nil {
				return err
			}
			ids, err := t.Encode(text, tokenizer.EncodeOptions{AddSpecial: special, ParseSpecial: special})
			if err != nil {
				return err
			}
			out := bufio.NewWriter(cmd.OutOrStdout())
			if idsOnly {
				for i, id := range ids {
					if i > 0 {
						out.WriteByte(' ')
					}
					out.WriteString(strconv.Itoa(int(id)))
				}
				out.WriteByte('\n')
				return out.Flush()
			}
			for _, id := range ids {
				fmt.Fprintf(out, "%8d  %q\n", id, t.Text(id))
			}
			return out.Flush()
		},
	}
	cmd.Flags().StringVarP(&model, "model", "m", "", "GGUF file; its vocabulary is all that is read")
	cmd.Flags().StringVar(&file, "file", "", "file to read instead of standard input")
	cmd.Flags().BoolVar(&special, "special", false, "add BOS and EOS as the file says, and read special tokens in the text")
	cmd.Flags().BoolVar(&idsOnly, "ids", false, "print one line of ids")
	cmd.Flags().StringVar(&pre, "pre-tokenizer", "", "pre-tokenizer for a file whose own is unknown")
	if err := cmd.MarkFlagRequired("model"); err != nil {
		panic(err) // a flag that was just defined
	}
	return cmd
}
