package crash

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// A spooled is what a name in the spool says of an object. agent/spool/FORMAT.md
// specifies the folder; it is read here anew, because a judge must not use the
// eyes of the judged.
type spooled struct {
	class, stream, name, state string
	size                       int64
}

// States of objects in the spool.
const (
	queued = "age"
	stored = "stored"
)

// longest is the retention class that is kept longest.
const longest = "1"

// spoolFields is how many fields a name in the spool has.
const spoolFields = 8

func parseSpooled(file string) (o spooled, ok bool) {
	f := strings.Split(file, ".")
	if len(f) != spoolFields {
		return spooled{}, false
	}
	size, err := strconv.ParseInt(f[5], 16, 64)
	return spooled{class: f[0], stream: f[3], name: f[6], state: f[7], size: size}, err == nil
}

// spooled lists the objects in the spool, of which there are none before its
// first start.
func (l *lane) spooled() (all []spooled, err error) {
	list, err := os.ReadDir(l.path(spoolFolder))
	for _, e := range list {
		if o, ok := parseSpooled(e.Name()); ok {
			all = append(all, o)
		}
	}
	return all, ignoreMissing(err)
}

// spoolFolder of a lane.
const spoolFolder = "vehicle/state/spool"

// count says how many objects of the spool are as wanted. A spool that cannot
// be read has none.
func (l *lane) count(want func(o spooled) bool) (n int) {
	all, err := l.spooled()
	for _, o := range all {
		if err == nil && want(o) {
			n++
		}
	}
	return n
}

// waiting objects are those that are yet to be uploaded.
func waiting(o spooled) bool { return o.state == queued && o.stream != heldStream }

// A loss is an object that the agent owns up to have lost.
type loss struct {
	reason string
	spooled
}

// evicted is the reason of a loss for the sake of room.
const evicted = "evicted"

// A ledger is what the agent owns up to.
type ledger struct {
	losses []loss
	count  int // of the evicted objects by the file of losses, named or not
}

// ledger reads the file of losses, once before and once after what the shelves
// have of health documents: a loss goes from the file into a document.
func (l *lane) ledger() (r ledger, err error) {
	first, err1 := l.lossFile()
	err2 := errors.Join(l.spool.look(), l.store.look())
	r, err3 := l.lossFile()
	r.losses = append(r.losses, first.losses...)
	for _, s := range []*shelf{l.spool, l.store} {
		for _, o := range s.seen {
			r.losses = append(r.losses, o.told...)
		}
	}
	return r, errors.Join(err1, err2, err3)
}

func (l *lane) lossFile() (ledger, error) {
	b, err := os.ReadFile(l.path(spoolFolder, "losses"))
	return parseLosses(string(b)), ignoreMissing(err)
}

// checkDigits of the SHA-256 of a line end it.
const checkDigits = 8

// parseLosses takes the good lines "REASON FILENAME CHECK", and counts those and
// "sum REASON CLASS OBJECTS BYTES CHECK".
func parseLosses(text string) (r ledger) {
	for line := range strings.SplitSeq(text, "\n") {
		cut := len(line) - checkDigits - 1
		if cut < 0 || line[cut] != ' ' {
			continue
		}
		sum := sha256.Sum256([]byte(line[:cut]))
		if line[cut+1:] != hex.EncodeToString(sum[:])[:checkDigits] {
			continue
		}
		words := strings.Split(line[:cut], " ")
		if len(words) == 5 && words[0] == "sum" && words[1] == evicted {
			n, _ := strconv.Atoi(words[3]) // else none
			r.count += n
		}
		if len(words) != 2 {
			continue
		}
		if o, ok := parseSpooled(words[1]); ok {
			r.losses = append(r.losses, loss{words[0], o})
			if words[0] == evicted {
				r.count++
			}
		}
	}
	return r
}

// parseHealth takes the losses out of a health document.
func parseHealth(b []byte) (told []loss, err error) {
	var d struct {
		Losses []struct {
			Reason, Object, Stream string
			Size                   int64
		}
	}
	if err := json.Unmarshal(b, &d); err != nil {
		return nil, fmt.Errorf("health document: %w", err)
	}
	for _, x := range d.Losses {
		told = append(told, loss{x.Reason, spooled{stream: x.Stream, name: x.Object, state: queued, size: x.Size}})
	}
	return told, nil
}

// absent returns the promised objects that are nowhere and not on the record of
// losses; there says which are in the spool. Store and record must have been
// read after the spool.
func (l *lane) absent(there []spooled, losses []loss) (names []string) {
	for _, name := range l.promised {
		waits := func(o spooled) bool { return o.name == name && o.state == queued }
		named := func(x loss) bool { return x.name == name && x.reason == evicted }
		if !slices.ContainsFunc(there, waits) && !l.store.has(name) && !slices.ContainsFunc(losses, named) {
			names = append(names, name)
		}
	}
	return names
}

// gaveWay reports whether a loss is a clip that was evicted: sealed, no two of
// the cast have the same size.
func (c clip) gaveWay(all []loss) bool {
	for _, x := range all {
		if x.reason == evicted && x.size == c.sealed {
			return true
		}
	}
	return false
}
