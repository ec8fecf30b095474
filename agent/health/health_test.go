package health_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/health"
	"roadseal/agent/spool"
	"roadseal/agent/uplink"
	"roadseal/firmware/report"
	"roadseal/hal/durable"
)

var now = time.Date(2026, 11, 24, 5, 30, 0, 0, time.UTC)

func status() *health.Status {
	return &health.Status{Version: 1, Agent: "1.2.0", PID: 77, Boot: 12, Started: now.Add(-time.Hour), Updated: now.Add(-2 * time.Second),
		Certificate: health.Certificate{NotAfter: now.AddDate(1, 0, 0), Floor: now.AddDate(0, 0, -1)},
		GNSS: &health.GNSS{Up: true, Fixes: 36000, Marked: 2, Marks: map[string]int64{"time-jump": 1, "jump": 2}, LastFixAge: 0.1, InMemory: 40,
			Sentences: 72000, Ignored: 5, Frames: 14, BadChecksum: 7, Incomplete: 3, InView: 12, Signal: 43,
			UBlox: &health.UBlox{Settings: 15, Acknowledged: 12, Refused: []string{"model"}, Unanswered: []string{"rate 5Hz", "constellations"}}},
		Cameras:  []health.Camera{{Name: "dash", Reason: "no such folder", Failed: 1, Last: "vanished", Promoted: 2}},
		Ignition: true,
		Spool: health.Spool{Usage: spool.Usage{QueuedObjects: 3, QueuedBytes: 228e6, StoredObjects: 2, StoredBytes: 1500, DamagedObjects: 1, DamagedBytes: 400,
			Evicted: spool.Totals{2: {Objects: 2, Bytes: 3e6}}, Damaged: spool.Totals{0: {Objects: 1, Bytes: 400}}}, FreeBytes: 5e9},
		Uplink:   uplink.Status{LastError: "nothing listens at 10.1.2.3:8883"},
		Problems: []string{"not connected: nothing listens at 10.1.2.3:8883"},
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	d, err := durable.OpenDisk(t.TempDir())
	require.NoError(t, err)
	defer d.Close()
	require.NoError(t, health.Write(d, status()))
	got, err := health.Read(d.Path())
	require.NoError(t, err)
	require.Equal(t, status(), got)
}

func TestReadSaysWhy(t *testing.T) {
	dir := t.TempDir()
	_, err := health.Read(dir)
	require.ErrorContains(t, err, "the agent has not run since the last boot")
	require.NoError(t, os.WriteFile(filepath.Join(dir, health.FileName), []byte("{"), 0o600))
	_, err = health.Read(dir)
	require.ErrorContains(t, err, "cannot be read")
}

func TestText(t *testing.T) {
	var b bytes.Buffer
	s := status()
	require.NoError(t, s.Text(&b, now))
	require.Equal(t, `agent          running, pid 77, start 12, version 1.2.0
certificate    until 2027-11-24; trusted time not before 2026-11-23
gnss           up; 36000 fixes (2 marked), last 0 s ago; 0 epochs without a fix, 7 bad checksums; 40 fixes in memory, 0 lost
receiver       12 satellites in view, the strongest at 43 dB-Hz; 72000 sentences (5 not read) and 14 frames, 3 incomplete; marked jump 2, time-jump 1; 12 of 15 settings acknowledged, 1 refused, 2 unanswered
camera dash    down: no such folder; 0 pending, 0 sealed, 0 known already, 1 failed, 2 promoted, 0 waiting for room
spool          3 objects (228.0 MB) queued, 2 (1.5 kB) delivered and kept, 5.0 GB free
losses         2 objects (3.0 MB) gave way to others, 1 objects (0.4 kB) were found damaged; 1 objects are set aside as damaged
uplink         down: nothing listens at 10.1.2.3:8883
problem        not connected: nothing listens at 10.1.2.3:8883
`, b.String())

	b.Reset()
	s.Stopped = true
	require.NoError(t, s.Text(&b, now.Add(time.Minute)))
	require.Contains(t, b.String(), "agent          stopped at 2026-11-24T05:29:58Z, pid 77")
	s.Stopped = false

	b.Reset()
	s.GNSS = &health.GNSS{LastFixAge: -1, Sentences: 1}
	s.Bench, s.Certificate.NotAfter = true, now.AddDate(0, 0, -2)
	require.NoError(t, s.Text(&b, now.Add(time.Minute)))
	require.Contains(t, b.String(), "BENCH")
	require.Contains(t, b.String(), "receiver       no satellites in view, or no GSV sent; 1 sentences (0 not read) and 0 frames, 0 incomplete\n")
	require.Contains(t, b.String(), "EXPIRED on 2026-11-22")
	require.Contains(t, b.String(), "not running or hanging: this status is of 2026-11-24T05:29:58Z")
}

// TestFirmwareInWords: what was verified, offered or refused, and whether the
// release desk will know.
func TestFirmwareInWords(t *testing.T) {
	attempt := func(change func(*report.Attempt)) *report.Attempt {
		a := &report.Attempt{Result: report.Current, Director: report.Versions{Root: 3}, Images: report.Versions{Root: 2}}
		change(a)
		return a
	}
	one, two := &report.Image{Path: "unit/1.img", Counter: 1}, &report.Image{Path: "unit/2.img", Counter: 2}
	for want, f := range map[string]health.Firmware{
		"no look for an update has come to its end since the start": {},
		"current, by trusted time on 2026-11-24; installed unit/1.img (release counter 1); roots director 3, image 2; report 4 sealed": {
			Attempt: attempt(func(*report.Attempt) {}), Installed: one, Reports: 4},
		"verified, by trusted time on 2026-11-24; installed unit/1.img (release counter 1); offered unit/2.img (release counter 2); roots director 3, image 2; report 5 waits": {
			Attempt: attempt(func(a *report.Attempt) { a.Result, a.Offered = report.Verified, two }), Installed: one, Reports: 5, Waiting: true},
		"refused: rollback: image timestamp: version 3, 4 was seen, by trusted time on 2026-11-24; roots director 3, image 2; report 6 sealed": {
			Attempt: attempt(func(a *report.Attempt) {
				a.Result, a.Attack, a.Repository, a.Role, a.Error = report.Refused, "rollback", "image", "timestamp", "version 3, 4 was seen"
			}), Reports: 6},
		"failed: no installed, by trusted time on 2026-11-24; roots director 3, image 2; report 7 sealed": {
			Attempt: attempt(func(a *report.Attempt) { a.Result, a.Error = report.Failed, "no installed" }), Reports: 7},
	} {
		f.Checked = now
		s := status()
		s.Firmware = &f
		var b bytes.Buffer
		require.NoError(t, s.Text(&b, now))
		require.Contains(t, b.String(), "\nfirmware       "+want+"\n")
	}
	var b bytes.Buffer
	require.NoError(t, status().Text(&b, now))
	require.NotContains(t, b.String(), "firmware")
}
