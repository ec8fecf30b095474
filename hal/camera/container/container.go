// Package container looks at the outer structure of a video file: what it is,
// how long it runs, and whether it is whole. It reads headers only and believes
// no size in them. A damaged file is no error: what a crash has cut short may be
// the clip that counts.
//
// Side: red.
package container

import (
	"io"
	"time"
)

// Media types that Look tells apart.
const (
	MP4       = "video/mp4"
	QuickTime = "video/quicktime"
	MPEGTS    = "video/mp2t"
)

// A Container is what the structure of a file tells.
type Container struct {
	MediaType  string        // one of the constants, or "" if it is none of them
	Duration   time.Duration // 0 if it does not say
	Incomplete bool          // it was cut short, or a part of it is gone
}

// Look reads the structure of a file of size bytes: about a megabyte of it at
// the most. What cannot be read counts as missing.
func Look(r io.ReaderAt, size int64) Container {
	if c, ok := lookTS(r, size); ok {
		return c
	}
	return lookBoxes(r, size)
}

// longest is how much a recorder puts into one file at the most. What claims
// more is not believed.
const longest = 48 * time.Hour

// duration is units of 1/perSecond, or 0 if that is not to be believed.
func duration(units, perSecond uint64) time.Duration {
	if perSecond == 0 || units/perSecond >= uint64(longest/time.Second) {
		return 0
	}
	whole, rest := units/perSecond, units%perSecond
	return time.Duration(whole)*time.Second + time.Duration(float64(rest)/float64(perSecond)*float64(time.Second))
}

// readAt reads as much of p as there is at off.
func readAt(r io.ReaderAt, p []byte, off int64) []byte {
	n, _ := r.ReadAt(p, off)
	return p[:max(0, min(n, len(p)))]
}
