package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/infer-go/infer/engine"
)

// classifyFlags are the flags of `infer classify`.
type classifyFlags struct {
	model  modelFlags
	texts  textFlags
	labels []string
	prompt string
	o      engine.ScoreOptions
	mean   bool
	asJSON bool
}

// newClassify builds `infer classify`.
func newClassify() *cobra.Command {
	var f classifyFlags
	cmd := &cobra.Command{
		Use:   "classify -m MODEL --label A --label B [TEXT...]",
		Short: "Choose the likeliest of some labels for a text",
		Long: "Scores each label as the continuation of a prompt and prints the labels with their shares, likeliest first, a blank line\n" +
			"between texts; with --json an object a line. Nothing is generated: the prompt is read once for all labels.\n" +
			"In --prompt, {text} stands for the text; a label follows it exactly as it is written, leading spaces included.",
		Example: "  infer classify -m model.gguf --label \" positive\" --label \" negative\" --prompt \"Review: {text}\\nSentiment:\" \"What a film.\"",
		Args:    usageArgs(cobra.ArbitraryArgs),
		RunE:    func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.model.add(cmd, true)
	f.texts.add(cmd, "text")
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.labels, "label", "l", nil, "a label; to be repeated")
	flags.StringVar(&f.prompt, "prompt", "{text}", "what the labels continue; {text} stands for the text, \\n for a new line")
	flags.BoolVar(&f.o.Chat, "chat", false, "the prompt is a user's message, and the labels are answers")
	flags.StringVar(&f.o.System, "system", "", "with --chat: system message")
	flags.IntVar(&f.model.options.Context, "ctx", 0, fmt.Sprintf("tokens of context (default: the model's own, at most %d)", engine.DefaultContext))
	flags.BoolVar(&f.mean, "mean", false, "compare labels by their mean log-probability a token: for labels of very different lengths")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON, an object a line")
	return cmd
}

func (f *classifyFlags) run(cmd *cobra.Command, args []string) error {
	switch {
	case len(f.labels) < 2:
		return usageError{fmt.Errorf("--label: found %d, expected at least 2", len(f.labels))}
	case !strings.Contains(f.prompt, "{text}"):
		return usageError{fmt.Errorf("--prompt: found no {text} in %q", f.prompt)}
	case f.o.System != "" && !f.o.Chat:
		return usageError{errors.New("--system needs --chat")}
	}
	texts, err := f.texts.read(cmd, args)
	if err != nil {
		return err
	}
	f.model.options.Sequences = 1
	e, err := f.model.open(cmd)
	if err != nil {
		return err
	}
	defer e.Close()
	prompt := strings.ReplaceAll(f.prompt, `\n`, "\n")
	for i, text := range texts {
		scores, err := e.Score(cmd.Context(), strings.ReplaceAll(prompt, "{text}", text), f.labels, f.o)
		if err != nil {
			return fmt.Errorf("text %d: %w", i, err)
		}
		if err := f.print(cmd, i, text, scores); err != nil {
			return err
		}
	}
	return nil
}

// labelScore is a label's line of the output.
type labelScore struct {
	Label   string  `json:"label"`
	Share   float64 `json:"share"`
	LogProb float64 `json:"logprob"`
	Tokens  int     `json:"tokens"`
}

func (f *classifyFlags) print(cmd *cobra.Command, i int, text string, scores []engine.Scored) error {
	compared := slices.Clone(scores)
	if f.mean {
		for j := range compared {
			compared[j].LogProb /= float64(len(compared[j].Tokens))
		}
	}
	shares := engine.Probabilities(compared)
	out := make([]labelScore, len(scores))
	for j, s := range scores {
		out[j] = labelScore{f.labels[j], shares[j], s.LogProb, len(s.Tokens)}
	}
	slices.SortStableFunc(out, func(a, b labelScore) int {
		switch {
		case a.Share > b.Share:
			return -1
		case a.Share < b.Share:
			return 1
		}
		return 0
	})
	w := cmd.OutOrStdout()
	if f.asJSON {
		return json.NewEncoder(w).Encode(map[string]any{"index": i, "text": text, "label": out[0].Label, "labels": out})
	}
	if i > 0 {
		fmt.Fprintln(w)
	}
	for _, s := range out {
		fmt.Fprintf(w, "%.6f  %9.4f  %s\n", s.Share, s.LogProb, s.Label)
	}
	return nil
}
