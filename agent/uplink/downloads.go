package uplink

import (
	"time"

	"roadseal/agent/wire"
)

// Downloads share the link with the uploads; *downlink.Downlink is one. One
// goroutine calls its methods.
type Downloads interface {
	// Begin comes first in each session.
	Begin()
	// Next returns an ASK to publish, nil if there is none now, and when to
	// call it again at the latest, zero for whenever Wake receives. busy says
	// that an upload is in hand, whose way must be left clear.
	Next(busy bool) (ask []byte, again time.Time)
	// Take handles a PART or an ABSENT. It reports whether that was progress.
	Take(wire.Message) bool
	// Wake receives when Next may have something new to say.
	Wake() <-chan struct{}
}

// none is what there is to download without Downloads.
type none struct{}

func (none) Begin()                        {}
func (none) Next(bool) ([]byte, time.Time) { return nil, time.Time{} }
func (none) Take(wire.Message) bool        { return false }
func (none) Wake() <-chan struct{}         { return nil }

// download asks for blocks, after an upload has had its turn.
func (s *session) download() error {
	ask, again := s.o.Downloads.Next(len(s.hand) > 0)
	s.later = again
	if ask == nil {
		return nil
	}
	return s.link.Publish(wire.UpTopic(s.o.Device), ask)
}
