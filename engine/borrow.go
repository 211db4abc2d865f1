package engine

import "context"

// borrower is somebody who wants the device for a while.
type borrower struct {
	granted chan struct{}
	done    chan struct{}
}

// borrow waits for the time between two steps. Until giveBack is called the device, the cache and the loop's state are the caller's.
func (l *loop) borrow(ctx context.Context) (giveBack func(), err error) {
	b := &borrower{granted: make(chan struct{}), done: make(chan struct{})}
	l.mutex.Lock()
	if l.closing {
		l.mutex.Unlock()
		return nil, ErrClosed
	}
	l.borrowers = append(l.borrowers, b)
	l.mutex.Unlock()
	l.poke()
	var cancelled error
	select {
	case <-b.granted:
		if cancelled = ctx.Err(); cancelled == nil {
			return func() { close(b.done) }, nil
		}
	case <-l.quit:
		cancelled = ErrClosed
	case <-ctx.Done():
		cancelled = ctx.Err()
	}
	l.mutex.Lock()
	for i, other := range l.borrowers {
		if other == b {
			l.borrowers = append(l.borrowers[:i], l.borrowers[i+1:]...)
			break
		}
	}
	l.mutex.Unlock()
	close(b.done)
	return nil, cancelled
}

// lend lets the next borrower have the device; false where there is none.
func (l *loop) lend() bool {
	l.mutex.Lock()
	if len(l.borrowers) == 0 {
		l.mutex.Unlock()
		return false
	}
	b := l.borrowers[0]
	l.borrowers = append(l.borrowers[:0], l.borrowers[1:]...)
	l.mutex.Unlock()
	close(b.granted)
	<-b.done
	return true
}
