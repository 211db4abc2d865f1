package traffic

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Scale fits a recorded trace to a machine.
type Scale struct {
	Lengths  float64 // prompt and output lengths and blocks are multiplied by it; 0: 1
	Time     float64 // times between arrivals are multiplied by it; 0: 1
	Skip     int     // requests of the trace's beginning that are left out; the clock begins with the first one that is not
	Requests int     // that many; 0: all
}

func (s *Scale) check() error {
	for _, v := range []struct {
		name string
		v    *float64
	}{{"lengths", &s.Lengths}, {"time", &s.Time}} {
		if *v.v == 0 {
			*v.v = 1
		}
		if !(*v.v > 0) || *v.v > 1e6 {
			return fmt.Errorf("scale of %s: found %v, expected above 0, at most 1000000", v.name, *v.v)
		}
	}
	if s.Requests < 0 || s.Skip < 0 {
		return fmt.Errorf("requests of the trace: found %d after %d, expected 0 or more", s.Requests, s.Skip)
	}
	return nil
}

// ReadTraceFile reads a trace: lines of JSON as Mooncake's (.jsonl), or a table as Azure's (.csv).
func ReadTraceFile(path string, s Scale) ([]Arrival, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	read := ReadMooncake
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".jsonl", ".json":
	case ".csv":
		read = ReadAzure
	default:
		return nil, fmt.Errorf("%s: found a file ending in %q, expected .jsonl (Mooncake) or .csv (Azure)", path, ext)
	}
	all := s
	if all.Requests > 0 {
		all.Requests += s.Skip
	}
	out, err := read(f, all)
	if err == nil && len(out) <= s.Skip {
		err = fmt.Errorf("found %d requests, expected more than the %d to skip", len(out), s.Skip)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	out = out[s.Skip:]
	for i, begin := 0, out[0].At; i < len(out); i++ {
		out[i].At -= begin
	}
	return out, nil
}

// MooncakeBlock is how many prompt tokens a hash id stands for in Mooncake's traces.
const MooncakeBlock = 512

const maxLine = 1 << 22 // bytes of a trace's line

var errEmptyTrace = errors.New("no request in the trace")

// ReadMooncake reads the format of Mooncake's traces (FAST'25): a line has timestamp (ms), input_length, output_length, and hash_ids, one
// for every 512 prompt tokens; equal ids are equal tokens.
func ReadMooncake(r io.Reader, s Scale) ([]Arrival, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 1<<16), maxLine)
	var out []Arrival
	var last time.Duration
	number := 0
	for lines.Scan() && (s.Requests == 0 || len(out) < s.Requests) {
		number++
		if len(strings.TrimSpace(lines.Text())) == 0 {
			continue
		}
		a, err := mooncakeArrival(lines.Bytes(), uint64(number), s)
		if err == nil && a.At < last {
			err = fmt.Errorf("timestamp: found one before the last line's, expected ascending order")
		}
		if err == nil && len(out) == maxArrivals {
			err = fmt.Errorf("found more than %d requests", maxArrivals)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		last = a.At
		out = append(out, a)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", number+1, err)
	}
	if len(out) == 0 {
		return nil, errEmptyTrace
	}
	return out, nil
}

func mooncakeArrival(line []byte, number uint64, s Scale) (Arrival, error) {
	var v struct {
		Timestamp *float64 `json:"timestamp"`
		Input     *int     `json:"input_length"`
		Output    *int     `json:"output_length"`
		Hashes    []uint64 `json:"hash_ids"`
	}
	if err := json.Unmarshal(line, &v); err != nil {
		return Arrival{}, err
	}
	if v.Timestamp == nil || v.Input == nil || v.Output == nil {
		return Arrival{}, errors.New("expected timestamp, input_length and output_length")
	}
	if err := checkLengths(*v.Input, *v.Output, s); err != nil {
		return Arrival{}, err
	}
	if want := (*v.Input + MooncakeBlock - 1) / MooncakeBlock; v.Hashes != nil && len(v.Hashes) != want {
		return Arrival{}, fmt.Errorf("hash_ids: found %d, expected %d for %d prompt tokens", len(v.Hashes), want, *v.Input)
	}
	at, err := scaledTime(*v.Timestamp/1e3, s)
	if err != nil {
		return Arrival{}, err
	}
	a := Arrival{At: at, Output: scaledLength(*v.Output, s)}
	if v.Hashes == nil {
		a.Prompt = []Block{{ID: ownBlock | number, Tokens: scaledLength(*v.Input, s)}}
		return a, nil
	}
	whole := scaledLength(MooncakeBlock, s)
	for i, id := range v.Hashes {
		n := whole
		if i == len(v.Hashes)-1 {
			n = min(whole, scaledLength(*v.Input-i*MooncakeBlock, s))
		}
		a.Prompt = append(a.Prompt, Block{ID: id &^ (sharedBlock | ownBlock), Tokens: n})
	}
	return a, nil
}

// ReadAzure reads the format of Azure's public traces: TIMESTAMP, ContextTokens, GeneratedTokens, with a head line. Nothing is shared.
func ReadAzure(r io.Reader, s Scale) ([]Arrival, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	table := csv.NewReader(r)
	table.FieldsPerRecord = 3
	if _, err := table.Read(); err != nil {
		return nil, fmt.Errorf("line 1: %w", err)
	}
	var out []Arrival
	var first time.Time
	for s.Requests == 0 || len(out) < s.Requests {
		row, err := table.Read()
		if err == io.EOF {
			break
		}
		var a Arrival
		if err == nil && len(out) == maxArrivals {
			err = fmt.Errorf("found more than %d requests", maxArrivals)
		}
		if err == nil {
			a, err = azureArrival(row, &first, s)
		}
		if err == nil && len(out) > 0 && a.At < out[len(out)-1].At {
			err = errors.New("timestamp: found one before the last line's, expected ascending order")
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", len(out)+2, err)
		}
		a.Prompt[0].ID = ownBlock | uint64(len(out))
		out = append(out, a)
	}
	if len(out) == 0 {
		return nil, errEmptyTrace
	}
	return out, nil
}

func azureArrival(row []string, first *time.Time, s Scale) (Arrival, error) {
	when, err := time.Parse("2006-01-02 15:04:05.999999999", row[0])
	if err != nil {
		return Arrival{}, err
	}
	if first.IsZero() {
		*first = when
	}
	at, err := scaledTime(when.Sub(*first).Seconds(), s)
	if err != nil {
		return Arrival{}, err
	}
	prompt, err := strconv.Atoi(row[1])
	if err != nil {
		return Arrival{}, fmt.Errorf("prompt tokens: %w", err)
	}
	output, err := strconv.Atoi(row[2])
	if err != nil {
		return Arrival{}, fmt.Errorf("generated tokens: %w", err)
	}
	if err := checkLengths(prompt, output, s); err != nil {
		return Arrival{}, err
	}
	return Arrival{At: at, Prompt: []Block{{Tokens: scaledLength(prompt, s)}}, Output: scaledLength(output, s)}, nil
}

func checkLengths(prompt, output int, s Scale) error {
	most := maxTokens / max(1, s.Lengths)
	if prompt < 1 || output < 0 || float64(max(prompt, output)) > most {
		return fmt.Errorf("found %d prompt tokens and %d generated, expected 1 and 0 to %.0f", prompt, output, most)
	}
	return nil
}

func scaledLength(n int, s Scale) int { return max(1, int(math.Round(float64(n)*s.Lengths))) }

func scaledTime(seconds float64, s Scale) (time.Duration, error) {
	if v := seconds * s.Time; v >= 0 && v < 1e8 {
		return time.Duration(v * float64(time.Second)), nil
	}
	return 0, fmt.Errorf("timestamp: found %v s, expected 0 to 100000000 after scaling", seconds)
}
