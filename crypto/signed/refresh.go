package signed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

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
		if c.lost != nil {
			c.lookBack()
		}
		data, err := c.fetch(ctx, Root, c.RootVersion()+1, MaxRoot)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return err
		}
		was := *c.Trusted
		dropped, err := c.UpdateRoot(data)
		if err != nil {
			return err
		}
		if c.lost != nil {
			continue
		}
		if err := c.keepRoot(data, dropped); err != nil {
			*c.Trusted = was // what is not durable is fetched again
			return err
		}
	}
	if c.lost != nil {
		if err := c.found(); err != nil {
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
	was := c.timestamp
	newer, err := c.UpdateTimestamp(data, now, false)
	if err != nil || !newer {
		return err
	}
	if err := c.save(Timestamp, data); err != nil {
		c.timestamp = was
		return err
	}
	return nil
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
	was := c.snapshot
	if err := c.UpdateSnapshot(data, now, false); err != nil {
		return err
	}
	if err := c.save(Snapshot, data); err != nil {
		c.snapshot = was
		return err
	}
	return nil
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
	if data := c.stored(name); data != nil && !c.opt.RootAndTargets {
		if t, err := c.delegated(name, signers, data, now); err == nil {
			return t, nil
		}
	}
	listed, err := c.listed(name)
	if err != nil {
		return nil, err
	}
	if name == Targets && !c.opt.RootAndTargets {
		// As a rule the stored snapshot says so; it may be damaged.
		if was, _ := c.storedTargets(); was != nil && listed.version < was.version {
			return nil, c.refusef(Rollback, name, "version %d, and %d was seen before", listed.version, was.version)
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
