package tokenizer

import (
	"fmt"
	"math"
)

// Metadata is what [ReadVocab] needs of a file's metadata. Each getter returns the value, whether the key is present, and
// an error where it is present with a type or value that does not fit.
type Metadata interface {
	String(key string) (value string, present bool, err error)
	Uint(key string) (value uint64, present bool, err error)
	Bool(key string) (value bool, present bool, err error)
	Strings(key string) (values []string, present bool, err error)
	Ints(key string) (values []int64, present bool, err error)
	Floats(key string) (values []float64, present bool, err error)
}

// ReadVocab takes the vocabulary from a GGUF file's metadata: the keys tokenizer.ggml.*, general.architecture and
// general.name.
func ReadVocab(m Metadata) (Vocab, error) {
	r := metadataReader{from: m}
	model, present := r.string("tokenizer.ggml.model")
	if r.err != nil {
		return Vocab{}, r.err
	}
	if !present {
		return Vocab{}, fmt.Errorf("tokenizer: tokenizer.ggml.model is missing: the file has no vocabulary")
	}
	v := DefaultVocab(model)
	v.Pre, _ = r.string("tokenizer.ggml.pre")
	v.Architecture, _ = r.string("general.architecture")
	v.Name, _ = r.string("general.name")
	if model == "no_vocab" || model == "none" {
		return v, r.err
	}
	r.tokens(&v)
	r.special(&v)
	for key, to := range map[string]**bool{
		"tokenizer.ggml.add_bos_token":            &v.AddBOS,
		"tokenizer.ggml.add_eos_token":            &v.AddEOS,
		"tokenizer.ggml.add_sep_token":            &v.AddSEP,
		"tokenizer.ggml.add_space_prefix":         &v.AddSpacePrefix,
		"tokenizer.ggml.remove_extra_whitespaces": &v.RemoveExtraWhitespaces,
		"tokenizer.ggml.normalizer.lowercase":     &v.Lowercase,
		"tokenizer.ggml.normalizer.strip_accents": &v.StripAccents,
	} {
		r.bool(key, to)
	}
	return v, r.err
}

// metadataReader keeps the first error.
type metadataReader struct {
	from Metadata
	err  error
}

func (r *metadataReader) fail(err error) bool {
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("tokenizer: %w", err)
	}
	return r.err != nil
}

func (r *metadataReader) string(key string) (string, bool) {
	s, present, err := r.from.String(key)
	r.fail(err)
	return s, present
}

func (r *metadataReader) bool(key string, to **bool) {
	b, present, err := r.from.Bool(key)
	if !r.fail(err) && present {
		*to = &b
	}
}

func (r *metadataReader) tokens(v *Vocab) {
	var present bool
	var err error
	if v.Tokens, present, err = r.from.Strings("tokenizer.ggml.tokens"); r.fail(err) {
		return
	}
	if !present {
		r.fail(fmt.Errorf("tokenizer.ggml.tokens is missing"))
		return
	}
	v.Merges, present, err = r.from.Strings("tokenizer.ggml.merges")
	if r.fail(err) {
		return
	}
	if !present && (v.Model == ModelBPE || v.Model == ModelGemma4) {
		r.fail(fmt.Errorf("tokenizer.ggml.merges is missing, which a %s vocabulary needs", v.Model))
		return
	}
	scores, _, err := r.from.Floats("tokenizer.ggml.scores")
	if r.fail(err) {
		return
	}
	for _, s := range scores {
		v.Scores = append(v.Scores, float32(s))
	}
	types, _, err := r.from.Ints("tokenizer.ggml.token_type")
	if r.fail(err) {
		return
	}
	for i, k := range types {
		if k < math.MinInt32 || k > math.MaxInt32 {
			r.fail(fmt.Errorf("tokenizer.ggml.token_type[%d] is %d, expected 1 to 6", i, k))
			return
		}
		v.Types = append(v.Types, TokenType(k))
	}
	r.charsMap(v)
}

func (r *metadataReader) charsMap(v *Vocab) {
	bytes, _, err := r.from.Ints("tokenizer.ggml.precompiled_charsmap")
	if r.fail(err) {
		return
	}
	for i, b := range bytes {
		if b < -128 || b > 255 {
			r.fail(fmt.Errorf("tokenizer.ggml.precompiled_charsmap[%d] is %d, expected a byte", i, b))
			return
		}
		v.CharsMap = append(v.CharsMap, byte(b))
	}
}

// special reads the special ids. A default that the file does not confirm holds only where it names a token.
func (r *metadataReader) special(v *Vocab) {
	for _, s := range append(v.specialIDs(), specialID{"prefix_token_id", &v.FIMPrefix},
		specialID{"suffix_token_id", &v.FIMSuffix}, specialID{"middle_token_id", &v.FIMMiddle}) {
		if int(*s.id) >= len(v.Tokens) {
			*s.id = None
		}
		key := "tokenizer.ggml." + s.key
		id, present, err := r.from.Uint(key)
		if r.fail(err) {
			return
		}
		if !present {
			continue
		}
		// Some writers say "none" with the largest number of their integer.
		if id == math.MaxUint32 || id == math.MaxUint64 {
			*s.id = None
			continue
		}
		if id >= uint64(len(v.Tokens)) {
			r.fail(fmt.Errorf("%s is %d, expected less than the %d tokens", key, id, len(v.Tokens)))
			return
		}
		*s.id = int32(id)
	}
	r.oldFalcon(v)
}

// oldFalcon sets the special ids of files without any that were written when Falcon was the only byte-level BPE.
func (r *metadataReader) oldFalcon(v *Vocab) {
	const end = 11
	if v.Model != ModelBPE || v.BOS != None || v.EOS != None || len(v.Tokens) <= end || v.Tokens[end] != "<|endoftext|>" {
		return
	}
	v.BOS, v.EOS = end, end
}
