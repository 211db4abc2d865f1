package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/infer-go/infer/engine"
	"github.com/infer-go/infer/engine/cache"
	"github.com/infer-go/infer/engine/hub"
)

// savedSuffix is how names of saved prefixes end.
const savedSuffix = ".infercache"

// newCache is `infer cache`: prefixes that are computed once and kept in files.
func newCache() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cache",
		Short: "Save computed prompts in files, for infer run --saved",
		Long: "A long system prompt takes time to compute. `infer cache save` computes it once and writes what the model's cache holds of it\n" +
			"to a file; `infer run --saved FILE` begins with it. A file belongs to one model, cache type and way to compute.",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCacheSave(), newCacheLoad(), newCacheList())
	return cmd
}

// cacheSaveFlags are the flags of `infer cache save`.
type cacheSaveFlags struct {
	model    modelFlags
	system   string
	prompt   string
	file     string
	template string
	context  int
}

func newCacheSave() *cobra.Command {
	var f cacheSaveFlags
	cmd := &cobra.Command{
		Use:     "save -m MODEL (--system TEXT | --prompt TEXT | --file FILE) FILE" + savedSuffix,
		Short:   "Compute a system message or the beginning of a text, and save it",
		Example: "  infer cache save -m model.gguf --system \"$(cat rules.txt)\" rules" + savedSuffix + "\n  infer run model.gguf --saved rules" + savedSuffix + " --system \"$(cat rules.txt)\" \"May I?\"",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	f.model.add(cmd, true)
	flags := cmd.Flags()
	flags.StringVar(&f.system, "system", "", "system message, as the model's chat template writes it")
	flags.StringVar(&f.prompt, "prompt", "", "text as it is, without a chat template")
	flags.StringVar(&f.file, "file", "", "file with such a text; - for standard input")
	flags.StringVar(&f.template, "template", "", "built-in chat template by name, or a template's text (default: the file's)")
	flags.IntVar(&f.context, "ctx", 0, fmt.Sprintf("tokens of context (default: the model's own, at most %d)", engine.DefaultContext))
	cmd.MarkFlagsOneRequired("system", "prompt", "file")
	cmd.MarkFlagsMutuallyExclusive("system", "prompt", "file")
	return cmd
}

func (f *cacheSaveFlags) run(cmd *cobra.Command, path string) error {
	if f.file != "" {
		text, err := readText(f.file, cmd.InOrStdin())
		if err != nil {
			return err
		}
		f.prompt = text
	}
	f.model.options.Context, f.model.options.Template, f.model.options.Sequences = f.context, f.template, 1
	e, err := f.model.open(cmd)
	if err != nil {
		return err
	}
	defer e.Close()
	tokens, err := f.tokens(e)
	if err != nil {
		return err
	}
	start := time.Now()
	saved := 0
	err = replaceFile(path, func(out *os.File) error {
		saved, err = e.SaveCache(cmd.Context(), out, engine.Request{Tokens: tokens})
		if err == nil && saved < len(tokens) {
			err = fmt.Errorf("only %d of %d tokens were still in the cache", saved, len(tokens))
		}
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%d tokens computed and saved in %.2f s: %s\n", saved, time.Since(start).Seconds(), path)
	return nil
}

// tokens returns what is to be computed: of a system message what all conversations with it begin with.
func (f *cacheSaveFlags) tokens(e *engine.Engine) ([]int32, error) {
	if f.system == "" {
		return e.Encode(engine.Request{Prompt: f.prompt})
	}
	var each [2][]int32
	for i, question := range []string{"a", "Z"} {
		var err error
		messages := []engine.Message{{Role: "system", Content: f.system}, {Role: "user", Content: question}}
		if each[i], err = e.Encode(engine.Request{Messages: messages}); err != nil {
			return nil, err
		}
	}
	n := 0
	for n < min(len(each[0]), len(each[1])) && each[0][n] == each[1][n] {
		n++
	}
	if n == 0 {
		return nil, errors.New("--system: conversations with this system message have no common beginning")
	}
	return each[0][:n], nil
}

// replaceFile writes a file under another name first, so that a failure leaves nothing half written.
func replaceFile(path string, write func(*os.File) error) error {
	out, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	err = errors.Join(write(out), out.Close())
	if err == nil {
		err = os.Rename(out.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(out.Name()))
	}
	return nil
}

// loadSaved brings a saved prefix into an engine's cache.
func loadSaved(cmd *cobra.Command, e *engine.Engine, path string) ([]int32, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	tokens, err := e.LoadCache(cmd.Context(), in, "")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return tokens, nil
}

func newCacheLoad() *cobra.Command {
	var model modelFlags
	var context int
	cmd := &cobra.Command{
		Use:   "load -m MODEL FILE" + savedSuffix,
		Short: "Load a saved prefix into a model's cache, to see whether it is whole and fits",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			model.options.Context, model.options.Sequences = context, 1
			e, err := model.open(cmd)
			if err != nil {
				return err
			}
			defer e.Close()
			start := time.Now()
			tokens, err := loadSaved(cmd, e, args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d tokens loaded in %.2f s", len(tokens), time.Since(start).Seconds())
			if t := e.Tokenizer(); t != nil {
				text := ""
				for _, id := range tokens[:min(len(tokens), 24)] {
					text += t.Piece(id)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "; they begin with %q", text)
			}
			fmt.Fprintln(cmd.OutOrStdout())
			return nil
		},
	}
	model.add(cmd, true)
	cmd.Flags().IntVar(&context, "ctx", 0, fmt.Sprintf("tokens of context (default: the model's own, at most %d)", engine.DefaultContext))
	return cmd
}

func newCacheList() *cobra.Command {
	return &cobra.Command{
		Use:   "list [FILE or FOLDER...]",
		Short: "List saved prefixes: of files, or of the " + savedSuffix + " files in folders (default: here)",
		Args:  usageArgs(cobra.ArbitraryArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{"."}
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "FILE\tSIZE\tTOKENS\tMODEL")
			for _, arg := range args {
				err := filepath.WalkDir(arg, func(path string, entry fs.DirEntry, err error) error {
					switch {
					case err != nil:
						return err
					case entry.IsDir() && path != arg:
						return fs.SkipDir
					case entry.IsDir() || path != arg && !strings.HasSuffix(path, savedSuffix):
						return nil
					}
					return listSaved(t, path)
				})
				if err != nil {
					return err
				}
			}
			return t.Flush()
		},
	}
}

// listSaved writes the line of one file; one that cannot be read is listed with the reason.
func listSaved(t *tabwriter.Writer, path string) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	header, err := cache.ReadInfo(in)
	if err != nil {
		fmt.Fprintf(t, "%s\t%s\t-\t%v\n", path, hub.Bytes(info.Size()), err)
		return nil
	}
	fmt.Fprintf(t, "%s\t%s\t%d\t%.12s\n", path, hub.Bytes(info.Size()), header.Tokens, header.Model)
	return nil
}
