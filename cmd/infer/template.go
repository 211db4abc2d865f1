package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/tokenizer/chat"
)

// chatTemplateKey is the metadata key of a model's chat template.
const chatTemplateKey = "tokenizer.chat_template"

type templateFlags struct {
	model, template, context, now string
}

func newTemplateCommand() *cobra.Command {
	var f templateFlags
	cmd := &cobra.Command{
		Use:   "template (-m FILE | --template FILE.jinja) --context FILE.json",
		Short: "Render a chat template and print its text",
		Long: `Renders the chat template of a model, or of a file, on a context and prints exactly the text it makes.

The context is a JSON object with whatever the template reads: messages, tools, add_generation_prompt, bos_token,
eos_token and so on. Nothing is added to it.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return runTemplate(f, cmd.OutOrStdout()) },
	}
	cmd.Flags().StringVarP(&f.model, "model", "m", "", "GGUF file whose chat template is rendered")
	cmd.Flags().StringVar(&f.template, "template", "", "file that holds the template")
	cmd.Flags().StringVar(&f.context, "context", "", "JSON file with the template's variables")
	cmd.Flags().StringVar(&f.now, "now", "", "time that strftime_now prints, as RFC 3339 (default: the current time)")
	return cmd
}

func runTemplate(f templateFlags, out io.Writer) error {
	if (f.model == "") == (f.template == "") {
		return usageError{errors.New("template: name one of -m FILE and --template FILE")}
	}
	if f.context == "" {
		return usageError{errors.New("template: --context FILE is missing")}
	}
	var options chat.Options
	if f.now != "" {
		now, err := time.Parse(time.RFC3339, f.now)
		if err != nil {
			return usageError{fmt.Errorf("template: --now %q is no time in RFC 3339, as 2026-11-23T12:00:00Z is", f.now)}
		}
		options.Now = now
	}
	name, source, err := templateSource(f)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(f.context)
	if err != nil {
		return err
	}
	ctx, err := chat.DecodeContext(data)
	if err != nil {
		return fmt.Errorf("%s: %w", f.context, err)
	}
	template, err := chat.Parse(source)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	text, err := template.Render(ctx, options)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	_, err = io.WriteString(out, text)
	return err
}

// templateSource returns the template's text and the file that it is from.
func templateSource(f templateFlags) (name, source string, err error) {
	if f.template != "" {
		data, err := os.ReadFile(f.template)
		return f.template, string(data), err
	}
	file, err := gguf.Open(f.model)
	if err != nil {
		return f.model, "", err
	}
	defer file.Close()
	source, present, err := file.Metadata.String(chatTemplateKey)
	if err == nil && !present {
		err = fmt.Errorf("%s: no key %s: the file carries no chat template; --template names a file with one", f.model, chatTemplateKey)
	}
	return f.model, source, err
}
