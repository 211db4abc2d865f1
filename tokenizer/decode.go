package tokenizer

import "strings"

// DecodeOptions says how ids become text. The zero value gives the plain text.
type DecodeOptions struct {
	// Special renders control and unknown tokens as their texts instead of leaving them out.
	Special bool
	// Continued says that the ids follow other text: the space that some vocabularies put before a text is kept.
	Continued bool
	// CleanSpaces takes the spaces before . , ? ! and contractions away, as WordPiece vocabularies want it.
	CleanSpaces bool
}

// Decode returns the text of ids. Of vocabularies that encode without loss it is the text that was encoded, byte for byte,
// also where that is not valid UTF-8. Ids that are not in the vocabulary give no text.
func (t *Tokenizer) Decode(ids []int32, o DecodeOptions) string {
	var b strings.Builder
	trim := t.flags.addSpacePrefix && !o.Continued
	for _, id := range ids {
		piece, plain := t.render(id, o)
		if trim && plain {
			piece = strings.TrimPrefix(piece, " ")
			trim = false
		}
		b.WriteString(piece)
	}
	if o.CleanSpaces {
		return cleanSpaces(b.String())
	}
	return b.String()
}

// render returns what an id stands for, and whether it is a token of text.
func (t *Tokenizer) render(id int32, o DecodeOptions) (piece string, plain bool) {
	if !t.has(id) {
		return "", false
	}
	if t.IsSpecial(id) {
		if o.Special {
			return t.pieces[id], false
		}
		return "", false
	}
	return t.pieces[id], true
}

// cleanSpaces undoes what splitting at punctuation has put into English text.
func cleanSpaces(s string) string {
	return cleanReplacer.Replace(s)
}

var cleanReplacer = strings.NewReplacer(
	" .", ".", " ?", "?", " !", "!", " ,", ",", " ' ", "'", " n't", "n't", " 'm", "'m", " 's", "'s", " 've", "'ve", " 're", "'re")
