package engine

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/infer-go/infer/engine/arch"
	"github.com/infer-go/infer/tokenizer"
)

// RerankOptions say how documents are ranked. The zero value gives scores from 0 to 1 and refuses what is too long.
type RerankOptions struct {
	Raw      bool // scores as the model gives them, which for many models have no bounds
	Truncate bool // a document that is too long loses its end, and its result says so
	Top      int  // results at most; 0: all
}

// Ranked is a document's place.
type Ranked struct {
	Index  int // of the document as it was given
	Score  float32
	Tokens int // of query and document, as computed
	Cut    int // tokens that were left out at the document's end, where Truncate allowed it
}

// Rerank scores how well each document answers the query and returns them best first; equal scores keep their order. The
// model must have a classifier for it. Special tokens written in a text are text.
func (e *Engine) Rerank(ctx context.Context, query string, documents []string, o RerankOptions) ([]Ranked, error) {
	score, err := e.scoreOf(o.Raw)
	if err != nil {
		return nil, err
	}
	inputs, out := make([]input, len(documents)), make([]Ranked, len(documents))
	for i, document := range documents {
		pair, err := e.pair(query, document)
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", i, err)
		}
		if o.Truncate {
			if out[i].Cut, err = pair.cut(e.longestText()); err != nil {
				return nil, fmt.Errorf("document %d: %w", i, err)
			}
		}
		inputs[i] = pair.input()
		out[i].Index, out[i].Tokens = i, len(inputs[i].ids)
	}
	if err := e.encodeAll(ctx, inputs, func(i int, result []float32) { out[i].Score = score(result) }); err != nil {
		return nil, err
	}
	slices.SortStableFunc(out, func(a, b Ranked) int {
		switch {
		case a.Score > b.Score:
			return -1
		case a.Score < b.Score:
			return 1
		}
		return 0
	})
	if o.Top > 0 {
		out = out[:min(o.Top, len(out))]
	}
	return out, nil
}

// scoreOf returns what turns a classifier's result into a score: its only number, or that of "yes".
func (e *Engine) scoreOf(raw bool) (func([]float32) float32, error) {
	m := e.model
	if m.Pooling != arch.Rank {
		return nil, fmt.Errorf("%s: %w", e.path, ErrNotRanking)
	}
	if e.text == nil {
		return nil, fmt.Errorf("%s: %w", e.path, ErrNoVocabulary)
	}
	if m.Width == 1 {
		return func(result []float32) float32 {
			if raw {
				return result[0]
			}
			return float32(1 / (1 + math.Exp(-float64(result[0]))))
		}, nil
	}
	yes := slices.Index(m.Labels, "yes")
	if yes < 0 {
		return nil, fmt.Errorf("%s: %w: its %d scores are of %q, expected one score, or one of \"yes\"", e.path, ErrNotRanking, m.Width, m.Labels)
	}
	return func(result []float32) float32 { return result[yes] }, nil
}

// pair is a query and a document as tokens.
type pair struct {
	head, body, tail []int32
	least            int // tokens of body that are not the document's
	second           int // where the second text begins, for models with token types
}

func (p *pair) input() input {
	in := input{ids: slices.Concat(p.head, p.body, p.tail), types: make([]int32, len(p.head)+len(p.body)+len(p.tail))}
	for i := p.second; i < len(in.types); i++ {
		in.types[i] = 1
	}
	return in
}

// cut shortens the document until the pair has at most most tokens, and returns by how many.
func (p *pair) cut(most int) (int, error) {
	excess := len(p.head) + len(p.body) + len(p.tail) - most
	if excess <= 0 {
		return 0, nil
	}
	if excess > len(p.body)-p.least {
		return 0, fmt.Errorf("%w: the query alone has %d tokens with what is around it, of at most %d", ErrTooLong, len(p.head)+p.least+len(p.tail), most)
	}
	p.body = p.body[:len(p.body)-excess]
	return excess, nil
}

// pair encodes a query and a document as the model was trained to see them: in the file's template where it has one, else
// as two texts with the vocabulary's separators.
func (e *Engine) pair(query, document string) (pair, error) {
	template, present, err := e.file.Metadata.String("tokenizer.chat_template.rerank")
	if err != nil {
		return pair{}, err
	}
	if present && template != "" {
		return e.templatePair(template, query, document)
	}
	t := e.text.tokens
	first, err := t.Encode(query, tokenizer.EncodeOptions{})
	if err != nil {
		return pair{}, fmt.Errorf("query: %w", err)
	}
	body, err := t.Encode(document, tokenizer.EncodeOptions{})
	if err != nil {
		return pair{}, err
	}
	s := t.Special()
	end := s.EOS
	if t.Model() == tokenizer.ModelWordPiece || end == tokenizer.None {
		end = s.SEP
	}
	if end == tokenizer.None {
		return pair{}, fmt.Errorf("%s: the vocabulary has no token between two texts, neither sep nor eos", e.path)
	}
	var head []int32
	if t.AddsBOS() {
		head = append(head, t.BOS())
	}
	head = append(append(head, first...), end)
	if t.AddsSEP() && t.Model() != tokenizer.ModelWordPiece { // RoBERTa and its kin have two
		head = append(head, s.SEP)
	}
	p := pair{head: head, body: body, tail: []int32{end}, second: len(head)}
	if e.model.TokenTypes < 2 {
		p.second = len(head) + len(body) + 1
	}
	return p, nil
}

// templatePair fills {query} and {document} into a template. Special tokens of the template are tokens, those written in the
// texts are text.
func (e *Engine) templatePair(template, query, document string) (pair, error) {
	t := e.text.tokens
	var p pair
	fill := strings.NewReplacer("{query}", query, "{document}", document)
	seen := false
	for template != "" {
		plain, special, rest := cutSpecial(t, template)
		template = rest
		add := &p.head
		if seen {
			add = &p.tail
		}
		before, after, has := strings.Cut(plain, "{document}")
		if has && !seen {
			seen = true
			without, err := t.Encode(fill.Replace(before), tokenizer.EncodeOptions{})
			if err != nil {
				return p, err
			}
			if p.body, err = t.Encode(fill.Replace(before)+document, tokenizer.EncodeOptions{}); err != nil {
				return p, err
			}
			p.least, add, plain = min(len(without), len(p.body)), &p.tail, after
		}
		ids, err := t.Encode(fill.Replace(plain), tokenizer.EncodeOptions{})
		if err != nil {
			return p, err
		}
		*add = append(*add, ids...)
		if special != tokenizer.None {
			*add = append(*add, special)
		}
	}
	if !seen {
		return p, fmt.Errorf("%s: key tokenizer.chat_template.rerank: found no {document}, expected one", e.path)
	}
	p.second = len(p.head) + len(p.body) + len(p.tail)
	return p, nil
}

// cutSpecial finds the first special token written in a text.
func cutSpecial(t *tokenizer.Tokenizer, text string) (plain string, special int32, rest string) {
	const longest = 64 // bytes of a special token's text
	for i := range len(text) {
		for end := min(len(text), i+longest); end > i; end-- {
			if id, ok := t.ID(text[i:end]); ok && t.IsSpecial(id) {
				return text[:i], id, text[end:]
			}
		}
	}
	return text, tokenizer.None, ""
}
