package agent_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"roadseal/agent/health"
)

// A ublox is a simulated receiver at the far end of a pty.
type ublox struct {
	far     *os.File
	answers func(n int, id uint16) string // to the nth command, from 1: "ack", "nak" or "" for silence
	heard   atomic.Int64                  // commands with a right checksum
	wrong   atomic.Int64                  // what is no such command
	ended   atomic.Bool
}

// listen runs a receiver until the test ends.
func (x *ublox) listen(t *testing.T) {
	var wait sync.WaitGroup
	wait.Go(x.run)
	t.Cleanup(func() { x.ended.Store(true); wait.Wait() })
}

// run hears commands and talks meanwhile: sentences and noise come in between
// the answers, and these in pieces.
func (x *ublox) run() {
	fds := []unix.PollFd{{Fd: int32(x.far.Fd()), Events: unix.POLLIN}}
	buf, half := make([]byte, 256), []byte(nil)
	for !x.ended.Load() {
		if ready, err := unix.Poll(fds, 20); ready < 1 || err != nil {
			continue
		}
		n, err := x.far.Read(buf)
		if err != nil {
			return
		}
		half = append(half, buf[:n]...)
		for len(half) >= 8 {
			size := int(binary.LittleEndian.Uint16(half[4:])) + 8
			if len(half) < size {
				break
			}
			id := binary.BigEndian.Uint16(half[2:])
			if frameUBX(id, half[6:size-2]) != string(half[:size]) {
				x.wrong.Add(1)
			}
			half = half[size:]
			x.say(x.answers(int(x.heard.Add(1)), id), id)
		}
	}
}

func (x *ublox) say(answer string, id uint16) {
	payload := []byte{byte(id >> 8), byte(id)}
	frame := map[string]string{"ack": frameUBX(0x0501, payload), "nak": frameUBX(0x0500, payload)}[answer]
	for _, piece := range []string{"$GNTXT,01,01", frame[:len(frame)/2], frame[len(frame)/2:], "\xB5", "\x00\xFF", gsv} {
		_, _ = x.far.WriteString(piece) // or the line is closed
	}
}

const gsv = "$GPGSV,1,1,02,01,40,083,46,02,17,308,41*7D\r\n"

// frameUBX frames a payload.
func frameUBX(id uint16, payload []byte) string {
	b := []byte{byte(id >> 8), byte(id), byte(len(payload)), byte(len(payload) >> 8)}
	b = append(b, payload...)
	var x, y byte
	for _, c := range b {
		x += c
		y += x
	}
	return "\xB5\x62" + string(append(b, x, y))
}

// newUBlox is a unit whose receiver is told all that can be.
func newUBlox(t *testing.T, answers func(n int, id uint16) string) (*unit, *ublox) {
	u := newUnit(t)
	u.configure(`port = "gps0"`, "port = \"gps0\"\n[gnss.ublox]\nrate = \"10Hz\"\nmodel = \"automotive\"\nmessages = [\"RMC\", \"GSV\"]\nconstellations = [\"gps\", \"galileo\"]")
	return u, &ublox{far: u.gps, answers: answers}
}

const told = 15 // settings

func older(id uint16) string { return map[bool]string{true: "nak", false: "ack"}[id == 0x068A] }

func TestUBloxIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		answers func(n int, id uint16) string
		want    health.UBlox
		problem string
	}{
		"u-blox 8":  {func(_ int, id uint16) string { return older(id) }, health.UBlox{Settings: told, Acknowledged: told}, ""},
		"u-blox 10": {func(_ int, id uint16) string { return map[bool]string{true: "ack", false: "nak"}[id == 0x068A] }, health.UBlox{Settings: told, Acknowledged: told}, ""},
		"refuses 10 Hz": {func(_ int, id uint16) string {
			return map[bool]string{true: "nak", false: "ack"}[id == 0x068A || id == 0x0608]
		}, health.UBlox{Settings: told, Acknowledged: told - 1, Refused: []string{"rate 10Hz"}}, "the receiver refused rate 10Hz; hint"},
		"silent": {func(int, uint16) string { return "" }, health.UBlox{Settings: told, Unanswered: make([]string, told)},
			"the receiver does not answer: 15 of 15 settings of [gnss.ublox] are not made; hint"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, x := newUBlox(t, c.answers)
			x.listen(t)
			_, stop := u.start()
			u.drive(20) // among the answers
			u.until("told", func(s *health.Status) bool {
				b := s.GNSS.UBlox
				return b != nil && b.Acknowledged+len(b.Refused)+len(b.Unanswered) == told
			})
			u.drive(20)
			u.until("all fixes came in", func(s *health.Status) bool { return s.GNSS.InMemory >= 39 && s.GNSS.InView == 2 })
			require.NoError(t, stop())
			s, err := health.Read(filepath.Join(u.dir, "run"))
			require.NoError(t, err)
			require.Equal(t, c.want.Acknowledged, s.GNSS.UBlox.Acknowledged)
			require.Equal(t, c.want.Refused, s.GNSS.UBlox.Refused)
			require.Len(t, s.GNSS.UBlox.Unanswered, len(c.want.Unanswered))
			require.Equal(t, c.problem != "", strings.Contains(strings.Join(s.Problems, "\n"), "[gnss.ublox]"), s.Problems)
			require.Contains(t, strings.Join(s.Problems, "\n"), c.problem)
			require.Zero(t, x.wrong.Load())
			require.EqualValues(t, 46, s.GNSS.Signal)
			require.Equal(t, name != "silent", s.GNSS.Frames > 0)
		})
	}
}

// TestUBloxHangsUp: a receiver that is unplugged after a few commands is told
// all of them when it is back, at another port under the same link.
func TestUBloxHangsUp(t *testing.T) {
	u, _ := newUBlox(t, nil)
	second, tty, err := pty.Open()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, second.Close()); require.NoError(t, tty.Close()) })
	link := filepath.Join(u.dir, "gps0")
	first, firstTTY, err := pty.Open()
	require.NoError(t, err)
	require.NoError(t, os.Remove(link))
	require.NoError(t, os.Symlink(firstTTY.Name(), link))
	t.Cleanup(func() { require.NoError(t, firstTTY.Close()) })
	hungUp := make(chan struct{})
	before := &ublox{far: first}
	before.answers = func(n int, id uint16) string {
		if n == 4 {
			require.NoError(t, os.Remove(link))
			require.NoError(t, os.Symlink(tty.Name(), link))
			require.NoError(t, first.Close())
			close(hungUp)
		}
		return older(id)
	}
	before.listen(t)
	after := &ublox{far: second, answers: func(_ int, id uint16) string { return older(id) }}
	after.listen(t)
	_, stop := u.start()
	<-hungUp
	u.until("told again", func(s *health.Status) bool {
		return s.GNSS.Up && s.GNSS.UBlox != nil && s.GNSS.UBlox.Acknowledged == told
	})
	require.NoError(t, stop())
	require.EqualValues(t, told, after.heard.Load())
	require.Zero(t, before.wrong.Load()+after.wrong.Load())
}

// TestUBloxNeverReads: a receiver whose line is full from the start, and which
// never reads, is read all the same, and the agent ends as ever.
func TestUBloxNeverReads(t *testing.T) {
	u, _ := newUBlox(t, nil)
	tty, err := os.Readlink(filepath.Join(u.dir, "gps0"))
	require.NoError(t, err)
	fd, err := unix.Open(tty, unix.O_WRONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	require.NoError(t, err)
	raw, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	require.NoError(t, err)
	raw.Oflag &^= unix.OPOST // as the agent will set it: else there is room left
	require.NoError(t, unix.IoctlSetTermios(fd, unix.TCSETS, raw))
	for _, size := range []int{1024, 1} { // to the last byte
		for err = nil; err == nil; {
			_, err = unix.Write(fd, make([]byte, size))
		}
		require.ErrorIs(t, err, unix.EAGAIN)
	}
	require.NoError(t, unix.Close(fd))
	_, stop := u.start()
	u.drive(20)
	u.until("fixes came in, and the settings were given up", func(s *health.Status) bool {
		return s.GNSS.UBlox != nil && s.GNSS.InMemory >= 19 && len(s.GNSS.UBlox.Unanswered) == told &&
			strings.Contains(strings.Join(s.Problems, "\n"), fmt.Sprintf("does not answer: %d of %d settings", told, told))
	})
	require.NoError(t, stop())
}
