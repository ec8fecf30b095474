package objstore_test

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/objstore"
	"roadseal/crypto/envelope"
	"roadseal/hal/durable"
)

var errIO = errors.New("input/output error")

// deaf is a file system on which one sync of a pool folder fails: as on Linux,
// the next one says that all is well.
type deaf struct {
	*durable.Disk
	broken bool
}

func (d *deaf) Sync(dir string) error {
	if d.broken && strings.HasPrefix(dir, "pool/") {
		d.broken = false
		return errIO
	}
	return d.Disk.Sync(dir)
}

// TestANameThatMayNotLastIsTakenBack: it must not be found by the next offer,
// which would earn a receipt for a name that is not on the medium.
func TestANameThatMayNotLastIsTakenBack(t *testing.T) {
	disk, err := durable.OpenDisk(t.TempDir())
	require.NoError(t, err)
	d := &deaf{Disk: disk}
	store, err := objstore.NewFolder(d, objstore.Limits{Count: 4, Bytes: 1 << 20, Age: 1 << 40})
	require.NoError(t, err)
	defer store.Close()
	content := []byte("content")
	key := objstore.Key{Class: 2, Name: envelope.Name(sha256.Sum256(content))}
	commit := func() error {
		s, _, err := store.Stage(t.Context(), key.Name.String(), int64(len(content)))
		require.NoError(t, err)
		require.NoError(t, s.WriteBlock(0, content))
		return s.Commit(t.Context(), key)
	}
	d.broken = true
	require.ErrorIs(t, commit(), errIO)
	_, err = store.Get(t.Context(), key)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, commit(), "from the vehicle once more")

	longer := objstore.Key{Class: 1, Name: key.Name}
	d.broken = true
	require.ErrorIs(t, store.Add(t.Context(), key, longer), errIO)
	_, err = store.Get(t.Context(), longer)
	require.ErrorIs(t, err, fs.ErrNotExist)
	o, err := store.Get(t.Context(), key)
	require.NoError(t, err, "the shorter class is not touched")
	require.NoError(t, o.Close())
}
