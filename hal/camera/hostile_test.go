package camera_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"roadseal/hal/camera"
)

const canary = "this must not be read"

// hostile fills a folder with what must not be read, each under a name that is
// good otherwise unless the name is the point, and returns the verdict
// expected of each.
func hostile(t *testing.T, dir string) map[string]string {
	outside := t.TempDir()
	write(t, outside, "secret.mp4", canary)
	want := map[string]string{}
	n := 1000
	// plant lets make create one entry under the next good name.
	plant := func(reason string, make func(path string) error) {
		n++
		file := fmt.Sprintf("20251123_%02d%02d00_EF.mp4", n%1000/60, n%60)
		require.NoError(t, make(filepath.Join(dir, file)), reason)
		want[file] = reason
	}
	named := func(name, reason string) {
		write(t, dir, name, canary)
		want[name] = reason
	}
	link := func(to string) func(string) error {
		return func(path string) error { return os.Symlink(to, path) }
	}

	plant("symbolic link", link("/etc/shadow"))
	plant("symbolic link", link(filepath.Join(outside, "secret.mp4")))
	plant("symbolic link", link("../"+filepath.Base(dir)+"/"+name(0, "NF"))) // a good clip of the same folder
	plant("symbolic link", link(name(0, "NF")))
	plant("symbolic link", link(outside)) // a directory
	plant("symbolic link", link("nowhere"))
	plant("symbolic link", link("/dev/zero"))
	plant("not a regular file", func(path string) error { return unix.Mkfifo(path, 0o666) })
	plant("not a regular file", func(path string) error {
		// Too long a path for a socket, if bound in place.
		l, err := net.Listen("unix", filepath.Join(outside, "s"))
		if err != nil {
			return err
		}
		t.Cleanup(func() { l.Close() })
		return os.Rename(filepath.Join(outside, "s"), path)
	})
	plant("sparse file", func(path string) error {
		return os.WriteFile(path, []byte(canary), 0o644)
	})
	last := fmt.Sprintf("20251123_%02d%02d00_EF.mp4", n%1000/60, n%60)
	require.NoError(t, os.Truncate(filepath.Join(dir, last), 3<<30))
	plant("larger than allowed", func(path string) error {
		require.NoError(t, os.WriteFile(path, []byte(canary), 0o644))
		return os.Truncate(path, 1<<40)
	})
	plant("empty", func(path string) error { return os.WriteFile(path, nil, 0o644) })
	plant("not finished", func(path string) error {
		w, err := os.Create(path)
		if err == nil {
			t.Cleanup(func() { w.Close() })
			_, err = w.WriteString(canary)
		}
		return err
	})
	plant("not finished: a lock file is beside it", func(path string) error {
		want[filepath.Base(path)+".lock"] = "temporary name"
		require.NoError(t, os.WriteFile(path+".lock", nil, 0o644))
		return os.WriteFile(path, []byte(canary), 0o644)
	})
	if os.Getuid() == 0 {
		plant("hard link to a file of another owner", func(path string) error {
			key := filepath.Join(outside, "key")
			write(t, key, canary)
			require.NoError(t, os.Chown(key, 4242, 4242))
			return os.Link(key, path)
		})
		plant("not a regular file", func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))) })
		plant("not a regular file", func(path string) error { return unix.Mknod(path, unix.S_IFBLK|0o666, int(unix.Mkdev(7, 0))) })
	} else {
		t.Log("hard link of another owner and device nodes left out: they need root")
	}

	// Sidecars are looked at as clips are.
	for reason, make := range map[string]func(string) error{
		"symbolic link":      link("/etc/shadow"),
		"not a regular file": func(path string) error { return unix.Mkfifo(path, 0o666) },
		"empty":              func(path string) error { return os.WriteFile(path, nil, 0o644) },
		"larger than allowed": func(path string) error {
			require.NoError(t, os.WriteFile(path, []byte(canary), 0o644))
			return os.Truncate(path, 1<<40)
		},
	} {
		for _, ending := range []string{"E.gps", "E.3gf", "EF.thm"} {
			n++
			file := fmt.Sprintf("20251123_%02d%02d00_%s", n%1000/60, n%60, ending)
			require.NoError(t, make(filepath.Join(dir, file)))
			want[file] = reason
		}
	}
	good := name(1, "EF")
	named(good+"\n", "name is not plain text")
	named("\n"+good, "name is not plain text")
	named("\xff\xfe"+good, "name is not plain text")
	named(good+".mp4", "name does not match")
	named("..."+good, "hidden")
	named("."+good, "hidden")
	named("..\\"+good, "hidden")
	named("a\\..\\"+good, "name does not match")
	named(strings.Repeat("a", 251)+".mp4", "name does not match")
	named(strings.ToLower(good), "name does not match") // twins on FAT
	named(strings.ToUpper(good), "name does not match")
	named(name(1, "ZF"), "name does not match")
	named("20251399_000000_NF.mp4", "name holds no valid time")
	named(name(1, "EFS"), "low-resolution copy")
	named(name(1, "EFL"), "low-resolution copy")
	named("202511~1.MP4", "short-name alias")
	named("FSCK0000.REC", "entry of the file system")
	named(good+".tmp", "temporary name")
	named("$(reboot);`id`.mp4", "name does not match")
	for _, d := range []string{"System Volume Information", "$RECYCLE.BIN", "LOST.DIR", "FOUND.000", ".s_Front"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, d), 0o755))
		write(t, dir, d, good, canary)
		want[d] = "entry of the file system"
	}
	want[".s_Front"] = "hidden"
	require.NoError(t, os.Mkdir(filepath.Join(dir, name(2, "EF")), 0o755)) // a folder, and an ordinary one
	return want
}

// TestHostile: beside all that, 100 good clips are delivered and nothing else
// is read or even opened.
func TestHostile(t *testing.T) {
	dir := t.TempDir()
	good := map[string]string{}
	for i := range 100 {
		file := name(i, "NF")
		if i >= 90 {
			file = filepath.Join(name(2, "EF"), file)
		}
		good[file] = fmt.Sprint("clip ", i)
	}
	want := hostile(t, dir)
	for file, content := range good {
		write(t, dir, file, content)
	}
	require.GreaterOrEqual(t, len(want), 35)
	opened := spy(t, dir)

	o := options(t, dir)
	o.MaxSize = 64 << 30
	f, _ := start(t, o)
	eventually(t, f, "all good ones", waiting(100))
	for range 100 {
		s := take(t, f)
		require.Equal(t, good[s.File.Reveal()], read(t, f, s))
		delete(good, s.File.Reveal())
	}
	require.Empty(t, good)
	nothing(t, f)

	all, err := f.List(context.Background())
	require.NoError(t, err)
	for _, l := range all {
		if l.Reason == "" {
			continue
		}
		reason, ok := want[l.File.Reveal()]
		require.True(t, ok, "%q: %s", l.File.Reveal(), l.Reason)
		require.Equal(t, reason, l.Reason, "%q", l.File.Reveal())
		delete(want, l.File.Reveal())
		if strings.HasPrefix(reason, "not finished") {
			continue // may be opened to ask for its writers
		}
		require.NotContains(t, opened(), l.File.Reveal())
		_, err := f.Open(l.Segment)
		require.Error(t, err)
		require.NotContains(t, err.Error(), l.File.Reveal())
	}
	require.Empty(t, want)
	require.Len(t, all, 100+len(allReasons(all)))
}

// TestHostileFolders: the same where folders are part of the name.
func TestHostileFolders(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	clip := func(i int, letters string) string {
		return fmt.Sprintf("2025_1124_%02d%02d00_%04d%s.MP4", i/60, i%60, i, letters)
	}
	good := map[string]string{} // path and kind
	put := func(kind string, i int, letters string, elem ...string) {
		sub := filepath.Join(elem...)
		require.NoError(t, os.MkdirAll(filepath.Join(dir, sub), 0o755))
		write(t, dir, sub, clip(i, letters), fmt.Sprint("clip ", i))
		good[filepath.Join(sub, clip(i, letters))] = kind
	}
	for i := range 70 {
		put("normal", i, "F", "Movie")
	}
	for i := range 15 {
		put("event", 100+i, "F", "Movie", "RO")
		put("parking", 200+i, "R", "Movie", "Parking")
	}
	require.Len(t, good, 100)

	write(t, outside, clip(300, "F"), canary)
	symlink := func(to string, elem ...string) {
		require.NoError(t, os.Symlink(to, filepath.Join(append([]string{dir}, elem...)...)))
	}
	symlink(outside, "RO") // a whole folder from elsewhere
	symlink(".", "loop")
	symlink("..", "Movie", "up")
	symlink(filepath.Join("..", "Movie", clip(0, "F")), "Movie", clip(301, "F"))
	symlink("/proc/self/environ", "Movie", "RO", clip(302, "F"))
	require.NoError(t, unix.Mkfifo(filepath.Join(dir, "Parking"), 0o666)) // in the place of a folder
	for _, elem := range [][]string{
		{"Movie", "RO", clip(303, "F"), "deep"}, // a folder called like a clip, at the last level
		{"Movie", "RO", "a", "b"},               // too deep
		{".Trash", "RO"}, {"LOST.DIR", "RO"}, {"Movie", "bad\nname"}, {"Movie", "\xff\xfe"},
	} {
		sub := filepath.Join(append([]string{dir}, elem...)...)
		require.NoError(t, os.MkdirAll(sub, 0o755))
		write(t, sub, clip(310, "F"), canary)
	}
	require.NoError(t, os.Link(filepath.Join(dir, "Movie", clip(1, "F")), filepath.Join(dir, "Movie", clip(1, "F")+".bak")))

	o := options(t, dir)
	var err error
	o.Pattern, err = camera.Preset("viofo")
	require.NoError(t, err)
	f, _ := start(t, o)
	eventually(t, f, "all good ones", waiting(100))
	for range 100 {
		s := take(t, f)
		require.Equal(t, good[s.File.Reveal()], s.Kind)
		require.NotContains(t, read(t, f, s), canary)
		delete(good, s.File.Reveal())
	}
	require.Empty(t, good)
	nothing(t, f)
}

func allReasons(all []camera.Listing) (refused []string) {
	for _, l := range all {
		if l.Reason != "" {
			refused = append(refused, l.Reason)
		}
	}
	return refused
}

// spy returns the names that were opened in dir so far.
func spy(t *testing.T, dir string) func() map[string]bool {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	_, err = unix.InotifyAddWatch(fd, dir, unix.IN_OPEN)
	require.NoError(t, err)
	names := map[string]bool{}
	return func() map[string]bool {
		buf := make([]byte, 64<<10)
		for {
			n, err := unix.Read(fd, buf)
			if err != nil {
				require.ErrorIs(t, err, unix.EAGAIN)
				return names
			}
			for b := buf[:n]; len(b) > 0; {
				size := binary.NativeEndian.Uint32(b[12:])
				names[strings.TrimRight(string(b[16:16+size]), "\x00")] = true
				b = b[16+size:]
			}
		}
	}
}

// TestSpy: the spy would have seen it.
func TestSpy(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, name(1, "NF"), "x")
	opened := spy(t, dir)
	f, _ := start(t, options(t, dir))
	read(t, f, take(t, f))
	require.Contains(t, opened(), name(1, "NF"))
}

// TestOwner: with an owner given, files of others are refused, and a file of
// two names is one segment.
func TestOwner(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	for i, uid := range []int{0, 4242, 4242, 4243} {
		write(t, dir, name(i, "NF"), "x")
		require.NoError(t, os.Chown(filepath.Join(dir, name(i, "NF")), uid, 0))
	}
	require.NoError(t, os.Link(filepath.Join(dir, name(2, "NF")), filepath.Join(dir, name(5, "NF"))))
	o := options(t, dir)
	o.Owner = "4242"
	all, err := camera.New(o).List(context.Background())
	require.NoError(t, err)
	verdicts := map[string]int{}
	for _, l := range all {
		verdicts[l.Reason]++
	}
	require.Equal(t, map[string]int{"": 2, "owner is not the recorder": 2, "another name, of the same kind, of a file already seen": 1}, verdicts)

	o.Owner = "root"
	all, err = camera.New(o).List(context.Background())
	require.NoError(t, err)
	require.Equal(t, "", all[0].Reason)
	require.Len(t, allReasons(all), 4)
}
