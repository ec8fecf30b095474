package player_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/bench/drivegen"
	"roadseal/cmd/internal/bench/player"
)

const (
	fixA = "$GNRMC,161448.29,A,3743.25986,N,12228.33832,W,15.207,2.14,020818,,,A,V*29\r\n"
	ggaA = "$GNGGA,161448.29,3743.25986,N,12228.33832,W,1,11,0.80,33.4,M,-30.0,M,,*46\r\n"
	fixB = "$GNRMC,161448.39,A,3743.26030,N,12228.33830,W,15.537,2.28,020818,,,A,V*26\r\n"
	void = "$GPRMC,,V,,,,,,,,,,N*53\r\n"
)

func TestCut(t *testing.T) {
	r, err := player.Cut([]byte("# a log\r\n" + fixA + ggaA + void + fixB))
	require.NoError(t, err)
	require.Equal(t, time.Date(2018, 8, 2, 16, 14, 48, 0, time.UTC), r.Start)
	require.Equal(t, 100*time.Millisecond, r.Length.Round(time.Millisecond))
	var played []byte
	for _, e := range r.Epochs {
		played = append(played, e.Bytes...)
	}
	require.Equal(t, "# a log\r\n"+fixA+ggaA+void+fixB, string(played), "nothing is lost or changed")
	require.Len(t, r.Valid, 2)
	p := r.Valid[1]
	require.Equal(t, "3743.26030", p.Lat)
	require.Equal(t, 100*time.Millisecond, p.At.Round(time.Millisecond))
	lat, lon, err := p.Degrees()
	require.NoError(t, err)
	require.InDelta(t, 37.721005, lat, 1e-9)
	require.InDelta(t, -122.472305, lon, 1e-9)
	require.InDelta(t, 15.537, p.Knots, 0)
}

func TestPauses(t *testing.T) {
	at := func(clock string) string { return "$GPGGA," + clock + ",,,,,0,,,,M,,M,,*00\r\n" }
	for _, c := range []struct {
		times []string
		want  time.Duration
	}{
		{[]string{"000000", "000001", "000001", "000003"}, 3 * time.Second},
		{[]string{"235959.5", "000000.5"}, time.Second},
		{[]string{"120000", "115959", "120000"}, time.Second}, // back takes no time
		{[]string{"120000", "130000"}, 10 * time.Second},      // the recorder was off
		{[]string{"120000", "99xx00", "1200", "120002"}, 2 * time.Second},
	} {
		var log strings.Builder
		for _, clock := range c.times {
			log.WriteString(at(clock))
		}
		r, err := player.Cut([]byte(log.String() + fixNoTime))
		require.NoError(t, err)
		require.Equal(t, c.want, r.Length, "%v", c.times)
	}
}

// fixNoTime is a valid fix whose time is empty, so that it moves no clock.
const fixNoTime = "$GPRMC,,A,3743.25986,N,12228.33832,W,15.207,2.14,020818,,,A*66\r\n"

func TestWhatCounts(t *testing.T) {
	for line, want := range map[string]int{
		fixA:                                    1,
		strings.TrimRight(fixA, "\r\n"):         1,
		"\xb5\x62\x01\x07$\x00" + fixA:          1, // binary before it
		strings.Replace(fixA, ",A,", ",V,", 1):  0, // status and checksum
		strings.Replace(fixA, "*29", "*28", 1):  0,
		strings.Replace(fixA, "*29", "", 1):     0,
		strings.Replace(fixA, "*29", "*29x", 1): 0,
		strings.Replace(fixA, "$", "!", 1):      0,
		strings.Replace(fixA, "RMC", "RMB", 1):  0,
		ggaA:                                    0,
		void:                                    0,
		"*00":                                   0,
		"$*00":                                  0,
		"":                                      0,
		"$GNRMC*55":                             0,
	} {
		require.Equal(t, want, player.CountFixes([]byte(line)), "%q", line)
	}
}

func TestNoFixAtAll(t *testing.T) {
	for _, log := range []string{"", void, "hello\n", strings.Repeat("x", 1<<20)} {
		_, err := player.Cut([]byte(log))
		require.ErrorContains(t, err, "no RMC sentence of status A")
	}
}

func TestBadPosition(t *testing.T) {
	for _, p := range []player.Position{{}, {Lat: "3743.2", Lon: "122"}, {Lat: "xx43.2", Lon: "12228.3"}, {Lat: "3743.2", Lon: "122xx"}} {
		_, _, err := p.Degrees()
		require.Error(t, err)
	}
	lat, lon, err := player.Position{Lat: "3330.0", South: true, Lon: "07030.0", West: true}.Degrees()
	require.NoError(t, err)
	require.InDelta(t, -33.5, lat, 1e-12)
	require.InDelta(t, -70.5, lon, 1e-12)
}

func TestGeneratedDrive(t *testing.T) {
	drive := drivegen.Generate(drivegen.Options{Seed: 3, Rate: 10, Start: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)})
	r, err := player.Cut(drive)
	require.NoError(t, err)
	require.Equal(t, player.CountFixes(drive), len(r.Valid))
	require.Equal(t, len(r.Epochs)-1, int(r.Length.Round(time.Millisecond)/(100*time.Millisecond)))
}

// dataFolder is where real recordings are.
func dataFolder(t *testing.T) string {
	dir := os.Getenv("ROADSEAL_DATA")
	if dir == "" {
		dir = "../../../../../shared/data"
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no real recordings in ../shared/data")
	}
	return dir
}

// awkCount counts valid RMC sentences of status A.
const awkCount = `
function xor(a, b,   r, i) {
	for (i = 1; i < 256; i *= 2) { if (a % 2 != b % 2) r += i; a = int(a / 2); b = int(b / 2) }
	return r + 0
}
BEGIN { for (i = 1; i < 256; i++) ord[sprintf("%c", i)] = i }
{ sub(/\r$/, ""); sub(/^.*\$/, "$") }
/^\$..RMC,[^*]*\*[0-9A-Fa-f][0-9A-Fa-f]$/ {
	body = substr($0, 2, length($0) - 4)
	sum = 0
	for (i = 1; i <= length(body); i++) sum = xor(sum, ord[substr(body, i, 1)])
	split(body, field, ",")
	if (sprintf("%02X", sum) == toupper(substr($0, length($0) - 1)) && field[3] == "A") n++
}
END { print n + 0 }`

// TestCountAgreesWithAwk counts in another language, over real receivers' logs.
func TestCountAgreesWithAwk(t *testing.T) {
	logs, err := filepath.Glob(filepath.Join(dataFolder(t), "nmea", "*.*"))
	require.NoError(t, err)
	awk, err := exec.LookPath("awk")
	if err != nil {
		t.Skip("no awk")
	}
	for _, log := range logs {
		b, err := os.ReadFile(log)
		require.NoError(t, err)
		cmd := exec.Command(awk, awkCount, log)
		cmd.Env = append(os.Environ(), "LC_ALL=C")
		out, err := cmd.Output()
		require.NoError(t, err)
		require.Equal(t, strings.TrimSpace(string(out)), strconv.Itoa(player.CountFixes(b)), filepath.Base(log))
		t.Logf("%s: %s", filepath.Base(log), out)
	}
}
