// Package engine runs large language models from GGUF files inside the calling process.
//
// [Open] maps a file, checks all of it, reserves the memory that the model and its cache will need, and returns an [Engine].
// [Engine.Submit] takes requests and streams their answers; [Engine.Generate] is that for one request with one answer. Requests are
// computed together, and what they share from the start is computed once. [Engine.Logits] and [Engine.Perplexity] score given
// tokens. All of them may be called from several goroutines.
//
// # What holds for every call
//
//   - The same request gives the same bits: alone or beside others, whatever the step sizes, the threads, the instruction set,
//     and whether its prefix was computed or found in the cache. Sampling adds its seed.
//   - Nothing is truncated. A prompt that does not fit the context is refused with [ErrTooLong] and the numbers; what the cache
//     could never hold is refused with [ErrCacheFull], and a request that the queue has no room for with a [schedule.Refused].
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
// [Usage] has a request's [Timeline], whose parts add up to its wall time; [Engine.Stats] counts for all of them; [Engine.OpTimes] splits
// computing by kind of op. The command `infer bench` gives speeds as a share of what the machine can do.
package engine
