package tokenizer

import "fmt"

// TokenType is the kind of a token, as tokenizer.ggml.token_type numbers them.
type TokenType int32

// The token types of GGUF.
const (
	NormalToken      TokenType = 1
	UnknownToken     TokenType = 2
	ControlToken     TokenType = 3
	UserDefinedToken TokenType = 4
	UnusedToken      TokenType = 5
	ByteToken        TokenType = 6
)

// None stands for a special token that a vocabulary does not have.
const None int32 = -1

// The values of [Vocab.Model].
const (
	ModelSPM       = "llama"  // SentencePiece BPE: merges by score
	ModelBPE       = "gpt2"   // byte-level BPE: merges by rank
	ModelGemma4    = "gemma4" // BPE over raw UTF-8 with spaces written as U+2581
	ModelWordPiece = "bert"
	ModelUnigram   = "t5"
	ModelRWKV      = "rwkv"   // the longest token, of bytes
	ModelPLaMo2    = "plamo2" // the highest sum of scores, from the end
)

// Vocab is everything that a tokenizer is built from. [DefaultVocab] gives one with the special ids that a model has
// when its file names none; [ReadVocab] fills one from a file.
type Vocab struct {
	Model string // one of the Model constants: tokenizer.ggml.model
	Pre   string // the pre-tokenizer, for the BPE models: tokenizer.ggml.pre

	Architecture string // general.architecture: decides attributes that files do not carry
	Name         string // general.name: likewise

	Tokens   []string
	Scores   []float32   // as long as Tokens, or empty
	Types    []TokenType // as long as Tokens, or empty: all normal
	Merges   []string    // "left right", the first with the lowest rank
	CharsMap []byte      // precompiled_charsmap of a Unigram model

	// Ids of special tokens; None where there is none.
	BOS, EOS, EOT, EOM, UNK, SEP, PAD, MASK int32
	// Fill-in-the-middle tokens: prefix, suffix, middle, padding, repository, file separator.
	FIMPrefix, FIMSuffix, FIMMiddle, FIMPad, FIMRepo, FIMSeparator int32

	// What the file says; nil where it says nothing and the model's and pre-tokenizer's default holds.
	AddBOS, AddEOS, AddSEP *bool
	AddSpacePrefix         *bool
	RemoveExtraWhitespaces *bool
	Lowercase              *bool // WordPiece normalizer
	StripAccents           *bool // WordPiece normalizer; as Lowercase when nil
}

// DefaultVocab returns a Vocab of the model with the special ids that files of it have when they name none. The
// tokens are empty.
func DefaultVocab(model string) Vocab {
	v := Vocab{
		Model: model,
		BOS:   None, EOS: None, EOT: None, EOM: None, UNK: None, SEP: None, PAD: None, MASK: None,
		FIMPrefix: None, FIMSuffix: None, FIMMiddle: None, FIMPad: None, FIMRepo: None, FIMSeparator: None,
	}
	switch model {
	case ModelSPM:
		v.UNK, v.BOS, v.EOS = 0, 1, 2
	case ModelWordPiece:
		v.PAD, v.UNK, v.BOS, v.SEP, v.MASK = 0, 100, 101, 102, 103
	case ModelUnigram:
		v.PAD, v.EOS, v.UNK = 0, 1, 2
	case ModelPLaMo2:
		v.UNK, v.BOS, v.EOS, v.PAD = 0, 1, 2, 3
	}
	return v
}

// specialID names one of the special ids of a Vocab by its metadata key.
type specialID struct {
	key string
	id  *int32
}

// specialIDs lists the special ids. Later keys that name the same id are older spellings and lose against earlier ones.
func (v *Vocab) specialIDs() []specialID {
	return []specialID{
		{"bos_token_id", &v.BOS}, {"eos_token_id", &v.EOS}, {"eot_token_id", &v.EOT}, {"eom_token_id", &v.EOM},
		{"unknown_token_id", &v.UNK}, {"seperator_token_id", &v.SEP}, {"padding_token_id", &v.PAD},
		{"mask_token_id", &v.MASK},
		{"fim_pre_token_id", &v.FIMPrefix}, {"fim_suf_token_id", &v.FIMSuffix}, {"fim_mid_token_id", &v.FIMMiddle},
		{"fim_pad_token_id", &v.FIMPad}, {"fim_rep_token_id", &v.FIMRepo}, {"fim_sep_token_id", &v.FIMSeparator},
	}
}

// check reports a vocabulary that contradicts itself.
func (v *Vocab) check() error {
	n := len(v.Tokens)
	if n == 0 {
		return fmt.Errorf("tokenizer: the vocabulary has no tokens")
	}
	if len(v.Scores) != 0 && len(v.Scores) != n {
		return fmt.Errorf("tokenizer: tokenizer.ggml.scores has %d elements, expected %d, one a token", len(v.Scores), n)
	}
	if len(v.Types) != 0 && len(v.Types) != n {
		return fmt.Errorf("tokenizer: tokenizer.ggml.token_type has %d elements, expected %d, one a token", len(v.Types), n)
	}
	for id, score := range v.Scores {
		if score != score {
			return fmt.Errorf("tokenizer: tokenizer.ggml.scores[%d] is not a number", id)
		}
	}
	for _, s := range v.specialIDs() {
		if *s.id < None || int(*s.id) >= n {
			return fmt.Errorf("tokenizer: tokenizer.ggml.%s is %d, expected less than the %d tokens", s.key, *s.id, n)
		}
	}
	return nil
}

func (v *Vocab) tokenType(id int) TokenType {
	if len(v.Types) == 0 {
		return NormalToken
	}
	return v.Types[id]
}

func (v *Vocab) score(id int32) float32 {
	if len(v.Scores) == 0 {
		return 0
	}
	return v.Scores[id]
}
