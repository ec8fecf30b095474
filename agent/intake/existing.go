package intake

import (
	"context"
	"time"

	"roadseal/agent/policy"
	"roadseal/agent/spool"
	"roadseal/hal/camera"
	"roadseal/hal/watchdog"
)

// meetAgain is how often meet looks for a folder that is not there yet.
const meetAgain = 5 * time.Second

// meet settles which segments stay in the vehicle of those that a recorder had
// before the agent first saw its folder: their source tags are made known as
// if they had been sealed, so that only those are sealed later which are locked
// after that. It waits for a folder with something in it: an empty
// one may be a mount point without its card.
func (i *Intake) meet(ctx context.Context, c Camera) error {
	if c.Leave == nil {
		return nil
	}
	for {
		all, err := c.Folder.List(ctx)
		if err == nil && len(all) > 0 {
			if err = i.leave(ctx, c, all); err == nil {
				i.blocked("")
				return nil
			}
			if ctx.Err() == nil {
				i.blocked(reason(err))
			}
		}
		if err := watchdog.Sleep(ctx, meetAgain); err != nil {
			return err
		}
	}
}

// leave makes known what is to stay. A segment that cannot be read now is
// sealed if it can be later: rather one too many.
func (i *Intake) leave(ctx context.Context, c Camera, all []camera.Listing) error {
	var tags []spool.Tag
	for _, l := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		watchdog.Beat(ctx)
		if l.Reason != "" || !c.Leave(l.Kind) {
			continue
		}
		if tag, err := i.tagOf(c, l.Segment); err == nil && !Known(i.opt.Spool.HasTag, tag, l.Kind) {
			tags = append(tags, ranked(tag, policy.Rank(l.Kind)))
		}
	}
	if err := i.opt.Spool.Know(tags); err != nil {
		return err
	}
	if len(tags) > 0 {
		i.opt.Log.Info("met a recorder: segments that it had stay in the vehicle", "camera", c.Name, "segments", len(tags))
	}
	return c.Met()
}

func (i *Intake) tagOf(c Camera, s camera.Segment) (spool.Tag, error) {
	f, err := c.Folder.Open(s)
	if err != nil {
		return spool.Tag{}, err
	}
	defer func() { _ = f.Close() }()
	return f.Tag(i.opt.TagKey)
}
