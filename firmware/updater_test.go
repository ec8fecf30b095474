package firmware_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/signed"
	"roadseal/crypto/signed/sign"
	"roadseal/firmware"
	"roadseal/firmware/report"
	"roadseal/hal/durable"
)

func verified(t *testing.T, path string, counter int64) string {
	i := imageOf(path, counter)
	i.Campaign = "autumn"
	text, err := report.Marshal(i)
	require.NoError(t, err)
	return string(text)
}

func TestAnOfferThatBothRepositoriesVouchForIsKept(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.check())
	require.Equal(t, verified(t, "unit/2.img", 2), w.files()["verified"])
	r := w.last()
	require.Equal(t, report.Verified, r.Attempt.Result)
	require.Equal(t, "unit/2.img", r.Attempt.Offered.Path)
	require.Equal(t, report.Versions{Root: 1, Snapshot: 2, Targets: 2, Timestamp: 2}, r.Attempt.Director)
	require.Equal(t, r.Attempt.Director, r.Attempt.Images)
	require.Equal(t, report.Floor, r.Confidence)
	require.Equal(t, int64(1), r.Counter)
	require.Len(t, r.Changes, 1)
	require.Equal(t, report.Provisioned, r.Changes[0].Result)
}

// TestTheImageRepositoryIsNotAsked when nothing is new.
func TestTheImageRepositoryIsNotAsked(t *testing.T) {
	w := newWorld(t)
	w.provision(imageOf("unit/2.img", 2))
	o := w.options()
	o.Images = broken{}
	u, err := firmware.New(o)
	require.NoError(t, err)
	require.NoError(t, u.Check(t.Context()))
	require.Equal(t, report.Current, w.last().Attempt.Result)
	require.NotContains(t, w.files(), "verified")

	w.director.targets.Files = nil // addressed to this vehicle
	w.director.next()
	require.NoError(t, u.Check(t.Context()))
}

// TestWhatIsWithdrawnIsNoLongerKept, and what is installed is not either.
func TestWhatIsWithdrawnIsNoLongerKept(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.check())
	w.director.targets.Files = nil
	w.director.next()
	require.NoError(t, w.check())
	require.NotContains(t, w.files(), "verified")

	w.offer("unit/3.img", 3)
	u := w.updater()
	require.NoError(t, u.Check(t.Context()))
	require.Equal(t, verified(t, "unit/3.img", 3), w.files()["verified"])
	w.provision(imageOf("unit/3.img", 3))
	require.NoError(t, u.Check(t.Context()))
	require.NotContains(t, w.files(), "verified")
	require.Equal(t, report.Current, u.Status().Attempt.Result)
}

// TestWhatIsInstalledIsReadStrictly: errors name the file and the field.
func TestWhatIsInstalledIsReadStrictly(t *testing.T) {
	good := verified(t, "unit/1.img", 1)
	for want, text := range map[string]string{
		"":                                      good + "\n",
		"byte 0: expected the canonical form":   " " + good,
		"unknown field":                         strings.Replace(good, `"path"`, `"name"`, 1),
		"length: expected a value of another":   strings.Replace(good, `"length":20`, `"length":"20"`, 1),
		"releaseCounter: expected a number of":  strings.Replace(good, `"releaseCounter":1`, `"releaseCounter":-1`, 1),
		"sha256: expected 64 lower-case hex":    strings.Replace(good, `"sha256":"`, `"sha256":"0`, 1),
		"rxswin: expected a list":               strings.Replace(good, `["R79 1"]`, `null`, 1),
		"byte 22: expected the canonical form":  strings.Replace(good, `"length":20,`, ``, 1),
		"byte 54: expected the canonical form":  strings.Replace(good, `"releaseCounter"`, `"path":"unit/1.img","releaseCounter"`, 1),
		"unexpected EOF":                        good[:30],
		"hint: jq -cS writes":                   "{}",
		"expected at most 65536":                strings.Repeat(" ", 65537),
		"firmware/installed: there is none: ex": "-",
	} {
		w := newWorld(t)
		require.NoError(t, w.fsys.Remove("installed"))
		if text != "-" {
			require.NoError(t, durable.WriteFile(w.fsys, ".", "installed", []byte(text)))
		}
		err := w.check()
		if want == "" {
			require.NoError(t, err)
			continue
		}
		if len(text) > report.MaxSize {
			require.ErrorContains(t, err, "installed: file is larger")
			continue
		}
		require.ErrorContains(t, err, "firmware/installed")
		require.ErrorContains(t, err, want)
		r := w.last()
		require.Equal(t, report.Failed, r.Attempt.Result)
		require.Empty(t, r.Installed)
	}
}

// chain demands that the reports are one chain, none left out.
func chain(t *testing.T, w *world) []*report.Report {
	var all []*report.Report
	previous := report.None
	for i, file := range w.reports {
		r, err := report.Verify(file, w.cas, today)
		require.NoError(t, err)
		require.Equal(t, int64(i+1), r.Counter)
		require.Equal(t, previous, r.Previous)
		previous = r.Digest()
		all = append(all, r)
	}
	return all
}

// TestReportsAreNoFlood: an outcome is reported when it is another, and again
// after a day; what lies between is counted.
func TestReportsAreNoFlood(t *testing.T) {
	w := newWorld(t)
	u := w.updater()
	for range 10 {
		require.NoError(t, u.Check(t.Context()))
		w.director.timestamp.Version++
		w.director.publishTimestamp()
	}
	require.Len(t, w.reports, 1, "a new timestamp is no news")
	good := w.director.files[signed.Timestamp]
	w.director.files[signed.Timestamp] = nil
	for range 10 {
		require.Error(t, u.Check(t.Context()))
	}
	require.Len(t, w.reports, 2)
	w.director.files[signed.Timestamp] = good
	require.NoError(t, u.Check(t.Context()))
	w.now = w.now.Add(23 * time.Hour)
	require.NoError(t, w.check(), "also of another start")
	require.Len(t, w.reports, 3)
	w.now = w.now.Add(time.Hour)
	require.NoError(t, u.Check(t.Context()))
	all := chain(t, w)
	require.Len(t, all, 4)
	for i, want := range []int64{1, 10, 10, 1} {
		require.Equal(t, want, all[i].Attempt.Attempts, i)
	}
	require.Equal(t, int64(4), u.Status().Reports)
}

// TestChangesAreOnRecord: what was installed, by what, and what fell back.
func TestChangesAreOnRecord(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.check())
	second := imageOf("unit/2.img", 2)
	second.Campaign, second.Preconditions = "autumn", []string{"parked"}
	w.provision(second)
	require.NoError(t, w.check())
	w.provision(imageOf("unit/1.img", 1))
	require.NoError(t, w.check())
	all := chain(t, w)
	require.Len(t, all, 3)
	first := imageOf("unit/1.img", 1)
	require.Equal(t, []report.Change{{ECU: unit.ECU, Result: report.Provisioned, To: first}}, all[0].Changes)
	require.Equal(t, []report.Change{{ECU: unit.ECU, From: &first, Result: report.Updated, To: second}}, all[1].Changes)
	require.Equal(t, []report.Change{{ECU: unit.ECU, From: &second, Result: report.RolledBack, To: first}}, all[2].Changes)
}

// TestAReportWaits until it can be handed over, and no other is made before.
func TestAReportWaits(t *testing.T) {
	w := newWorld(t)
	u := w.updater()
	w.refuse = errors.New("the spool is full")
	require.ErrorIs(t, u.Check(t.Context()), w.refuse)
	require.Equal(t, verified(t, "unit/2.img", 2), w.files()["verified"], "what is verified does not wait for it")
	require.True(t, u.Status().Waiting)
	w.offer("unit/3.img", 3)
	require.ErrorIs(t, w.check(), w.refuse)
	require.Equal(t, verified(t, "unit/3.img", 3), w.files()["verified"])
	w.refuse = nil
	require.NoError(t, u.Check(t.Context()))
	all := chain(t, w)
	require.Len(t, all, 2)
	require.Equal(t, "unit/2.img", all[0].Attempt.Offered.Path)
	require.Equal(t, "unit/3.img", all[1].Attempt.Offered.Path)
	require.False(t, u.Status().Waiting)
	require.NotContains(t, w.files(), "report")
}

// TestADamagedReportBeginsAnew: the chain is broken, and that shows.
func TestADamagedReportBeginsAnew(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.check())
	require.NoError(t, durable.WriteFile(w.fsys, ".", "reported", []byte("{")))
	require.NoError(t, w.check())
	require.Contains(t, w.log.String(), "a stored report is damaged")
	require.Len(t, w.reports, 2)
	require.Equal(t, int64(1), w.last().Counter)
}

// TestBothKinds: metadata that needs a post-quantum signature as well, reports
// by an Ed25519 key, and a time that is signed.
func TestBothKinds(t *testing.T) {
	w := newWorld(t)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	w.certify(key)
	_, later, err := sign.Generate()
	require.NoError(t, err)
	own := w.images.signers[signed.Targets]
	w.images.root.Roles[signed.Targets] = sign.Role{Keys: []sign.Key{own.Key(), later.Key()}, Threshold: 2}
	w.images.root.Version++
	w.images.publishRoot(w.images.signers[signed.Root])
	w.offer("unit/3.img", 3)
	o := w.options()
	o.Confidence = func() report.Confidence { return report.Signed }
	u, err := firmware.New(o)
	require.NoError(t, err)
	require.Equal(t, signed.Arbitrary, attackOf(u.Check(t.Context())), "half of a hybrid threshold")

	d, err := w.images.targets.Document()
	require.NoError(t, err)
	require.NoError(t, d.Sign(own, later))
	w.images.files["3.targets"] = d.Bytes()
	w.images.snapshot.Version, w.images.timestamp.Version = 9, 9
	w.images.snapshot.Files = map[string]sign.File{signed.Targets: {Version: 3, Data: d.Bytes()}}
	w.images.publishSnapshot()
	require.NoError(t, u.Check(t.Context()))
	require.Equal(t, report.Signed, w.last().Confidence)
}

// TestReportsAlwaysFit: whatever the Image repository and whoever installs say of
// images, no report becomes too long to be read again.
func TestReportsAlwaysFit(t *testing.T) {
	texts := func(n int, of string) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprintf("%03d %s", i, of+strings.Repeat("x", report.MaxText-len(of)-4)))
		}
		return list
	}
	for _, identifications := range []int{14, report.MaxTexts} {
		w := newWorld(t)
		for n := int64(1); n < 5; n++ {
			name := fmt.Sprintf("unit/%d.img", n+1)
			w.offer(name, n+1)
			releases(w, name, contentOf(name), custom{"hardwareIds": []string{unit.Hardware}, "releaseCounter": n + 1, "rxswin": texts(identifications, name)})
			err := w.check()
			require.Len(t, chain(t, w), int(n))
			if identifications == report.MaxTexts {
				require.Equal(t, signed.Malformed, attackOf(err))
				w.provision(imageOf(name, n+1))
				continue
			}
			require.NoError(t, err)
			next := *w.last().Attempt.Offered
			next.Preconditions = texts(15, "parked")
			w.provision(next)
		}
		next := imageOf("unit/9.img", 9)
		next.RXSWIN = texts(report.MaxTexts, "R")
		w.provision(next)
		require.ErrorContains(t, w.check(), "firmware/installed: rxswin: expected an image of at most 8192 bytes")
		require.Equal(t, report.Failed, w.last().Attempt.Result)
	}
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	w := newWorld(t)
	for want, spoil := range map[string]func(o *firmware.Options){
		"image: root: malformed metadata":   func(o *firmware.Options) { o.Roots.Images = []byte("{}") },
		"expected at least a minute":        func(o *firmware.Options) { o.Every = time.Second },
		"expected 1 to 255 characters":      func(o *firmware.Options) { o.Unit.ECU = "" },
		"certificate of the device: expect": func(o *firmware.Options) { o.Chain = nil },
	} {
		o := w.options()
		spoil(&o)
		_, err := firmware.New(o)
		require.ErrorContains(t, err, want)
	}
}
