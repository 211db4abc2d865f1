package engine

import "github.com/infer-go/infer/kernels"

// askKept asks a device that selects for the few logits of each row that its sampler needs, where few are enough.
func (l *loop) askKept(b *kernels.Batch) {
	d, ok := l.engine.device.(selecting)
	if !ok || !d.Selects() {
		return
	}
	any := false
	b.AlsoFirst = append(b.AlsoFirst, 0)
	for i := range l.parts {
		p := &l.parts[i]
		if p.wanted == 0 {
			continue
		}
		keep, also := p.branch.needs()
		any = any || keep > 0
		for range p.wanted {
			b.Keep, b.Also = append(b.Keep, int32(keep)), append(b.Also, also...)
			b.AlsoFirst = append(b.AlsoFirst, int32(len(b.Also)))
		}
	}
	if !any {
		b.Keep, b.AlsoFirst = b.Keep[:0], b.AlsoFirst[:0]
	}
}

// needs says how many logits of each of its rows the branch's sampler needs, and which more; 0 means all.
func (b *branch) needs() (keep int, also []int32) {
	if b.choose.observe != nil {
		return 0, nil
	}
	keep, also, ok := b.choose.sampler.Needs(b.tokens[len(b.tokens)-b.drafted:])
	if !ok || keep+len(also) > kernels.KeepMost {
		return 0, nil
	}
	return keep, also
}

// keptRows are the rows that the device kept of a branch, from wanted row at on; nil: their logits are there.
func (l *loop) keptRows(b *branch, at, n int) []row {
	batch := &l.batch
	if len(batch.Keep) == 0 || batch.Keep[at] == 0 {
		return nil
	}
	d := l.engine.device.(selecting)
	rows := b.choose.kept[:0]
	for w := at; w < at+n; w++ {
		rows = append(rows, d.Kept(w, int(batch.Keep[w]+batch.AlsoFirst[w+1]-batch.AlsoFirst[w])))
	}
	b.choose.kept = rows
	return rows
}
