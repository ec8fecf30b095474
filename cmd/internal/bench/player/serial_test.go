package player_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"roadseal/cmd/internal/bench/drivegen"
	"roadseal/cmd/internal/bench/player"
)

// openPort opens a port and its other end, as an agent does.
func openPort(t *testing.T) (*player.Port, *os.File) {
	t.Helper()
	link := filepath.Join(t.TempDir(), "gnss")
	p, err := player.OpenPort(link)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	target, err := os.Readlink(link)
	require.NoError(t, err)
	require.Equal(t, p.Path(), target)
	f, err := os.OpenFile(link, os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return p, f
}

func TestRecordingArrivesByteForByte(t *testing.T) {
	drive := drivegen.Generate(drivegen.Options{Seed: 1, Rate: 1, Start: noon})
	r, err := player.Cut(drive)
	require.NoError(t, err)
	p, f := openPort(t)
	got := make(chan []byte)
	go func() {
		b := make([]byte, 2*len(drive))
		_, _ = io.ReadFull(f, b)
		got <- b
	}()
	require.NoError(t, p.Play(t.Context(), r, 2, player.Clock{Start: time.Now(), Speed: 10000}))
	require.Equal(t, string(drive)+string(drive), string(<-got))
}

// TestReleaseAfterKill: a terminal that a dead process held exclusively can be
// opened again. Root may open it anyway, so the flag itself is looked at.
func TestReleaseAfterKill(t *testing.T) {
	p, f := openPort(t)
	require.NoError(t, unix.IoctlSetInt(int(f.Fd()), unix.TIOCEXCL, 0))
	exclusive := func() int {
		n, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCGEXCL)
		require.NoError(t, err)
		return n
	}
	require.Equal(t, 1, exclusive())
	require.NoError(t, p.Release())
	require.Zero(t, exclusive())
}

func TestLinkIsGoneAfterClose(t *testing.T) {
	link := filepath.Join(t.TempDir(), "gnss")
	p, err := player.OpenPort(link)
	require.NoError(t, err)
	_, err = player.OpenPort(link)
	require.ErrorIs(t, err, os.ErrExist)
	require.FileExists(t, link)
	require.NoError(t, p.Close())
	_, err = os.Lstat(link)
	require.ErrorIs(t, err, os.ErrNotExist)
}
