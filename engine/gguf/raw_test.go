package gguf

import "encoding/binary"

// raw builds files byte by byte, independently of the Writer, so that it can build wrong ones.
type raw []byte

// start begins a file of the given version and counts.
func start(version uint32, tensors, keys uint64) raw {
	return raw("GGUF").u32(version).u64(tensors).u64(keys)
}

func (r raw) u8(n uint8) raw   { return append(r, n) }
func (r raw) u16(n uint16) raw { return binary.LittleEndian.AppendUint16(r, n) }
func (r raw) u32(n uint32) raw { return binary.LittleEndian.AppendUint32(r, n) }
func (r raw) u64(n uint64) raw { return binary.LittleEndian.AppendUint64(r, n) }
func (r raw) str(s string) raw { return append(r.u64(uint64(len(s))), s...) }
func (r raw) zero(n int) raw   { return append(r, make([]byte, n)...) }

// key adds a key and the type of its value, which must follow.
func (r raw) key(name string, t ValueType) raw { return r.str(name).u32(uint32(t)) }

func (r raw) keyU32(name string, n uint32) raw   { return r.key(name, Uint32Value).u32(n) }
func (r raw) keyU16(name string, n uint16) raw   { return r.key(name, Uint16Value).u16(n) }
func (r raw) keyString(name, v string) raw       { return r.key(name, StringValue).str(v) }
func (r raw) array(elem ValueType, n uint64) raw { return r.u32(uint32(elem)).u64(n) }
func (r raw) keyArray(name string, elem ValueType, n uint64) raw {
	return r.key(name, ArrayValue).array(elem, n)
}

// tensor adds a row of the tensor table.
func (r raw) tensor(name string, t Type, offset uint64, shape ...uint64) raw {
	r = r.str(name).u32(uint32(len(shape)))
	for _, n := range shape {
		r = r.u64(n)
	}
	return r.u32(uint32(t)).u64(offset)
}

// data pads to the alignment of 32 and adds n bytes.
func (r raw) data(n int) raw {
	padded, _ := alignUp(int64(len(r)), defaultAlignment)
	return r.zero(int(padded) - len(r)).zero(n)
}

// bigEndian reverses the counts and lengths of a file's beginning as a big-endian writer would lay them out.
func bigEndian() raw {
	b := binary.BigEndian.AppendUint32([]byte("GGUF"), 3)
	b = binary.BigEndian.AppendUint64(b, 1)
	return raw(binary.BigEndian.AppendUint64(b, 1)).zero(64)
}
