package signed_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/signed"
	"roadseal/crypto/signed/sign"
	"roadseal/hal/durable"
	"roadseal/hal/durable/crashfs"
	"roadseal/hal/durable/durabletest"
)

// A moment is what a repository serves at one time.
type moment map[string][]byte

func (m moment) Fetch(_ context.Context, role string, version int64, limit int) ([]byte, error) {
	name := role
	if version > 0 {
		name = strconv.FormatInt(version, 10) + "." + role
	}
	data, ok := m[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return data[:min(len(data), limit+1)], nil
}

// root returns the newest root.
func (m moment) root() (data []byte) {
	for v := 1; ; v++ {
		next, ok := m[fmt.Sprintf("%d.root", v)]
		if !ok {
			return data
		}
		data = next
	}
}

// now returns the moment with the roots of a later one: old files that are
// served by who cannot hide the newest root.
func (m moment) now(later moment) moment {
	mixed := maps.Clone(m)
	for name, data := range later {
		if strings.HasSuffix(name, ".root") {
			mixed[name] = data
		}
	}
	return mixed
}

// A quick signs with a hash, which everybody can: what is tested here is what is
// stored, ten thousand times.
type quick string

func (q quick) Key() sign.Key { return sign.Key{Type: "quick", Scheme: "quick", Public: string(q)} }

func (q quick) Sign(message []byte) ([]byte, error) {
	sum := sha256.Sum256(append([]byte(q), message...))
	return sum[:], nil
}

var quickOptions = signed.Options{Name: "images", Vehicle: vehicle, Addressed: true, Canonical: true, Schemes: []signed.Scheme{{
	KeyType: "quick", Name: "quick", Parse: func(public string) (signed.Verifier, []byte, error) {
		return func(message, signature []byte) bool {
			want, _ := quick(public).Sign(message)
			return bytes.Equal(want, signature)
		}, []byte(public), nil
	}}}}

// history is a repository over time. Every version rises in every moment, and
// now and then the keys of a role change.
var history = sync.OnceValue(func() []moment {
	roles := map[string]quick{}
	r := sign.Root{Roles: map[string]sign.Role{}}
	head := sign.Header{Expires: today.AddDate(1, 0, 0), Audience: signed.Fleet}
	rotate := func(role string) {
		roles[role] = quick(fmt.Sprintf("%s of version %d", role, head.Version))
		r.Roles[role] = sign.Role{Keys: []sign.Key{roles[role].Key()}, Threshold: 1}
	}
	for _, role := range inOrder {
		rotate(role)
	}
	file := func(d *sign.Document, signers ...sign.Signer) []byte {
		if err := d.Sign(signers...); err != nil {
			panic(err)
		}
		return d.Bytes()
	}
	var moments []moment
	files := moment{}
	for _, change := range [][]string{{signed.Root}, nil, {signed.Targets, signed.Timestamp}, {signed.Snapshot, signed.Root}, nil} {
		head.Version++
		if change != nil {
			signers := []sign.Signer{roles[signed.Root]}
			for _, role := range change {
				rotate(role)
			}
			if r.Version++; change[len(change)-1] == signed.Root {
				signers = append(signers, roles[signed.Root])
			}
			r.Header = sign.Header{Version: r.Version, Expires: head.Expires}
			files[fmt.Sprintf("%d.root", r.Version)] = file(r.Document(), signers...)
		}
		d, err := sign.Targets{Header: head, Files: map[string]sign.Target{"a": {Data: []byte{byte(head.Version)}}}}.Document()
		if err != nil {
			panic(err)
		}
		targets := file(d, roles[signed.Targets])
		files[fmt.Sprintf("%d.targets", head.Version)] = targets
		snapshot := file(sign.Snapshot{Header: head, Files: map[string]sign.File{signed.Targets: {Version: head.Version, Data: targets}}}.Document(), roles[signed.Snapshot])
		files[fmt.Sprintf("%d.snapshot", head.Version)] = snapshot
		files[signed.Timestamp] = file(sign.Timestamp{Header: head, Snapshot: snapshot, SnapshotVersion: head.Version}.Document(), roles[signed.Timestamp])
		moments = append(moments, maps.Clone(files))
	}
	return moments
})

func openDir(fsys durable.FS, source signed.Source) (*signed.Client, error) {
	dir, err := signed.OpenDir(fsys, "images")
	if err != nil {
		return nil, err
	}
	return signed.Open(history()[0]["1.root"], source, dir, quickOptions)
}

// refreshAt opens and refreshes a client at a moment.
func refreshAt(fsys durable.FS, m moment) error {
	c, err := openDir(fsys, m)
	if err != nil {
		return err
	}
	return c.Refresh(context.Background(), today)
}

// A life is a unit that refreshes over the years.
type life struct {
	rng      *rand.Rand
	served   int // moment
	accepted int // the last one of which a refresh returned well
}

func newLife(seed uint64) durabletest.Life {
	return &life{rng: rand.New(rand.NewPCG(seed, 0)), accepted: -1}
}

func injected(err error) bool { return errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENOSPC) }

func (l *life) Work(fsys durable.FS) error {
	for range 2 {
		c, err := openDir(fsys, history()[l.served])
		if err == nil {
			err = l.refresh(c)
		}
		if err != nil && !injected(err) {
			return err
		}
	}
	return nil
}

// refresh refreshes a client, and once more if that went wrong; then time passes.
func (l *life) refresh(c *signed.Client) error {
	err := c.Refresh(context.Background(), today)
	if injected(err) {
		err = c.Refresh(context.Background(), today)
	}
	if err == nil {
		l.accepted = l.served
		l.served = min(l.served+1+l.rng.IntN(2), len(history())-1)
	}
	return err
}

// kept demands that what a refresh has accepted is in the store, or something of
// a later moment that is being taken up.
func (l *life) kept(fsys durable.FS) error {
	if l.accepted < 0 {
		return nil
	}
	dir, err := signed.OpenDir(fsys, "images")
	if err != nil {
		return err
	}
	root, err := dir.Load(signed.Root)
	if err != nil {
		return err
	}
	_, err = dir.Load("next-root")
	rotated := err == nil || !bytes.Equal(root, history()[l.accepted].root())
	for _, name := range inOrder[1:] {
		data, err := dir.Load(name)
		if errors.Is(err, fs.ErrNotExist) && rotated {
			continue // what the old signers signed is gone
		}
		if err != nil {
			return fmt.Errorf("%s of moment %d: %w", name, l.accepted, err)
		}
		known := false
		for k := l.accepted; k < len(history()); k++ {
			file := name
			if name != signed.Timestamp {
				file = fmt.Sprintf("%d.%s", k+1, name)
			}
			known = known || bytes.Equal(data, history()[k][file])
		}
		if !known {
			return fmt.Errorf("%s is older than that of moment %d", name, l.accepted)
		}
	}
	return nil
}

// Judge: what was accepted is there; who serves what is older than what was accepted is refused, with old
// roots and with new ones; and the newest is taken.
func (l *life) Judge(fsys durable.FS) error {
	h := history()
	newest := h[len(h)-1]
	if err := l.kept(fsys); err != nil {
		return err
	}
	if l.accepted > 0 {
		old := h[l.rng.IntN(l.accepted)]
		if l.rng.IntN(2) == 0 {
			old = old.now(newest)
		}
		if err := refreshAt(fsys, old); err == nil {
			return fmt.Errorf("moment %d was accepted, and one before it is taken again", l.accepted)
		}
	}
	c, err := openDir(fsys, newest)
	if err != nil {
		return err
	}
	if err := c.Refresh(context.Background(), today); err != nil {
		return fmt.Errorf("the newest is refused: %w", err)
	}
	target, err := c.Find(context.Background(), "a", today)
	if err != nil {
		return err
	}
	return target.Verify([]byte{byte(len(h))})
}

func sweep() durabletest.Sweep { return durabletest.Sweep{Born: newLife, Sparse: true} }

func TestPowerCuts(t *testing.T) { sweep().States(t, 400) }

func TestFaultsThenPowerCuts(t *testing.T) { sweep().Faults(t, 1) }

// TestReadFaults: a file that cannot be read is passed over, whichever it is and
// whether it ever can again. What the others show still counts.
func TestReadFaults(t *testing.T) {
	h := history()
	for k := 1; ; k++ {
		for _, lasting := range []bool{false, true} {
			fsys := crashfs.New(crashfs.Options{})
			require.NoError(t, refreshAt(fsys, h[1]))
			n := 0
			fsys.Inject(func(op crashfs.Op) error {
				if op.Changes() {
					return nil
				}
				if n++; n == k || n > k && lasting {
					return syscall.EIO
				}
				return nil
			})
			err := refreshAt(fsys, h[3])
			if n < k {
				require.Greater(t, k, 10)
				return
			}
			require.NoError(t, err)
			fsys.Inject(nil)
			require.NoError(t, refreshAt(fsys, h[4]))
			require.Error(t, refreshAt(fsys, h[3]))
		}
	}
}

// TestDamage: whichever of the stored files are damaged, and however, a client
// opens and takes the newest; and as long as one file is left that says what was
// seen, it takes nothing older.
func TestDamage(t *testing.T) {
	h := history()
	newest := h[len(h)-1]
	files := []string{"root.json", "root.copy", "timestamp.json", "snapshot.json", "targets.json"}
	const shows = 2 // from there on
	for set := range 1 << len(files) {
		for name, damage := range damages {
			broken := func() durable.FS {
				fsys := crashfs.New(crashfs.Options{})
				require.NoError(t, refreshAt(fsys, newest))
				for i, file := range files {
					if set>>i&1 == 1 {
						damage(t, fsys, "images/"+file)
					}
				}
				return fsys
			}
			require.NoError(t, refreshAt(broken(), newest), "%s %b", name, set)
			if set>>shows == 1<<(len(files)-shows)-1 {
				continue // nothing is left that shows anything
			}
			for k := range len(h) - 1 {
				for _, old := range []moment{h[k], h[k].now(newest)} {
					fsys := broken()
					c, err := openDir(fsys, old)
					require.NoError(t, err)
					require.Error(t, c.Refresh(t.Context(), today), "%s %b: moment %d is taken", name, set, k)
					require.Error(t, refreshAt(fsys, old), "%s %b: moment %d is taken", name, set, k)
					require.NoError(t, refreshAt(fsys, newest), "%s %b: after moment %d", name, set, k)
				}
				if testing.Short() {
					break
				}
			}
		}
	}
}

// damages are ways for a file to be damaged.
var damages = map[string]func(t *testing.T, fsys durable.FS, name string){
	"a bit": func(t *testing.T, fsys durable.FS, name string) {
		change(t, fsys, name, func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
	},
	"cut short": func(t *testing.T, fsys durable.FS, name string) {
		change(t, fsys, name, func(b []byte) []byte { return b[:len(b)-1] })
	},
	"empty": func(t *testing.T, fsys durable.FS, name string) {
		change(t, fsys, name, func([]byte) []byte { return nil })
	},
	"gone": func(t *testing.T, fsys durable.FS, name string) { require.NoError(t, fsys.Remove(name)) },
}

func change(t *testing.T, fsys durable.FS, name string, f func([]byte) []byte) {
	b, err := durable.ReadFile(fsys, name, 1<<20)
	require.NoError(t, err)
	require.NoError(t, fsys.Remove(name))
	h, err := fsys.Create(name)
	require.NoError(t, err)
	_, err = h.Write(f(b))
	require.NoError(t, err)
	require.NoError(t, h.Close())
}
