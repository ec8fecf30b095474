package signed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// A Source fetches the files of one repository.
type Source interface {
	// Fetch returns the file of a role. version stands in the file's name
	// if it is not 0. A file of more than limit bytes, or one that comes too
	// slowly, is given up: the error may be an *Error that names the attack.
	// One that is not there is fs.ErrNotExist; where there are none at all, the
	// error may wrap an Unserved.
	Fetch(ctx context.Context, role string, version int64, limit int) ([]byte, error)
}

// An Unserved is an error of a Source that says why no file comes, and accuses
// nobody. Its text is fit for reports: it holds nothing that others say.
type Unserved string

func (u Unserved) Error() string { return string(u) }

// A Store keeps what was verified, over restarts.
type Store interface {
	// Load returns what was saved under a name; fs.ErrNotExist if nothing was,
	// another error if something was and cannot be had.
	Load(name string) ([]byte, error)
	// Save returns once data is durable under name, whole or not at all.
	Save(name string, data []byte) error
	// Remove returns once nothing is under name.
	Remove(name string) error
}

// nextRoot is the name under which a root waits whose effect on the other
// files is not durable yet.
const nextRoot = "next-root"

// A Client keeps one repository's metadata up to date.
type Client struct {
	*Trusted
	source Source
	store  Store
	lost   *lost // until the root is found again
}

// Open takes up what was verified before. builtIn is the root to start from if
// nothing was. Stored files may have expired, or no longer be signed as the
// root now demands, or be damaged: such files are passed over, and never in the
// way of newer ones. If it is the root that is damaged, what is stored beside it
// still counts: see lost.
func Open(builtIn []byte, source Source, store Store, o Options) (*Client, error) {
	c := &Client{source: source, store: store}
	var err error
	if c.Trusted, err = New(c.stored(Root), o); err == nil {
		if err := c.finishRoot(); err != nil {
			return nil, err
		}
		c.loadRest()
		return c, nil
	}
	if c.Trusted, err = New(builtIn, o); err != nil {
		return nil, err
	}
	for _, name := range []string{Root, nextRoot, Timestamp, Snapshot, Targets} {
		if _, err := store.Load(name); !errors.Is(err, fs.ErrNotExist) {
			c.lost = &lost{}
			return c, nil
		}
	}
	return c, c.save(Root, builtIn)
}

// finishRoot carries a change of the root to its end that was cut short.
func (c *Client) finishRoot() error {
	next := c.stored(nextRoot)
	if next == nil {
		return nil
	}
	// It was verified before it was stored; one that was taken already has
	// nothing left to do.
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
		for _, name := range []string{Timestamp, Snapshot, Targets} {
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

// stored returns a stored file, nil if there is none or it cannot be read.
func (c *Client) stored(name string) []byte {
	data, err := c.store.Load(name)
	if err != nil {
		return nil
	}
	return data
}

// loadRest takes up stored timestamp and snapshot, each as far as it still
// holds, and reports whether every one that is there does.
func (c *Client) loadRest() (all bool) {
	if c.opt.RootAndTargets {
		c.targets, _ = c.storedTargets()
		return true
	}
	all = true
	if data := c.stored(Timestamp); data != nil {
		_, err := c.UpdateTimestamp(data, time.Time{}, true)
		all = err == nil
	}
	if data := c.stored(Snapshot); data != nil {
		all = c.UpdateSnapshot(data, time.Time{}, true) == nil && all
	}
	return all
}

// storedTargets returns the top-level targets that are stored if they are
// signed as the root demands, whatever else is to be said of them. there says
// that some are stored.
func (c *Client) storedTargets() (t *targets, there bool) {
	data := c.stored(Targets)
	if data == nil {
		return nil, false
	}
	t, err := c.readTargets(Targets, data)
	if err != nil || c.root.roles[Targets].verify(t.document) != nil {
		return nil, true
	}
	return t, true
}

// A lost is a client whose stored root is damaged. It follows the roots from the
// built-in one and stores none of them until it is back where it was: until all
// other stored files have held under one root. So a repository that serves the
// roots of old, and what was signed under them, is noticed.
type lost struct{ back bool }

// lookBack takes up the stored files under the root that was just taken.
func (c *Client) lookBack() {
	c.timestamp, c.snapshot = nil, nil
	rest := c.loadRest()
	if t, there := c.storedTargets(); rest && (t != nil || !there) {
		c.lost.back = true
	}
}

// found stores the last root that is served.
func (c *Client) found() error {
	if !c.lost.back {
		return c.refusef(Rollback, Root, "version %d is the last that is served, and what is stored was signed under a later one", c.RootVersion())
	}
	if err := c.keepRoot(c.root.raw, false); err != nil {
		return err
	}
	c.lost = nil
	return nil
}
