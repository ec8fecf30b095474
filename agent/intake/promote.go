package intake

import (
	"roadseal/agent/policy"
	"roadseal/agent/spool"
)

// A clip that is locked after it was sealed keeps its source tag under its new
// name. The spool keeps the tag together with the rank that the clip had, in the
// last bits of the tag, so that a clip that has risen is met as another.

// ranked is a source tag with a rank.
func ranked(t spool.Tag, rank int) spool.Tag {
	t[len(t)-1] ^= byte(rank)
	return t
}

// Known reports whether a clip of a kind has been dealt with: sealed, or left in
// the vehicle, when its recorder kept it at least as firmly. has tells of the
// tags that the spool knows.
func Known(has func(spool.Tag) bool, tag spool.Tag, kind string) bool {
	for r := policy.Rank(kind); r < policy.Ranks; r++ {
		if has(ranked(tag, r)) {
			return true
		}
	}
	return false
}

// Risen reports whether a clip that is not known was dealt with before its
// recorder kept it as firmly as now.
func Risen(has func(spool.Tag) bool, tag spool.Tag, kind string) bool {
	for r := range policy.Rank(kind) {
		if has(ranked(tag, r)) {
			return true
		}
	}
	return false
}

// allRanks are the tags under which the spool may know a clip.
func allRanks(tags []spool.Tag) (all []spool.Tag) {
	for _, t := range tags {
		for r := range policy.Ranks {
			all = append(all, ranked(t, r))
		}
	}
	return all
}

// promote makes the object of a clip that has risen into what it would be if it
// were sealed now. It reports false if there is none, or none that every reader
// of the stream can open: the clip is to be sealed anew then.
func (i *Intake) promote(tag spool.Tag, rank int, st policy.Stream) (bool, error) {
	for r := rank - 1; r >= 0; r-- {
		e, ok := i.opt.Spool.Find(ranked(tag, r))
		if !ok {
			continue
		}
		stream := st.Name
		if e.Stream != st.Name {
			stream, ok = i.opt.Streams.Promote(e.Stream, st)
			ok = ok && e.Boot >= i.opt.Since
		}
		if !ok {
			continue
		}
		if done, err := i.opt.Spool.Promote(e, st.Class, stream, ranked(tag, rank)); done || err != nil {
			return done, err
		}
	}
	return false, nil
}
