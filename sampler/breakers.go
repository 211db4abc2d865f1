package sampler

import (
	"slices"
	"strings"
)

// Vocabulary is what [BreakerSequences] needs to know of a tokenizer.
type Vocabulary interface {
	// Size is the number of tokens.
	Size() int
	// Piece is the text of one token as it appears in the middle of a text.
	Piece(id int32) string
	// Encode returns the tokens of a text, without special tokens around them.
	Encode(text string) []int32
}

// maxBreakerRest bounds the tokens of a sequence after its first.
const maxBreakerRest = 20

// BreakerSequences returns the token sequences for [Params.DRYBreakers] in which the breaker texts appear, however tokens
// cut them: a token that contains the whole breaker is a sequence by itself, and one that ends with its beginning is one
// together with the tokens of the rest. Empty breakers yield nothing. It walks the vocabulary, so do it once for a model.
func BreakerSequences(breakers []string, vocabulary Vocabulary) [][]int32 {
	var sequences [][]int32
	for id := range int32(vocabulary.Size()) {
		piece := vocabulary.Piece(id)
		first := len(sequences)
		for _, breaker := range breakers {
			for _, rest := range breakerRests(piece, breaker) {
				sequence := []int32{id}
				if rest != "" {
					tokens := vocabulary.Encode(rest)
					sequence = append(sequence, tokens[:min(len(tokens), maxBreakerRest)]...)
				}
				known := func(s []int32) bool { return slices.Equal(s, sequence) }
				if !slices.ContainsFunc(sequences[first:], known) {
					sequences = append(sequences, sequence)
				}
			}
		}
	}
	return sequences
}

// breakerRests returns what is left of the breaker after the piece, for each way in which it can begin inside the piece.
func breakerRests(piece, breaker string) []string {
	if breaker == "" {
		return nil
	}
	if strings.Contains(piece, breaker) {
		return []string{""}
	}
	var rests []string
	for n := min(len(piece), len(breaker)-1); n > 0; n-- {
		if strings.HasSuffix(piece, breaker[:n]) {
			rests = append(rests, breaker[n:])
		}
	}
	return rests
}
