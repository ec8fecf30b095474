package release_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/release"
	"roadseal/crypto/signed/sign"
	"roadseal/hal/durable"
)

var noon = release.Stamp{At: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}

// A desk is people with keys, and a plan of theirs in a folder.
type desk struct {
	t    *testing.T
	dir  string
	keys map[string][]sign.Signer // former ones too
}

func newDesk(t *testing.T) *desk { return &desk{t, t.TempDir(), map[string][]sign.Signer{}} }

// plan writes a plan by which some people sign everything, all of them, with
// keys that are made where there are none.
func (d *desk) plan(dir string, people ...string) (path string) {
	require.NoError(d.t, os.MkdirAll(filepath.Join(d.dir, dir), 0o700))
	names, text := "", ""
	for _, name := range people {
		names += fmt.Sprintf("%q, ", name)
		file := filepath.Join(d.dir, dir, name+".pub")
		if _, err := os.Stat(file); err == nil {
			continue
		}
		private, err := release.NewPrivate(name, []string{"ed25519"})
		require.NoError(d.t, err)
		signers, err := private.Signers()
		require.NoError(d.t, err)
		d.keys[name] = append(d.keys[name], signers...)
		person, err := private.Person()
		require.NoError(d.t, err)
		public, err := person.Public()
		require.NoError(d.t, err)
		require.NoError(d.t, os.WriteFile(file, public, 0o600))
	}
	for _, side := range []string{"image", "director"} {
		for _, role := range []string{"root", "timestamp", "snapshot", "targets"} {
			text += fmt.Sprintf("[%s.%s]\nsigners = [%s]\nthreshold = %d\nexpires = \"9d\"\n", side, role, names, len(people))
		}
	}
	path = filepath.Join(d.dir, dir, "plan.toml")
	require.NoError(d.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func (d *desk) read(name string) *release.Doc {
	doc, err := release.ReadFile(filepath.Join(d.dir, "releases", name))
	require.NoError(d.t, err)
	return doc
}

// change does something to the repository.
func (d *desk) change(f func(*release.Repo) error) {
	r, err := release.Open(d.repo())
	require.NoError(d.t, err)
	require.NoError(d.t, f(r))
	require.NoError(d.t, r.Close())
}

// publish signs with all keys whatever is staged, publishes it, and returns what
// was published in its order.
func (d *desk) publish() (names []string) {
	d.signAll()
	return d.publishSigned()
}

func (d *desk) publishSigned() (names []string) {
	d.change(func(r *release.Repo) error {
		c, err := r.Prepare(d.t.Context(), release.Publishing{Stamp: noon, Signers: d.all()})
		require.NoError(d.t, err)
		require.NoError(d.t, r.Publish(c))
		for _, doc := range c.Docs {
			names = append(names, doc.File())
		}
		return nil
	})
	return names
}

func (d *desk) all() (keys []sign.Signer) {
	for _, name := range slices.Sorted(maps.Keys(d.keys)) {
		keys = append(keys, d.keys[name]...)
	}
	return keys
}

func (d *desk) signAll() {
	found, err := release.Find([]string{d.repo()})
	require.NoError(d.t, err)
	for _, name := range found {
		doc, err := release.ReadFile(name)
		require.NoError(d.t, err)
		_, err = doc.SignFile(d.all())
		require.NoError(d.t, err)
	}
}

const car = "Zm9vYmFyZm9vYmFyZm9vYg"

// rotated makes a repository with an order for the fleet, and publishes one for a
// vehicle together with roots in which all keys are replaced; it returns what that
// published, in its order. Before it, the repository is copied.
func (d *desk) rotated() (names []string) {
	t := d.t
	_, err := release.Init(d.repo(), d.plan("plan", "anna"), noon)
	require.NoError(t, err)
	d.publish()
	image := filepath.Join(d.dir, "image")
	require.NoError(t, os.WriteFile(image, []byte("image"), 0o600))
	d.change(func(r *release.Repo) error {
		_, err := r.Add(release.Addition{File: image, Path: "a.img", Role: "targets", Released: release.Released{Hardware: []string{"h"}}}, noon)
		return err
	})
	d.publish()
	d.change(func(r *release.Repo) error {
		_, err := r.Order(release.Order{Path: "a.img", ECU: "e", Hardware: "h"}, noon)
		return err
	})
	d.publish()
	d.change(func(r *release.Repo) error {
		if _, err := r.Order(release.Order{Device: car}, noon); err != nil {
			return err
		}
		if err := r.Adopt(d.plan("next", "anna")); err != nil {
			return err
		}
		_, err := r.Rotate(noon)
		return err
	})
	d.signAll()
	require.NoError(t, os.CopyFS(d.repo()+"-before", os.DirFS(d.repo())))
	return d.publish()
}

func (d *desk) repo() string { return filepath.Join(d.dir, "releases") }

// TestTwoSignAtOnce: both were shown the document before either signed.
func TestTwoSignAtOnce(t *testing.T) {
	d := newDesk(t)
	plan := d.plan("plan", "anna", "ben")
	_, err := release.Init(d.repo(), plan, noon)
	require.NoError(t, err)
	const root = "staged/image/root.json"
	annas, bens := d.read(root), d.read(root)
	for name, doc := range map[string]*release.Doc{"anna": annas, "ben": bens} {
		n, err := doc.SignFile(d.keys[name])
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}
	require.Len(t, d.read(root).Signatures(), 2)

	// Not what was staged anew, or is gone, since it was shown.
	shown := d.read("staged/image/targets.json")
	r, err := release.Open(d.repo())
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		_, err := shown.SignFile(d.keys["anna"])
		require.ErrorContains(t, err, "another process holds the lock")
		time.AfterFunc(time.Second, func() { require.NoError(t, r.Close()) })
		_, err = d.read("staged/director/root.json").SignFile(d.keys["anna"])
		require.NoError(t, err, "it waits for who is done soon")
		r, err = release.Open(d.repo())
		require.NoError(t, err)
	})
	_, err = r.Delegate(release.Stamp{At: noon.At.Add(time.Hour)})
	require.NoError(t, err)
	require.NoError(t, r.Close())
	_, err = shown.SignFile(d.keys["anna"])
	require.ErrorContains(t, err, "is another than the one that was shown")
	require.Empty(t, d.read("staged/image/targets.json").Signatures())
	require.NoError(t, os.Remove(shown.Name))
	_, err = shown.SignFile(d.keys["anna"])
	require.ErrorContains(t, err, "it may have been published")
	require.NoFileExists(t, shown.Name)
}

// TestCopiesBesideThePlan: copies of what is staged are signed at once, wherever
// they lie. The folder of the plan is no repository.
func TestCopiesBesideThePlan(t *testing.T) {
	d := newDesk(t)
	plan := d.plan("plan", "anna", "ben")
	_, err := release.Init(d.repo(), plan, noon)
	require.NoError(t, err)
	other, err := durable.OpenDisk(filepath.Dir(plan))
	require.NoError(t, err)
	lock, err := other.Lock(".lock")
	require.NoError(t, err)
	for name, keys := range d.keys {
		dir := filepath.Join(filepath.Dir(plan), name)
		require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join(d.repo(), "staged"))))
		doc, err := release.ReadFile(filepath.Join(dir, "image", "root.json"))
		require.NoError(t, err)
		n, err := doc.SignFile(keys)
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}
	require.NoError(t, lock.Close())
	require.NoError(t, other.Close())
}

// TestInitCutShort is done again.
func TestInitCutShort(t *testing.T) {
	d := newDesk(t)
	plan := d.plan("plan", "anna")
	require.NoError(t, os.MkdirAll(d.repo(), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(d.repo(), "staged"), nil, 0o600)) // in the way
	_, err := release.Init(d.repo(), plan, noon)
	require.Error(t, err)
	require.NoError(t, os.Remove(filepath.Join(d.repo(), "staged")))
	_, err = release.Init(d.repo(), plan, noon)
	require.NoError(t, err)
	require.Len(t, d.read("staged/director/root.json").Roles, 4)
}

// TestRotateCutShort: whenever a new plan is cut short on its way into the
// repository, the repository opens, and another try ends it.
func TestRotateCutShort(t *testing.T) {
	for _, blocked := range []string{"keys/former", "keys/cara.pub", "plan.toml"} {
		t.Run(filepath.Base(blocked), func(t *testing.T) {
			d := newDesk(t)
			_, err := release.Init(d.repo(), d.plan("plan", "anna", "ben"), noon)
			require.NoError(t, err)
			r, err := release.Open(d.repo())
			require.NoError(t, err)
			next := d.plan("next", "anna", "cara") // a new key of anna's, and nobody's of ben's
			path := filepath.Join(d.repo(), blocked)
			saved, _ := os.ReadFile(path)
			require.NoError(t, os.RemoveAll(path))
			in := map[bool]string{true: path, false: filepath.Join(path, "x", "y")}[blocked == "keys/former"]
			require.NoError(t, os.MkdirAll(filepath.Dir(in), 0o700))
			if blocked == "keys/former" {
				require.NoError(t, os.WriteFile(in, nil, 0o600)) // a file where a folder is due
			}
			require.Error(t, r.Adopt(next))
			require.NoError(t, r.Close())
			require.NoError(t, os.RemoveAll(path))
			if saved != nil {
				require.NoError(t, os.WriteFile(path, saved, 0o600))
			}

			r, err = release.Open(d.repo())
			require.NoError(t, err)
			require.NoError(t, r.Adopt(next))
			require.NoError(t, r.Close())
			r, err = release.Open(d.repo())
			require.NoError(t, err)
			require.Contains(t, r.Plan.People, "cara")
			require.NotContains(t, r.Plan.People, "ben")
			require.NoFileExists(t, filepath.Join(d.repo(), "keys/ben.pub"))
			former, err := os.ReadDir(filepath.Join(d.repo(), "keys/former"))
			require.NoError(t, err)
			require.Len(t, former, 2)
			require.NoError(t, r.Close())
		})
	}
}

// TestRotateAgain says the same, and signatures that were gathered stay; unless it
// is to expire at another time.
func TestRotateAgain(t *testing.T) {
	d := newDesk(t)
	_, err := release.Init(d.repo(), d.plan("plan", "anna", "ben"), noon)
	require.NoError(t, err)
	d.publish()
	d.change(func(r *release.Repo) error {
		_, err := r.Rotate(noon)
		return errors.Join(err, r.Adopt(d.plan("next", "anna", "ben")))
	})
	for i, c := range []struct {
		s      release.Stamp
		signed int
	}{{noon, 0}, {release.Stamp{At: noon.At.Add(time.Hour)}, 2}, {release.Stamp{At: noon.At, Expires: noon.At.Add(time.Hour)}, 0}, {release.Stamp{At: noon.At.Add(2 * time.Hour)}, 0}} {
		d.change(func(r *release.Repo) error { _, err := r.Rotate(c.s); return err })
		root := d.read("staged/image/root.json")
		require.Len(t, root.Signatures(), c.signed, i)
		_, err := root.SignFile(d.keys["anna"])
		require.NoError(t, err)
	}
}

// TestPublishCutShort: at whatever file the run ends, in which keys of all roles are
// replaced, the next one carries it on.
func TestPublishCutShort(t *testing.T) {
	d := newDesk(t)
	names := d.rotated()
	done := d.repo() + "-done"
	require.NoError(t, os.Rename(d.repo(), done))
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.RemoveAll(d.repo()))
			require.NoError(t, os.CopyFS(d.repo(), os.DirFS(d.repo()+"-before")))
			d.t = t
			d.change(func(r *release.Repo) error {
				c, err := r.Prepare(t.Context(), release.Publishing{Stamp: noon, Signers: d.all()})
				require.NoError(t, err)
				path := filepath.Join(d.repo(), name)
				saved, missing := os.ReadFile(path)
				require.NoError(t, os.RemoveAll(path))
				require.NoError(t, os.MkdirAll(filepath.Join(path, "in the way"), 0o700))
				require.Error(t, r.Publish(c))
				require.NoError(t, os.RemoveAll(path))
				if missing == nil {
					require.NoError(t, os.WriteFile(path, saved, 0o600))
				}
				return nil
			})
			d.publishSigned()
			roots, err := release.FirstRoots(done)
			require.NoError(t, err)
			result, err := release.Verify(t.Context(), d.repo(), roots, "", noon.At)
			require.NoError(t, err)
			want, err := release.Verify(t.Context(), done, roots, "", noon.At)
			require.NoError(t, err)
			require.Equal(t, want, result)
			_, err = release.Find([]string{d.repo()})
			require.ErrorContains(t, err, "there are no staged documents")
		})
	}
}

// TestOrderOfPublishing: whatever a vehicle reads meanwhile belongs together. A
// root may replace those who sign timestamps, so its timestamp comes next.
func TestOrderOfPublishing(t *testing.T) {
	names := newDesk(t).rotated()
	require.Equal(t, []string{"image/2.root.json", "image/timestamp.json", "director/2.root.json", "director/timestamp.json",
		"director/" + car + "/1.root.json", "director/" + car + "/2.root.json", "director/" + car + "/timestamp.json"}, names[len(names)-7:])
}
