package modelspec

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
)

// Random draws case n of a seed: every variable that the spec lets vary takes one of its values. A case whose variables
// contradict each other, as more experts used than there are, is drawn again.
func (s *Spec) Random(seed uint64, n int) (Case, *Model, error) {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d", s.Arch, n)
	r := rand.New(rand.NewPCG(seed, h.Sum64()))
	base := s.Cases[n%len(s.Cases)] // the special variables of each case in turn
	for range 1000 {
		c := Case{Name: fmt.Sprintf("%s-%d-%d", base.Name, seed, n)}
		c.Sets = append(c.Sets, base.Sets...)
		for _, v := range s.vary {
			if !base.sets(v.Name) {
				c.Sets = append(c.Sets, Setting{v.Name, []string{v.Values[r.IntN(len(v.Values))]}})
			}
		}
		v := newScope(s, c)
		experts, err := v.whole("experts", 0)
		if err != nil {
			return c, nil, err
		}
		used, err := v.whole("used", 0)
		if err != nil {
			return c, nil, err
		}
		if used > experts {
			continue
		}
		m, err := s.Model(c)
		return c, m, err
	}
	return Case{}, nil, fmt.Errorf("case %s of %s: no draw has as many experts as it uses", base.Name, s.Arch)
}

func (c Case) sets(name string) bool {
	for _, s := range c.Sets {
		if s.Name == name {
			return true
		}
	}
	return false
}

// Text is the case as a line of a spec.
func (c Case) Text() string {
	text := c.Name
	for _, s := range c.Sets {
		text += " " + s.Name + "="
		for i, v := range s.Values {
			if i > 0 {
				text += ","
			}
			text += v
		}
	}
	return text
}
