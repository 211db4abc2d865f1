package tokenizer

import "unicode/utf8"

// GPT-2 writes the bytes of a token as printable characters: those that are printable in Latin-1 as themselves, the
// others, in order, as U+0100 and up.

// byteRune is the character that stands for a byte.
var byteRune = func() (table [256]rune) {
	next := rune(256)
	for b := range table {
		if isPrintableByte(b) {
			table[b] = rune(b)
			continue
		}
		table[b] = next
		next++
	}
	return table
}()

// runeByte is the inverse of byteRune; -1 for characters that stand for no byte.
var runeByte = func() (table [256 + 68]int16) {
	for i := range table {
		table[i] = -1
	}
	for b, r := range byteRune {
		table[r] = int16(b)
	}
	return table
}()

func isPrintableByte(b int) bool {
	return '!' <= b && b <= '~' || 0xA1 <= b && b <= 0xAC || 0xAE <= b
}

// appendByteText appends the characters that stand for the bytes of raw.
func appendByteText(text []byte, raw string) []byte {
	for i := range len(raw) {
		text = utf8.AppendRune(text, byteRune[raw[i]])
	}
	return text
}

// appendRawBytes appends the bytes that text stands for; ok is false, and nothing appended, where it has a character that
// stands for none.
func appendRawBytes(raw []byte, text string) (_ []byte, ok bool) {
	before := len(raw)
	for _, r := range text {
		if int(r) >= len(runeByte) || runeByte[r] < 0 {
			return raw[:before], false
		}
		raw = append(raw, byte(runeByte[r]))
	}
	return raw, true
}
