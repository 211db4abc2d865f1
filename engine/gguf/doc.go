// Package gguf reads, validates, maps and writes GGUF model files, versions 2 and 3, little endian, in one file or in a
// split set.
//
// [Open] maps the files and checks everything in them before it returns: a [File] that was opened has keys, tensor
// names, shapes and byte ranges that can be relied on. [File.Metadata] holds the keys, [File.Tensors] the tensors,
// [File.Bytes] the mapped bytes of one tensor. A [Writer] makes such files. Every fault is a [*FormatError] that names
// the file, the key or the tensor, what was found and what was expected, and wraps one of the Err values.
//
// Two traps. The bytes of a tensor are the mapped file itself: they are gone after [File.Close]. And another process
// that truncates a file while it is mapped takes the pages away: the next touch of such a page raises SIGBUS. Open
// checks the size and survives this fault itself, but it cannot protect later reads; open the file with
// [OpenWith] and [InMemory] where files may change under the program.
//
// The format is described at https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
package gguf
