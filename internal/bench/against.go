package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

// Peer is a result of llama-bench, or of ours, that results are held against.
type Peer struct {
	Engine    string    `json:"engine"`
	Commit    string    `json:"build_commit"`
	Filename  string    `json:"model_filename"`
	Params    int64     `json:"model_n_params"` // 0: not told
	Threads   int       `json:"n_threads"`
	Prompt    int       `json:"n_prompt"`
	Generate  int       `json:"n_gen"`
	Depth     int       `json:"n_depth"`
	Sequences int       `json:"n_sequences"`
	AvgTS     float64   `json:"avg_ts"`
	MedianTS  float64   `json:"median_ts"`
	Samples   []float64 `json:"samples_ts"`
}

const mostPeerBytes = 64 << 20

// ReadPeer reads the results in a file: llama-bench's JSON or JSON lines, or ours.
func ReadPeer(path string) ([]Peer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostPeerBytes+1))
	if err == nil && len(text) > mostPeerBytes {
		err = fmt.Errorf("more than %d MB", mostPeerBytes>>20)
	}
	var peers []Peer
	if err == nil {
		peers, err = parsePeer(text)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return peers, nil
}

func parsePeer(text []byte) ([]Peer, error) {
	var peers []Peer
	text = bytes.TrimSpace(text)
	if len(text) > 0 && text[0] == '[' {
		if err := json.Unmarshal(text, &peers); err != nil {
			return nil, err
		}
	} else {
		lines := bufio.NewScanner(bytes.NewReader(text))
		lines.Buffer(nil, 1<<20)
		for n := 1; lines.Scan(); n++ {
			if len(bytes.TrimSpace(lines.Bytes())) == 0 {
				continue
			}
			var p Peer
			if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			peers = append(peers, p)
		}
		if err := lines.Err(); err != nil {
			return nil, err
		}
	}
	if len(peers) == 0 {
		return nil, errors.New("no result in it; expected llama-bench's -o json or -o jsonl")
	}
	for i := range peers {
		p := &peers[i]
		if p.Sequences == 0 {
			p.Sequences = 1
		}
		if t := p.test(); min(t.Prompt, t.Generate, t.Depth, t.Sequences, p.Threads) < 0 || max(t.Prompt, t.Generate, t.Depth, t.Sequences) > mostTokens {
			return nil, fmt.Errorf("result %d: found n_prompt %d, n_gen %d, n_depth %d, n_sequences %d and n_threads %d, expected 0 to %d", i+1, t.Prompt, t.Generate,
				t.Depth, t.Sequences, p.Threads, mostTokens)
		}
		if !(p.AvgTS > 0) || !(p.speed() > 0) || p.Prompt+p.Generate <= 0 {
			return nil, fmt.Errorf("result %d: found n_prompt %d, n_gen %d and avg_ts %v (samples_ts: %v), expected a test and its tokens a second", i+1, p.Prompt, p.Generate, p.AvgTS, p.speed())
		}
	}
	return peers, nil
}

// median is that of the samples where there are any, else the mean.
func (p *Peer) speed() float64 {
	if p.MedianTS > 0 {
		return p.MedianTS
	}
	if len(p.Samples) > 0 {
		return median(p.Samples)
	}
	return p.AvgTS
}

func (p *Peer) test() Test { return Test{p.Prompt, p.Generate, p.Depth, p.Sequences} }

// Compared is a result beside the peer's of the same test.
type Compared struct {
	Ours   *Result
	Theirs *Peer
	Ratio  float64 // more than 1: ours is faster
}

// sameModel tells whether the numbers of parameters, where both are known, are of one model; programs count small tensors differently.
func (p *Peer) sameModel(r *Result) bool {
	return p.Params <= 0 || r.Params <= 0 || math.Abs(float64(p.Params)/float64(r.Params)-1) < 0.02
}

func (p *Peer) sameTest(r *Result) bool {
	return p.test() == Test{r.Prompt, r.Generate, r.Depth, r.Sequences}
}

// whyAlone says in what the peer's nearest results differ.
func whyAlone(r *Result, peers []Peer, byName bool) string {
	var models, files, threads, depths, tests []string
	for i := range peers {
		p := &peers[i]
		t := p.test()
		switch {
		case byName && filepath.Base(p.Filename) != r.Base():
			files = append(files, filepath.Base(p.Filename))
		case !p.sameModel(r):
			models = append(models, fmt.Sprintf("a model of %.3f B parameters instead of %.3f B", float64(p.Params)/1e9, float64(r.Params)/1e9))
		case p.sameTest(r):
			threads = append(threads, fmt.Sprintf("%d threads", p.Threads))
		case p.Threads == r.Threads && t == Test{r.Prompt, r.Generate, t.Depth, r.Sequences}:
			depths = append(depths, fmt.Sprintf("depth %d", t.Depth))
		default:
			tests = append(tests, t.Name())
		}
	}
	for _, nearest := range [][]string{threads, depths, tests, models, files} {
		if len(nearest) > 0 {
			slices.Sort(nearest)
			nearest = slices.Compact(nearest)
			more := ""
			if len(nearest) > 5 {
				nearest, more = nearest[:5], " and more"
			}
			return "not in the peer's results, which have " + strings.Join(nearest, ", ") + more
		}
	}
	return "not in the peer's results"
}

// Compare finds for each result the peer's of the same test, threads, model size and file name; where both sides have a single file, its
// name does not matter. What has no counterpart is named, with what is there instead.
func Compare(results []Result, peers []Peer) (compared []Compared, alone []string) {
	files := map[string]bool{}
	for i := range results {
		files["ours "+results[i].Base()] = true
	}
	for i := range peers {
		files["theirs "+filepath.Base(peers[i].Filename)] = true
	}
	byName := len(files) > 2
	used := make([]bool, len(peers))
	for i := range results {
		r := &results[i]
		found := -1
		for k := range peers {
			p := &peers[k]
			if p.sameTest(r) && p.Threads == r.Threads && p.sameModel(r) && (!byName || filepath.Base(p.Filename) == r.Base()) {
				found = k // the last counts: a file that was appended to
			}
		}
		if found < 0 {
			alone = append(alone, fmt.Sprintf("%s, %s, %d threads: %s", r.Base(), r.Test, r.Threads, whyAlone(r, peers, byName)))
			continue
		}
		used[found] = true
		compared = append(compared, Compared{r, &peers[found], r.MedianTS / peers[found].speed()})
	}
	for k := range peers {
		if p := &peers[k]; !used[k] {
			alone = append(alone, fmt.Sprintf("%s, %s, %d threads: in the peer's results only", filepath.Base(p.Filename), p.test().Name(), p.Threads))
		}
	}
	return compared, alone
}

// PrintCompared writes ratios as a table.
func PrintCompared(out io.Writer, compared []Compared, alone []string) {
	if len(compared) > 0 {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "model\ttest\tthreads\tt/s\tpeer t/s\tratio\t")
		for _, c := range compared {
			fmt.Fprintf(w, "%s\t%s\t%d\t%.2f\t%.2f\t%.2fx\t\n", c.Ours.Base(), c.Ours.Test, c.Ours.Threads, c.Ours.MedianTS, c.Theirs.speed(), c.Ratio)
		}
		w.Flush()
	}
	if len(alone) > 0 {
		fmt.Fprintln(out, "without a counterpart:\n  "+strings.Join(alone, "\n  "))
	}
}
