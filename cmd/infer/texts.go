package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/infer-go/infer/engine"
)

// textFlags say where the texts of a command come from: arguments, or a text a line of a file or of standard input.
type textFlags struct {
	file  string
	whole bool
}

func (f *textFlags) add(cmd *cobra.Command, what string) {
	cmd.Flags().StringVarP(&f.file, "file", "f", "", "file with a "+what+" a line; - for standard input, as without arguments")
	cmd.Flags().BoolVar(&f.whole, "whole", false, "the file is one "+what)
}

// read returns the texts; empty lines are none.
func (f *textFlags) read(cmd *cobra.Command, args []string) ([]string, error) {
	if len(args) > 0 {
		if f.file != "" {
			return nil, usageError{errors.New("texts as arguments and --file: expected one of them")}
		}
		return args, nil
	}
	all, err := readText(f.file, cmd.InOrStdin())
	if err != nil {
		return nil, err
	}
	if f.whole {
		return []string{all}, nil
	}
	var lines []string
	for line := range strings.Lines(all) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("no texts were given")
	}
	return lines, nil
}

// encoderFlags are those of every command that opens a model for vectors or scores of texts.
type encoderFlags struct {
	modelFlags
	truncate bool
}

func (f *encoderFlags) add(cmd *cobra.Command) {
	f.modelFlags.add(cmd, true)
	cmd.Flags().IntVar(&f.options.Context, "ctx", 0, fmt.Sprintf("tokens of a text at most (default: the model's own, at most %d)", engine.DefaultContext))
	cmd.Flags().BoolVar(&f.truncate, "truncate", false, "leave out the end of a text that is too long, instead of refusing it")
}

// sayCut says on standard error what was left out.
func sayCut(cmd *cobra.Command, what string, i, kept, cut int) {
	if cut > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s %d: the last %d tokens were left out, %d are in\n", what, i, cut, kept)
	}
}
