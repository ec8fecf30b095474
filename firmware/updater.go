package firmware

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"roadseal/crypto/signed"
	"roadseal/firmware/report"
	"roadseal/hal/durable"
	"roadseal/hal/watchdog"
)

// Options are what an Updater works with. All are needed but Confidence.
type Options struct {
	Director, Images signed.Source
	Roots            Roots
	State            durable.FS // folder of this package alone, see FORMAT.md
	Unit             Unit
	// Now is a lower bound of the true time, Raise moves it up to a time that
	// has certainly come and returns when that is durable or never.
	Now        func() time.Time
	Raise      func(time.Time)
	Confidence func() report.Confidence // of Now; nil = report.Floor
	Key        crypto.Signer            // the device's: Ed25519 or ECDSA over P-256
	Chain      [][]byte                 // its certificates, DER, its own first; the common name is the pseudonym that metadata is addressed to
	// Report takes a signed report and returns once it is durable there. The
	// same report may come again after a power cut.
	Report func(file []byte) error
	Every  time.Duration // between attempts, at least a minute
	Log    *slog.Logger
}

// Roots are the files of the roots that a unit begins with.
type Roots struct{ Director, Images []byte }

const (
	firstWait  = time.Minute // before the first attempt at most, and a firstPart of Every: a fleet that starts together does not ask together
	firstPart  = 60          // whoever serves the fleet once in Every bears it once in a minute of each hour of that
	firstPause = time.Minute // after the first attempt that failed; it doubles up to Every
)

// Folders and files of Options.State.
const (
	installedFile = "installed"
	verifiedFile  = "verified"
	waitingFile   = "report"
	handedFile    = "reported"
)

// An Updater looks for updates.
type Updater struct {
	o      Options
	signer *report.Signer
	state  state
	count  int64 // attempts since the last report

	mu     sync.Mutex
	status Status
}

// A Status is what came of the last attempt of this start.
type Status struct {
	Checked   time.Time // by Options.Now; zero before the first attempt
	Attempt   report.Attempt
	Installed *report.Image // nil if it cannot be read
	Reports   int64         // counter of the last report
	Waiting   bool          // it could not be handed over yet
}

// New makes an Updater; Run does the work. Its errors name what is wrong with
// the options; that of a root is a *signed.Error with the repository.
func New(o Options) (*Updater, error) {
	signer, err := report.NewSigner(o.Key, o.Chain)
	if err != nil {
		return nil, err
	}
	if !report.IsText(o.Unit.ECU) || !report.IsText(o.Unit.Hardware) {
		return nil, errors.New("ECU and hardware of the unit: expected 1 to 255 characters of printable ASCII each")
	}
	if o.Every < time.Minute {
		return nil, fmt.Errorf("an attempt every %v: expected at least a minute", o.Every)
	}
	if o.Confidence == nil {
		o.Confidence = func() report.Confidence { return report.Floor }
	}
	u := &Updater{o: o, signer: signer, state: state{fsys: o.State}}
	for _, r := range []struct {
		name string
		file []byte
	}{{Director, o.Roots.Director}, {Images, o.Roots.Images}} {
		if _, err := signed.New(r.file, u.options(r.name)); err != nil {
			return nil, fmt.Errorf("the root that is built in: %w", err)
		}
	}
	return u, nil
}

func (u *Updater) options(repository string) signed.Options {
	return signed.Options{Name: repository, Vehicle: u.signer.Device(), Addressed: true, Canonical: true,
		Concerns: func(custom string) bool { return concerns(custom, u.o.Unit.Hardware) }}
}

// Run makes attempts until ctx ends, whose error it returns.
func (u *Updater) Run(ctx context.Context) error {
	wait, pause := rand.N(min(firstWait, u.o.Every/firstPart)), firstPause
	for {
		if err := watchdog.Sleep(ctx, wait); err != nil {
			return err
		}
		err := u.Check(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			wait, pause = around(u.o.Every), firstPause
		default:
			wait, pause = around(pause), min(2*pause, u.o.Every)
		}
	}
}

// around is d, or up to an eighth less or more.
func around(d time.Duration) time.Duration { return d - d/8 + rand.N(d/4) }

// Status returns what came of the last attempt.
func (u *Updater) Status() Status {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.status
}

// Check makes one attempt: it verifies what is new, keeps what both
// repositories vouch for, and reports. What is verified stays whatever comes.
// An error says why there is none; if it is an attack, it is a *signed.Error.
func (u *Updater) Check(ctx context.Context) error {
	installed, missing := Installed(u.o.State)
	a, err := u.attempt(ctx, installed, missing)
	if ctx.Err() != nil {
		return ctx.Err() // it was not made to its end
	}
	u.say(a, installed, err)
	told := u.tell(a, installed)
	if told != nil {
		u.o.Log.Warn("cannot report what came of the search for an update", "reason", told)
	}
	return errors.Join(err, told)
}

// say logs an outcome that is another than that of the attempt before.
func (u *Updater) say(a report.Attempt, installed *report.Image, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	was := u.status.Attempt
	u.status.Attempt, u.status.Installed, u.status.Checked = a, installed, u.o.Now()
	switch {
	case same(a, was):
	case a.Result == report.Refused:
		u.o.Log.Warn("firmware metadata was refused", "attack", a.Attack, "repository", a.Repository, "role", a.Role, "reason", a.Error)
	case err != nil:
		u.o.Log.Warn("cannot look for a firmware update", "repository", a.Repository, "role", a.Role, "reason", err)
	case a.Offered != nil:
		u.o.Log.Info("a firmware update is verified", "path", a.Offered.Path, "counter", a.Offered.Counter)
	}
}

// attempt verifies what is new.
func (u *Updater) attempt(ctx context.Context, installed *report.Image, missing error) (report.Attempt, error) {
	if missing != nil {
		return outcome(nil, nil, missing)
	}
	v, err := u.verifier(*installed)
	if err != nil {
		return outcome(v, nil, err)
	}
	image, err := v.Check(ctx, u.o.Now)
	var offered *report.Image
	if err == nil && image != nil {
		offered = image.record
	}
	if err == nil {
		err = u.state.keep(offered)
	}
	return outcome(v, offered, err)
}

// verifier takes up what was verified before.
func (u *Updater) verifier(installed report.Image) (v *Verifier, err error) {
	v = &Verifier{Unit: u.o.Unit, Installed: installed, Vehicle: u.signer.Device(), Verified: func(c *signed.Client) {
		if t := c.Certain(); !t.IsZero() {
			u.o.Raise(t)
		}
	}}
	if v.Director, err = u.open(Director, u.o.Roots.Director, u.o.Director); err != nil {
		return v, err
	}
	v.Images, err = u.open(Images, u.o.Roots.Images, u.o.Images)
	return v, err
}

// open takes up one repository.
func (u *Updater) open(name string, root []byte, from signed.Source) (*signed.Client, error) {
	dir, err := signed.OpenDir(u.o.State, name)
	if err != nil {
		return nil, err
	}
	return signed.Open(root, source{from, name}, dir, u.options(name))
}
