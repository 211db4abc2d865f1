package engine

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/infer-go/infer/engine/cache"
	"github.com/infer-go/infer/engine/schedule"
	"github.com/infer-go/infer/sampler"
	"github.com/infer-go/infer/tokenizer"
	"github.com/infer-go/infer/tokenizer/chat"
)

// Errors of requests; use errors.Is.
var (
	ErrClosed       = errors.New("the engine is closed")
	ErrTooLong      = errors.New("too long for the context")
	ErrCacheFull    = cache.ErrFull
	ErrInternal     = errors.New("internal fault of the engine") // the engine has ended; a program that uses it has not
	ErrNoVocabulary = errors.New("the file has no vocabulary")
)

// Message is one turn of a conversation.
type Message = chat.Message

// Request is what to generate from. Exactly one of Prompt, Messages and Tokens is given.
type Request struct {
	Prompt   string    // text as it is: BOS is added where the vocabulary wants it, special tokens written in it are read
	Messages []Message // a conversation, rendered by the model's chat template
	Tokens   []int32   // token ids as they are

	MaxTokens int             // tokens to generate at most; 0: until the context is full
	Sampling  *sampler.Params // nil: sampler.DefaultParams
	Stop      []string        // texts that end the generation and are not shown
	IgnoreEnd bool            // do not stop at the model's end tokens

	TemplateContext *chat.Dict // more variables for the template, for example enable_thinking

	Choices  int           // answers to the prompt, which is computed once; 0: one. Answer i samples with Sampling.Seed + i
	Lane     schedule.Lane // schedule.Online, schedule.MicroBatch or schedule.Batch
	Priority int           // within the lane: higher goes first
	Deadline time.Time     // when the request ends with context.DeadlineExceeded, and what orders requests of one priority; zero: none
	Tenant   string        // whose share of the machine it counts for
	CacheKey string        // requests with different keys share nothing in the cache
	Buffer   int           // events kept for a reader that is slow; 0: DefaultBuffer

	NoSpeculation bool // compute no guessed tokens ahead; the answer is the same with and without

	draft   func(choice int) drafter           // tests: guesses instead of the usual one
	observe func(choice int, logits []float32) // tests: sees the logits [vocab] before each token
}

// FinishReason says why a generation ended.
type FinishReason string

// The reasons.
const (
	FinishEnd    FinishReason = "stop"   // the model's end token, or a stop text
	FinishLength FinishReason = "length" // MaxTokens, or the context is full
)

// Token is one generated token.
type Token struct {
	ID      int32
	Text    string  // the characters that the token completes; often none, sometimes several tokens' worth
	LogProb float32 // where Sampling.LogProbs asks for it
	Top     []sampler.Candidate
	At      time.Duration // since the request began
	Finish  FinishReason  // of the last token; empty before
	Usage   *Usage        // with the last token
}

// Usage is what a request took.
type Usage struct {
	PromptTokens    int           // of the whole prompt
	CachedTokens    int           // of them, already in the cache
	GeneratedTokens int           // the end token included
	Queue           time.Duration // waiting to be started
	FirstToken      time.Duration // from the request's begin: time to first token
	Prefill         time.Duration // computing the prompt
	Decode          time.Duration // from the first token to the last
	Stopped         string        // the stop text that was met, or the end token's text
	Timeline        Timeline      // where the time went
}

// ChatTemplate returns the template in use and where it comes from: "file", or a built-in's name.
func (e *Engine) ChatTemplate() (*chat.Template, string, error) {
	if e.text == nil {
		return nil, "", fmt.Errorf("%s: %w", e.path, ErrNoVocabulary)
	}
	e.text.once.Do(func() {
		e.text.parsed, e.text.source, e.text.parseErr = chooseTemplate(e.options.Template, e.text.template, e.model.Arch)
	})
	return e.text.parsed, e.text.source, e.text.parseErr
}

// defaultTemplates are the built-in templates for files that carry none, by architecture; others get chatml.
var defaultTemplates = map[string]string{"gemma": "gemma", "gemma2": "gemma", "gemma3": "gemma", "phi3": "phi3"}

func chooseTemplate(asked, file, architecture string) (*chat.Template, string, error) {
	switch {
	case strings.Contains(asked, "{"):
		t, err := chat.Parse(asked)
		return t, "option", err
	case asked != "":
		t, err := chat.Default(asked)
		return t, asked, err
	case file != "":
		t, err := chat.Parse(file)
		return t, "file", err
	}
	name := defaultTemplates[architecture]
	if name == "" {
		name = "chatml"
	}
	t, err := chat.Default(name)
	return t, name, err
}

// Render renders a conversation with the model's chat template, up to the beginning of the assistant's turn.
func (e *Engine) Render(messages []Message, extra *chat.Dict) (string, error) {
	t, source, err := e.ChatTemplate()
	if err != nil {
		return "", fmt.Errorf("chat template (%s): %w", source, err)
	}
	special := e.text.tokens.Special()
	c := chat.Conversation{Messages: messages, AddGenerationPrompt: true, Extra: extra}
	if special.BOS >= 0 {
		c.BOS = e.text.tokens.Text(special.BOS)
	}
	if special.EOS >= 0 {
		c.EOS = e.text.tokens.Text(special.EOS)
	}
	s, err := t.RenderMessages(&c, chat.Options{})
	if err != nil {
		return "", fmt.Errorf("chat template (%s): %w", source, err)
	}
	return s, nil
}

// Encode returns the tokens of a request's prompt.
func (e *Engine) Encode(r Request) ([]int32, error) { return e.encode(&r) }

// encode turns a request into its prompt's tokens.
func (e *Engine) encode(r *Request) ([]int32, error) {
	given := 0
	for _, is := range []bool{r.Prompt != "", r.Messages != nil, r.Tokens != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		return nil, fmt.Errorf("request: %d of Prompt, Messages and Tokens given, expected exactly one", given)
	}
	if r.Tokens != nil {
		return r.Tokens, nil
	}
	if e.text == nil {
		return nil, fmt.Errorf("%s: %w: give the prompt as token ids", e.path, ErrNoVocabulary)
	}
	text := r.Prompt
	if r.Messages != nil {
		var err error
		if text, err = e.Render(r.Messages, r.TemplateContext); err != nil {
			return nil, err
		}
	}
	t := e.text.tokens
	ids, err := t.Encode(text, tokenizer.EncodeOptions{AddSpecial: true, ParseSpecial: true})
	if err != nil {
		return nil, err
	}
	// A template that prints BOS itself would give two: only the vocabulary's stays. EOS ends texts, not prompts.
	if len(ids) > 1 && t.AddsBOS() && ids[0] == t.BOS() && ids[1] == t.BOS() {
		ids = ids[1:]
	}
	if t.AddsEOS() && len(ids) > 0 && ids[len(ids)-1] == t.EOS() && !strings.HasSuffix(text, t.Text(t.EOS())) {
		ids = ids[:len(ids)-1]
	}
	return ids, nil
}
