package sampler

// idCounts holds a number for some ids of a vocabulary: constant time for every operation, and a list of the ids to walk.
type idCounts struct {
	slot   []int32 // [vocab] index in ids and counts plus one; 0: absent
	ids    []int32
	counts []int32
}

func newIDCounts(vocab int) idCounts { return idCounts{slot: make([]int32, vocab)} }

// at returns the number of an id, which is added with 0 where it is absent. The pointer holds until the next call.
func (s *idCounts) at(id int32) *int32 {
	if s.slot[id] == 0 {
		s.ids = append(s.ids, id)
		s.counts = append(s.counts, 0)
		s.slot[id] = int32(len(s.ids))
	}
	return &s.counts[s.slot[id]-1]
}

// get returns the number of an id, 0 where it is absent.
func (s *idCounts) get(id int32) int32 {
	if i := s.slot[id]; i != 0 {
		return s.counts[i-1]
	}
	return 0
}

func (s *idCounts) remove(id int32) {
	i, last := s.slot[id]-1, len(s.ids)-1
	s.ids[i], s.counts[i] = s.ids[last], s.counts[last]
	s.slot[s.ids[i]] = i + 1
	s.slot[id] = 0
	s.ids, s.counts = s.ids[:last], s.counts[:last]
}

func (s *idCounts) clear() {
	for _, id := range s.ids {
		s.slot[id] = 0
	}
	s.ids, s.counts = s.ids[:0], s.counts[:0]
}
