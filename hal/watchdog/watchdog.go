// Package watchdog tells the service manager that the process lives, for as
// long as every one of its workers makes progress, and not because some
// goroutine that knows nothing still turns.
//
// A worker is a goroutine with a loop. It joins with Join and gets a context;
// with that context each turn of its loop is a beat: Beat where it works, Sleep
// and Await where it waits, Park where it has nothing to do until the end. The
// context carries the worker, so packages far from here beat for whoever called
// them, and need not be told. A worker that joined and does not beat stops the
// signs of life: to forget one shows at the first run.
//
// Hardware watchdogs are left to the service manager (RuntimeWatchdogSec= of
// systemd): whoever feeds one must outlive the agent.
//
// Side: any.
package watchdog

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Every is how often a worker beats that waits for something.
const Every = 5 * time.Second

// DefaultLimit is how long a worker may go without a beat where no service
// manager says so. The longest thing that a worker cannot divide is the sync of
// one large object on a slow card.
const DefaultLimit = 2 * time.Minute

// A Watchdog knows the workers of a process.
type Watchdog struct {
	Notifier
	log *slog.Logger

	mu      sync.Mutex
	workers map[*worker]bool
	late    []string
}

type worker struct {
	name  string
	beat  atomic.Bool // since the last look
	alive bool        // since the last sign of life
	last  time.Time   // when a look found a beat
}

// New returns a Watchdog that tells n.
func New(n Notifier, log *slog.Logger) *Watchdog {
	if n.Limit == 0 {
		n.Limit = DefaultLimit
	}
	return &Watchdog{Notifier: n, log: log, workers: map[*worker]bool{}}
}

type contextKey struct{}

// Join makes the caller a worker, under a name for logs, until leave. The
// context is for it alone: another goroutine would beat in its place.
func (w *Watchdog) Join(ctx context.Context, name string) (worked context.Context, leave func()) {
	me := &worker{name: name, last: time.Now()}
	me.beat.Store(true)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.workers[me] = true
	leave = func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.workers, me)
	}
	return context.WithValue(ctx, contextKey{}, &member{w, me, leave}), leave
}

// A member is what a context carries.
type member struct {
	*Watchdog
	*worker
	leave func()
}

// Join makes the caller a worker of the watchdog that ctx carries, besides the
// worker that ctx is of. Without one it does nothing.
func Join(ctx context.Context, name string) (worked context.Context, leave func()) {
	if m := of(ctx); m != nil {
		return m.Join(ctx, name)
	}
	return ctx, func() {}
}

func of(ctx context.Context) *member {
	m, _ := ctx.Value(contextKey{}).(*member)
	return m
}

// Beat says that the worker of ctx makes progress. It costs a few nanoseconds.
func Beat(ctx context.Context) {
	if m := of(ctx); m != nil {
		m.beat.Store(true)
	}
}

// Park waits for the end of ctx, whose error it returns. A worker that has
// nothing else to do owes no beat.
func Park(ctx context.Context) error {
	if m := of(ctx); m != nil {
		m.leave()
	}
	<-ctx.Done()
	return ctx.Err()
}

// Sleep waits for d. It returns the error of ctx if that ends first.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	return Await(ctx, func(turn context.Context) error {
		select {
		case <-turn.Done():
			return turn.Err()
		case <-t.C:
			return nil
		}
	})
}

// Await calls wait, which waits for something or for the end of its context,
// as often as it takes: that context ends after Every, for the sake of a beat.
// wait must lose nothing by being called again.
func Await(ctx context.Context, wait func(turn context.Context) error) error {
	if of(ctx) == nil {
		return wait(ctx)
	}
	for {
		Beat(ctx)
		turn, stop := context.WithTimeout(ctx, Every)
		err := wait(turn)
		again := err != nil && turn.Err() != nil && ctx.Err() == nil
		stop()
		if !again {
			return err
		}
	}
}

// Run looks at the workers eight times within the limit and, while all of them
// beat, tells the service manager. It returns the error of ctx.
func (w *Watchdog) Run(ctx context.Context) error {
	tick := time.NewTicker(w.Limit / 8)
	defer tick.Stop()
	failing := false
	for {
		if w.look(time.Now()) {
			err := w.alive()
			if err != nil && !failing {
				w.log.Warn("cannot tell the service manager that the agent lives", "reason", err)
			}
			failing = err != nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// look reports whether every worker has beaten since it last reported so. Who has
// not for half the limit is late.
func (w *Watchdog) look(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	all, was := true, w.late
	w.late = nil
	for o := range w.workers {
		if o.beat.Swap(false) {
			o.alive, o.last = true, now
		}
		all = all && o.alive
		if now.Sub(o.last) >= w.Limit/2 {
			w.late = append(w.late, o.name)
		}
	}
	slices.Sort(w.late)
	if !slices.Equal(was, w.late) && len(w.late) > 0 {
		w.log.Warn("a part of the agent makes no progress", "parts", w.late)
	}
	if all {
		for o := range w.workers {
			o.alive = false
		}
	}
	return all
}

// Late names the workers that have made no progress for at least half the limit.
func (w *Watchdog) Late() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.late)
}
