package signed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"roadseal/crypto/internal/canon"
)

// A Source fetches the files of one repository.
type Source interface {
	// Fetch returns the file of a role. version stands in the file's name
	// if it is not 0. A file of more than limit bytes, or one that comes too
	// slowly, is given up: the error may be an *Error that names the attack.
	// One that is not there is fs.ErrNotExist.
	Fetch(ctx context.Context, role string, version int64, limit int) ([]byte, error)
}

// A Store keeps what was verified, over restarts.
type Store interface {
	// Load returns what was saved under a name; fs.ErrNotExist if nothing was.
	Load(name string) ([]byte, error)
	// Save returns once data is durable under name, whole or not at all.
	Save(name string, data []byte) error
	// Remove returns once nothing is under name.
	Remove(name string) error
}

// nextRoot is the name under which a root waits whose effect on the other
// files is not durable yet.
const nextRoot = "next root"

// A Client keeps one repository's metadata up to date.
type Client struct {
	*Trusted
	source Source
	store  Store
}

// Open takes up what was verified before. builtIn is the root to start from if
// nothing was. Stored files may have expired, or no longer be signed as the
// root now demands: such files are passed over, and never in the way of newer
// ones.
func Open(builtIn []byte, source Source, store Store, o Options) (*Client, error) {
	rootFile, err := store.Load(Root)
	fresh := errors.Is(err, fs.ErrNotExist)
	if fresh {
		rootFile, err = builtIn, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: cannot load the root: %w", o.Name, err)
	}
	t, err := New(rootFile, o)
	if err != nil {
		return nil, err
	}
	c := &Client{t, source, store}
	if fresh {
		if err := c.save(Root, rootFile); err != nil {
			return nil, err
		}
	}
	if err := c.finishRoot(); err != nil {
		return nil, err
	}
	return c, c.loadRest()
}

// finishRoot carries a change of the root to its end that was cut short.
func (c *Client) finishRoot() error {
	next, err := c.store.Load(nextRoot)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: cannot load the next root: %w", c.opt.Name, err)
	}
	// It was verified before it was stored; one that was taken already, or
	// is damaged, has nothing left to do.
	if _, err := c.UpdateRoot(next); err == nil {
		return c.keepRoot(next, true)
	}
	return c.remove(nextRoot)
}

// keepRoot makes the root durable that was just taken. Where signers have
// changed, what the old ones signed must be gone before the new root counts,
// and the new root must not be lost if power fails in between.
func (c *Client) keepRoot(rootFile []byte, dropped bool) error {
	if dropped {
		if err := c.save(nextRoot, rootFile); err != nil {
			return err
		}
		for _, name := range []string{Timestamp, Snapshot} {
			if err := c.remove(name); err != nil {
				return err
			}
		}
	}
	if err := c.save(Root, rootFile); err != nil || !dropped {
		return err
	}
	return c.remove(nextRoot)
}

func (c *Client) save(name string, data []byte) error {
	if err := c.store.Save(name, data); err != nil {
		return fmt.Errorf("%s: cannot store metadata: %w", c.opt.Name, err)
	}
	return nil
}

func (c *Client) remove(name string) error {
	if err := c.store.Remove(name); err != nil {
		return fmt.Errorf("%s: cannot remove stored metadata: %w", c.opt.Name, err)
	}
	return nil
}

// loadRest takes up stored timestamp and snapshot, as far as they still hold.
func (c *Client) loadRest() error {
	if c.opt.RootAndTargets {
		return nil
	}
	data, err := c.stored(Timestamp)
	if err != nil || data == nil {
		return err
	}
	if _, err := c.UpdateTimestamp(data, time.Time{}, true); err != nil {
		return nil
	}
	if data, err = c.stored(Snapshot); err != nil || data == nil {
		return err
	}
	_ = c.UpdateSnapshot(data, time.Time{}, true) // or it is fetched anew
	return nil
}

// stored returns a stored file, nil if there is none.
func (c *Client) stored(name string) ([]byte, error) {
	data, err := c.store.Load(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: cannot load stored metadata: %w", c.opt.Name, err)
	}
	return data, nil
}

// Refresh brings root, timestamp, snapshot and targets up to date (TUF section
// 5). now is a time that has certainly come: what has ended by then has
// expired. What was verified is stored step by step, so that no older file is
// taken later even if this ends early.
func (c *Client) Refresh(ctx context.Context, now time.Time) error {
	if err := c.refreshRoot(ctx, now); err != nil {
		return err
	}
	if !c.opt.RootAndTargets {
		if err := c.refreshTimestamp(ctx, now); err != nil {
			return err
		}
		if err := c.refreshSnapshot(ctx, now); err != nil {
			return err
		}
	}
	targets, err := c.role(ctx, Targets, c.root.roles[Targets], now)
	if err != nil {
		return err
	}
	c.targets = targets
	return nil
}

func (c *Client) fetch(ctx context.Context, role string, version int64, limit int) ([]byte, error) {
	data, err := c.source.Fetch(ctx, role, version, limit)
	if err == nil && len(data) > limit {
		return nil, c.refusef(EndlessData, role, "more than %d bytes", limit)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: cannot fetch %s: %w", c.opt.Name, role, err)
	}
	return data, nil
}

func (c *Client) refreshRoot(ctx context.Context, now time.Time) error {
	for range MaxRotations {
		data, err := c.fetch(ctx, Root, c.RootVersion()+1, MaxRoot)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return err
		}
		dropped, err := c.UpdateRoot(data)
		if err != nil {
			return err
		}
		if err := c.keepRoot(data, dropped); err != nil {
			return err
		}
	}
	return c.CheckRoot(now)
}

func (c *Client) refreshTimestamp(ctx context.Context, now time.Time) error {
	data, err := c.fetch(ctx, Timestamp, 0, MaxTimestamp)
	if err != nil {
		return err
	}
	newer, err := c.UpdateTimestamp(data, now, false)
	if err != nil || !newer {
		return err
	}
	return c.save(Timestamp, data)
}

func (c *Client) refreshSnapshot(ctx context.Context, now time.Time) error {
	if c.HasSnapshot(now) {
		return nil
	}
	listed := c.timestamp.snapshot
	data, err := c.fetch(ctx, Snapshot, c.versionInName(listed), c.limit(listed, MaxSnapshot))
	if err != nil {
		return err
	}
	if err := c.UpdateSnapshot(data, now, false); err != nil {
		return err
	}
	return c.save(Snapshot, data)
}

func (c *Client) versionInName(f file) int64 {
	if c.root.consistent {
		return f.version
	}
	return 0
}

// limit is how many bytes of a file are worth reading.
func (c *Client) limit(f file, most int) int {
	if f.length >= 0 && f.length < int64(most) && !c.opt.Dialect.Canonical {
		return int(f.length)
	}
	return most
}

// role returns a role's targets, from the store if what is there still holds.
func (c *Client) role(ctx context.Context, name string, signers role, now time.Time) (*targets, error) {
	if data, err := c.stored(name); err != nil {
		return nil, err
	} else if data != nil {
		if t, err := c.delegated(name, signers, data, now); err == nil && !c.opt.RootAndTargets {
			return t, nil
		}
	}
	listed := file{length: -1}
	if !c.opt.RootAndTargets {
		var ok bool
		if listed, ok = c.snapshot.files[name+".json"]; !ok {
			return nil, c.refusef(MixAndMatch, name, "the snapshot does not list it")
		}
	}
	data, err := c.fetch(ctx, name, c.versionInName(listed), c.limit(listed, MaxTargets))
	if err != nil {
		return nil, err
	}
	t, err := c.delegated(name, signers, data, now)
	if err != nil {
		return nil, err
	}
	return t, c.save(name, data)
}

// ErrNoTarget says that nobody who may speak for a path lists it.
var ErrNoTarget = errors.New("no role lists this target")

// Find returns the target of a path after Refresh (TUF section 5.6.7): the
// first role that lists it, delegated roles in their order, depth first. Each
// role is judged by the one that delegates to it.
func (c *Client) Find(ctx context.Context, path string, now time.Time) (*Target, error) {
	type step struct {
		name    string
		signers role
	}
	steps := []step{{Targets, c.root.roles[Targets]}}
	visited := map[string]bool{}
	for n := 0; len(steps) > 0; n++ {
		if n == MaxDelegations {
			return nil, c.refusef(EndlessData, Targets, "the target was not found in %d roles", MaxDelegations)
		}
		s := steps[len(steps)-1]
		steps = steps[:len(steps)-1]
		if visited[s.name] {
			continue
		}
		visited[s.name] = true
		t, err := c.role(ctx, s.name, s.signers, now)
		if err != nil {
			return nil, err
		}
		if target, ok := t.files[path]; ok {
			return target, nil
		}
		var further []step
		for _, d := range t.delegated {
			if !d.covers(path) || c.opt.Concerns != nil && d.custom.ok && !c.opt.Concerns(string(canon.Append(nil, d.custom.v))) {
				continue
			}
			further = append(further, step{d.name, d.signers})
			if d.terminating {
				steps = nil
				break
			}
		}
		for i := len(further) - 1; i >= 0; i-- {
			steps = append(steps, further[i])
		}
	}
	return nil, fmt.Errorf("%s: %w", c.opt.Name, ErrNoTarget)
}
