package crash

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// A Sweep is what one sweep has found.
type Sweep struct {
	Name     string         `json:"name"`
	Points   int            `json:"points"`           // that were run and hit
	Of       int            `json:"of,omitempty"`     // how many there are, if not all were run
	Counts   map[string]int `json:"counts,omitempty"` // of the points, by what is particular to the sweep
	Broken   int            `json:"broken"`           // points with a flaw
	Flaws    map[string]int `json:"flaws"`            // by kind: lost, duplicate, …
	Examples []string       `json:"examples,omitempty"`
	Seconds  float64        `json:"seconds"`

	mu    sync.Mutex
	began time.Time
}

func newSweep(name string) *Sweep {
	s := &Sweep{Name: name, Counts: map[string]int{}, Flaws: map[string]int{}, began: time.Now()}
	for _, n := range Flaws {
		s.Flaws[n] = 0
	}
	return s
}

// maxExamples are enough to begin with.
const maxExamples = 5

// point enters a point and what was wrong with it.
func (s *Sweep) point(where string, flaws []flaw) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Points++
	if len(flaws) == 0 {
		return
	}
	s.Broken++
	seen := map[flawKind]bool{}
	for _, f := range flaws {
		if !seen[f.kind] {
			s.Flaws[f.kind.String()]++
		}
		seen[f.kind] = true
		if len(s.Examples) < maxExamples {
			s.Examples = append(s.Examples, where+": "+f.String())
		}
	}
}

func (s *Sweep) count(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Counts[what]++
}

func (s *Sweep) end() *Sweep {
	s.Seconds = time.Since(s.began).Seconds()
	return s
}

// each calls f for 0, 1, 2, … on several lanes at once, until f says that it is
// enough.
func (k *kit) each(ctx context.Context, lanes int, f func(l *lane, i int) (more bool, err error)) error {
	var mu sync.Mutex
	next, enough := 0, false
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		next++
		return next - 1, !enough
	}
	g, ctx := errgroup.WithContext(ctx)
	for range lanes {
		g.Go(func() error {
			for i, ok := take(); ok; i, ok = take() {
				l, err := k.lane(ctx)
				if err != nil {
					return err
				}
				more, err := f(l, i)
				k.back(l)
				if err != nil {
					return fmt.Errorf("point %d: %w", i, err)
				}
				if !more {
					mu.Lock()
					enough = true
					mu.Unlock()
				}
			}
			return nil
		})
	}
	return g.Wait()
}
