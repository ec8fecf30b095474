package soak

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"roadseal/cmd/internal/trip"
	"roadseal/crypto/envelope"
)

// evidence is all that the audit goes by.
type evidence struct {
	store    string
	keys     trip.Keys
	receipts map[envelope.Name]bool // seen at the broker, valid; nil if nobody looked
	fleet    []testimony
	blind    error // why not everything in the spools was seen
}

// A testimony is what is known of one vehicle.
type testimony struct {
	index  int
	name   string
	number string // that its agent seals into every record
	clips  []clip
	lives  lives
	losses losses      // by the loss record, later also by the health documents
	said   []time.Time // when fix n was said
	gaps   []span      // fixes said in them may be lost
}

// A clip is what a recorder finished.
type clip struct {
	file string
	sum  [32]byte
	tag  string // source tag, hexadecimal
}

// An audit compares what was recorded with what arrived.
type audit struct {
	evidence
	stock    stock
	counts   Counts
	findings []Finding
}

// run makes the audit. Only what keeps it from judging is an error.
func (e evidence) run(ctx context.Context) (*audit, error) {
	a := &audit{evidence: e}
	var err error
	if a.stock, err = openStore(ctx, e.store, e.keys); err != nil {
		return nil, err
	}
	a.counts.Lost = map[string]int{}
	if a.blind != nil {
		a.findAny("the witness did not see everything", "%v", a.blind)
	}
	a.checkStore()
	owners := map[envelope.Name]bool{}
	for _, t := range a.fleet {
		maps.Copy(t.losses, a.stock.losses[t.number])
		a.checkClips(t)
		a.checkLives(t)
		a.checkFixes(t)
		for name := range t.lives {
			owners[name] = true
		}
		for _, reason := range t.losses {
			a.counts.Lost[reason]++
		}
	}
	for _, o := range a.stock.objects {
		if !owners[o.name] {
			a.findAny("an object in the store was in no spool", "%s", trip.Short(o.name))
		}
	}
	a.counts.Receipts = len(a.receipts)
	return a, nil
}

func (a *audit) find(what string, t testimony, format string, args ...any) {
	a.findings = append(a.findings, Finding{what, t.name, fmt.Sprintf(format, args...)})
}

func (a *audit) findAny(what, format string, args ...any) {
	a.findings = append(a.findings, Finding{What: what, Detail: fmt.Sprintf(format, args...)})
}

// checkStore looks at the store as a whole: every object intact, none twice.
func (a *audit) checkStore() {
	for _, fault := range a.stock.faults {
		a.findAny("an object in the store is damaged", "%s", fault)
	}
	for _, name := range a.stock.twice {
		a.findAny("an object is in the store twice by name", "%s", trip.Short(name))
	}
	for what, objects := range a.stock.bySource {
		if len(objects) > 1 {
			a.findAny("the same content is in the store twice", "%s as %s and %s", what.kind, trip.Short(objects[0]), trip.Short(objects[1]))
		}
	}
	a.counts.Objects = len(a.stock.objects)
	for _, o := range a.stock.objects {
		a.counts.Bytes += o.size
	}
}

// checkClips asks of every clip that the recorder finished where it is.
func (a *audit) checkClips(t testimony) {
	tagged := map[string][]*life{}
	for _, l := range t.lives {
		tagged[l.Tag] = append(tagged[l.Tag], l)
	}
	for i, c := range t.clips {
		a.counts.Clips++
		what := source{"clip", t.number, string(c.sum[:])}
		if objects := a.stock.bySource[what]; len(objects) > 0 {
			if got := a.stock.objects[objects[0]].file; got != c.file {
				a.find("a clip arrived under another name", t, "clip %d", i)
			}
			continue
		}
		sealed := tagged[c.tag]
		recorded := len(sealed) > 0 && !slices.ContainsFunc(sealed, func(l *life) bool { return t.losses[l.Name] == "" })
		switch {
		case recorded:
			a.counts.LostClips++
		case len(sealed) > 0:
			a.find("a clip was sealed and is lost", t, "clip %d, object %s", i, trip.Short(sealed[0].Name))
		default:
			a.find("a clip was never sealed", t, "clip %d", i)
		}
	}
}

// checkLives asks of every object that was ever in the spool where it is, and
// who allowed it to go.
func (a *audit) checkLives(t testimony) {
	for _, l := range slices.SortedFunc(maps.Values(t.lives), func(x, y *life) int { return cmp.Compare(x.Name.String(), y.Name.String()) }) {
		a.counts.Witnessed++
		_, inStore := a.stock.objects[l.Name]
		reason, recorded := t.losses[l.Name]
		name := trip.Short(l.Name)
		switch {
		case l.Stored && a.receipts != nil && !a.receipts[l.Name]:
			a.find("an object was marked as delivered without a receipt", t, "%s", name)
		case l.Damaged && reason != damaged:
			a.find("an object was put aside as damaged and is in no loss record", t, "%s", name)
		case !l.Stored && !l.Damaged && len(l.Present) == 0 && !recorded:
			a.find("an object was deleted without a receipt and is in no loss record", t, "%s of stream %s", name, l.Stream)
		}
		switch {
		case inStore, recorded:
		case l.Present[queued] && l.Stream == healthStream: // the last word of an agent that was stopped
		case l.Present[queued]:
			a.find("an object was not delivered in the end", t, "%s of stream %s", name, l.Stream)
		default:
			a.find("an object is lost", t, "%s of stream %s", name, l.Stream)
		}
	}
}

// checkFixes asks of every fix that the receiver said whether it arrived once.
// A run of missing ones may be a lost object of the track.
func (a *audit) checkFixes(t testimony) {
	found := a.stock.fixes[t.number]
	lostTracks := 0
	for name := range t.losses {
		if l := t.lives[name]; l != nil && l.Stream == trackStream {
			lostTracks++
		}
	}
	missing, runs := 0, 0
	for n, at := range t.said {
		a.counts.Fixes++
		switch {
		case found[n] > 1:
			a.find("a fix arrived twice", t, "fix %d", n)
		case found[n] == 1:
		case slices.ContainsFunc(t.gaps, func(s span) bool { return !at.Before(s.from) && !at.After(s.to) }):
			a.counts.KillFixes++
		default:
			missing++
			if n == 0 || found[n-1] > 0 {
				runs++
			}
		}
	}
	if runs > lostTracks {
		a.find("fixes are lost", t, "%d fixes in %d stretches, with %d objects of the track in the loss record", missing, runs, lostTracks)
	}
	for n := range found {
		if n < 0 || n >= len(t.said) {
			a.find("a fix arrived that nobody said", t, "fix %d", n)
		}
	}
}

// tagSpan is how much of each end of a clip its source tag covers.
const tagSpan = 64 << 10

// sourceTag computes the tag of a clip by what agent/spool/FORMAT.md and the
// design say of it: HMAC over size, first and last 64 KiB.
func sourceTag(path string, key []byte) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(info.Size())))
	part := min(info.Size(), tagSpan)
	for _, off := range []int64{0, info.Size() - part} {
		if _, err := io.Copy(mac, io.NewSectionReader(f, off, part)); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(mac.Sum(nil)[:16]), nil
}
