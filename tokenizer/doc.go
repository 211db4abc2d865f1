// Package tokenizer turns text into the token ids of a model and back.
//
// The vocabularies are those of GGUF files: SentencePiece BPE ("llama"), byte-level BPE ("gpt2", with the pre-tokenizer
// that tokenizer.ggml.pre names), BPE over raw UTF-8 ("gemma4"), WordPiece ("bert"), Unigram ("t5"), the
// longest token ("rwkv") and the highest sum of scores ("plamo2"). [ReadVocab] takes
// a [Vocab] from a file's metadata, [New] builds a [Tokenizer] from it.
//
// Encoding takes time linear in the length of the text, up to the logarithm of the longest stretch that cannot be split,
// whatever the text is. Text need not be valid UTF-8: vocabularies that have a token for each byte encode invalid bytes
// as they are, so that decoding gives them back; the others see U+FFFD.
//
// Where the tokenizer that a model was trained with and other readers of GGUF disagree, this package follows the model's
// own tokenizer. Text that is encoded without [EncodeOptions.ParseSpecial] never yields a control token.
package tokenizer
