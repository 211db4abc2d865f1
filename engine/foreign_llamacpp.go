//go:build llamacpp

package engine

import (
	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/engine/llamacpp"
)

func llamaCPPVersion() (string, bool) { return llamacpp.Version(), true }

// llamaDevice is a device of libllama as the engine sees it.
type llamaDevice struct{ *llamacpp.Device }

func (d llamaDevice) facts() foreignFacts {
	i := d.Info()
	return foreignFacts{vocab: i.Vocab, dim: i.Dim, layers: i.Layers, heads: i.Heads, kvHeads: i.KVHeads, context: i.Context, parameters: i.Parameters}
}

func openLlamaCPP(f *gguf.File, o foreignOptions) (foreignDevice, error) {
	options := llamacpp.Options{Rows: o.rows, Pages: o.pages, Sequences: o.sequences, Threads: o.threads, F32Cache: o.f32Cache, NoRepack: o.noRepack, Log: o.log}
	if o.observe != nil {
		options.Observer = o.observe
	}
	d, err := llamacpp.Open(f, options)
	if err != nil {
		return nil, err
	}
	return llamaDevice{d}, nil
}
