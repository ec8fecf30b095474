package firmware_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/signed"
	"roadseal/firmware/report"
)

func attackOf(err error) signed.Attack {
	var e *signed.Error
	if errors.As(err, &e) {
		return e.Attack
	}
	return ""
}

// twoYears is what happens while a unit is off: all keys change, the roots of
// both repositories ten times, and everything that it has stored expires.
func twoYears(w *world) time.Time {
	later := today.AddDate(2, 0, 0)
	for _, r := range []*repository{w.director, w.images} {
		roles := []string{signed.Root, signed.Timestamp, signed.Root, signed.Snapshot, signed.Root, signed.Targets, signed.Root, signed.Root, signed.Timestamp, signed.Root}
		for i, role := range roles {
			r.until(today.AddDate(0, 2*i, 0), today.AddDate(1, 2*i, 0))
			r.rotate(role)
		}
		r.until(later, later.AddDate(1, 0, 0))
	}
	w.offer("unit/9.img", 9)
	return later
}

// TestOffForTwoYears: the unit catches up, whatever its clock says, and knows
// afterwards how late it is.
func TestOffForTwoYears(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.check())
	stored := w.fsys
	later := twoYears(w)
	for name, clock := range map[string]time.Time{
		"right":                later.Add(time.Hour),
		"as when it went off":  today,
		"1970":                 time.Unix(0, 0),
		"after the first root": today.AddDate(1, 0, 1),
	} {
		w.fsys, w.now, w.reports = stored.Crash(0), clock, nil
		require.NoError(t, w.check(), name)
		r := w.last()
		require.Equal(t, "unit/9.img", r.Attempt.Offered.Path, name)
		require.Equal(t, int64(11), r.Attempt.Director.Root, name)
		require.Equal(t, int64(11), r.Attempt.Images.Root, name)
		require.False(t, w.now.Before(later), "%s: signed metadata says how late it is", name)
		require.NoError(t, w.check(), name)
	}
}

// TestTheWallClockIsNotAsked: in a bubble it is 2000, and then 2050.
func TestTheWallClockIsNotAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		require.NoError(t, w.check())
		time.Sleep(50 * 365 * 24 * time.Hour)
		require.Equal(t, 2049, time.Now().Year())
		w.offer("unit/3.img", 3)
		require.NoError(t, w.check())
		require.Equal(t, "unit/3.img", w.last().Attempt.Offered.Path)
		require.Equal(t, today, w.last().Time)
	})
}

// TestNoSignerAloneMovesTime: whose clock is wrong, or whose key was stolen,
// is held by what the others say, and the unit stays able to verify.
func TestNoSignerAloneMovesTime(t *testing.T) {
	far := time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)
	wrong := map[string]func(r *repository){
		"timestamp": func(r *repository) { r.timestamp.Issued, r.timestamp.Expires = far, far.AddDate(1, 0, 0) },
		"snapshot":  func(r *repository) { r.snapshot.Issued, r.snapshot.Expires = far, far.AddDate(1, 0, 0) },
		"targets":   func(r *repository) { r.targets.Issued, r.targets.Expires = far, far.AddDate(1, 0, 0) },
		"root": func(r *repository) {
			r.root.Issued, r.root.Expires = far, far.AddDate(1, 0, 0)
			r.rotate(signed.Root)
		},
		"timestamp, as far as it can": func(r *repository) { r.timestamp.Issued = r.targets.Expires.Add(-time.Second) },
	}
	for name, spoil := range wrong {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for _, r := range []*repository{w.director, w.images} {
				spoil(r)
				r.next()
			}
			require.NoError(t, w.check())
			require.True(t, w.now.Before(w.images.snapshot.Expires.Add(time.Second)), "%v", w.now)
			require.NoError(t, w.check(), "what was verified still holds")
			for _, r := range []*repository{w.director, w.images} {
				r.until(today, today.AddDate(2, 0, 0))
				r.rotate(signed.Timestamp)
			}
			w.offer("unit/3.img", 3)
			require.NoError(t, w.check())
			require.Equal(t, "unit/3.img", w.last().Attempt.Offered.Path)
		})
	}
}

// TestRefusedMetadataDoesNotTellTheTime: only what was verified raises it.
func TestRefusedMetadataDoesNotTellTheTime(t *testing.T) {
	w := newWorld(t)
	w.director.until(today.AddDate(0, 6, 0), today.AddDate(1, 0, 0))
	forged(w.director, signed.Targets)
	require.Equal(t, signed.Arbitrary, attackOf(w.check()))
	require.Equal(t, today, w.now)
}

// TestATimeThatIsTooLateIsSaid: where somebody else has raised it, the report
// tells the desk what the unit believes, and newer metadata is taken.
func TestATimeThatIsTooLateIsSaid(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.check())
	w.now = time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)
	require.Equal(t, signed.Freeze, attackOf(w.check()))
	r, err := report.Verify(w.reports[len(w.reports)-1], w.cas, today)
	require.NoError(t, err)
	require.Equal(t, 2050, r.Time.Year())
	for _, r := range []*repository{w.director, w.images} {
		r.until(today, w.now.AddDate(1, 0, 0))
		r.rotate(signed.Root)
	}
	w.offer("unit/3.img", 3)
	require.NoError(t, w.check())
}

// TestADamagedRootIsMadeUpFor by the one that is built in.
func TestADamagedRootIsMadeUpFor(t *testing.T) {
	w := newWorld(t)
	w.director.rotate(signed.Root)
	require.NoError(t, w.check())
	for _, name := range []string{"director/root.json", "director/root.copy"} {
		f, err := w.fsys.Update(name)
		require.NoError(t, err)
		_, err = f.WriteAt([]byte{0}, 20)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	require.NoError(t, w.check())
	require.Equal(t, int64(2), w.last().Attempt.Director.Root)
}
