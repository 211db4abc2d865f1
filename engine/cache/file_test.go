package cache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// saved computes tokens in a cache of these kinds and saves them.
func saved(t rapid.TB, kinds []Kind, tokens []int32) []byte {
	t.Helper()
	r := newRunner(t, Options{}, kinds...)
	r.request(t, "", tokens)
	var file bytes.Buffer
	n, err := r.cache.Save(&file, "", tokens, "model")
	require.NoError(t, err)
	require.Equal(t, len(tokens), n)
	return file.Bytes()
}

// What was saved is found by another cache as if it had been computed there, for all layouts and lengths.
func TestSaveAndLoad(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kinds := sized(layouts[rapid.IntRange(0, len(layouts)-1).Draw(t, "layout")], 40, 20)
		tokens := text(0, rapid.IntRange(1, 300).Draw(t, "tokens"))
		file := saved(t, kinds, tokens)
		info, err := ReadInfo(bytes.NewReader(file))
		require.NoError(t, err)
		require.Equal(t, len(tokens), info.Tokens)
		require.Equal(t, "model", info.Model)

		r := newRunner(t, Options{}, kinds...)
		r.request(t, "", text(7000, 60))
		if rapid.Bool().Draw(t, "in part there already") {
			r.request(t, "", tokens[:rapid.IntRange(1, len(tokens)).Draw(t, "part")])
		}
		loaded, err := r.cache.Load(bytes.NewReader(file), "", "model")
		require.NoError(t, err)
		require.Equal(t, tokens, loaded)
		r.check(t)
		hit := r.request(t, "", join(tokens, text(900, 5)))
		require.Equal(t, len(tokens), hit.Tokens, "%v", hit.Miss)
	})
}

func TestSaveTakesWhatIsThere(t *testing.T) {
	r := newRunner(t, Options{}, Kind{Pages: 40})
	r.request(t, "", text(0, 70))
	var file bytes.Buffer
	n, err := r.cache.Save(&file, "", text(0, 100), "model")
	require.NoError(t, err)
	assert.Equal(t, 70, n)
	_, err = r.cache.Save(&file, "", text(500, 100), "model")
	assert.ErrorIs(t, err, ErrNotCached)
	_, err = r.cache.Save(&file, "other", text(0, 100), "model")
	assert.ErrorIs(t, err, ErrNotCached)
	_, err = r.cache.Save(&file, "", text(0, 70), string(make([]byte, maxHeader)))
	assert.ErrorIs(t, err, ErrUsage)
	for room := range 400 {
		if _, err = r.cache.Save(&short{room: room}, "", text(0, 70), "model"); err == nil {
			assert.Greater(t, room, 100)
			break
		}
		assert.ErrorIs(t, err, io.ErrShortWrite, "room for %d bytes", room)
	}
	r.device.fail = errors.New("broken")
	_, err = r.cache.Save(io.Discard, "", text(0, 70), "model")
	assert.ErrorIs(t, err, r.device.fail)
}

// short is a writer with little room.
type short struct{ room int }

func (s *short) Write(p []byte) (int, error) {
	if s.room -= len(p); s.room < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

func TestLoadRefusesOthers(t *testing.T) {
	kinds := []Kind{{Pages: 10}, {Pages: 10, Window: 40}}
	file := saved(t, kinds, text(0, 100))
	load := func(kinds []Kind, model string) error {
		r := newRunner(t, Options{}, kinds...)
		_, err := r.cache.Load(bytes.NewReader(file), "", model)
		r.check(t)
		for _, k := range r.cache.shelves {
			require.Equal(t, k.Size(), k.Free())
		}
		return err
	}
	assert.NoError(t, func() error {
		_, err := newRunner(t, Options{}, kinds...).cache.Load(bytes.NewReader(file), "", "model")
		return err
	}())
	err := load(kinds, "other")
	assert.ErrorIs(t, err, ErrOtherModel)
	assert.ErrorContains(t, err, `"model", this is "other"`)
	assert.ErrorIs(t, load([]Kind{{Pages: 10}, {Pages: 10, Window: 41}}, "model"), ErrOtherShape)
	assert.ErrorIs(t, load([]Kind{{Pages: 10}}, "model"), ErrOtherShape)
	assert.ErrorIs(t, load([]Kind{{Pages: 10}, {Pages: 10, State: true}}, "model"), ErrOtherShape)
	err = load([]Kind{{Pages: 3}, {Pages: 10, Window: 40}}, "model")
	assert.ErrorIs(t, err, ErrFull)
	assert.ErrorContains(t, err, "4 pages of kind 0 needed, 3 free")
}

// Every truncation and every flipped bit is noticed, and leaves nothing behind.
func TestLoadRefusesDamage(t *testing.T) {
	kinds := []Kind{{Pages: 5}, {Pages: 5, State: true}}
	file := saved(t, kinds, text(0, 50))
	try := func(file []byte) error {
		r := newRunner(t, Options{}, kinds...)
		tokens, err := r.cache.Load(bytes.NewReader(file), "", "model")
		require.NoError(t, r.cache.Check())
		if err == nil { // then nothing is other than it was
			require.Equal(t, text(0, 50), tokens)
			require.Equal(t, 50, r.request(t, "", text(0, 60)).Tokens)
		} else {
			require.Zero(t, r.cache.Stats().Nodes)
			for _, k := range r.cache.shelves {
				require.Equal(t, k.Size(), k.Free())
			}
		}
		return err
	}
	require.NoError(t, try(file))
	for n := range file {
		assert.ErrorIs(t, try(file[:n]), ErrNotSaved, "%d of %d bytes", n, len(file))
	}
	refused := 0
	for i := range file {
		for bit := range 8 {
			damaged := bytes.Clone(file)
			damaged[i] ^= 1 << bit
			if try(damaged) != nil {
				refused++
			}
		}
	}
	assert.Greater(t, refused, 8*len(file)-64, "but for bits of the frame that say nothing of what is in it")
	assert.ErrorIs(t, try(append(bytes.Clone(file), 'x')), ErrNotSaved)
	assert.ErrorIs(t, try(append(bytes.Clone(file), file...)), ErrNotSaved)
}

// rebuilt is a saved prefix with another header and body.
func rebuilt(header string, body []byte) []byte {
	file := binary.LittleEndian.AppendUint32(bytes.Clone(fileMagic), uint32(len(header)))
	file = append(file, header...)
	z, _ := zstd.NewWriter(nil)
	defer z.Close()
	return z.EncodeAll(body, file)
}

func TestLoadRefusesLies(t *testing.T) {
	r := newRunner(t, Options{}, Kind{Pages: 1000, State: true})
	header := func(tokens string) string {
		return fmt.Sprintf(`{"model":"model","page_tokens":32,"tokens":%s,"kinds":[{"window":0,"state":true,"page_bytes":8}]}`, tokens)
	}
	for name, c := range map[string]struct {
		file []byte
		err  error
	}{
		"nothing":         {nil, ErrNotSaved},
		"other magic":     {[]byte("GGUFxxxxxxxxxxxxxx"), ErrNotSaved},
		"later version":   {[]byte("inferkv\x02\x00\x00\x00\x00"), ErrNotSaved},
		"huge header":     {[]byte("inferkv\x01\xff\xff\xff\xff"), ErrNotSaved},
		"no JSON":         {rebuilt("{", nil), ErrNotSaved},
		"no tokens":       {rebuilt(header("0"), nil), ErrNotSaved},
		"negative tokens": {rebuilt(header("-5"), nil), ErrNotSaved},
		"too many tokens": {rebuilt(header("67108865"), nil), ErrNotSaved},
		"missing tokens":  {rebuilt(header("67108864"), make([]byte, 100)), ErrNotSaved},
		"missing state":   {rebuilt(header("2"), make([]byte, 8+7)), ErrNotSaved},
		"missing sum":     {rebuilt(header("2"), make([]byte, 8+8+31)), ErrNotSaved},
		"wrong sum":       {rebuilt(header("2"), make([]byte, 8+8+32)), ErrChecksum},
		"more":            {rebuilt(header("2"), make([]byte, 8+8+33)), ErrNotSaved},
	} {
		_, err := r.cache.Load(bytes.NewReader(c.file), "", "model")
		assert.ErrorIs(t, err, c.err, name)
		r.check(t)
	}
	r.device.fail = errors.New("broken")
	file := saved(t, []Kind{{Pages: 20, State: true}}, text(0, 50))
	_, err := r.cache.Load(bytes.NewReader(file), "", "model")
	assert.ErrorIs(t, err, r.device.fail)
	r.check(t)
}

func FuzzLoad(f *testing.F) {
	kinds := []Kind{{Pages: 5}, {Pages: 5, Window: 40}, {Pages: 5, State: true}}
	for _, n := range []int{1, 40, 64} {
		f.Add(saved(f, kinds, text(0, n)))
	}
	f.Add(rebuilt(`{"model":"model","page_tokens":32,"tokens":2,"kinds":[]}`, make([]byte, 40)))
	f.Fuzz(func(t *testing.T, file []byte) {
		r := newRunner(t, Options{}, kinds...)
		tokens, err := r.cache.Load(bytes.NewReader(file), "", "model")
		require.NoError(t, r.cache.Check())
		if err != nil {
			for _, k := range r.cache.shelves {
				require.Equal(t, k.Size(), k.Free())
			}
			return
		}
		require.NotEmpty(t, tokens)
		require.Equal(t, len(tokens), r.cache.Explain("", append(tokens, 1)).Tokens)
	})
}
