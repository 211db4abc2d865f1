// Command tinymodel makes tiny random models from the specs in testdata/tiny, and holds the engine against llama.cpp on them.
// README.md beside it says how.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/infer-go/infer/internal/modelspec"
)

const usage = `usage: tinymodel [-specs DIR] COMMAND

  list                                the specs and their cases
  write [-o FILE] [-seed S -n N] CASE make a case's model; with -n, random case N of the case's architecture
  golden -peers DIR [CASE...]         write golden files of the cases, or of all
  check -peers DIR [-seed S] [-count N] [-v] [ARCH...]
                                      compare with llama.cpp on random cases of the architectures, or of all
`

func main() {
	specs := flag.String("specs", "testdata/tiny", "folder of the specs")
	flag.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	flag.Parse()
	if err := run(*specs, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "tinymodel:", err)
		os.Exit(1)
	}
}

func run(dir string, args []string) error {
	if len(args) == 0 {
		return errors.New("expected list, write, golden or check")
	}
	specs, err := modelspec.Load(os.DirFS(dir))
	if err != nil {
		return err
	}
	f := flag.NewFlagSet(args[0], flag.ContinueOnError)
	out := f.String("o", "", "file to write (default: CASE.gguf)")
	o := options{dir: dir}
	f.StringVar(&o.peers, "peers", os.Getenv("INFER_PEERS"), "folder that bench/peers/setup.sh was given")
	f.Uint64Var(&o.seed, "seed", 1, "of random cases")
	f.IntVar(&o.count, "count", 4, "random cases of an architecture")
	number := f.Int("n", -1, "number of a random case")
	f.BoolVar(&o.verbose, "v", false, "print each case's variables")
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "list":
		return list(specs)
	case "write":
		return write(specs, f.Args(), *out, o.seed, *number)
	case "golden":
		return golden(specs, f.Args(), o)
	case "check":
		return check(specs, f.Args(), o)
	}
	return fmt.Errorf("found the command %q, expected list, write, golden or check", args[0])
}

func list(specs []*modelspec.Spec) error {
	for _, s := range specs {
		var names []string
		for _, c := range s.Cases {
			names = append(names, c.Name)
		}
		fmt.Printf("%-18s %s\n", s.Arch, strings.Join(names, " "))
	}
	return nil
}

func write(specs []*modelspec.Spec, args []string, path string, seed uint64, number int) error {
	if len(args) != 1 {
		return fmt.Errorf("expected one case, found %q", args)
	}
	s, c, ok := modelspec.Find(specs, args[0])
	if !ok {
		return fmt.Errorf("no spec has a case %q", args[0])
	}
	m, err := s.Model(c)
	if number >= 0 {
		c, m, err = s.Random(seed, number)
	}
	if err != nil {
		return err
	}
	if path == "" {
		path = c.Name + ".gguf"
	}
	data, err := m.Bytes()
	if err != nil {
		return err
	}
	fmt.Println(c.Text())
	return os.WriteFile(path, data, 0o644)
}

// options of golden and check.
type options struct {
	dir, peers string
	seed       uint64
	count      int
	verbose    bool
}

// choose returns the specs that are named, by architecture or file, or all.
func choose(specs []*modelspec.Spec, names []string) ([]*modelspec.Spec, error) {
	if len(names) == 0 {
		return specs, nil
	}
	var out []*modelspec.Spec
	for _, name := range names {
		i := slices.IndexFunc(specs, func(s *modelspec.Spec) bool { return s.Arch == name })
		if i < 0 {
			return nil, fmt.Errorf("no spec of the architecture %q", name)
		}
		out = append(out, specs[i])
	}
	return out, nil
}
