package mtls

import "time"

// NewClockAt is NewClock with another source of the monotonic clock.
func NewClockAt(floor time.Time, now func() time.Time) *Clock { return newClock(floor, now) }
