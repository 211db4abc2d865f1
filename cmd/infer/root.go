package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"
)

// Exit codes: 0 success, 1 the work failed, 2 the command line was wrong.
const (
	exitFailed = 1
	exitUsage  = 2
)

// usageError marks a fault of the command line, as opposed to one of the work.
type usageError struct{ error }

// commands lists the constructors of all sub-commands; each lives in its own file.
var commands = []func() *cobra.Command{
	newBench,
	newCache,
	newClassify,
	newDoctor,
	newEmbed,
	newList,
	newLogits,
	newPerplexity,
	newPull,
	newQuantize,
	newRemove,
	newRerank,
	newRun,
	newShow,
	newTemplateCommand,
	newTokenize,
	newVerify,
}

// newRoot builds the command tree.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "infer",
		Short:         "Run large language models from GGUF files",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	for _, newCommand := range commands {
		root.AddCommand(newCommand())
	}
	return root
}

// usageArgs turns a positional-argument check's failure into a usage error, so that it exits with code 2.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// execute runs the command line and returns the process's exit code. Errors are one line on standard error.
func execute(args []string) int {
	root := newRoot()
	root.SetArgs(args)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintf(os.Stderr, "infer: %v\n", err)
	var usage usageError
	if errors.As(err, &usage) || isUsage(err) {
		fmt.Fprintln(os.Stderr, "infer: see 'infer --help'")
		return exitUsage
	}
	return exitFailed
}

// isUsage recognises the faults of the command line that cobra reports as plain errors.
func isUsage(err error) bool {
	for _, start := range []string{"unknown command", "required flag", "if any flags in the group", "at least one of the flags"} {
		if strings.HasPrefix(err.Error(), start) {
			return true
		}
	}
	return false
}
