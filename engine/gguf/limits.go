package gguf

// Bounds on what a file may announce. They sit far above what models use (the largest vocabularies have some 300
// thousand tokens, the largest models a few thousand tensors) and keep the memory of a refusal under 64 MB. All but
// maxDims are this package's own; every count is also held against the bytes that are left in the file.
const (
	minVersion       = 2
	maxVersion       = 3
	maxKeys          = 1 << 16
	maxKeyBytes      = 1<<16 - 1 // the format's own bound
	maxTensors       = 1 << 17
	maxNameBytes     = 1024 // the format says 64, some writers use 128
	maxDims          = 4
	maxStringBytes   = 1 << 24
	maxArrayElements = 1 << 24
	maxArrayDepth    = 4       // arrays in arrays
	maxInnerArrays   = 1 << 18 // of a file: arrays that are elements of arrays
	maxHeaderBytes   = 1 << 26 // keys and tensor table together
	maxParts         = 65535   // split.count has 16 bits
	defaultAlignment = 32
	minAlignment     = 8
	maxAlignment     = 1 << 30
)

// headBytes is what precedes the keys: magic letters, version, two counts.
const headBytes = 4 + 4 + 8 + 8

// The least bytes that a key and a tensor take in the header: an empty name, and the smallest content.
const (
	minKeyEntry    = 8 + 4 + 1
	minTensorEntry = 8 + 4 + 8 + 4 + 8
)

const (
	keyAlignment    = "general.alignment"
	keySplitNo      = "split.no"
	keySplitCount   = "split.count"
	keySplitTensors = "split.tensors.count"
)
