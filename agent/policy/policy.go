// Package policy says what is done with what the vehicle records: which source
// goes into which stream, who may read it, how long it is kept and when it is
// uploaded. Today the configuration holds it as [[stream]]; its shape is that
// of a signed document that can take the place of those tables whole.
//
// Side: any.
package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"roadseal/agent/config/strict"
	"roadseal/crypto/recipient"
)

// Sources that a stream can take.
const (
	GNSS         = "gnss"
	Health       = "health"   // what the agent says of itself: losses, problems, counts
	Firmware     = "firmware" // signed reports of what is installed and what updates were offered
	cameraPrefix = "camera:"
)

// Kinds of camera segments, in the words of the recorders.
var Kinds = []string{"normal", "event", "parking", "manual", "lapse"}

// byRank are the kinds by how firmly recorders keep their clips: what the ring
// overwrites, also after an alarm while parked, then what a person or an impact
// has locked.
var byRank = [...]string{"normal", "parking", "manual", "event"}

// Ranks is the number of ranks.
const Ranks = len(byRank)

// Rank tells how firmly recorders keep clips of a kind, from 0 to Ranks-1. A clip
// that is locked rises; what falls is left as it is.
func Rank(kind string) int { return max(0, slices.Index(byRank[:], kind)) }

// Ring reports whether clips of a kind are overwritten by their recorder's ring.
func Ring(kind string) bool { return slices.Contains(Kinds, kind) && Rank(kind) < Rank("manual") }

// Camera is the source name of segments of one kind.
func Camera(kind string) string { return cameraPrefix + kind }

// Values of Stream.Upload.
const (
	Always = "always" // as soon as a link is up
	Hold   = "hold"   // kept in the spool, never sent
)

// MaxClass is the highest retention class; class 1 is kept longest.
const MaxClass = 4

// A Stream is one kind of sealed object.
type Stream struct {
	Name     string          `toml:"name"`     // a-z, 0-9 and '-', at most 16 characters; visible in the spool, never in the cloud
	From     []string        `toml:"from"`     // sources: "gnss", "camera:KIND"; or "health" or "firmware" alone
	To       []recipient.Key `toml:"to"`       // readers
	Class    int             `toml:"class"`    // retention class, 1 to MaxClass; the one field that the cloud sees
	Upload   string          `toml:"upload"`   // Always (default) or Hold
	Priority int             `toml:"priority"` // lower goes first; default: the class
	// MaxAge of a stream of fixes: one is durable after this at the latest;
	// default 60 s. Of health: from one document to the next; default 1 h.
	MaxAge strict.Duration `toml:"max_age"`
}

// Defaults of Stream.MaxAge.
const (
	DefaultMaxAge    = 60 * time.Second
	DefaultHealthAge = time.Hour
)

// maxHealthAge is the longest that the key holder may wait for a word.
const maxHealthAge = 24 * time.Hour

// A Set is all streams of a vehicle.
type Set []Stream

// For returns the stream that takes a source.
func (s Set) For(source string) (Stream, bool) {
	for _, st := range s {
		if slices.Contains(st.From, source) {
			return st, true
		}
	}
	return Stream{}, false
}

// Promote returns the stream that an object of stream was belongs to once its
// clip belongs to st: the one of both that is uploaded first. It fails if was is
// no longer configured, or if not every reader of st can open the object.
func (s Set) Promote(was string, st Stream) (stream string, ok bool) {
	i := slices.IndexFunc(s, func(o Stream) bool { return o.Name == was })
	if i < 0 || slices.ContainsFunc(st.To, func(r recipient.Key) bool { return !slices.ContainsFunc(s[i].To, r.Equal) }) {
		return "", false
	}
	if old := s[i]; old.Upload != Hold && (st.Upload == Hold || old.Priority < st.Priority) {
		return was, true
	}
	return st.Name, true
}

// Order returns the place of a stream in the upload order and whether it is
// uploaded at all. A stream that is no longer named goes last: what was sealed
// under an earlier policy is still owed to its readers.
func (s Set) Order(stream string) (priority int, upload bool) {
	for _, st := range s {
		if st.Name == stream {
			return st.Priority, st.Upload != Hold
		}
	}
	return maxPriority + 1, true
}

const maxPriority = 100

var streamName = regexp.MustCompile(`^[a-z0-9-]{1,16}$`)

// Complete fills defaults and checks the set. At each fault it calls fail with
// the index of the stream, the key and what was expected.
func (s Set) Complete(slots int, fail func(i int, key, format string, args ...any)) {
	takenBy := map[string]string{}
	for i := range s {
		st := &s[i]
		s.completeOne(i, slots, fail)
		if j := slices.IndexFunc(s[:i], func(o Stream) bool { return o.Name == st.Name }); j >= 0 {
			fail(i, "name", "stream %q is already defined; each needs a name of its own", st.Name)
		}
		for _, src := range st.From {
			if err := checkSource(src); err != nil {
				fail(i, "from", "%v", err)
			}
			if other, ok := takenBy[src]; ok {
				fail(i, "from", "%s goes into stream %q already; one source has one stream (add readers there)", src, other)
			}
			takenBy[src] = st.Name
		}
	}
}

func (s Set) completeOne(i, slots int, fail func(i int, key, format string, args ...any)) {
	st := &s[i]
	if !streamName.MatchString(st.Name) {
		fail(i, "name", "expected a stream name of 1 to 16 characters a-z, 0-9, '-'")
	}
	if len(st.From) == 0 {
		fail(i, "from", "expected at least one source: \"gnss\", \"camera:KIND\", \"health\" or \"firmware\"")
	}
	if len(st.To) == 0 {
		fail(i, "to", "expected at least one reader \"age1pq1…\"; make one with: roadseal-open keygen")
	}
	if len(st.To) > slots {
		fail(i, "to", "%d readers do not fit the %d stanzas of [collector] stanzas", len(st.To), slots)
	}
	for a := range st.To {
		if slices.ContainsFunc(st.To[:a], st.To[a].Equal) {
			fail(i, "to", "reader %d is listed twice", a+1)
		}
	}
	if st.Class < 1 || st.Class > MaxClass {
		fail(i, "class", "expected a retention class from 1 (kept longest) to %d", MaxClass)
	}
	if st.Upload == "" {
		st.Upload = Always
	}
	if st.Upload != Always && st.Upload != Hold {
		fail(i, "upload", "expected %q or %q", Always, Hold)
	}
	if st.Priority == 0 {
		st.Priority = st.Class
	}
	if st.Priority < 1 || st.Priority > maxPriority {
		fail(i, "priority", "expected a number from 1 (first) to %d", maxPriority)
	}
	usual, longest := DefaultMaxAge, time.Hour
	if slices.Contains(st.From, Health) {
		usual, longest = DefaultHealthAge, maxHealthAge
		if len(st.From) > 1 {
			fail(i, "from", "\"health\" needs a stream of its own: its max_age means something else")
		}
	}
	if slices.Contains(st.From, Firmware) && len(st.From) > 1 {
		fail(i, "from", "\"firmware\" needs a stream of its own: its reader is the release desk, which is to read nothing else")
	}
	if st.MaxAge.Duration == 0 {
		st.MaxAge.Duration = usual
	}
	if st.MaxAge.Duration < time.Second || st.MaxAge.Duration > longest {
		fail(i, "max_age", "expected 1s to %s", strings.TrimSuffix(longest.String(), "0m0s"))
	}
}

func checkSource(src string) error {
	if src == GNSS || src == Health || src == Firmware {
		return nil
	}
	kind, ok := strings.CutPrefix(src, cameraPrefix)
	if !ok || !slices.Contains(Kinds, kind) {
		return fmt.Errorf("unknown source %q; expected \"gnss\", \"health\", \"firmware\" or \"camera:\" with one of %s", src, strings.Join(Kinds, ", "))
	}
	return nil
}
