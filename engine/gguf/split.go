package gguf

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// partName is the name of a part of a split set; no counts from 0.
func partName(prefix string, no, count int) string {
	return prefix + partSuffix(no, count)
}

func partSuffix(no, count int) string { return fmt.Sprintf("-%05d-of-%05d.gguf", no+1, count) }

// place says which part of a split set a file is: split.no and split.count. A file that is not split has count 0 or 1.
type place struct{ no, count int }

func placeOf(m *Metadata) (p place, err error) {
	count, _, err := m.Uint(keySplitCount)
	if err != nil || count == 0 {
		return place{}, err
	}
	if count > maxParts {
		return place{}, m.badValue(keySplitCount, fmt.Sprint(count), fmt.Sprintf("at most %d parts", maxParts))
	}
	no, present, err := m.Uint(keySplitNo)
	if err != nil {
		return place{}, err
	}
	if !present {
		return place{}, &FormatError{Path: m.path, Key: keySplitNo, Err: ErrSplit, Found: "no such key",
			Expected: fmt.Sprintf("the number of the part, of %d", count)}
	}
	if no >= count {
		return place{}, m.badValue(keySplitNo, fmt.Sprint(no), fmt.Sprintf("below %d, the number of parts", count))
	}
	return place{no: int(no), count: int(count)}, nil
}

// addParts opens the parts after the first, where the model is split, and checks that they make a whole.
func (f *File) addParts(system System) error {
	first, err := placeOf(f.Metadata)
	if err != nil {
		return err
	}
	if first.count > 1 {
		prefix, err := f.prefix(first)
		if err != nil {
			return err
		}
		if system == nil {
			return &FormatError{Path: f.Paths[0], Err: ErrSplit, Found: fmt.Sprintf("part 1 of %d", first.count),
				Expected: "a model in one piece, since it is opened from memory"}
		}
		if err := findParts(system, prefix, first.count); err != nil {
			return err
		}
		for no := 1; no < first.count; no++ {
			if err := f.addPart(system, partName(prefix, no, first.count), place{no, first.count}); err != nil {
				return err
			}
		}
	}
	return f.checkTotal(first)
}

// prefix returns what the names of all parts begin with, from the first part's name.
func (f *File) prefix(p place) (string, error) {
	path := f.Paths[0]
	prefix, ok := strings.CutSuffix(path, partSuffix(p.no, p.count))
	if !ok {
		return "", &FormatError{Path: path, Err: ErrSplit, Found: fmt.Sprintf("part %d of %d under this name", p.no+1, p.count),
			Expected: "a name that ends in " + partSuffix(p.no, p.count) + ": split files must keep their names"}
	}
	if p.no != 0 {
		return "", &FormatError{Path: path, Err: ErrSplit, Found: fmt.Sprintf("part %d of %d", p.no+1, p.count),
			Expected: "the first part: " + partName(prefix, 0, p.count)}
	}
	return prefix, nil
}

// findParts reports the missing parts together, the first few of them.
func findParts(system System, prefix string, count int) error {
	const most = 8
	var missing []string
	for no := 1; no < count && len(missing) < most; no++ {
		name := partName(prefix, no, count)
		_, err := system.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, filepath.Base(name))
		} else if err != nil {
			return ioError(name, err)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return &FormatError{Path: partName(prefix, 0, count), Err: fmt.Errorf("%w: %w", ErrSplit, fs.ErrNotExist),
		Found: "no " + strings.Join(missing, ", "), Expected: fmt.Sprintf("all %d parts in one folder", count)}
}

func (f *File) addPart(system System, path string, want place) error {
	mapping, size, err := mapPath(system, path)
	if err != nil {
		return err
	}
	f.Paths, f.mappings = append(f.Paths, path), append(f.mappings, mapping) // Close unmaps it from here on
	h, err := readHeader(path, mapping.Bytes(), size)
	if err != nil {
		return err
	}
	got, err := placeOf(newMetadata(path, h.entries))
	if err != nil {
		return err
	}
	if got != want {
		found := fmt.Sprintf("part %d of %d by its keys", got.no+1, got.count)
		if got.count == 0 {
			found = "a model in one piece (no split.count)"
		}
		return &FormatError{Path: path, Err: ErrSplit, Found: found,
			Expected: fmt.Sprintf("part %d of %d by its name", want.no+1, want.count)}
	}
	return f.addTensors(h.tensors, want.no)
}

// checkTotal holds the number of tensors against split.tensors.count, which writers put into every part.
func (f *File) checkTotal(first place) error {
	if first.count == 0 {
		return nil
	}
	want, present, err := f.Metadata.Uint(keySplitTensors)
	if err != nil || !present || want == uint64(len(f.Tensors)) {
		return err
	}
	return &FormatError{Path: f.Paths[0], Key: keySplitTensors, Err: ErrSplit,
		Found: fmt.Sprintf("%d tensors in %d parts", len(f.Tensors), len(f.Paths)), Expected: fmt.Sprint(want)}
}
