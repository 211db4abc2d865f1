package tokenizer

import (
	"fmt"
	"slices"
	"strings"
)

// rwkv takes at each place the longest token that the text goes on with (the RWKV World vocabulary). Tokens are bytes, of which files write
// those that are not printable ASCII as Python does: \n, \x1b, \\.
type rwkv struct {
	tokens  *trie
	unknown int32
}

func newRWKV(v *Vocab) (*rwkv, error) {
	ids, plain := make([]int32, 0, len(v.Tokens)), make([]string, len(v.Tokens))
	for id, text := range v.Tokens {
		switch v.tokenType(id) {
		case NormalToken, ByteToken:
		default:
			continue
		}
		b, err := unescape(nil, text)
		if err != nil {
			return nil, fmt.Errorf("tokenizer: token %d, %q: %w", id, text, err)
		}
		if plain[id] = string(b); len(b) > 0 {
			ids = append(ids, int32(id))
		}
	}
	slices.SortStableFunc(ids, func(a, b int32) int { return strings.Compare(plain[a], plain[b]) })
	ids = slices.CompactFunc(ids, func(a, b int32) bool { return plain[a] == plain[b] }) // two spellings of the same bytes: the first
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = plain[id]
	}
	return &rwkv{newTrie(texts, ids), v.UNK}, nil
}

func (m *rwkv) encode(text string, out []int32, _ *workspace) ([]int32, error) {
	begin := len(out)
	for at := 0; at < len(text); {
		id, end := None, at+1
		for node, next, ok := int32(0), at, true; next < len(text); {
			if node, ok = m.tokens.child(node, text[next]); !ok {
				break
			}
			if next++; m.tokens.token[node] != None {
				id, end = m.tokens.token[node], next
			}
		}
		if id == None {
			if id = m.unknown; id == None {
				return out[:begin], &UnencodableError{Text: text[at:end]}
			}
		}
		out, at = append(out, id), end
	}
	return out, nil
}

// unescape appends what a text in Python's notation of bytes stands for.
func unescape(to []byte, text string) ([]byte, error) {
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			to = append(to, text[i])
			continue
		}
		if i++; i == len(text) {
			return to, fmt.Errorf("found a backslash at the end, expected what it escapes")
		}
		switch text[i] {
		case 't':
			to = append(to, '\t')
		case 'n':
			to = append(to, '\n')
		case 'r':
			to = append(to, '\r')
		case 'x':
			if i+2 >= len(text) {
				return to, fmt.Errorf("found %q at the end, expected \\x and two digits", text[i-1:])
			}
			high, ok := hexDigit(text[i+1])
			low, ok2 := hexDigit(text[i+2])
			if !ok || !ok2 {
				return to, fmt.Errorf("found %q, expected \\x and two digits", text[i-1:i+3])
			}
			to, i = append(to, high<<4|low), i+2
		default:
			to = append(to, text[i])
		}
	}
	return to, nil
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
