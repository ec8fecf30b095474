package crash

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"roadseal/cmd/internal/bench/crash/disk"
)

// A flaw is a promise that a point has broken.
type flaw struct {
	kind flawKind
	text string
}

type flawKind int

// Kinds of flaws, as a report counts them.
const (
	lost        flawKind = iota // a clip or an object is nowhere, and not on the record of losses
	twiceNamed                  // two objects of one name, or of one number
	twiceSealed                 // two objects of one source
	orphan                      // a file that nobody will ever need or remove
	damaged                     // an object in the store that is not what its name says
	stuck                       // the programs did not come to an end
	failure                     // a program gave up: panic, or a bad end
)

// Flaws names the kinds, in the order in which they are reported.
var Flaws = []string{"lost", "duplicate name", "duplicate source", "orphan", "damaged", "stuck", "failure"}

func (k flawKind) String() string { return Flaws[k] }

func (f flaw) String() string { return f.kind.String() + ": " + f.text }

// A verdict collects the flaws of one point.
type verdict struct {
	*lane
	flaws []flaw
	there []spooled
	owned ledger
}

func (v *verdict) add(k flawKind, format string, args ...any) {
	v.flaws = append(v.flaws, flaw{k, fmt.Sprintf(format, args...)})
}

// examine judges a lane after its recovery, which ended with err.
func (l *lane) examine(err error) []flaw {
	v := &verdict{lane: l}
	switch {
	case err == nil:
	case errors.Is(err, errDamaged):
		v.add(damaged, "%v", err)
	case errors.Is(err, errLost):
		v.add(lost, "%v", err)
	case errors.Is(err, errPanic), errors.Is(err, errBadEnd):
		v.add(failure, "%v", err)
	case errors.Is(err, errEnded):
		v.add(failure, "%v; the agent's last words: %s; the collector's: %s", err, l.agent.lastLine(), l.collector.lastLine())
	default:
		v.add(stuck, "%v; the agent's last words: %s; the collector's: %s", err, l.agent.lastLine(), l.collector.lastLine())
	}
	for _, a := range []*actor{l.agent, l.collector} {
		a.kill()
		if perr := a.panicked(); perr != nil && !errors.Is(err, errPanic) {
			v.add(failure, "%v", perr)
		}
	}
	if lerr := v.read(); lerr != nil && !errors.Is(err, errDamaged) {
		v.add(damaged, "%v", lerr)
	}
	if err != nil {
		v.missing()
		return v.flaws
	}
	v.clips()
	v.numbers()
	v.promises()
	v.strays()
	return v.flaws
}

// read takes what is left; nothing changes any more.
func (v *verdict) read() error {
	v.spool = newShelf(v.spool.pool, v.spool.only, v.keys)
	var err1, err2 error
	v.there, err1 = v.spooled()
	v.owned, err2 = v.lane.ledger()
	return errors.Join(err1, err2)
}

// clips compares store and spool with what the recorders had.
func (v *verdict) clips() {
	known := map[[32]byte]bool{}
	for _, c := range v.cast.all() {
		known[c.sum] = true
		names := v.store.names(c)
		if c.held {
			names = append(names, v.spool.names(c)...)
		}
		switch {
		case len(names) > 0:
		case !c.gaveWay(v.owned.losses):
			v.add(lost, "clip of %d bytes is nowhere, and no record of it", len(c.data))
		case v.owned.count == 0:
			v.add(lost, "clip of %d bytes was evicted, and the count of it is gone", len(c.data))
		}
		if len(v.store.names(c)) > 0 && !v.store.keeps(c) {
			v.add(lost, "clip of %d bytes was locked, and is not kept longer", len(c.data))
		}
		if len(names) > 1 {
			v.add(twiceSealed, "clip of %d bytes was sealed %d times", len(c.data), len(names))
		}
	}
	for _, o := range v.store.seen {
		if !o.track && !o.health && !known[o.sum] {
			v.add(damaged, "object %.8s is no clip of any recorder", o.name)
		}
	}
}

// numbers looks for objects of one name, or of one number. Only that of a locked
// clip may be in the store for two classes.
func (v *verdict) numbers() {
	names := map[string]int{}
	places := map[[2]uint32]string{}
	for _, s := range []*shelf{v.store, v.spool} {
		for _, o := range s.seen {
			key := o.name
			if o.sum == v.cast.locked().sum {
				key += o.class
			}
			if names[key]++; names[key] == 2 {
				v.add(twiceNamed, "object %.8s is there twice", o.name)
			}
			place := [2]uint32{o.boot, o.sequence}
			if other, taken := places[place]; taken && other != o.name {
				v.add(twiceNamed, "two objects are number %d of start %d", o.sequence, o.boot)
			}
			places[place] = o.name
		}
	}
}

// promises checks that what was durable in the spool has arrived, or is there
// still because it is held, or is on record. What is on record must be gone.
func (v *verdict) promises() {
	for _, name := range v.absent(v.there, v.owned.losses) {
		v.add(lost, "object %.8s was durable in the spool and is not in the store", name)
	}
	for _, x := range v.owned.losses {
		if v.spool.has(x.name) {
			v.add(failure, "object %.8s is in the spool and on the record of losses", x.name)
		}
	}
}

// missing tells, where the recovery did not end, which clips are nowhere any
// more. The recorders' copies count: a start later may bring them.
func (v *verdict) missing() {
	for _, c := range v.cast.first {
		if !v.present(c) && len(v.spool.names(c))+len(v.store.names(c)) == 0 && !c.gaveWay(v.owned.losses) {
			v.add(lost, "clip of %d bytes is nowhere", len(c.data))
		}
	}
}

// strays finds what must not be there once all is delivered.
func (v *verdict) strays() {
	kept := 0
	for _, root := range []string{"vehicle/state", "vehicle/" + keptFolder, "vehicle/" + movedFolder, "cloud/store"} {
		err := filepath.WalkDir(v.path(root), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			rel, err := filepath.Rel(v.path(root), path)
			if err == nil && !v.belongs(root, rel) {
				v.add(orphan, "%s/%s", root, disk.Role(rel))
			}
			if root == "vehicle/"+keptFolder {
				kept++
			}
			return err
		})
		if err != nil {
			v.add(failure, "%v", err)
		}
	}
	if want := len(v.cast.all()) - 1; kept != want {
		v.add(lost, "the recorder that keeps its clips has %d of %d", kept, want)
	}
}

// stateFiles are those of the agent beside the objects. time.tmp may be there
// until the next receipt, which replaces it.
var stateFiles = []string{"boot", "tag.key", "time", "time.tmp", "readers", "lock", "spool/tags", "spool/losses", "spool/reserve"}

// belongs reports whether a file below a root is to be there at the end.
func (v *verdict) belongs(root, file string) bool {
	switch root {
	case "cloud/store":
		return strings.HasPrefix(file, "pool/") // each was opened
	case "vehicle/state":
		o, ok := parseSpooled(strings.TrimPrefix(file, "spool/"))
		if ok {
			return o.state == stored || o.state == queued && (o.stream == heldStream || o.stream == healthStream)
		}
		return slices.Contains(stateFiles, file)
	}
	for _, c := range v.cast.all() {
		if c.folder == keptFolder && c.path(true) == strings.TrimPrefix(root, "vehicle/")+"/"+file {
			return true
		}
	}
	return false
}

// fixesThere checks that the fixes of a run that ended gently have arrived.
func (l *lane) fixesThere() []flaw {
	for _, o := range l.store.seen {
		if o.track {
			return nil
		}
	}
	return []flaw{{lost, "the fixes of a run that ended gently are not in the store"}}
}

var errBadEnd = errors.New("bad end")
