// Package engine runs large language models from GGUF files inside the calling process.
//
// [Open] maps a file, checks all of it, reserves the memory that the model and its cache will need, and returns an [Engine].
// [Engine.Generate] answers a request token by token; [Engine.Session] keeps a conversation's tokens in the cache between
// requests; [Engine.Logits] and [Engine.Perplexity] score given tokens. All of them may be called from several goroutines.
//
// # What holds for every call
//
//   - The same request gives the same bits: alone or beside others, whatever the step sizes, the threads, the instruction set,
//     and whether its prefix was computed or found in the cache. Sampling adds its seed.
//   - Nothing is truncated. A prompt that does not fit the context is refused with [ErrTooLong] and the numbers; where the cache
//     has no room the error is [ErrCacheFull].
//   - Cancelling the context ends a call within one step, which takes from a millisecond to a few hundred, by model and prompt.
//   - Errors name the thing, what was found, and what was expected. A broken file, a full memory or a wrong argument is an error of
//     the call; it never takes the process down. After [Engine.Close] calls return [ErrClosed].
//
// # Units
//
// Token ids are int32 as in the file's vocabulary; logits are natural-log scores before softmax, one float32 a vocabulary entry; durations are
// wall time; sizes are bytes. Positions count from 0 at the sequence's start, BOS included.
//
// # Where the time goes
//
// [Usage] splits a request into waiting, prefill and decode; [Engine.OpTimes] splits computing by kind of op. The command `infer bench`
// gives speeds as a share of what the machine can do.
package engine
