package engine

import (
	"fmt"
	"sync"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/tokenizer"
	"github.com/infer-go/infer/tokenizer/chat"
)

// text is what turns strings into tokens and back; a file without a vocabulary has none.
type text struct {
	tokens   *tokenizer.Tokenizer
	template string // source of the file's chat template; empty where it has none

	once     sync.Once // for the chosen template, parsed when it is first needed
	parsed   *chat.Template
	source   string
	parseErr error
}

// newText reads the vocabulary. A file that says it has none gives nil; the engine then works on token ids alone.
func newText(f *gguf.File, vocab int, o *Options) (*text, error) {
	model, present, err := f.Metadata.String("tokenizer.ggml.model")
	if err != nil {
		return nil, err
	}
	if !present || model == "no_vocab" || model == "none" {
		return nil, nil
	}
	t, err := ReadTokenizer(f, o.PreTokenizer)
	if err != nil {
		return nil, err
	}
	if t.Size() > vocab {
		return nil, fmt.Errorf("%s: the vocabulary has %d tokens, the model %d logits", f.Paths[0], t.Size(), vocab)
	}
	template, _, err := f.Metadata.String("tokenizer.chat_template")
	if err != nil {
		return nil, err
	}
	return &text{tokens: t, template: template}, nil
}

// ReadTokenizer builds the tokenizer of a GGUF file. pre names the pre-tokenizer of a file whose own is unknown; empty
// takes the file's.
func ReadTokenizer(f *gguf.File, pre string) (*tokenizer.Tokenizer, error) {
	v, err := tokenizer.ReadVocab(f.Metadata)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Paths[0], err)
	}
	var options []tokenizer.Option
	if pre != "" {
		options = append(options, tokenizer.WithPre(pre))
	}
	t, err := tokenizer.New(v, options...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Paths[0], err)
	}
	return t, nil
}

// Tokenizer returns the model's tokenizer; nil where the file has no vocabulary.
func (e *Engine) Tokenizer() *tokenizer.Tokenizer {
	if e.text == nil {
		return nil
	}
	return e.text.tokens
}

// Tokenize encodes text. special adds BOS and EOS as the file says, and reads special tokens written out in the text.
func (e *Engine) Tokenize(s string, special bool) ([]int32, error) {
	if e.text == nil {
		return nil, fmt.Errorf("%s: %w", e.Path(), ErrNoVocabulary)
	}
	return e.text.tokens.Encode(s, tokenizer.EncodeOptions{AddSpecial: special, ParseSpecial: special})
}
