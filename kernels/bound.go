package kernels

import (
	"fmt"
	"runtime"

	"github.com/infer-go/infer/internal/topology"
)

// boundThread is a thread that stays on one processor and makes calls for others: a backend computes on the thread that calls it,
// and goroutines have none of their own. A nil one calls at once, on the caller's thread.
type boundThread struct {
	calls chan func()
	done  chan struct{}
}

// startBound starts a thread on a processor.
func startBound(cpu int) (*boundThread, error) {
	b := &boundThread{calls: make(chan func()), done: make(chan struct{})}
	started := make(chan error)
	go func() {
		defer close(b.done)
		runtime.LockOSThread()
		unbind, err := topology.Bind(cpu)
		started <- err
		if err != nil {
			return
		}
		for call := range b.calls {
			call()
			b.done <- struct{}{}
		}
		if unbind() == nil { // else it stays locked, and ends with this goroutine: nobody shall inherit the binding
			runtime.UnlockOSThread()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("a thread on CPU %d: %w", cpu, err)
	}
	return b, nil
}

// call runs f on the thread and waits for its end.
func (b *boundThread) call(f func()) {
	if b == nil {
		f()
		return
	}
	b.calls <- f
	<-b.done
}

func (b *boundThread) stop() {
	if b == nil {
		return
	}
	close(b.calls)
	<-b.done
}
