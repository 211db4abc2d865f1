//go:build !llamacpp

package engine

import (
	"fmt"

	"github.com/infer-go/infer/engine/gguf"
)

func llamaCPPVersion() (string, bool) { return "", false }

func openLlamaCPP(f *gguf.File, _ foreignOptions) (foreignDevice, error) {
	return nil, fmt.Errorf("%s: %w", f.Paths[0], ErrNoLlamaCPP)
}
