package cache

import (
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var everyKind = []Kind{{Pages: 12}, {Pages: 12, Window: 40}, {Pages: 6, State: true}}

// parkAll computes and parks a sequence, and then needs all memory for others.
func parkAll(t *testing.T, o Options) (*runner, *Sequence, []int32) {
	t.Helper()
	r := newRunner(t, o, everyKind...)
	tokens := text(0, 100)
	s, _ := r.cache.Open("", tokens)
	require.NoError(t, r.prefill(s, tokens, 64))
	require.NoError(t, s.Park())
	r.check(t)
	return r, s, tokens
}

// A parked sequence that stays on the device costs nothing.
func TestParkedPagesStayWhileTheyFit(t *testing.T) {
	r, s, tokens := parkAll(t, Options{})
	require.NoError(t, s.Resume())
	require.NoError(t, s.Resume(), "twice")
	r.check(t)
	assert.Equal(t, tokens, s.Tokens())
	assert.Zero(t, r.cache.Stats().Spilled)
	require.NoError(t, r.step(s, text(100, 30)))
	s.Close()
	r.check(t)
}

func TestParkedPagesMoveToMemory(t *testing.T) {
	r, s, tokens := parkAll(t, Options{})
	r.request(t, "", text(5000, 380))
	stats := r.cache.Stats()
	assert.Equal(t, 1, stats.Parked)
	assert.Equal(t, int64(hashBytes*(4*32+3*32+1)), stats.ParkedMemory, "four pages, the window's three, one state")
	assert.Equal(t, ReasonParked, r.cache.Explain("", tokens).Miss.Reason)
	require.NoError(t, s.Resume())
	r.check(t)
	assert.Equal(t, tokens, s.Tokens())
	assert.Zero(t, r.cache.Stats().ParkedMemory)
	require.NoError(t, r.step(s, text(100, 30)))
	s.Close()
	r.check(t)
}

func TestParkedPagesMoveToDisk(t *testing.T) {
	dir := t.TempDir()
	r, s, tokens := parkAll(t, Options{ParkBytes: 2 * 256, ParkDir: dir})
	r.request(t, "", text(5000, 380))
	stats := r.cache.Stats()
	assert.Equal(t, int64(2*256), stats.ParkedMemory+stats.ParkedMemory%256)
	assert.Equal(t, int64(hashBytes*(4*32+3*32+1)), stats.ParkedMemory+stats.ParkedDisk)
	require.NoError(t, s.Resume())
	r.check(t)
	assert.Equal(t, tokens, s.Tokens())
	assert.Zero(t, r.cache.Stats().ParkedDisk)
	s.Close()
	require.NoError(t, r.cache.Close())
	require.NoError(t, r.cache.Close())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left, "no file stays behind")
}

// What comes back damaged is refused, and nothing else is.
func TestDamagedPagesAreRefused(t *testing.T) {
	r, s, _ := parkAll(t, Options{ParkBytes: 1, ParkDir: t.TempDir()})
	r.request(t, "", text(5000, 380))
	_, err := r.cache.spill.file.WriteAt([]byte{0xff, 0xff, 0xff}, 300)
	require.NoError(t, err)
	assert.ErrorIs(t, s.Resume(), ErrDamaged)
	r.check(t)
	assert.ErrorIs(t, s.Reserve(101), ErrParked)
	s.Close()
	r.check(t)
	require.NoError(t, r.cache.Close())
}

// Where parked pages have nowhere to go they stay, and whoever needs their memory is told.
func TestNowhereToPark(t *testing.T) {
	for name, o := range map[string]Options{"memory": {ParkBytes: 1}, "disk": {ParkBytes: 1, ParkDir: t.TempDir(), ParkDiskBytes: 1},
		"half of a node": {ParkBytes: 1, ParkDir: t.TempDir(), ParkDiskBytes: 300}, "folder": {ParkBytes: 1, ParkDir: "/nonexistent/folder"}} {
		t.Run(name, func(t *testing.T) {
			r, s, tokens := parkAll(t, o)
			other, _ := r.cache.Open("", text(5000, 380))
			err := other.Reserve(380)
			require.Error(t, err)
			if name != "folder" {
				assert.ErrorIs(t, err, ErrFull)
			} else {
				assert.ErrorIs(t, err, os.ErrNotExist)
			}
			assert.Empty(t, other.Table(0))
			r.check(t)
			other.Close()
			require.NoError(t, s.Resume())
			assert.Equal(t, tokens, s.Tokens())
			r.check(t)
			s.Close()
			require.NoError(t, r.cache.Close())
		})
	}
}

// Devices that fail while pages move lose nothing.
func TestDeviceFailsWhileParking(t *testing.T) {
	r, s, _ := parkAll(t, Options{})
	broken := errors.New("broken")
	other, _ := r.cache.Open("", text(5000, 380))
	r.device.fail = broken
	assert.ErrorIs(t, other.Reserve(380), broken)
	r.check(t)
	r.device.fail = nil
	require.NoError(t, other.Reserve(380))
	assert.ErrorIs(t, s.Resume(), ErrFull)
	r.check(t)
	other.Close()
	r.device.fail = broken
	assert.ErrorIs(t, s.Resume(), broken)
	r.check(t)
	r.device.fail = nil
	require.NoError(t, s.Resume())
	r.check(t)
	s.Close()
}

// What parked sequences share moves once.
func TestParkedSequencesShare(t *testing.T) {
	r := newRunner(t, Options{}, Kind{Pages: 12})
	tokens := text(0, 100)
	a, _ := r.cache.Open("", tokens)
	require.NoError(t, r.prefill(a, tokens, 64))
	b, err := a.Fork()
	require.NoError(t, err)
	require.NoError(t, r.step(a, text(1000, 2)))
	require.NoError(t, r.step(b, text(2000, 2)))
	require.NoError(t, a.Park())
	require.NoError(t, b.Park())
	r.request(t, "", text(5000, 380))
	assert.Equal(t, int64(5*256), r.cache.Stats().ParkedMemory, "three common pages, and one of each")
	a.Close()
	r.check(t)
	assert.Equal(t, int64(4*256), r.cache.Stats().ParkedMemory)
	require.NoError(t, b.Resume())
	r.check(t)
	assert.Equal(t, join(tokens, text(2000, 2)), b.Tokens())
	b.Close()
	r.check(t)
}

// A sequence that only borrows its last page parks with a copy of it, or, where there is no memory for one, without the few tokens
// on it.
func TestParkingABorrowedPage(t *testing.T) {
	for pages, stay := range map[int]int{3: 64, 4: 70} {
		r := newRunner(t, Options{}, Kind{Pages: pages})
		a, _ := r.cache.Open("", text(0, 80))
		require.NoError(t, r.prefill(a, text(0, 80), 80))
		b, hit := r.cache.Open("", join(text(0, 70), text(900, 9)))
		require.Equal(t, 70, hit.Tokens)
		require.NoError(t, b.Park())
		r.check(t)
		a.Close()
		r.check(t)
		require.NoError(t, b.Resume())
		assert.Equal(t, text(0, stay), b.Tokens())
		b.Close()
		r.check(t)
	}
}

func TestParkingNothing(t *testing.T) {
	r := newRunner(t, Options{}, everyKind...)
	s, _ := r.cache.Open("", nil)
	require.NoError(t, s.Park())
	r.check(t)
	require.NoError(t, s.Resume())
	require.NoError(t, s.Park())
	s.Close()
	r.check(t)
	assert.Zero(t, r.cache.Stats().Keys)
}
