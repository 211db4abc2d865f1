package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/internal/modelspec"
)

// TestTinyModels holds random models of many architectures, made from their specs, against what llama.cpp computed on them. With the cache
// in F32 nothing but the order of sums differs; with an F16 cache the distance is about llama.cpp's own.
func TestTinyModels(t *testing.T) {
	const dir = "../testdata/tiny"
	specs, err := modelspec.Load(os.DirFS(dir))
	require.NoError(t, err)
	goldens, err := modelspec.ReadGoldens(os.DirFS(dir))
	require.NoError(t, err)
	cases := 0
	for _, s := range specs {
		cases += len(s.Cases)
	}
	require.Len(t, goldens, cases, "every case has a golden file: go run ./bench/tinymodel golden")
	for _, g := range goldens {
		t.Run(g.Case, func(t *testing.T) {
			t.Parallel()
			s, c, ok := modelspec.Find(specs, g.Case)
			require.True(t, ok)
			m, err := s.Model(c)
			require.NoError(t, err)
			data, err := m.Bytes()
			require.NoError(t, err)
			sum := sha256.Sum256(data)
			require.Equal(t, g.SHA256, hex.EncodeToString(sum[:]), "the model is another than the golden file's")
			path := filepath.Join(t.TempDir(), "model.gguf")
			require.NoError(t, os.WriteFile(path, data, 0o600))
			want := readFloats(t, filepath.Join(dir, "golden", g.Case+".f32"))
			bound := 2e-5
			if strings.Contains(g.Arch, "gemma") || g.Arch == "starcoder2" {
				bound = 1e-3 // llama.cpp looks its GELU up in a table of F16
			}
			assert.LessOrEqual(t, tinyDistance(t, path, m.Ids(), "f32", want), bound, "relative L2, F32 cache")
			assert.LessOrEqual(t, tinyDistance(t, path, m.Ids(), "f16", want), math.Max(1e-3, 2*g.Default), "relative L2, F16 cache")
		})
	}
}

// tinyDistance computes the logits of all tokens and returns their relative L2 distance from a golden file's.
func tinyDistance(t *testing.T, path string, ids []int32, cacheType string, want []float32) float64 {
	e, err := Open(path, Options{CacheType: cacheType, Threads: 1, AllLogits: true, Context: len(ids) + 1})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	info := e.Model()
	assert.Empty(t, info.Unused.Tensors)
	assert.Empty(t, info.Unused.Keys)
	var difference, length float64
	at := 0
	require.NoError(t, e.Logits(context.Background(), ids, 0, func(_ int, logits []float32) error {
		for _, x := range logits {
			d := float64(x) - float64(want[at])
			difference, length, at = difference+d*d, length+float64(want[at])*float64(want[at]), at+1
		}
		return nil
	}))
	require.Equal(t, len(want), at)
	return math.Sqrt(difference / length)
}
