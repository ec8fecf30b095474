// Package intake takes what the vehicle recorded, applies policy to it and
// seals it straight into the spool, in one pass and with bounded memory. It is
// the only caller of crypto/seal: what it does not pass on stays in the car.
//
// A finished segment is read once from the recorder's folder. Its source tag
// tells whether it was sealed before, under this name or another: one that its
// recorder has locked since is promoted, not sealed twice. If the file changes
// while it is read, the object is dropped and the segment tried again.
//
// Side: red.
package intake

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"roadseal/agent/policy"
	"roadseal/agent/spool"
	"roadseal/agent/track"
	"roadseal/agent/wire"
	"roadseal/crypto/envelope"
	"roadseal/crypto/record"
	"roadseal/crypto/seal"
	"roadseal/hal/camera"
	"roadseal/hal/red"
	"roadseal/hal/watchdog"
)

// Options are what an Intake works with.
type Options struct {
	Streams  policy.Set
	Cameras  []Camera
	Track    *track.Recorder // nil without a receiver
	Spool    *spool.Spool
	Slots    int // stanzas of every object
	TagKey   []byte
	Boot     uint32
	Since    uint32        // first start for whose objects the readers of Streams are those that can open them
	Sequence func() uint32 // next free number of this start
	Vehicle  red.Text      // label sealed into every record
	Log      *slog.Logger
}

// A Camera is one recorder's folder.
type Camera struct {
	Name   string
	Folder *camera.Folder
	Remove bool // delete the source once its object is durable
	// Leave tells of a kind that its segments stay in the vehicle if they were
	// there before the agent first met the folder. Met is called once these
	// are known, before the first segment is sealed. Leave is nil where that
	// has been settled.
	Leave func(kind string) bool
	Met   func() error
}

// An Intake runs one worker for each camera and one for the track.
type Intake struct {
	opt Options
	// One segment is sealed at a time: two at once would only share the
	// storage, and memory is counted.
	sealing chan struct{}

	mu      sync.Mutex
	tallies map[string]*tally // by camera
	problem string
}

// New returns an Intake.
func New(o Options) *Intake {
	return &Intake{opt: o, sealing: make(chan struct{}, 1), tallies: map[string]*tally{}}
}

// Segments seals segments until ctx ends. A seal that is under way then is
// dropped, unless it is being synced already.
func (i *Intake) Segments(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, c := range i.opt.Cameras {
		g.Go(func() error {
			ctx, leave := watchdog.Join(ctx, "sealing for camera "+c.Name)
			defer leave()
			return i.segments(ctx, c)
		})
	}
	g.Go(func() error { return watchdog.Park(ctx) })
	return g.Wait()
}

// Problem is what keeps everything from being sealed, or "".
func (i *Intake) Problem() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.problem
}

// blocked records a problem and logs it once; "" says that it is over.
func (i *Intake) blocked(problem string) {
	i.mu.Lock()
	was := i.problem
	i.problem = problem
	i.mu.Unlock()
	switch {
	case problem == was:
	case problem == "":
		i.opt.Log.Info("sealing again")
	default:
		i.opt.Log.Warn("cannot seal, will try again", "reason", problem)
	}
}

// Pauses between attempts after an error of the storage.
const (
	minPause = 5 * time.Second
	maxPause = time.Minute
)

// Documents seals track documents as they close, until ctx ends; Flush comes
// after. It does not wait for a segment that is being sealed.
func (i *Intake) Documents(ctx context.Context) error {
	if i.opt.Track == nil {
		return watchdog.Park(ctx)
	}
	pause := minPause
	for {
		var d track.Document
		err := watchdog.Await(ctx, func(turn context.Context) (err error) {
			d, err = i.opt.Track.Next(turn)
			return err
		})
		if err != nil {
			return err
		}
		err = i.document(ctx, d)
		if err == nil {
			i.blocked("")
			pause = minPause
			continue
		}
		i.blocked(reason(err))
		if err := watchdog.Sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, maxPause)
	}
}

// flushTries is how often Flush tries a document: once more than one failing
// call can spoil. There is no later for these fixes.
const flushTries = 3

// Flush closes the open track document and seals all that wait. It is called
// after Documents has ended.
func (i *Intake) Flush(ctx context.Context) error {
	if i.opt.Track == nil {
		return nil
	}
	i.opt.Track.Cut()
	for i.opt.Track.Pending() > 0 {
		d, err := i.opt.Track.Next(ctx)
		if err != nil {
			return err
		}
		err = i.document(ctx, d)
		for range flushTries - 1 {
			if err == nil || ctx.Err() != nil {
				break
			}
			err = i.document(ctx, d)
		}
		if err != nil {
			return fmt.Errorf("cannot seal the last fixes: %s", reason(err))
		}
	}
	return nil
}

// document seals one track document and lets it go from memory.
func (i *Intake) document(ctx context.Context, d track.Document) error {
	st, ok := i.opt.Streams.For(policy.GNSS)
	if !ok {
		return errors.New("internal error: no stream takes the fixes")
	}
	rec := record.Record{MediaType: track.MediaType, Stream: st.Name, Source: policy.GNSS, Vehicle: i.opt.Vehicle,
		Start: d.Start, End: d.End, Clock: d.Clock.String(), Boot: d.Boot, Sequence: d.Sequence}
	size := envelope.SealedSize(i.opt.Slots, envelope.GridText(int64(len(d.Content))))
	if _, err := i.seal(ctx, bytesReader(d.Content), size, rec, st, spool.Tag{}); err != nil {
		return err
	}
	i.opt.Track.Done(d)
	return nil
}

// seal makes one object of content durable in the spool. content has the last
// word, by Unchanged, before the object counts. What could never be kept or
// uploaded is refused before it is read: it must not stand in the way of the
// others.
func (i *Intake) seal(ctx context.Context, content source, size int64, rec record.Record, st policy.Stream, tag spool.Tag) (spool.Entry, error) {
	if size > wire.MaxObject {
		return spool.Entry{}, refused(fmt.Errorf("sealed it has %d bytes, at most %d can be uploaded", size, int64(wire.MaxObject)))
	}
	create := i.opt.Spool.Create
	if policy.Ring(rec.Kind) {
		create = i.opt.Spool.CreateRing
	}
	draft, err := create(st.Class, size)
	switch {
	case errors.Is(err, spool.ErrTooLarge):
		return spool.Entry{}, refused(err)
	case errors.Is(err, spool.ErrKeepFree):
		return spool.Entry{}, &sourceError{err} // others may find room all the same
	case err != nil:
		return spool.Entry{}, err
	}
	sealed, err := seal.Object(draft, &cancelReader{ctx, content}, rec, st.To, i.opt.Slots)
	if err == nil {
		if err = content.Unchanged(); err != nil {
			err = &sourceError{err}
		}
	}
	if err != nil {
		return spool.Entry{}, errors.Join(err, draft.Discard())
	}
	m := spool.Meta{Class: st.Class, Boot: rec.Boot, Sequence: rec.Sequence, Stream: st.Name, Tag: tag}
	return draft.Commit(m, sealed.Name, sealed.Size)
}

// reason is an error without paths: the spool's names are harmless, a
// recorder's are not, and the reader needs neither.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Op + ": " + p.Err.Error()
	}
	return err.Error()
}
