package tokenizer_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/tokenizer"
)

func charsMapBytes(units []uint32, forms string) []byte {
	data := binary.LittleEndian.AppendUint32(nil, uint32(4*len(units)))
	for _, u := range units {
		data = binary.LittleEndian.AppendUint32(data, u)
	}
	return append(data, forms...)
}

// oneCharacter is a map of the byte c to the form at value: the root's children are at c, the value at 256.
func oneCharacter(c byte, value uint32, units int) []uint32 {
	trie := make([]uint32, units)
	const ends = 1 << 8
	trie[0] = 256 << 10 // children of the root are at 256^c
	trie[256^int(c)] = uint32(c) | ends | uint32(int(c)^0x300)<<10
	trie[0x300^256] = 1<<31 | value
	return trie
}

func unigramWith(charsMap []byte) tokenizer.Vocab {
	b := newBuilder(tokenizer.ModelUnigram)
	b.v.UNK = b.add(tokenizer.UnknownToken, 0, "<unk>")
	b.v.EOS = b.add(tokenizer.ControlToken, 0, "</s>")
	b.add(tokenizer.NormalToken, -1, "▁", "a", "b", "bb")
	b.v.CharsMap = charsMap
	return b.v
}

func TestCharsMap(t *testing.T) {
	tok, err := tokenizer.New(unigramWith(charsMapBytes(oneCharacter('x', 2, 0x400), "a\x00bb\x00")))
	require.NoError(t, err)
	require.Equal(t, []string{"a", "bb", "</s>"}, encode(t, tok, "ax", special))
	require.Equal(t, []string{"<unk>", "a", "<unk>"}, encode(t, tok, "\xff\xffa\x00", plain), "unknown neighbours are one")

	_, err = mustNew(t, unigramWith(charsMapBytes(oneCharacter('x', 200, 0x400), "a\x00"))).Encode("ax", plain)
	require.ErrorContains(t, err, `maps "x" to offset 200 of 2`)
	// A value or a child beyond the trie is none.
	require.Equal(t, []string{"<unk>"}, encode(t, mustNew(t, unigramWith(charsMapBytes(oneCharacter('x', 0, 0x400)[:0x1F0], "a\x00"))), "x", plain))
	require.Equal(t, []string{"<unk>"}, encode(t, mustNew(t, unigramWith(charsMapBytes([]uint32{1 << 30}, "a\x00"))), "x", plain))

	for want, data := range map[string][]byte{
		"has 3 bytes":          {1, 2, 3},
		"trie as 400 of 1":     append(binary.LittleEndian.AppendUint32(nil, 400), 0),
		"trie as 3 of 8 bytes": append(binary.LittleEndian.AppendUint32(nil, 3), make([]byte, 8)...),
		"ends within a string": charsMapBytes([]uint32{0}, "a"),
	} {
		_, err := tokenizer.New(unigramWith(data))
		require.ErrorContains(t, err, want)
	}
}

func mustNew(t testing.TB, v tokenizer.Vocab) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.New(v)
	require.NoError(t, err)
	return tok
}
