// Package engine runs a language model from a GGUF file.
package engine
