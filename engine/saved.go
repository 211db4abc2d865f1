package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"sync"
)

// fingerprint names what computes: it differs where the keys and values of the same tokens could.
type fingerprint struct {
	mutex sync.Mutex // held while the files are read: Close waits for it
	text  string
}

// Fingerprint returns the SHA-256 of the model's files and of the plan that computes them. The first call reads all of the files.
func (e *Engine) Fingerprint() (string, error) {
	f := &e.print
	f.mutex.Lock()
	defer f.mutex.Unlock()
	select {
	case <-e.loop.quit:
		return "", ErrClosed
	default:
	}
	if f.text == "" {
		hash := sha256.New()
		for i := range e.file.Paths {
			hash.Write(e.file.Part(i))
		}
		fmt.Fprint(hash, e.backend, e.options.CacheType, e.model.Plan)
		f.text = hex.EncodeToString(hash.Sum(nil))
	}
	return f.text, nil
}

// SaveCache computes a request's prompt, where the cache does not have it, and writes what the cache holds of it. It returns how
// many tokens that is. [Engine.LoadCache] reads it into an engine of the same model and cache type.
func (e *Engine) SaveCache(ctx context.Context, w io.Writer, r Request) (int, error) {
	r.MaxTokens, r.Choices = 1, 1
	tokens, err := e.encode(&r)
	if err != nil {
		return 0, err
	}
	for _, err := range e.Generate(ctx, r) {
		if err != nil {
			return 0, err
		}
	}
	print, err := e.Fingerprint()
	if err != nil {
		return 0, err
	}
	giveBack, err := e.loop.borrow(ctx)
	if err != nil {
		return 0, err
	}
	defer giveBack()
	return e.loop.cache.Save(w, r.CacheKey, tokens, print)
}

// LoadCache brings a saved prefix into the cache and returns its tokens: prompts that begin with them need not compute them. Like
// everything that no request holds, it stays until its memory is needed. It must have been saved for the same model, computed the same
// way ([Engine.Fingerprint]), and for the same layout of the cache.
func (e *Engine) LoadCache(ctx context.Context, r io.Reader, key string) ([]int32, error) {
	if e.loop.cache == nil {
		return nil, fmt.Errorf("%s: %w", e.path, ErrNotGenerating)
	}
	print, err := e.Fingerprint()
	if err != nil {
		return nil, err
	}
	giveBack, err := e.loop.borrow(ctx)
	if err != nil {
		return nil, err
	}
	defer giveBack()
	return e.loop.cache.Load(r, key, print)
}
