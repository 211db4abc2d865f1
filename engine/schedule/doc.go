// Package schedule decides what each step of an engine computes: whose tokens, how many, who starts, who waits and who yields.
//
// A [Scheduler] is plain data and arithmetic. It has no goroutines, reads no clock (the time is passed in), and knows neither
// the device nor the cache, but for the questions of [View]. The same calls with the same answers give the same steps. It is not safe for
// several goroutines.
//
// The engine's loop is
//
//	step := s.Plan(now, view)
//	// Park, Drop, Resume and Start sequences; Reserve memory for Rows: where that fails, s.Blocked(id), and plan again.
//	// Compute.
//	s.Done(now, step, took)  // with the rows as they were computed
//
// with [Scheduler.Submit] for what arrives and [Scheduler.Finish] or [Scheduler.Cancel] for what ends. A step's make-up never changes a
// job's results, only when they come.
package schedule
