package camera_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/hal/camera"
)

// TestList: what has a time comes first and in its order; each entry once.
func TestList(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "b"), 0o755))
	write(t, dir, name(2, "NF"), "two")
	write(t, dir, "b", name(1, "EI"), "one")
	write(t, dir, name(3, "NFS"), "small")
	write(t, dir, "notes.txt", "x")
	require.NoError(t, os.Symlink("notes.txt", filepath.Join(dir, name(0, "NF"))))
	f := camera.New(options(t, dir))
	all, err := f.List(context.Background())
	require.NoError(t, err)
	var got [][4]string
	for _, l := range all {
		got = append(got, [4]string{l.File.Reveal(), l.Kind, l.Channel, l.Reason})
	}
	require.Equal(t, [][4]string{
		{name(0, "NF"), "normal", "front", "symbolic link"},
		{"b/" + name(1, "EI"), "event", "interior", ""},
		{name(2, "NF"), "normal", "front", ""},
		{name(3, "NFS"), "normal", "front", "low-resolution copy"},
		{"notes.txt", "normal", "", "name does not match"},
	}, got)
	require.Equal(t, int64(3), all[1].Size)
	require.Equal(t, "one", read(t, f, all[1].Segment))
	require.Zero(t, f.State(), "List takes nothing")
}

// TestListGrowing: a writer that never keeps the file open is seen by its
// growth.
func TestListGrowing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, name(1, "NF"))
	write(t, path, "x")
	write(t, dir, name(2, "NF"), "still")
	require.NoError(t, os.Chtimes(filepath.Join(dir, name(2, "NF")), time.Time{}, time.Now().Add(-time.Hour)))
	o := options(t, dir)
	o.Settle = 100 * time.Millisecond
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			default:
				w, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
				if err == nil {
					_, _ = w.WriteString("x")
					_ = w.Close()
				}
				time.Sleep(time.Millisecond)
			}
		}
	}()
	all, err := camera.New(o).List(context.Background())
	close(done)
	<-ended
	require.NoError(t, err)
	require.Equal(t, "not finished", all[0].Reason)
	require.Equal(t, "", all[1].Reason)
}

// TestListErrors name the camera, the folder and a way out.
func TestListErrors(t *testing.T) {
	o := options(t, filepath.Join(t.TempDir(), "Record"))
	_, err := camera.New(o).List(context.Background())
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "camera dash: cannot open folder ")
	require.ErrorContains(t, err, "is the card in and mounted?")

	o.Path = filepath.Join(t.TempDir(), "file")
	write(t, o.Path, "x")
	_, err = camera.New(o).List(context.Background())
	require.ErrorContains(t, err, "expected the directory that the recorder writes to")
}
