package camera_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"roadseal/hal/camera"
)

// With childVariable set to a folder, this test binary watches it for a test
// that needs another user; with exhaustVariable set, it first uses up that
// user's inotify instances.
const (
	childVariable   = "ROADSEAL_TEST_FOLDER"
	exhaustVariable = "ROADSEAL_TEST_EXHAUST"
)

// unprivileged answers each line on stdin with one line.
func unprivileged(dir string) int {
	p, err := camera.Preset("blackvue")
	if err != nil {
		return 1
	}
	var used []int
	for os.Getenv(exhaustVariable) != "" && len(used) < 4096 {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
		if err != nil {
			break
		}
		used = append(used, fd)
	}
	book := &logbook{}
	f := camera.New(camera.Options{Name: "dash", Path: dir, Pattern: p, Rescan: 5 * time.Millisecond, Settle: settle, Log: book.logger()})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { _ = f.Run(ctx) }()
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		// An answer is about scans that began after the question.
		for begun := time.Now(); f.State().Scanned.Sub(begun) < 4*settle; {
			if in.Text() == "absent" && !f.State().Present {
				break
			}
			time.Sleep(time.Millisecond)
		}
		switch in.Text() {
		case "pending":
			fmt.Println(f.State().Pending)
		case "watching":
			fmt.Println(f.State().Watching)
		case "reason":
			fmt.Println(f.State().Reason)
		case "absent":
			for range 10_000 { // the state is there before it is logged
				if strings.Contains(strings.Join(book.lines(), ""), "not there") {
					break
				}
				time.Sleep(time.Millisecond)
			}
			fmt.Println(len(book.lines()), f.State().Reason)
		case "lines":
			fmt.Println(len(book.lines()))
		case "open":
			s, err := f.Next(ctx)
			if err == nil {
				_, err = f.Open(s)
			}
			fmt.Println(errors.Is(err, camera.ErrRefused), err)
		case "release":
			for _, fd := range used {
				_ = unix.Close(fd)
			}
			for !f.State().Watching {
				time.Sleep(time.Millisecond)
			}
			fmt.Println("watching")
		}
	}
	return 0
}

// child starts another user's agent on a new folder. ask puts a question to it
// and returns the answer.
func child(t *testing.T, env ...string) (record string, ask func(string) string) {
	needRoot(t)
	dir, err := os.MkdirTemp("", "camera") // unlike t.TempDir's, its parent is open to all
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	self, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	agent := filepath.Join(dir, "agent")
	require.NoError(t, os.WriteFile(agent, self, 0o755))
	record = filepath.Join(dir, "Record")
	mkdir(t, record)

	cmd := exec.Command(agent)
	cmd.Env = append(append(os.Environ(), childVariable+"="+record), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	if err = cmd.Start(); errors.Is(err, syscall.ENOEXEC) {
		t.Skip("this machine cannot run its own test as another program: ", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, in.Close())
		require.NoError(t, cmd.Wait())
	})
	answers := bufio.NewReader(out)
	return record, func(question string) string {
		t.Helper()
		_, err := io.WriteString(in, question+"\n")
		require.NoError(t, err)
		line, err := answers.ReadString('\n')
		require.NoError(t, err)
		return strings.TrimSuffix(line, "\n")
	}
}

// TestUnprivileged: a user who may not ask the kernel for a file's writers
// still does not take one that was created under its eyes and is not closed.
// What it may not read is said, without names.
func TestUnprivileged(t *testing.T) {
	record, ask := child(t)
	require.Equal(t, "0", ask("pending"))
	lock := filepath.Join(record, name(1, "NF")+".lock")
	write(t, lock, "")
	w, err := os.Create(filepath.Join(record, name(1, "NF")))
	require.NoError(t, err)
	_, err = w.WriteString("half")
	require.NoError(t, err)
	require.NoError(t, os.Remove(lock))
	require.Equal(t, "0", ask("pending"))
	require.NoError(t, w.Close())
	require.Equal(t, "1", ask("pending"))

	require.NoError(t, os.Chmod(w.Name(), 0o600))
	require.Equal(t, "true camera dash: cannot open a segment: refused: this user may not read it", ask("open"))
	require.NoError(t, os.Mkdir(filepath.Join(record, "private"), 0o700))
	require.Equal(t, "a sub-folder cannot be read: permission denied", ask("reason"))
	require.NoError(t, os.Chmod(record, 0o700))
	require.Equal(t, fmt.Sprintf("3 cannot open folder %q: permission denied (the agent's user must be allowed to list it)", record), ask("absent"))
}

// TestUnprivilegedLock: a second name that a recorder gives a clip is no file that
// somebody writes.
func TestUnprivilegedLock(t *testing.T) {
	record, ask := child(t)
	write(t, record, name(1, "NF"), "x")
	require.Equal(t, "1", ask("pending"))
	require.NoError(t, os.Link(filepath.Join(record, name(1, "NF")), filepath.Join(record, name(1, "EF"))))
	require.Equal(t, "2", ask("pending"))
	require.NoError(t, os.Link(filepath.Join(record, name(1, "NF")), filepath.Join(record, name(2, "EF"))))
	require.Equal(t, "2", ask("pending"), "one name of each kind")
}

// TestScansAlone: where inotify is not to be had, scans find all, and the
// state says so until an instance comes free. Another user's, or the tests of
// other packages would have none.
func TestScansAlone(t *testing.T) {
	record, ask := child(t, exhaustVariable+"=1")
	if ask("watching") == "true" {
		t.Skip("the limit of inotify instances is too high to be used up")
	}
	write(t, record, name(1, "NF"), "scanned")
	require.Equal(t, "1", ask("pending"))
	require.Equal(t, "1", ask("lines"))
	require.Contains(t, ask("reason"), "fs.inotify")
	require.Equal(t, "watching", ask("release"))
	require.Equal(t, "2", ask("lines"))
}
