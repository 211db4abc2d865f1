package gguf

// Mapped reports whether every part is a mapping of its file, not a copy in memory.
func (f *File) Mapped() bool {
	f.mutex.RLock()
	defer f.mutex.RUnlock()
	for _, m := range f.mappings {
		if !isMapped(m) {
			return false
		}
	}
	return len(f.mappings) > 0
}

// Part returns the whole mapped file of part i, to which Tensor.Offset counts, under the rules of [File.Bytes]; nil
// for a part that is not there, and after Close.
func (f *File) Part(i int) []byte {
	f.mutex.RLock()
	defer f.mutex.RUnlock()
	if i < 0 || i >= len(f.mappings) {
		return nil
	}
	return f.mappings[i].Bytes()
}
