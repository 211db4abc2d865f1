//go:build llamacpp

package llamacpp

/*
#include <stdint.h>
*/
import "C"

import (
	"context"
	"log/slog"
	"runtime/cgo"
	"strings"
	"sync"
	"unsafe"
)

// sink is where the library's log goes: it has one for the whole process.
var sink logSink

// logSink puts lines together, passes them on, and keeps the errors of the running call for its error value.
type logSink struct {
	mutex   sync.Mutex
	logger  *slog.Logger
	level   slog.Level
	partial strings.Builder
	kept    []string
}

const keptErrors = 4 // lines; the first ones name the cause

// use sets the logger that lines go to from now on; nil drops them.
func (s *logSink) use(l *slog.Logger) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.logger = l
}

// begin forgets the errors of earlier calls.
func (s *logSink) begin() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.kept = nil
}

// errors returns the error lines since begin, and forgets them.
func (s *logSink) errors() string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	text := strings.Join(s.kept, "; ")
	s.kept = nil
	return text
}

// The library's levels: a line may come in pieces, all but the first at the level "continued".
const (
	ggmlDebug     = 1
	ggmlInfo      = 2
	ggmlWarn      = 3
	ggmlError     = 4
	ggmlContinued = 5
)

func (s *logSink) write(level int, text string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	switch level {
	case ggmlDebug, ggmlInfo: // the library tells of every tensor at its info level
		s.level = slog.LevelDebug
	case ggmlWarn:
		s.level = slog.LevelWarn
	case ggmlError:
		s.level = slog.LevelError
	case ggmlContinued:
	default:
		return // progress dots
	}
	for {
		line, rest, whole := strings.Cut(text, "\n")
		if s.partial.Len() < 4096 {
			s.partial.WriteString(line)
		}
		if !whole {
			return
		}
		s.end()
		text = rest
	}
}

// end passes a whole line on.
func (s *logSink) end() {
	line := strings.TrimSpace(s.partial.String())
	s.partial.Reset()
	if line == "" {
		return
	}
	if s.level == slog.LevelError && len(s.kept) < keptErrors {
		s.kept = append(s.kept, line)
	}
	if s.logger != nil {
		s.logger.Log(context.Background(), s.level, line, "from", "llama.cpp")
	}
}

//export inferLlamaLog
func inferLlamaLog(level C.int, text *C.char) { sink.write(int(level), C.GoString(text)) }

//export inferLlamaWants
func inferLlamaWants(observer C.uintptr_t, name *C.char) C.int {
	if cgo.Handle(observer).Value().(Observer).Wants(C.GoString(name)) {
		return 1
	}
	return 0
}

//export inferLlamaNode
func inferLlamaNode(observer C.uintptr_t, name *C.char, cols, rows C.int64_t, values *C.float) {
	cgo.Handle(observer).Value().(Observer).See(C.GoString(name), int(rows), int(cols), unsafe.Slice((*float32)(unsafe.Pointer(values)), int(rows*cols)))
}
