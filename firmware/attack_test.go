package firmware_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/signed"
	"roadseal/crypto/signed/sign"
	"roadseal/firmware"
	"roadseal/firmware/fetch"
	"roadseal/firmware/report"
)

// An attack is tried on a vehicle that has verified release 2.
type attack struct {
	name string
	want signed.Attack
	at   string // repository and role that are named
	// changes are the folders whose metadata is good and may be taken.
	changes string
	do      func(w *world)
}

// directs replaces what the Director says of the image, under its own keys.
func directs(w *world, c any) {
	w.director.targets.Files = map[string]sign.Target{"unit/2.img": {Data: contentOf("unit/2.img"), Custom: c}}
	w.director.next()
}

// releases replaces what the Image repository says, under its own keys.
func releases(w *world, name string, data []byte, c any) {
	w.images.targets.Files = map[string]sign.Target{name: {Data: data, Custom: c}}
	w.images.next()
}

// replay serves old files after the vehicle has seen newer ones.
func replay(w *world, r *repository, roles ...string) {
	old := maps.Clone(r.files)
	r.next()
	require.NoError(w.t, w.check())
	if len(roles) == 0 {
		r.files = old
	}
	for _, role := range roles {
		r.files[role] = old[role]
	}
}

// forged publishes with a role's key replaced by a thief's.
func forged(r *repository, role string) {
	own := r.signers[role]
	r.signers[role] = newSigner(r.t)
	r.next()
	r.signers[role] = own
}

func forEcu(ecu, hardware string, counter int64) custom {
	return custom{"ecuIdentifiers": custom{ecu: custom{"hardwareId": hardware, "releaseCounter": counter}}}
}

var rollbacks = []attack{
	{"an old Director", signed.Rollback, "director timestamp", "", func(w *world) { replay(w, w.director) }},
	{"old images", signed.Rollback, "image timestamp", "", func(w *world) { replay(w, w.images) }},
	{"an old timestamp alone", signed.Rollback, "image timestamp", "", func(w *world) { replay(w, w.images, signed.Timestamp) }},
	{"a timestamp that lists an old snapshot", signed.Rollback, "image timestamp", "", func(w *world) {
		replay(w, w.images)
		w.images.timestamp.Version = 9
		w.images.timestamp.SnapshotVersion, w.images.timestamp.Snapshot = 2, w.images.files["2.snapshot"]
		w.images.publishTimestamp()
	}},
	{"a snapshot that lists old targets", signed.Rollback, "image snapshot", "image/timestamp", func(w *world) {
		w.images.next()
		require.NoError(w.t, w.check())
		w.images.targets.Version = 2
		w.images.timestamp.Version, w.images.snapshot.Version = 9, 9
		w.images.publish()
	}},
	{"a lower release counter, signed by both", signed.Rollback, "director targets", "director", func(w *world) { w.offer("unit/0.img", 0) }},
}

var freezes = []attack{
	{"an expired timestamp", signed.Freeze, "director timestamp", "", func(w *world) {
		w.director.timestamp.Expires = today
		w.director.next()
	}},
	{"a timestamp that nobody renews", signed.Freeze, "image timestamp", "director", func(w *world) {
		w.images.timestamp.Expires = today.AddDate(0, 1, 0)
		w.images.next()
		require.NoError(w.t, w.check())
		w.now = today.AddDate(0, 2, 0)
	}},
	{"an expired snapshot", signed.Freeze, "director snapshot", "director/timestamp", func(w *world) {
		w.director.snapshot.Expires = today.AddDate(0, 0, -1)
		w.director.next()
	}},
	{"expired targets", signed.Freeze, "image targets", "image", func(w *world) {
		w.images.targets.Expires = today.AddDate(0, 0, -1)
		w.images.next()
	}},
	{"an expired root", signed.Freeze, "image root", "image/root", func(w *world) {
		w.images.root.Expires = today.AddDate(0, 0, -1)
		w.images.rotate(signed.Targets)
	}},
}

var mixes = []attack{
	{"a snapshot of another time", signed.MixAndMatch, "director snapshot", "director/timestamp", func(w *world) {
		w.director.next()
		w.director.files["3.snapshot"] = w.director.files["2.snapshot"]
	}},
	{"targets of another time", signed.MixAndMatch, "image targets", "image", func(w *world) {
		w.images.next()
		w.images.files["3.targets"] = w.images.files["2.targets"]
	}},
	{"an image that was not released", signed.MixAndMatch, "image targets", "image", func(w *world) {
		releases(w, "unit/3.img", contentOf("unit/3.img"), released(3))
	}},
	{"another image under the same name", signed.MixAndMatch, "image targets", "image", func(w *world) {
		releases(w, "unit/2.img", []byte("the image unit/x.img"), released(2))
	}},
	{"a longer image", signed.MixAndMatch, "image targets", "image", func(w *world) {
		releases(w, "unit/2.img", []byte("the image unit/2.img "), released(2))
	}},
	{"a counter that the release does not have", signed.MixAndMatch, "image targets", "director", func(w *world) { directs(w, ordered(7)) }},
	{"two images for one ECU", signed.MixAndMatch, "director targets", "director", func(w *world) {
		w.director.targets.Files["unit/3.img"] = sign.Target{Data: []byte("x"), Custom: ordered(2)}
		w.director.next()
	}},
}

var forgeries = []attack{
	{"a timestamp by a thief", signed.Arbitrary, "director timestamp", "", func(w *world) { forged(w.director, signed.Timestamp) }},
	{"a snapshot by a thief", signed.Arbitrary, "director snapshot", "director/timestamp", func(w *world) { forged(w.director, signed.Snapshot) }},
	{"targets by a thief", signed.Arbitrary, "image targets", "image", func(w *world) { forged(w.images, signed.Targets) }},
	{"a root by a thief", signed.Arbitrary, "director root", "", func(w *world) {
		w.director.root.Version++
		w.director.publishRoot(newSigner(w.t))
	}},
	{"a Director that delegates", signed.Arbitrary, "director targets", "director", func(w *world) {
		s := newSigner(w.t)
		w.director.targets.Delegations = []sign.Delegation{{Name: "other", Role: roleOf(s), Paths: []string{"*"}}}
		w.director.next()
	}},
	{"a delegated role by a thief", signed.Arbitrary, "image suppliers", "image", func(w *world) {
		delegate(w, sign.Delegation{Name: "suppliers", Paths: []string{"unit/*"}})
		w.images.signers["suppliers"] = newSigner(w.t)
		w.images.next()
	}},
}

var strangers = []attack{
	{"metadata for another vehicle", signed.WrongVehicle, "director timestamp", "", func(w *world) {
		for _, h := range []*sign.Header{&w.director.timestamp.Header, &w.director.snapshot.Header, &w.director.targets.Header} {
			h.Audience = "YmFyZm9vYmFyZm9vYmFyZg"
		}
		w.director.next()
	}},
	{"targets for another vehicle", signed.WrongVehicle, "director targets", "director", func(w *world) {
		w.director.targets.Audience = "YmFyZm9vYmFyZm9vYmFyZg"
		w.director.next()
	}},
	{"metadata for nobody", signed.WrongVehicle, "image timestamp", "", func(w *world) {
		w.images.timestamp.Audience = ""
		w.images.next()
	}},
	{"an ECU of another vehicle", signed.WrongVehicle, "director targets", "director", func(w *world) { directs(w, forEcu("brakes", unit.Hardware, 2)) }},
	{"the fleet's empty list", signed.WrongVehicle, "director targets", "director", func(w *world) {
		w.director.targets.Files, w.director.targets.Audience = nil, signed.Fleet
		w.director.next()
	}},
	{"other hardware by the Director", firmware.WrongHardware, "director targets", "director", func(w *world) { directs(w, forEcu(unit.ECU, "board-4", 2)) }},
	{"an image for other hardware", firmware.WrongHardware, "image targets", "image", func(w *world) {
		releases(w, "unit/2.img", contentOf("unit/2.img"), custom{"hardwareIds": []string{"board-4"}, "releaseCounter": 2})
	}},
	{"an image for no hardware", firmware.WrongHardware, "image targets", "image", func(w *world) {
		releases(w, "unit/2.img", contentOf("unit/2.img"), custom{"releaseCounter": 2})
	}},
}

var floods = []attack{
	{"a timestamp without end", signed.EndlessData, "director timestamp", "", func(w *world) {
		w.director.files[signed.Timestamp] = bytes.Repeat([]byte(" "), signed.MaxTimestamp+1)
	}},
	{"a root without end", signed.EndlessData, "image root", "", func(w *world) {
		w.images.files["2.root"] = bytes.Repeat([]byte(" "), signed.MaxRoot+1)
	}},
	{"targets longer than listed", signed.EndlessData, "image targets", "image", func(w *world) {
		w.images.next()
		w.images.files["3.targets"] = append(w.images.files["3.targets"], ' ')
	}},
}

var nonsense = []attack{
	{"no JSON", signed.Malformed, "director timestamp", "", func(w *world) { w.director.files[signed.Timestamp] = []byte("<html>") }},
	{"no custom", signed.Malformed, "director targets", "director", func(w *world) { directs(w, nil) }},
	{"a list as custom", signed.Malformed, "director targets", "director", func(w *world) { directs(w, []int{1}) }},
	{"no ECU", signed.Malformed, "director targets", "director", func(w *world) { directs(w, custom{"ecuIdentifiers": custom{}}) }},
	{"a null ECU", signed.Malformed, "director targets", "director", func(w *world) { directs(w, custom{"ecuIdentifiers": custom{unit.ECU: nil}}) }},
	{"another spelling", signed.Malformed, "director targets", "director", func(w *world) {
		directs(w, custom{"ecuIdentifiers": custom{unit.ECU: custom{"HARDWAREID": unit.Hardware}}})
	}},
	{"a counter in words", signed.Malformed, "director targets", "director", func(w *world) {
		directs(w, custom{"ecuIdentifiers": custom{unit.ECU: custom{"hardwareId": unit.Hardware, "releaseCounter": "two"}}})
	}},
	{"a campaign that no report can hold", signed.Malformed, "director targets", "director", func(w *world) {
		c := ordered(2)
		c["campaign"] = strings.Repeat("x", report.MaxText+1)
		directs(w, c)
	}},
	{"a null counter", signed.Malformed, "image targets", "image", func(w *world) {
		releases(w, "unit/2.img", contentOf("unit/2.img"), custom{"hardwareIds": []string{unit.Hardware}, "releaseCounter": nil})
	}},
	{"an RXSWIN that no report can hold", signed.Malformed, "image targets", "image", func(w *world) {
		releases(w, "unit/2.img", contentOf("unit/2.img"), custom{"hardwareIds": []string{unit.Hardware}, "releaseCounter": 2, "rxswin": []string{"R79\n"}})
	}},
}

// TestAttacks: each is named, nothing that was verified before is lost, and the
// unit goes on when the repositories are whole again.
func TestAttacks(t *testing.T) {
	for _, list := range [][]attack{rollbacks, freezes, mixes, forgeries, strangers, floods, nonsense} {
		for _, a := range list {
			t.Run(string(a.want)+"/"+a.name, func(t *testing.T) {
				w := newWorld(t)
				require.NoError(t, w.check())
				a.do(w)
				before := metadata(w.files())
				reports := len(w.reports)
				err := w.check()
				var e *signed.Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, a.want, e.Attack, "%v", err)
				require.Equal(t, a.at, e.Repository+" "+e.Role, "%v", err)
				unchanged(t, a, before, metadata(w.files()))

				require.Len(t, w.reports, reports+1, "an attack is reported")
				r := w.last()
				require.Equal(t, report.Refused, r.Attempt.Result)
				require.Equal(t, string(a.want), r.Attempt.Attack)
				require.Equal(t, a.at, r.Attempt.Repository+" "+r.Attempt.Role)
				require.Contains(t, w.log.String(), string(a.want))
			})
		}
	}
}

func unchanged(t *testing.T, a attack, before, after map[string]string) {
	for name, data := range before {
		if a.changes == "" || !strings.HasPrefix(name, a.changes) {
			require.Equal(t, data, after[name], "%s is as it was", name)
		}
	}
	for name := range after {
		require.True(t, before[name] != "" || a.changes != "" && strings.HasPrefix(name, a.changes), "%s is new", name)
	}
}

// TestAfterAnAttackTheUnitGoesOn: honest files follow the hostile ones.
func TestAfterAnAttackTheUnitGoesOn(t *testing.T) {
	for _, a := range append(forgeries[:4:4], floods...) {
		t.Run(a.name, func(t *testing.T) {
			w := newWorld(t)
			require.NoError(t, w.check())
			director, images := maps.Clone(w.director.files), maps.Clone(w.images.files)
			a.do(w)
			require.Error(t, w.check())
			w.director.files, w.images.files = director, images
			for _, r := range []*repository{w.director, w.images} {
				r.timestamp.Version, r.snapshot.Version, r.targets.Version = 9, 9, 9
				r.targets.Delegations = nil
			}
			w.offer("unit/3.img", 3)
			require.NoError(t, w.check())
			require.Equal(t, "unit/3.img", w.last().Attempt.Offered.Path)
		})
	}
}

// slow gives up a file as the fetchers do.
type slow struct{ *repository }

func (s slow) Fetch(ctx context.Context, role string, version int64, limit int) ([]byte, error) {
	if role == signed.Targets {
		return nil, &signed.Error{Attack: signed.SlowRetrieval, Err: errors.New("3 bytes in a minute")}
	}
	return s.repository.Fetch(ctx, role, version, limit)
}

func TestSlowRetrieval(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.check())
	w.offer("unit/3.img", 3)
	before := metadata(w.files())
	o := w.options()
	o.Images = slow{w.images}
	u, err := firmware.New(o)
	require.NoError(t, err)
	var e *signed.Error
	require.ErrorAs(t, u.Check(t.Context()), &e)
	require.Equal(t, signed.Error{Attack: signed.SlowRetrieval, Repository: "image", Role: "targets", Err: e.Err}, *e)
	require.Equal(t, before["verified"], w.files()["verified"])
	require.Equal(t, "slow retrieval", w.last().Attempt.Attack)
	require.Equal(t, w.last().Attempt, u.Status().Attempt)
}

// TestAMissingFileIsNoAttack, and its text holds nothing of others.
func TestAMissingFileIsNoAttack(t *testing.T) {
	w := newWorld(t)
	delete(w.images.files, signed.Timestamp)
	require.Error(t, w.check())
	a := w.last().Attempt
	require.Equal(t, report.Unreachable, a.Result)
	require.Equal(t, "image timestamp: the server does not have the file", a.Repository+" "+a.Role+": "+a.Error)
	require.Empty(t, a.Attack)

	o := w.options()
	o.Director = broken{}
	u, err := firmware.New(o)
	require.NoError(t, err)
	require.Error(t, u.Check(t.Context()))
	a = w.last().Attempt
	require.Equal(t, report.Unreachable, a.Result)
	require.NotContains(t, string(w.reports[len(w.reports)-1]), "10.1.2.3")
	require.NotContains(t, w.log.String(), "10.1.2.3")

	o.Director = unserved{}
	u, err = firmware.New(o)
	require.NoError(t, err)
	require.Error(t, u.Check(t.Context()))
	a = w.last().Attempt
	require.Equal(t, report.Unreachable, a.Result)
	require.Equal(t, "director root: the collector serves no release repositories", a.Repository+" "+a.Role+": "+a.Error)
	require.Empty(t, a.Attack)
	require.Contains(t, w.log.String(), "serves no release repositories")
}

// unserved is what a collector without [repository] looks like.
type unserved struct{}

func (unserved) Fetch(context.Context, string, int64, int) ([]byte, error) {
	return nil, fmt.Errorf("director/2.root.json of 10.1.2.3: %w", fetch.NoRepository)
}

type broken struct{}

func (broken) Fetch(context.Context, string, int64, int) ([]byte, error) {
	return nil, errors.New("read tcp 10.1.2.3:443: connection reset by peer")
}

// delegate makes a role speak for paths on the Image repository instead of the
// top-level one.
func delegate(w *world, ds ...sign.Delegation) {
	r := w.images
	files := r.targets.Files
	r.targets.Files = map[string]sign.Target{}
	for _, d := range ds {
		r.signers[d.Name] = newSigner(w.t)
		d.Role = roleOf(r.signers[d.Name])
		r.targets.Delegations = append(r.targets.Delegations, d)
		role := r.delegated[d.Name]
		if role.Version == 0 {
			role = sign.Targets{Header: sign.Header{Version: 1, Expires: today.AddDate(1, 0, 0), Audience: signed.Fleet}, Files: files}
		}
		r.delegated[d.Name] = role
	}
}

func TestDelegations(t *testing.T) {
	here, there := []string{unit.Hardware}, []string{"board-4"}
	for name, c := range map[string]struct {
		ds    []sign.Delegation
		found bool
	}{
		"for the path":             {[]sign.Delegation{{Name: "one", Paths: []string{"unit/*"}}}, true},
		"for another path":         {[]sign.Delegation{{Name: "one", Paths: []string{"dash/*"}}}, false},
		"a star is no slash":       {[]sign.Delegation{{Name: "one", Paths: []string{"*"}}}, false},
		"for this hardware":        {[]sign.Delegation{{Name: "one", Paths: []string{"unit/*"}, Hardware: here}}, true},
		"for other hardware":       {[]sign.Delegation{{Name: "one", Paths: []string{"unit/*"}, Hardware: there}}, false},
		"other hardware, then all": {[]sign.Delegation{{Name: "one", Paths: []string{"unit/*"}, Hardware: there, Terminating: true}, {Name: "two", Paths: []string{"unit/*"}}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			delegate(w, c.ds...)
			w.images.next()
			err := w.check()
			if c.found {
				require.NoError(t, err)
				require.Equal(t, "unit/2.img", w.last().Attempt.Offered.Path)
				return
			}
			var e *signed.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, signed.MixAndMatch, e.Attack)
		})
	}
}

// TestATerminatingDelegationEnds the search, also where it lists nothing.
func TestATerminatingDelegationEnds(t *testing.T) {
	for _, terminating := range []bool{true, false} {
		w := newWorld(t)
		w.images.delegated["one"] = sign.Targets{Header: sign.Header{Version: 1, Expires: today.Add(time.Hour), Audience: signed.Fleet}}
		delegate(w, sign.Delegation{Name: "one", Paths: []string{"unit/*"}, Terminating: terminating}, sign.Delegation{Name: "two", Paths: []string{"unit/*"}})
		w.images.next()
		err := w.check()
		require.Equal(t, terminating, err != nil, "%v", err)
	}
}
