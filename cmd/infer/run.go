package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/infer-go/infer/engine"
	"github.com/infer-go/infer/kernels"
)

// runFlags are the flags of `infer run`.
type runFlags struct {
	model    modelFlags
	sampling samplingFlags
	file     string
	system   string
	template string
	raw      bool
	count    int
	context  int
	stops    []string
	asJSON   bool
	stats    bool
	endless  bool
	logProbs int
	saved    string
}

// newRun builds `infer run`.
func newRun() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run [MODEL] [PROMPT]",
		Short: "Answer a prompt, or chat",
		Long: "Answers a prompt: given as an argument, in --file, or on standard input. Without one, and with a terminal attached, a\n" +
			"chat begins; /help lists its commands. MODEL is a file or the name of a model (see infer pull).",
		Example: "  infer run model.gguf \"Why is the sky blue?\"\n  git diff | infer run model.gguf --system \"Write a commit message.\"",
		Args:    usageArgs(cobra.MaximumNArgs(2)),
		RunE:    func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.model.add(cmd, false)
	flags := cmd.Flags()
	flags.StringVar(&f.file, "file", "", "file with the prompt; - for standard input")
	flags.StringVar(&f.system, "system", "", "system message")
	flags.StringVar(&f.template, "template", "", "built-in chat template by name, or a template's text (default: the file's)")
	flags.BoolVar(&f.raw, "raw", false, "continue the text as it is, without a chat template")
	flags.IntVarP(&f.count, "max-tokens", "n", 0, "tokens to generate at most; 0: until the context is full")
	flags.IntVar(&f.context, "ctx", 0, fmt.Sprintf("tokens of context (default: the model's own, at most %d)", engine.DefaultContext))
	flags.StringVar(&f.model.options.Cache, "cache", "", "memory for keys and values, as 2GiB, or 40% of what is free (default: room for the whole context)")
	flags.BoolVar(&f.model.options.NoSpeculation, "no-speculation", false, "compute no guessed tokens ahead, neither from the text so far nor from the model's own layers for further tokens; the answer is the same with and without")
	flags.StringVar(&f.saved, "saved", "", "file with a computed prompt to begin with (see infer cache save)")
	flags.StringArrayVar(&f.stops, "stop", nil, "text that ends the answer; may be repeated")
	flags.BoolVar(&f.asJSON, "json", false, "print one JSON object instead of streaming")
	flags.BoolVar(&f.stats, "stats", false, "print times and speeds to standard error")
	flags.BoolVar(&f.endless, "ignore-eos", false, "do not stop at the model's end tokens")
	flags.IntVar(&f.logProbs, "logprobs", -1, "with --json: log-probabilities of the tokens, and of this many alternatives; -1: none")
	f.sampling.add(flags)
	return cmd
}

func (f *runFlags) run(cmd *cobra.Command, args []string) error {
	if f.raw && f.system != "" {
		return usageError{errors.New("--raw and --system: raw text has no system message")}
	}
	ref := ""
	if len(args) > 0 {
		ref = args[0]
	}
	prompt, chat, err := f.prompt(cmd, args)
	if err != nil {
		return err
	}
	path, err := modelPath(cmd, ref)
	if err != nil {
		return err
	}
	f.model.options.Context, f.model.options.Template, f.model.options.Sequences = f.context, f.template, 1
	e, err := f.model.openPath(cmd, path)
	if err != nil {
		return err
	}
	defer e.Close()
	if f.saved != "" {
		if _, err := loadSaved(cmd, e, f.saved); err != nil {
			return err
		}
	}
	if !f.raw {
		if err := f.sayTemplate(cmd, e); err != nil {
			return err
		}
	}
	if chat {
		return f.chat(cmd, e)
	}
	request := engine.Request{Prompt: prompt}
	if !f.raw {
		request = engine.Request{Messages: f.messages(prompt)}
	}
	if err := f.complete(&request, e); err != nil {
		return err
	}
	session, err := e.Session(cmd.Context())
	if err != nil {
		return err
	}
	defer session.Close()
	_, usage, err := f.answer(cmd, session, request)
	if err == nil && f.stats {
		f.printStats(cmd, e, usage)
	}
	return err
}

// prompt finds the prompt; chat is true where there is none and somebody sits at a terminal.
func (f *runFlags) prompt(cmd *cobra.Command, args []string) (prompt string, chat bool, err error) {
	if len(args) == 2 && f.file != "" {
		return "", false, usageError{errors.New("a prompt as an argument and --file: expected one of them")}
	}
	switch {
	case len(args) == 2:
		prompt = args[1]
	case f.file == "" && term.IsTerminal(int(os.Stdin.Fd())):
		if f.raw || f.asJSON {
			return "", false, usageError{errors.New("no prompt: give one as an argument, in --file or on standard input")}
		}
		return "", true, nil
	default:
		if prompt, err = readText(f.file, cmd.InOrStdin()); err != nil {
			return "", false, err
		}
	}
	if strings.TrimSpace(prompt) == "" {
		return "", false, usageError{errors.New("the prompt is empty")}
	}
	return prompt, false, nil
}

func (f *runFlags) messages(prompt string) []engine.Message {
	var m []engine.Message
	if f.system != "" {
		m = append(m, engine.Message{Role: "system", Content: f.system})
	}
	return append(m, engine.Message{Role: "user", Content: prompt})
}

// complete fills in what the flags say of every request.
func (f *runFlags) complete(r *engine.Request, e *engine.Engine) error {
	params, err := f.sampling.resolve(e)
	if err != nil {
		return err
	}
	if f.logProbs >= 0 {
		params.LogProbs, params.TopLogProbs = true, f.logProbs
	}
	r.Sampling, r.MaxTokens, r.Stop, r.IgnoreEnd = params, f.count, f.stops, f.endless
	return nil
}

// sayTemplate says so where the file has no chat template and a built-in one stands in.
func (f *runFlags) sayTemplate(cmd *cobra.Command, e *engine.Engine) error {
	_, source, err := e.ChatTemplate()
	if err != nil {
		if errors.Is(err, engine.ErrNoVocabulary) {
			return err
		}
		return fmt.Errorf("chat template (%s): %w; --raw runs without one, --template names another", source, err)
	}
	if source != "file" && f.template == "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "infer: the file has no chat template; using the built-in %q (--template names another, --raw uses none)\n", source)
	}
	return nil
}

// tokenJSON is a token in the JSON output.
type tokenJSON struct {
	ID      int32       `json:"id"`
	Text    string      `json:"text"`
	LogProb float32     `json:"logprob"`
	Top     []tokenJSON `json:"top,omitempty"`
}

// answer generates and prints; it returns the text.
func (f *runFlags) answer(cmd *cobra.Command, s *engine.Session, r engine.Request) (string, *engine.Usage, error) {
	var text strings.Builder
	var last engine.Token
	var tokens []tokenJSON
	out := cmd.OutOrStdout()
	for token, err := range s.Generate(cmd.Context(), r) {
		if err != nil {
			if text.Len() > 0 && !f.asJSON {
				fmt.Fprintln(out)
			}
			return text.String(), nil, err
		}
		text.WriteString(token.Text)
		if !f.asJSON {
			if _, err := io.WriteString(out, token.Text); err != nil {
				return text.String(), nil, err
			}
		} else if f.logProbs >= 0 {
			tokens = append(tokens, describeToken(s, token))
		}
		last = token
	}
	if f.asJSON {
		return text.String(), last.Usage, json.NewEncoder(out).Encode(runJSON(text.String(), last, tokens, r.Sampling.Seed))
	}
	if !strings.HasSuffix(text.String(), "\n") {
		fmt.Fprintln(out)
	}
	return text.String(), last.Usage, nil
}

func describeToken(s *engine.Session, t engine.Token) tokenJSON {
	j := tokenJSON{ID: t.ID, Text: s.Piece(t.ID), LogProb: t.LogProb}
	for _, c := range t.Top {
		j.Top = append(j.Top, tokenJSON{ID: c.ID, Text: s.Piece(c.ID), LogProb: c.LogProb})
	}
	return j
}

func runJSON(text string, last engine.Token, tokens []tokenJSON, seed uint64) map[string]any {
	u := last.Usage
	result := map[string]any{"text": text, "finish": last.Finish, "stopped_at": u.Stopped, "seed": seed, "usage": map[string]any{
		"prompt_tokens": u.PromptTokens, "cached_tokens": u.CachedTokens, "generated_tokens": u.GeneratedTokens,
		"first_token_ms": u.FirstToken.Seconds() * 1e3, "prefill_ms": u.Prefill.Seconds() * 1e3, "decode_ms": u.Decode.Seconds() * 1e3}}
	if tokens != nil {
		result["tokens"] = tokens
	}
	return result
}

// printStats prints what a request took, and how near to the machine's limit it ran.
func (f *runFlags) printStats(cmd *cobra.Command, e *engine.Engine, u *engine.Usage) {
	w := cmd.ErrOrStderr()
	computed := u.PromptTokens - u.CachedTokens
	fmt.Fprintf(w, "\nloaded in %.2f s (%s)\n", e.LoadTime().Seconds(), e.Device())
	fmt.Fprintf(w, "prompt    %d tokens, %d of them cached; first token after %.0f ms", u.PromptTokens, u.CachedTokens, u.FirstToken.Seconds()*1e3)
	if u.Prefill > 0 {
		fmt.Fprintf(w, "; prefill %.1f tokens/s", float64(computed)/u.Prefill.Seconds())
	}
	fmt.Fprintf(w, "\nanswer    %d tokens", u.GeneratedTokens)
	if steps := u.GeneratedTokens - 1; steps > 0 && u.Decode > 0 {
		speed := float64(steps) / u.Decode.Seconds()
		bytes := speed * float64(e.BenchBytes())
		fmt.Fprintf(w, "; decode %.1f tokens/s, %.1f GB/s of weights", speed, bytes/1e9)
		if e.OnCPU() {
			limit := kernels.MeasurePeaks(e.Threads()).ReadBytes
			fmt.Fprintf(w, ": %.0f %% of the %.1f GB/s that memory gives here", 100*bytes/limit, limit/1e9)
		}
	}
	fmt.Fprintln(w)
}
