package signed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"roadseal/crypto/internal/canon"
)

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
	for len(steps) > 0 {
		s := steps[len(steps)-1]
		steps = steps[:len(steps)-1]
		if visited[s.name] {
			continue
		}
		if len(visited) == MaxDelegations {
			return nil, c.refusef(EndlessData, Targets, "the target was not found in %d roles", MaxDelegations)
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
