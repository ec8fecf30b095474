package uplink

import (
	"log/slog"
	"sync"
	"time"
)

// A teller keeps the log short: it tells each reason once an hour, and no more
// than a few different ones. It may be used by several goroutines.
type teller struct {
	log  *slog.Logger
	mu   sync.Mutex
	said map[string]time.Time
	up   bool // what was told last
}

const (
	tellAgain = time.Hour
	maxTold   = 8 // reasons within tellAgain
)

func (t *teller) fresh(reason string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for r, at := range t.said {
		if now.Sub(at) >= tellAgain {
			delete(t.said, r)
		}
	}
	if _, said := t.said[reason]; said || len(t.said) >= maxTold {
		return false
	}
	if t.said == nil {
		t.said = map[string]time.Time{}
	}
	t.said[reason] = now
	return true
}

func (t *teller) connected() {
	if !t.up {
		t.up = true
		t.log.Info("uplink connected")
	}
}

// lost tells the reason if it is a new one. Otherwise the coming connection is
// not told either.
func (t *teller) lost(reason error) {
	if t.fresh(reason.Error()) {
		t.up = false
		t.log.Warn("uplink not connected", "reason", reason.Error())
	}
}

func (t *teller) warn(what, reason string) {
	if t.fresh(what + reason) {
		t.log.Warn("uplink: "+what, "reason", reason)
	}
}
