package schedule

// Remembered counts the tenants that a schedule knows.
func Remembered(s *Scheduler) int {
	n := 0
	for i := range s.lines {
		n += len(s.lines[i].shares)
	}
	return n
}
