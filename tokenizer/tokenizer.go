package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Tokenizer encodes and decodes with one vocabulary. It is safe for concurrent use.
type Tokenizer struct {
	vocab   Vocab
	flags   flags
	model   model
	special *specialTokens
	attrs   []attribute
	pieces  []string // what a token stands for in text
	text    map[string]int32
	ends    []int32 // end-of-generation ids, ascending
	spaces  sync.Pool
}

// model turns text without special tokens into ids.
type model interface {
	encode(text string, out []int32, w *workspace) ([]int32, error)
}

// workspace is the memory of one call.
type workspace struct {
	symbols      symbols
	text         []byte
	paths        []unigramPath
	afterSpecial bool // the text is the first, or follows a special token
}

// flags are the settings of a vocabulary after defaults.
type flags struct {
	addBOS, addEOS, addSEP bool
	addSpacePrefix         bool
	mergeSpaces            bool
	lowercase              bool
	stripAccents           bool
	spaceMarks             bool // tokens write U+2581 for a space
	byteLevel              bool // tokens are in GPT-2's byte alphabet
	escaped                bool // tokens are in Python's notation of bytes
}

// Option changes what [New] builds.
type Option func(*options)

type options struct{ pre string }

// WithPre names the pre-tokenizer of a byte-level BPE vocabulary, instead of the one that the vocabulary names.
// [PreTokenizers] lists the names.
func WithPre(name string) Option { return func(o *options) { o.pre = name } }

// New builds a tokenizer. It keeps the strings and slices of v, which must not change afterwards.
func New(v Vocab, opts ...Option) (*Tokenizer, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	if o.pre != "" {
		v.Pre = o.pre
	}
	if err := v.check(); err != nil {
		return nil, err
	}
	t := &Tokenizer{vocab: v}
	t.spaces.New = func() any { return new(workspace) }
	if err := t.indexTokens(); err != nil {
		return nil, err
	}
	if err := t.build(); err != nil {
		return nil, err
	}
	t.findSpecialByText()
	t.buildPieces()
	t.buildSpecial()
	return t, t.checkAdded()
}

// indexTokens builds the map from texts to ids and the tokens' attributes.
func (t *Tokenizer) indexTokens() error {
	v := &t.vocab
	t.attrs = make([]attribute, len(v.Tokens))
	t.text = make(map[string]int32, len(v.Tokens))
	cloned := false
	for id, text := range v.Tokens {
		t.attrs[id] = attributeOf(v.tokenType(id))
		if text == "" {
			if !cloned {
				v.Tokens, cloned = slices.Clone(v.Tokens), true
			}
			// A token without text cannot be matched; it has a name so that lookups by text stay unique.
			text = fmt.Sprintf("[EMPTY_%d]", id)
			v.Tokens[id] = text
		}
		t.text[text] = int32(id)
		if len(t.text) != id+1 {
			first := slices.Index(v.Tokens, text)
			return fmt.Errorf("tokenizer: tokenizer.ggml.tokens has %q at %d and at %d, expected each token once", text, first, id)
		}
	}
	return nil
}

// build resolves the settings and makes the model.
func (t *Tokenizer) build() (err error) {
	v := &t.vocab
	f := &t.flags
	switch v.Model {
	case ModelSPM:
		f.addBOS, f.addSpacePrefix, f.spaceMarks = true, true, true
	case ModelBPE, ModelGemma4:
		return t.buildBPE()
	case ModelWordPiece:
		f.addBOS, f.addSEP, f.spaceMarks, f.lowercase = true, true, true, true
	case ModelUnigram:
		f.addEOS, f.spaceMarks = true, true
	case ModelRWKV:
		f.escaped = true
	case ModelPLaMo2:
	case "hybriddna", "whitespace":
		return fmt.Errorf("tokenizer: tokenizer.ggml.model is %q, which is not supported (supported: %s)", v.Model, supportedModels)
	case "no_vocab", "none":
		return fmt.Errorf("tokenizer: tokenizer.ggml.model is %q: the file has no vocabulary", v.Model)
	default:
		return fmt.Errorf("tokenizer: tokenizer.ggml.model is %q, which is not known (known: %s)", v.Model, supportedModels)
	}
	t.override()
	switch v.Model {
	case ModelSPM:
		t.model, err = newSPM(v, f.addSpacePrefix)
	case ModelWordPiece:
		t.model, err = newWordPiece(v, *f, t.text)
	case ModelUnigram:
		t.model, err = newUnigram(v, *f)
	case ModelRWKV:
		t.model, err = newRWKV(v)
	case ModelPLaMo2:
		t.model, err = newPlamo(v)
	}
	return err
}

const supportedModels = ModelSPM + ", " + ModelBPE + ", " + ModelGemma4 + ", " + ModelWordPiece + ", " + ModelUnigram + ", " + ModelRWKV + ", " + ModelPLaMo2

func (t *Tokenizer) buildBPE() error {
	v := &t.vocab
	f := &t.flags
	name := v.Pre
	if v.Model == ModelGemma4 {
		name = "gemma4"
	}
	v.Pre = name
	pre, err := findPreTokenizer(name)
	if err != nil {
		return err
	}
	if pre.noBOS && v.BOS != None && v.tokenType(int(v.BOS)) != ControlToken {
		v.BOS = None
	}
	f.addBOS, f.addSEP, f.spaceMarks, f.byteLevel = pre.addBOS, pre.addSEP, pre.raw, !pre.raw
	t.override()
	f.addBOS = f.addBOS || pre.newlineWords // Gemma 4's files deny the BOS that the model needs
	t.model, err = newBPE(v, pre, t.text)
	return err
}

// override applies what the file says.
func (t *Tokenizer) override() {
	v, f := &t.vocab, &t.flags
	set := func(to *bool, from *bool) {
		if from != nil {
			*to = *from
		}
	}
	set(&f.addBOS, v.AddBOS)
	set(&f.addEOS, v.AddEOS)
	set(&f.addSEP, v.AddSEP)
	set(&f.mergeSpaces, v.RemoveExtraWhitespaces)
	if v.Model == ModelUnigram {
		f.addSpacePrefix = f.mergeSpaces
	}
	set(&f.addSpacePrefix, v.AddSpacePrefix)
	set(&f.lowercase, v.Lowercase)
	f.stripAccents = f.lowercase
	set(&f.stripAccents, v.StripAccents)
}

// checkAdded reports a special token that has to be added but does not exist.
func (t *Tokenizer) checkAdded() error {
	f, v := t.flags, &t.vocab
	for _, s := range []struct {
		add  bool
		id   int32
		name string
	}{{f.addBOS, v.BOS, "bos"}, {f.addEOS, v.EOS, "eos"}, {f.addSEP, v.SEP, "sep"}} {
		if s.add && s.id == None {
			return fmt.Errorf("tokenizer: a %s token is to be added to texts, but tokenizer.ggml names no %s token", s.name, s.name)
		}
	}
	return nil
}

// Size returns the number of tokens.
func (t *Tokenizer) Size() int { return len(t.vocab.Tokens) }

// Model returns the kind of the vocabulary, one of the Model constants.
func (t *Tokenizer) Model() string { return t.vocab.Model }

// Pre returns the name of the pre-tokenizer in use; empty for models without.
func (t *Tokenizer) Pre() string {
	if t.vocab.Model == ModelBPE || t.vocab.Model == ModelGemma4 {
		return t.vocab.Pre
	}
	return ""
}

// Text returns a token as the vocabulary writes it; empty for an id that is not in it.
func (t *Tokenizer) Text(id int32) string {
	if !t.has(id) {
		return ""
	}
	return t.vocab.Tokens[id]
}

// ID returns the token that the vocabulary writes as text.
func (t *Tokenizer) ID(text string) (int32, bool) {
	id, ok := t.text[text]
	return id, ok
}

// Piece returns the text that a token stands for, special tokens included; empty for an id that is not in the
// vocabulary. It may be a part of a character.
func (t *Tokenizer) Piece(id int32) string {
	if !t.has(id) {
		return ""
	}
	return t.pieces[id]
}

func (t *Tokenizer) has(id int32) bool { return id >= 0 && int(id) < len(t.vocab.Tokens) }

// BOS returns the token that begins a sequence, or None.
func (t *Tokenizer) BOS() int32 { return t.vocab.BOS }

// EOS returns the token that ends a sequence, or None.
func (t *Tokenizer) EOS() int32 { return t.vocab.EOS }

// Special returns the special tokens' ids, as the file names them or as their texts tell.
func (t *Tokenizer) Special() SpecialIDs {
	v := &t.vocab
	return SpecialIDs{
		BOS: v.BOS, EOS: v.EOS, EOT: v.EOT, EOM: v.EOM, UNK: v.UNK, SEP: v.SEP, PAD: v.PAD, MASK: v.MASK,
		FIMPrefix: v.FIMPrefix, FIMSuffix: v.FIMSuffix, FIMMiddle: v.FIMMiddle,
		FIMPad: v.FIMPad, FIMRepo: v.FIMRepo, FIMSeparator: v.FIMSeparator,
	}
}

// SpecialIDs are the ids of the special tokens; None where a vocabulary has none.
type SpecialIDs struct {
	BOS, EOS, EOT, EOM, UNK, SEP, PAD, MASK                        int32
	FIMPrefix, FIMSuffix, FIMMiddle, FIMPad, FIMRepo, FIMSeparator int32
}

// AddsBOS reports whether [EncodeOptions.AddSpecial] puts a BOS token before the text.
func (t *Tokenizer) AddsBOS() bool { return t.flags.addBOS }

// AddsEOS reports whether [EncodeOptions.AddSpecial] puts an EOS token, or for WordPiece a SEP token, behind the text.
func (t *Tokenizer) AddsEOS() bool {
	return t.flags.addEOS || t.vocab.Model == ModelWordPiece
}

// AddsSEP reports whether texts of a pair have a SEP token between them.
func (t *Tokenizer) AddsSEP() bool { return t.flags.addSEP }

// IsSpecial reports whether a token is a control or unknown token, which stands for no text.
func (t *Tokenizer) IsSpecial(id int32) bool {
	return t.has(id) && t.attrs[id]&(attrControl|attrUnknown) != 0
}

// EndIDs returns the tokens that end a generation, in ascending order.
func (t *Tokenizer) EndIDs() []int32 { return slices.Clone(t.ends) }

// IsEnd reports whether a token ends a generation.
func (t *Tokenizer) IsEnd(id int32) bool {
	_, found := slices.BinarySearch(t.ends, id)
	return found
}

// buildPieces works out what each token stands for.
func (t *Tokenizer) buildPieces() {
	t.pieces = make([]string, len(t.vocab.Tokens))
	var raw []byte
	ends := make([]int, 0, len(t.pieces)) // offsets into raw; -1 for tokens that are not in it
	for id, text := range t.vocab.Tokens {
		attr := t.attrs[id]
		before := len(raw)
		switch {
		case attr&(attrControl|attrUnknown|attrUserDefined) != 0:
			t.pieces[id] = text
		case t.flags.escaped:
			raw, _ = unescape(raw, text) // checked by newRWKV, where it is a token of text
		case attr&attrByte != 0:
			if b, err := byteOfToken(text); err == nil {
				raw = append(raw, b)
			} else if decoded, ok := appendRawBytes(raw, text); t.flags.byteLevel && ok {
				raw = decoded
			} else {
				t.pieces[id] = text
			}
		case t.flags.spaceMarks && strings.Contains(text, spaceMark):
			raw = append(raw, strings.ReplaceAll(text, spaceMark, " ")...)
		case t.flags.byteLevel:
			decoded, ok := appendRawBytes(raw, text)
			if raw = decoded; !ok {
				t.pieces[id] = text
			}
		default:
			t.pieces[id] = text
		}
		if len(raw) == before {
			ends = append(ends, -1)
		} else {
			ends = append(ends, len(raw))
		}
	}
	all, start := string(raw), 0
	for id, end := range ends {
		if end >= 0 {
			t.pieces[id] = all[start:end]
			start = end
		}
	}
}
