// Package segments holds four small MP4 clips for tests and for the demo. See
// README.md for how they were made.
//
// Side: red.
package segments

import "embed"

// Files holds the clips: normal-front.mp4, normal-rear.mp4, event-front.mp4
// and event-rear.mp4.
//
//go:embed *.mp4
var Files embed.FS
