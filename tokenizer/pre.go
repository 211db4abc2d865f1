package tokenizer

import (
	"fmt"
	"slices"
	"strings"
)

// preTokenizer is what a value of tokenizer.ggml.pre stands for.
type preTokenizer struct {
	names []string
	split splitter

	ignoreMerges bool // a word that is a token is not merged from its parts
	addBOS       bool // the default of tokenizer.ggml.add_bos_token
	addSEP       bool // the default of tokenizer.ggml.add_sep_token
	raw          bool // tokens are UTF-8 with U+2581 for a space, not GPT-2's byte alphabet
	newlineWords bool // a word of line breaks that is a token is not merged from its parts
	noBOS        bool // the model's default beginning of sequence does not exist
}

var (
	llama3Rules = wordRules{contractions: true, letters: letter, numbers: 3, behind: "\r\n"}
	qwen2Rules  = wordRules{contractions: true, letters: letter, numbers: 1, behind: "\r\n"}
	gpt4oRules  = casedRules{contractions: true, numbers: 3, behind: "\r\n/"}
)

// with returns rules changed by edit.
func (r wordRules) with(edit func(*wordRules)) wordRules {
	edit(&r)
	return r
}

func falconPunctuation(more string) stage {
	return isolate(func(s string, i int) int {
		for i < len(s) {
			c, width := classAt(s, i)
			if c&punct == 0 && strings.IndexByte(more, s[i]) < 0 {
				break
			}
			i += width
		}
		return i
	})
}

// preTokenizers lists the known ones. The comment on a splitter gives its regular expressions.
var preTokenizers = []preTokenizer{
	{names: []string{"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"},
		split: splitter{llama3Rules.next}, ignoreMerges: true, addBOS: true},
	{names: []string{"dbrx", "smaug-bpe"}, split: splitter{llama3Rules.next}},
	{names: []string{"chatglm-bpe", "glm4"}, split: splitter{llama3Rules.next}, noBOS: true},
	{names: []string{"jais-2"}, split: splitter{llama3Rules.with(func(r *wordRules) { r.cascade = true }).next}},
	{names: []string{"minicpm5"}, ignoreMerges: true,
		split: splitter{upToThreeNumbers, llama3Rules.with(func(r *wordRules) { r.numbers = 0 }).next}},
	{names: []string{"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2", "hunyuan", "solar-open", "grok-2",
		// \s*[\r\n] for \s*[\r\n]+ is the same, and so are possessive quantifiers before what they cannot match.
		"bailingmoe", "bailingmoe2", "llada-moe"},
		split: splitter{qwen2Rules.next}},
	{names: []string{"qwen35"}, split: splitter{qwen2Rules.with(func(r *wordRules) { r.letters = letter | mark }).next}},
	{names: []string{"seed-coder"}, split: splitter{qwen2Rules.with(func(r *wordRules) { r.behind = "" }).next}},
	{names: []string{"ufakzeka"}, split: splitter{qwen2Rules.with(func(r *wordRules) { r.contractions = false }).next}},
	{names: []string{"laguna"}, split: splitter{lines, qwen2Rules.next}},
	{names: []string{"exaone-moe"}, split: splitter{
		qwen2Rules.with(func(r *wordRules) { r.phrases, r.behind, r.behindOnce = true, "\r\n/", true }).next}},

	{names: []string{"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"}, split: splitter{gpt4oRules.next}},
	{names: []string{"granite-embed-multi-97m"}, split: splitter{gpt4oRules.next}, ignoreMerges: true},
	{names: []string{"tekken"}, split: splitter{casedRules{numbers: 1, behind: "\r\n/"}.next}, ignoreMerges: true, addBOS: true},
	{names: []string{"tiny_aya", "cohere2moe"}, split: splitter{groupedDigits, gpt4oRules.next}},
	{names: []string{"kimi-k2"}, split: splitter{
		casedRules{contractions: true, numbers: 3, behind: "\r\n", hanApart: true}.next}},
	{names: []string{"youtu"}, ignoreMerges: true, split: splitter{
		anyOf(hangul, widePunct, bopomofo, hanAndKana),
		casedRules{contractions: true, numbers: 1, behind: "\r\n/"}.next}},

	{names: []string{"gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0", "mellum",
		"modern-bert", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4"},
		split: splitter{gpt2Words}},
	{names: []string{"jina-v1-en", "jina-v2-code", "roberta-bpe"}, split: splitter{gpt2Words}, addSEP: true},
	{names: []string{"starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2"},
		split: splitter{one(number), gpt2Words}},
	{names: []string{"falcon"}, split: splitter{falconPunctuation("$+<=>^~|`"), gpt2Words, isolate(threeDigits)}},
	{names: []string{"default"}, split: splitter{
		falconPunctuation("$+<=>^~|"), gpt2Words, runs(number), isolate(threeDigits)}},
	{names: []string{"chameleon"}, addBOS: true, split: splitter{
		isolate(chameleonSentinel), isolate(chameleonImage), isolate(chameleonSpaces),
		one(number), chameleonPunctuation, gpt2Words}},

	{names: []string{"deepseek-llm"}, split: splitter{
		lineBreak, spaced(casedLetters), spaced(asciiAndWidePunctuation), trailingSpace, anyOf(eastAsian), runs(number)}},
	{names: []string{"deepseek-coder"}, split: splitter{
		lineBreak, spacedClass(letter), spacedClass(punct), anyOf(eastAsian), one(number)}},
	{names: []string{"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"}, split: splitter{
		upToThreeNumbers, anyOf(hanAndKana), isolate(deepSeekRules{}.match)}},
	{names: []string{"spark2_5"}, split: splitter{
		upToThreeNumbers, anyOf(hanAndKana), isolate(deepSeekRules{breakAlone: true}.match), one(number)}},
	{names: []string{"afmoe"}, split: splitter{groupedNumbers, anyOf(asianScripts), isolate(deepSeekRules{}.match)}},

	{names: []string{"bloom", "poro-chat", "gpt3-finnish"}, split: splitter{isolate(bloomWords)}},
	{names: []string{"viking"}, split: splitter{isolate(bloomWords), one(number)}},
	{names: []string{"superbpe"}, split: splitter{runs(number), beforeThrees}},

	{names: []string{"gemma4", "granite-embed-multi-311m"}, split: splitter{lines}, raw: true, newlineWords: true, addBOS: true},
	{names: []string{"sarvam-moe"}, split: splitter{lines}, raw: true},
}

// PreTokenizers returns the names that [Vocab.Pre] and [WithPre] take, sorted.
func PreTokenizers() []string {
	var names []string
	for _, p := range preTokenizers {
		names = append(names, p.names...)
	}
	slices.Sort(names)
	return names
}

// UnknownPreTokenizerError says that a byte-level BPE vocabulary names no pre-tokenizer, or none that is known. A guess
// would give ids that the model was not trained on, so that [WithPre] has to name one.
type UnknownPreTokenizerError struct {
	Name string // as in the file; empty where it names none
}

func (e *UnknownPreTokenizerError) Error() string {
	if e.Name == "" {
		return "tokenizer: tokenizer.ggml.pre is missing: the file does not say how text is split into words; " +
			"name the pre-tokenizer that the model was trained with (known: " + strings.Join(PreTokenizers(), ", ") + ")"
	}
	return fmt.Sprintf("tokenizer: tokenizer.ggml.pre is %q, which is not known; name one that splits text in the same way (known: %s)",
		e.Name, strings.Join(PreTokenizers(), ", "))
}

func findPreTokenizer(name string) (preTokenizer, error) {
	for _, p := range preTokenizers {
		if slices.Contains(p.names, name) {
			return p, nil
		}
	}
	return preTokenizer{}, &UnknownPreTokenizerError{Name: name}
}
