package engine

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// checkCache verifies the cache's books.
func (e *Engine) checkCache() error {
	giveBack, err := e.loop.borrow(context.Background())
	if err != nil {
		return err
	}
	defer giveBack()
	if e.loop.cache == nil {
		return nil
	}
	return e.loop.cache.Check()
}

// requireIdle requires that nothing holds a page.
func requireIdle(t testing.TB, e *Engine) {
	t.Helper()
	require.NoError(t, e.checkCache())
	giveBack, err := e.loop.borrow(context.Background())
	require.NoError(t, err)
	defer giveBack()
	stats := e.loop.cache.Stats()
	require.Zero(t, stats.Open)
	require.Zero(t, stats.Parked)
	for i, k := range stats.Kinds {
		require.Zero(t, k.Held, "pages of kind %d", i)
	}
}
