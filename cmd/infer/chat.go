package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/reeflective/readline"
	"github.com/spf13/cobra"

	"github.com/infer-go/infer/engine"
)

const chatHelp = `/help            this list
/clear           forget the conversation
/system TEXT     set the system message, and forget the conversation; without TEXT: show it
/undo            take the last question and answer back
/history         show the conversation
/stats           switch times and speeds after each answer on or off
/save FILE       write the conversation to a file
/exit            leave (also Ctrl-D)
Ctrl-C ends an answer. End a line with \ to write several lines.
`

// chatState is a conversation at a terminal.
type chatState struct {
	flags    *runFlags
	cmd      *cobra.Command
	engine   *engine.Engine
	session  *engine.Session
	messages []engine.Message
}

// chat reads lines from the terminal until it is told to leave.
func (f *runFlags) chat(cmd *cobra.Command, e *engine.Engine) error {
	session, err := e.Session(cmd.Context())
	if err != nil {
		return err
	}
	defer session.Close()
	c := &chatState{flags: f, cmd: cmd, engine: e, session: session}
	c.reset()
	fmt.Fprintf(cmd.ErrOrStderr(), "%s, %s, context of %d tokens. /help lists commands.\n", filepath.Base(e.Path()), e.Device(), e.Context())
	shell := readline.NewShell()
	shell.Prompt.Primary(func() string { return "> " })
	shell.AcceptMultiline = func(line []rune) bool { return !strings.HasSuffix(string(line), "\\") }
	if path, err := historyPath(); err == nil {
		if source, err := readline.NewHistoryFromFile(path); err == nil {
			shell.History.Add("infer", source)
		}
	}
	for {
		line, err := shell.Readline()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, readline.ErrInterrupt):
			continue
		case err != nil:
			return err
		}
		line = strings.TrimSpace(strings.ReplaceAll(line, "\\\n", "\n"))
		if line == "" {
			continue
		}
		if strings.HasPrefix(line, "/") {
			if leave := c.command(line); leave {
				return nil
			}
			continue
		}
		c.say(line)
	}
}

func historyPath() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "infer")
	return filepath.Join(dir, "chat_history"), os.MkdirAll(dir, 0o700)
}

func (c *chatState) reset() {
	c.messages = nil
	if c.flags.system != "" {
		c.messages = append(c.messages, engine.Message{Role: "system", Content: c.flags.system})
	}
}

// say asks a question and prints the answer; Ctrl-C ends the answer, not the chat.
func (c *chatState) say(line string) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	request := engine.Request{Messages: append(c.messages[:len(c.messages):len(c.messages)], engine.Message{Role: "user", Content: line})}
	err := c.flags.complete(&request, c.engine)
	if err != nil {
		c.report(err)
		return
	}
	c.cmd.SetContext(ctx)
	text, usage, err := c.flags.answer(c.cmd, c.session, request)
	if err != nil && !errors.Is(err, context.Canceled) {
		c.report(err)
		return
	}
	c.messages = append(request.Messages, engine.Message{Role: "assistant", Content: text})
	if c.flags.stats && usage != nil {
		c.flags.printStats(c.cmd, c.engine, usage)
	}
}

func (c *chatState) report(err error) {
	fmt.Fprintf(c.cmd.ErrOrStderr(), "infer: %v\n", err)
	if errors.Is(err, engine.ErrTooLong) {
		fmt.Fprintln(c.cmd.ErrOrStderr(), "infer: /clear or /undo makes room, or start with a larger --ctx")
	}
}

// command carries out a line that starts with a slash, and says whether to leave.
func (c *chatState) command(line string) (leave bool) {
	name, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	w := c.cmd.ErrOrStderr()
	switch name {
	case "/help", "/?":
		fmt.Fprint(w, chatHelp)
	case "/exit", "/quit", "/bye":
		return true
	case "/clear":
		c.reset()
	case "/system":
		if rest == "" {
			fmt.Fprintf(w, "system message: %q\n", c.flags.system)
			break
		}
		c.flags.system = rest
		c.reset()
	case "/undo":
		n := len(c.messages)
		if n >= 2 && c.messages[n-1].Role == "assistant" {
			c.messages = c.messages[:n-2]
		}
	case "/history":
		fmt.Fprint(w, transcript(c.messages))
	case "/stats":
		c.flags.stats = !c.flags.stats
		fmt.Fprintf(w, "stats: %v\n", c.flags.stats)
	case "/save":
		if rest == "" {
			fmt.Fprintln(w, "infer: /save needs a file's name")
		} else if err := os.WriteFile(rest, []byte(transcript(c.messages)), 0o644); err != nil {
			c.report(err)
		}
	default:
		fmt.Fprintf(w, "infer: unknown command %s; /help lists them\n", name)
	}
	return false
}

func transcript(messages []engine.Message) string {
	var b strings.Builder
	for _, m := range messages {
		fmt.Fprintf(&b, "[%s]\n%s\n\n", m.Role, m.Content)
	}
	return b.String()
}
