// Package segments holds small clips for tests and for the bench. See README.md
// for how they were made.
//
// Side: red.
package segments

import "embed"

// Files holds the clips: normal-front.mp4, normal-rear.mp4, event-front.mp4
// and event-rear.mp4, and what is no MP4: streams/small.ts and
// streams/front.hevc.
//
//go:embed *.mp4 streams
var Files embed.FS
