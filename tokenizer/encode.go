package tokenizer

import "fmt"

// EncodeOptions says how text is encoded. The zero value encodes it as plain text.
type EncodeOptions struct {
	// AddSpecial adds the tokens that the vocabulary puts around a text: BOS, EOS, or CLS and SEP.
	AddSpecial bool
	// ParseSpecial reads the texts of control tokens, such as <|im_start|>, as these tokens. Leave it off for text
	// of strangers. Tokens that the vocabulary has as user-defined are read in either case.
	ParseSpecial bool
}

// Encode returns the ids of a text. It fails where the vocabulary has no token for a piece of the text and no unknown
// token: [*UnencodableError].
func (t *Tokenizer) Encode(text string, o EncodeOptions) ([]int32, error) {
	if len(text) > longestText {
		return nil, fmt.Errorf("tokenizer: the text has %d bytes, expected at most %d", len(text), longestText)
	}
	w := t.spaces.Get().(*workspace)
	defer t.release(w)
	out := make([]int32, 0, len(text)/3+4)
	if o.AddSpecial && t.flags.addBOS {
		out = append(out, t.vocab.BOS)
	}
	w.afterSpecial = true
	for from := 0; from < len(text); {
		token, start, end := t.special.next(text, from, o.ParseSpecial)
		plain := text[from:start]
		if token.attrs&attrStripLeft != 0 {
			plain = trimSpaceRight(plain)
		}
		if plain != "" {
			var err error
			if out, err = t.model.encode(plain, out, w); err != nil {
				return nil, err
			}
			w.afterSpecial = false
		}
		if token.id == None {
			break
		}
		out = append(out, token.id)
		w.afterSpecial = true
		from = end
		if token.attrs&attrStripRight != 0 {
			for from < len(text) && isCSpace(text[from]) {
				from++
			}
		}
	}
	return t.appendEnd(out, o), nil
}

// longestText keeps offsets within 32 bits, also where normalization makes three bytes of one.
const longestText = 1 << 29

// release keeps a workspace for the next call, unless an unusual text has made it large.
func (t *Tokenizer) release(w *workspace) {
	const most = 1 << 16
	if cap(w.symbols.id) <= most && cap(w.paths) <= most && cap(w.text) <= 4*most {
		t.spaces.Put(w)
	}
}

func (t *Tokenizer) appendEnd(out []int32, o EncodeOptions) []int32 {
	switch {
	case !o.AddSpecial:
		return out
	case t.vocab.Model == ModelWordPiece:
		return append(out, t.vocab.SEP)
	case t.flags.addEOS:
		return append(out, t.vocab.EOS)
	}
	return out
}

func trimSpaceRight(s string) string {
	for s != "" && isCSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// isCSpace reports the whitespace of ASCII.
func isCSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }
