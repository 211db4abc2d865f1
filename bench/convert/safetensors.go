package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"

	"github.com/infer-go/infer/kernels"
)

// safetensors is a file of tensors: the length of a JSON header as 8 bytes, the header, the data.
// https://github.com/huggingface/safetensors
type safetensors struct {
	path    string
	tensors map[string]safetensor
}

// safetensor is one tensor; its shape begins with the outermost dimension.
type safetensor struct {
	Type  string  `json:"dtype"`
	Shape []int64 `json:"shape"`
	At    []int64 `json:"data_offsets"` // from and to, after the header
	data  []byte
}

const longestHeader = 100 << 20 // bytes, as the format's own reader has it

func openSafetensors(path string) (*safetensors, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s, err := parseSafetensors(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s.path = path
	return s, nil
}

func parseSafetensors(data []byte) (*safetensors, error) {
	if len(data) < 8 {
		return nil, fmt.Errorf("%d bytes, expected a header's length", len(data))
	}
	n := binary.LittleEndian.Uint64(data)
	if n > longestHeader || n > uint64(len(data)-8) {
		return nil, fmt.Errorf("header of %d bytes, expected at most %d", n, min(longestHeader, len(data)-8))
	}
	var header map[string]json.RawMessage
	if err := json.Unmarshal(data[8:8+n], &header); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	delete(header, "__metadata__")
	s := &safetensors{tensors: map[string]safetensor{}}
	for name, raw := range header {
		var t safetensor
		if err := json.Unmarshal(raw, &t); err != nil {
			return nil, fmt.Errorf("tensor %s: %w", name, err)
		}
		if err := t.take(data[8+n:]); err != nil {
			return nil, fmt.Errorf("tensor %s: %w", name, err)
		}
		s.tensors[name] = t
	}
	return s, nil
}

// elementBytes are the types that are read.
var elementBytes = map[string]int64{"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I64": 8, "I32": 4}

// take finds the tensor's data and checks its size.
func (t *safetensor) take(data []byte) error {
	size, ok := elementBytes[t.Type]
	if !ok {
		return fmt.Errorf("type %q, expected F32, F16, BF16 or F64", t.Type)
	}
	n := int64(1)
	for _, d := range t.Shape {
		if d < 0 || d > 0 && n > math.MaxInt64/8/d {
			return fmt.Errorf("shape %v", t.Shape)
		}
		n *= d
	}
	if len(t.At) != 2 || t.At[0] < 0 || t.At[1] > int64(len(data)) || t.At[1]-t.At[0] != n*size {
		return fmt.Errorf("data from and to %v, expected %d bytes within the file's %d", t.At, n*size, len(data))
	}
	t.data = data[t.At[0]:t.At[1]]
	return nil
}

// floats returns a tensor's numbers.
func (t *safetensor) floats() ([]float32, error) {
	size := elementBytes[t.Type]
	out := make([]float32, int64(len(t.data))/size)
	for i := range out {
		b := t.data[int64(i)*size:]
		switch t.Type {
		case "F32":
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b))
		case "F16":
			out[i] = kernels.F16ToF32(binary.LittleEndian.Uint16(b))
		case "BF16":
			out[i] = kernels.BF16ToF32(binary.LittleEndian.Uint16(b))
		case "F64":
			out[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(b)))
		default:
			return nil, fmt.Errorf("type %s, expected numbers with fractions", t.Type)
		}
	}
	return out, nil
}
