package tokenizer_test

import (
	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/tokenizer"
)

// The metadata of a file is what ReadVocab reads.
var _ tokenizer.Metadata = (*gguf.Metadata)(nil)
