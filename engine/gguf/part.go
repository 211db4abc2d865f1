package gguf

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
