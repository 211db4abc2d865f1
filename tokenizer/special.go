package tokenizer

import (
	"slices"
	"strings"
)

// attribute is a set of a token's properties.
type attribute uint16

const (
	attrNormal attribute = 1 << iota
	attrUnknown
	attrControl
	attrUserDefined
	attrUnused
	attrByte
	attrStripLeft  // takes the whitespace before it along
	attrStripRight // takes the whitespace behind it along
)

func attributeOf(kind TokenType) attribute {
	switch kind {
	case NormalToken:
		return attrNormal
	case UnknownToken:
		return attrUnknown
	case ControlToken:
		return attrControl
	case UserDefinedToken:
		return attrUserDefined
	case UnusedToken:
		return attrUnused
	case ByteToken:
		return attrByte
	}
	return 0
}

// role is a special id and the texts that tell it.
type role struct {
	id    func(*Vocab) *int32
	texts []string
}

var textRoles = []role{
	{func(v *Vocab) *int32 { return &v.EOT }, []string{"<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>",
		"<|end_of_text|>", "<EOT>", "_<EOT>", "[EOT]", "<｜end▁of▁sentence｜>", "<end_of_utterance>"}},
	{func(v *Vocab) *int32 { return &v.EOM }, []string{"<|eom_id|>"}},
	{func(v *Vocab) *int32 { return &v.FIMPrefix }, []string{"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>",
		"<PRE>", "▁<PRE>", "<|code_prefix|>", "<|prefix|>"}},
	{func(v *Vocab) *int32 { return &v.FIMSuffix }, []string{"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>",
		"<SUF>", "▁<SUF>", "<|code_suffix|>", "<|suffix|>"}},
	{func(v *Vocab) *int32 { return &v.FIMMiddle }, []string{"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>",
		"<MID>", "▁<MID>", "<|code_middle|>", "<|middle|>"}},
	{func(v *Vocab) *int32 { return &v.FIMPad }, []string{"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"}},
	{func(v *Vocab) *int32 { return &v.FIMRepo }, []string{"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"}},
	{func(v *Vocab) *int32 { return &v.FIMSeparator }, []string{"<|file_sep|>"}},
}

// ambiguousTexts are texts of special tokens that other vocabularies have as plain text, such as </s> where HTML is. They
// count only where the file does not give them as normal tokens.
var ambiguousTexts = []string{
	"</s>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<eos>", "<PRE>", "<SUF>", "<MID>", "<PAD>", "[PAD]", "<REPO>", "[e~[",
}

// endTexts are the tokens that end a generation whatever the file says of them.
var endTexts = []string{
	"<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>", "<|endoftext|>",
	"</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>", "<eos>", "<turn|>",
	"<|tool_response>", "<｜end▁of▁sentence｜>", "[e~[",
}

// harmonyTexts are tokens that structure gpt-oss's answers and have to be seen by who reads them.
var harmonyTexts = []string{"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"}

// findSpecialByText completes the special ids, the attributes and the end-of-generation set by the texts of the tokens.
func (t *Tokenizer) findSpecialByText() {
	v := &t.vocab
	for _, role := range textRoles {
		id := role.id(v)
		for _, text := range role.texts {
			if found, ok := t.specialByText(text); ok && *id == None {
				*id = found
				t.attrs[found] |= attrControl
			}
		}
	}
	ends := map[int32]bool{v.FIMPad: true, v.FIMRepo: true, v.FIMSeparator: true, v.EOS: true, v.EOT: true, v.EOM: true}
	for _, text := range endTexts {
		if id, ok := t.specialByText(text); ok {
			ends[id] = true
			t.attrs[id] |= attrControl
		}
	}
	for _, text := range harmonyTexts {
		if id, ok := t.text[text]; ok {
			t.attrs[id] = attrUserDefined
		}
	}
	t.exemptEnds(ends)
	delete(ends, None)
	for id := range ends {
		t.ends = append(t.ends, id)
	}
	slices.Sort(t.ends)
}

// specialByText returns the special token of a text.
func (t *Tokenizer) specialByText(text string) (int32, bool) {
	id, ok := t.text[text]
	if ok && t.attrs[id] == attrNormal && slices.Contains(ambiguousTexts, text) {
		return None, false
	}
	return id, ok
}

// exemptEnds takes tokens out of the end-of-generation set that in some models end something smaller.
func (t *Tokenizer) exemptEnds(ends map[int32]bool) {
	has := func(text string) bool { return ends[t.idOr(text)] && t.idOr(text) != None }
	calls := has("<|call|>") || has("<|calls|>")
	if end := t.idOr("<|end|>"); has("<|end|>") && calls && (has("<|return|>") || has("<|flush|>")) {
		delete(ends, end)
		t.attrs[end] = attrUserDefined
	}
	if end := t.idOr("</s>"); has("</s>") && has("<|tool_response>") {
		delete(ends, end)
		t.attrs[end] = attrNormal
	}
}

func (t *Tokenizer) idOr(text string) int32 {
	if id, ok := t.text[text]; ok {
		return id
	}
	return None
}

// buildSpecial prepares the search for special tokens in text.
func (t *Tokenizer) buildSpecial() {
	t.setStrips()
	t.special = newSpecialTokens()
	for id, attr := range t.attrs {
		if attr&(attrControl|attrUserDefined|attrUnknown) != 0 {
			t.special.add(t.vocab.Tokens[id], int32(id), attr)
		}
	}
}

// setStrips sets which special tokens take whitespace along. Files do not carry it: the models are known by name.
func (t *Tokenizer) setStrips() {
	v := &t.vocab
	set := func(text string, strip attribute, on bool) {
		if id, ok := t.text[text]; ok {
			t.attrs[id] &^= strip
			if on {
				t.attrs[id] |= strip
			}
		}
	}
	name := strings.ToLower(v.Name)
	switch {
	case containsAny(v.Pre, "jina-v2-de", "jina-v2-es", "jina-v2-code"), containsAny(v.Architecture, "nomic-bert-moe", "jina-bert-v3"):
		set("<mask>", attrStripLeft, true)
	case containsAny(name, "phi-3", "phi3"):
		for id, attr := range t.attrs {
			if attr&(attrControl|attrUserDefined|attrUnknown) != 0 {
				t.attrs[id] |= attrStripRight
			}
		}
		set("</s>", attrStripRight, true)
		for _, text := range []string{"<unk>", "<s>", "<|endoftext|>"} {
			set(text, attrStripRight, false)
		}
	case containsAny(name, "modern-bert"):
		set("[MASK]", attrStripLeft, true)
	}
}

func containsAny(s string, parts ...string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(s, part) })
}

// specialTokens finds special tokens in text: the leftmost, and of those the longest.
type specialTokens struct {
	first [256]bool // bytes that a special token begins with
	nodes map[specialEdge]int32
	found []specialToken // by node
}

type specialEdge struct {
	node int32
	next byte
}

type specialToken struct {
	id    int32
	attrs attribute
}

func newSpecialTokens() *specialTokens {
	return &specialTokens{nodes: map[specialEdge]int32{}, found: []specialToken{{id: None}}}
}

func (s *specialTokens) add(text string, id int32, attrs attribute) {
	s.first[text[0]] = true
	node := int32(0)
	for i := range len(text) {
		edge := specialEdge{node, text[i]}
		next, ok := s.nodes[edge]
		if !ok {
			next = int32(len(s.found))
			s.nodes[edge] = next
			s.found = append(s.found, specialToken{id: None})
		}
		node = next
	}
	s.found[node] = specialToken{id: id, attrs: attrs}
}

// next returns the first special token in text[from:] and where it is; id None where there is none. Control and unknown
// tokens are passed over unless control is set.
func (s *specialTokens) next(text string, from int, control bool) (token specialToken, start, end int) {
	for i := from; i < len(text); i++ {
		if !s.first[text[i]] {
			continue
		}
		if token, end = s.at(text, i, control); token.id != None {
			return token, i, end
		}
	}
	return specialToken{id: None}, len(text), len(text)
}

// at returns the longest special token at text[i].
func (s *specialTokens) at(text string, i int, control bool) (token specialToken, end int) {
	token.id = None
	node := int32(0)
	for ; i < len(text); i++ {
		next, ok := s.nodes[specialEdge{node, text[i]}]
		if !ok {
			break
		}
		node = next
		f := s.found[node]
		if f.id != None && (control || f.attrs&(attrControl|attrUnknown) == 0) {
			token, end = f, i+1
		}
	}
	return token, end
}
