// Package topology tells which processors a machine has: which of them share a core, which are fast, and whose memory is near.
package topology

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// CPU is a logical processor.
type CPU struct {
	Number int
	Core   int // the lowest number of those that share its core
	Node   int // of memory
	Speed  int // of its kind, relative to the machine's others
}

// ErrUnsupported says that this system does not tell, or does not let threads be bound.
var ErrUnsupported = errors.New("binding threads to processors is supported on Linux only")

// Threads is how many threads compute best where nobody says: one a physical core that this process may use, and no more than
// GOMAXPROCS, which follows a container's limit.
func Threads() int {
	n := runtime.NumCPU()
	if cpus, err := Machine(); err == nil && len(cpus) > 0 {
		n = len(Cores(cpus))
	}
	return max(1, min(n, runtime.GOMAXPROCS(0)))
}

// Cores returns the first CPU of each physical core.
func Cores(cpus []CPU) []CPU {
	var out []CPU
	for _, c := range cpus {
		if !slices.ContainsFunc(out, func(o CPU) bool { return o.Core == c.Core }) {
			out = append(out, c)
		}
	}
	return out
}

// Choose reads a choice of CPUs, by which threads are then bound in this order:
//
//	0-3,8   these
//	cores   one of each physical core
//	big     the same, of the fastest kind only
//	node1   the same, of one memory node
//
// Cores come node by node, so that threads whose shares of a matrix lie side by side are near each other.
func Choose(cpus []CPU, choice string) ([]int, error) {
	cores := Cores(cpus)
	slices.SortStableFunc(cores, func(a, b CPU) int { return cmp.Compare(a.Node, b.Node) })
	switch node, isNode := strings.CutPrefix(choice, "node"); {
	case choice == "cores":
	case choice == "big":
		fastest := slices.MaxFunc(cores, func(a, b CPU) int { return cmp.Compare(a.Speed, b.Speed) }).Speed
		cores = slices.DeleteFunc(cores, func(c CPU) bool { return c.Speed < fastest })
	case isNode:
		n, err := strconv.Atoi(node)
		cores = slices.DeleteFunc(cores, func(c CPU) bool { return c.Node != n })
		if err != nil || len(cores) == 0 {
			return nil, fmt.Errorf("CPUs: found %q, expected one of the nodes %s", choice, join(nodes(cpus)))
		}
	default:
		return listed(cpus, choice)
	}
	return numbers(cores), nil
}

func listed(cpus []CPU, choice string) ([]int, error) {
	list, err := parseList(choice)
	if err != nil {
		return nil, fmt.Errorf("CPUs: found %q, expected numbers and ranges (0-3,8), cores, big or node0: %w", choice, err)
	}
	seen := map[int]bool{}
	for _, n := range list {
		if !slices.ContainsFunc(cpus, func(c CPU) bool { return c.Number == n }) {
			return nil, fmt.Errorf("CPUs: found %d, expected those that this process may use: %s", n, join(numbers(cpus)))
		}
		if seen[n] {
			return nil, fmt.Errorf("CPUs: found %d twice in %q, expected one thread a CPU", n, choice)
		}
		seen[n] = true
	}
	return list, nil
}

func numbers(cpus []CPU) []int {
	out := make([]int, len(cpus))
	for i, c := range cpus {
		out[i] = c.Number
	}
	return out
}

func nodes(cpus []CPU) []int {
	var out []int
	for _, c := range cpus {
		out = append(out, c.Node)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func join(list []int) string {
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = strconv.Itoa(n)
	}
	return strings.Join(words, ",")
}

const mostCPUs = 1 << 14 // more than Linux can be built for

// parseList reads the kernel's lists: 0-3,8.
func parseList(text string) ([]int, error) {
	var out []int
	for part := range strings.SplitSeq(strings.TrimSpace(text), ",") {
		from, to, isRange := strings.Cut(part, "-")
		a, err := strconv.Atoi(from)
		if err != nil {
			return nil, err
		}
		b := a
		if isRange {
			if b, err = strconv.Atoi(to); err != nil {
				return nil, err
			}
		}
		if a < 0 || b < a || b >= mostCPUs {
			return nil, fmt.Errorf("%q is not a range of CPUs", part)
		}
		for ; a <= b; a++ {
			out = append(out, a)
		}
	}
	return out, nil
}

// read finds the CPUs below a copy of /sys/devices of which allowed says yes.
func read(sys fs.FS, allowed func(int) bool) ([]CPU, error) {
	online, err := readList(sys, "system/cpu/online")
	if err != nil {
		return nil, err
	}
	var out []CPU
	for _, n := range online {
		if !allowed(n) {
			continue
		}
		own := path.Join("system/cpu", "cpu"+strconv.Itoa(n))
		c := CPU{Number: n, Core: n, Speed: readInt(sys, path.Join(own, "cpu_capacity"))}
		if siblings, err := readList(sys, path.Join(own, "topology/thread_siblings_list")); err == nil {
			c.Core = siblings[0]
		}
		out = append(out, c)
	}
	readKinds(sys, out)
	return out, readNodes(sys, out)
}

// readKinds tells Intel's two kinds of cores apart, for which the kernel gives no capacity.
func readKinds(sys fs.FS, cpus []CPU) {
	small, err := readList(sys, "cpu_atom/cpus")
	if err != nil {
		return
	}
	for i := range cpus {
		cpus[i].Speed = 2
		if slices.Contains(small, cpus[i].Number) {
			cpus[i].Speed = 1
		}
	}
}

func readNodes(sys fs.FS, cpus []CPU) error {
	present, err := readList(sys, "system/node/online")
	if errors.Is(err, fs.ErrNotExist) { // a kernel without NUMA
		return nil
	}
	for _, node := range present {
		list, listErr := readList(sys, path.Join("system/node", "node"+strconv.Itoa(node), "cpulist"))
		if errors.Is(listErr, errEmpty) { // memory without processors
			continue
		}
		err = errors.Join(err, listErr)
		for i := range cpus {
			if slices.Contains(list, cpus[i].Number) {
				cpus[i].Node = node
			}
		}
	}
	return err
}

var errEmpty = errors.New("the list is empty")

func readList(sys fs.FS, name string) ([]int, error) {
	text, err := fs.ReadFile(sys, name)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(string(text)) == "" {
		return nil, fmt.Errorf("%s: %w", name, errEmpty)
	}
	list, err := parseList(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return list, nil
}

// readInt returns 0 where there is no number.
func readInt(sys fs.FS, name string) int {
	text, err := fs.ReadFile(sys, name)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return n
}
