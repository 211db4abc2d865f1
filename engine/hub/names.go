package hub

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxShards bounds the files of a split set. The name's five digits would allow 99,999; the largest public sets have
// some hundred.
const maxShards = 1000

// shard is the name of one file of a split set: stem-00002-of-00005.gguf.
type shard struct {
	stem     string
	ext      string // ".gguf" as spelled in the name
	index, n int    // 1 <= index <= n
}

var shardPattern = regexp.MustCompile(`^(.+)-(\d{5})-of-(\d{5})(\.(?i:gguf))$`)

// parseShard reads the name of a file of a split set; ok is false for any other name.
func parseShard(name string) (s shard, ok bool) {
	m := shardPattern.FindStringSubmatch(name)
	if m == nil {
		return shard{}, false
	}
	index, _ := strconv.Atoi(m[2])
	n, _ := strconv.Atoi(m[3])
	if index < 1 || index > n || n > maxShards {
		return shard{}, false
	}
	return shard{stem: m[1], ext: m[4], index: index, n: n}, true
}

// all returns the names of the whole set in order.
func (s shard) all() []string {
	names := make([]string, s.n)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%05d-of-%05d%s", s.stem, i+1, s.n, s.ext)
	}
	return names
}

// quantPattern finds the name of a quantization inside a file name: what publishers of GGUF files write.
var quantPattern = regexp.MustCompile(`(?i)(?:^|[-._ ])((?:UD-)?(?:` +
	`I?Q[1-8]_(?:K|[A-Z]{1,3}|[01])(?:_(?:XXS|XS|S|M|L|XL|XXL|NL|P|\d_\d))?|` +
	`TQ[12]_0|MXFP4(?:_MOE)?|NVFP4|BF16|FP?16|FP?32|FP?64))(?:$|[-._ ])`)

// quantOf returns the quantization that a file name ends with or contains, in upper case, or "".
func quantOf(name string) string {
	if s, ok := parseShard(name); ok {
		name = s.stem
	} else {
		name = trimGGUF(name)
	}
	quant := ""
	for from := 0; from < len(name); { // the last match counts: model.F16-Q4_K_M is a Q4_K_M
		m := quantPattern.FindStringSubmatchIndex(name[from:])
		if m == nil {
			break
		}
		quant = strings.ToUpper(name[from+m[2] : from+m[3]])
		from += m[3]
	}
	return quant
}

// isGGUF reports whether a file name has the suffix .gguf.
func isGGUF(name string) bool { return len(name) > 5 && strings.EqualFold(name[len(name)-5:], ".gguf") }

// trimGGUF takes the suffix .gguf off a file name.
func trimGGUF(name string) string {
	if isGGUF(name) {
		return name[:len(name)-5]
	}
	return name
}

// checkFileName refuses names, taken from servers, archives or manifests, that could leave the model's folder or that
// would collide with the cache's own files there.
func checkFileName(name string) error {
	problem := ""
	switch {
	case name == "":
		problem = "it is empty"
	case len(name) > 200:
		problem = "it is longer than 200 bytes"
	case !utf8.ValidString(name):
		problem = "it is not UTF-8"
	case strings.ContainsAny(name, `/\:`):
		problem = "it is a path"
	case strings.HasPrefix(name, "."):
		problem = "it begins with a dot"
	case strings.HasPrefix(name, "-"):
		problem = "it begins with a dash"
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		problem = "it holds control characters"
	case !isGGUF(name):
		problem = "it does not end in .gguf"
	default:
		return nil
	}
	return fmt.Errorf("file name %q is refused: %s", tidy(name, 80), problem)
}

// checkSHA256 accepts 64 hex digits and returns them in lower case.
func checkSHA256(sum string) (string, error) {
	sum = strings.ToLower(sum)
	if len(sum) != 64 || strings.Trim(sum, "0123456789abcdef") != "" {
		return "", errors.New("a SHA-256 is 64 hex digits, found " + strconv.Quote(tidy(sum, 80)))
	}
	return sum, nil
}
