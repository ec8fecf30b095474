package config_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/config"
	"roadseal/crypto/open"
)

// example is the shipped example with real keys in place of the dots.
func example(t *testing.T) string {
	t.Helper()
	id, err := open.Generate()
	require.NoError(t, err)
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	s := strings.ReplaceAll(config.Example, "age1pq1…", id.Recipient().String())
	return strings.Replace(s, "ed25519:…", "ed25519:"+base64.StdEncoding.EncodeToString(pub), 1)
}

func TestTheExampleIsAValidConfiguration(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.toml")
	require.NoError(t, os.WriteFile(path, []byte(example(t)), 0o600))
	c, err := config.Load(path)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(filepath.Dir(path), "device.pem"), c.Device.Certificate, "relative to the file")
	require.Equal(t, "/var/lib/roadseal", c.Device.State)
	require.EqualValues(t, int64(8<<30), c.Spool.MaxBytes)
	require.Equal(t, 3*time.Second, c.Vehicle.HoldUp.Duration)
	require.Len(t, c.Streams, 5)
	require.Equal(t, config.DefaultShares(), c.Spool.Shares)
	require.Equal(t, 30*time.Second, c.Cameras[0].Rescan.Duration)
	require.Equal(t, "WDB9634031L000000", c.Vehicle.Number.Reveal())
	require.Equal(t, 5, c.GNSS.UBlox.Rate.Hz)
	require.Len(t, c.GNSS.UBlox.Messages, 2)
}

// TestTheExampleNamesEveryKey: a key that the example does not show is a key
// that nobody finds.
func TestTheExampleNamesEveryKey(t *testing.T) {
	for _, key := range []string{"certificate", "key", "state", "run", "number", "ignition", "holdup", "port", "baud", "rate", "model", "messages", "constellations", "name", "path", "preset",
		"pattern", "time", "kinds", "channels", "owner", "after_seal", "existing", "rescan", "from", "to", "class", "upload", "priority", "max_age",
		"max_bytes", "keep_free", "shares", "address", "server_name", "ca", "profile", "payload", "rate", "bandwidth", "in_flight", "receipt_keys", "stanzas", "hardware", "ecu", "director_root", "image_root", "every", "url"} {
		require.Regexp(t, `(?m)^(#  )?\s*`+key+` = `, config.Example, key)
	}
	_, err := config.Parse("x.toml", []byte("[device]\nnone = 1\n"))
	require.ErrorContains(t, err, "certificate, key, state, run", "the test's list follows the struct")
}

func TestDefaults(t *testing.T) {
	s := example(t)
	for _, line := range []string{"server_name = ", "profile = ", "stanzas = ", "holdup = ", "max_bytes = ", "shares = ", "baud = ", "after_seal = ", "existing = ", "rescan = ", "rate = ", "model = ", "messages = ", "constellations = ", "state = ", "run = "} {
		i := strings.Index(s, "\n"+line)
		require.Positive(t, i, line)
		end := i + 1 + strings.IndexByte(s[i+1:], '\n')
		s = s[:i] + s[end:]
	}
	c, err := config.Parse("agent.toml", []byte(s))
	require.NoError(t, err)
	require.Equal(t, "broker.example", c.Broker.ServerName)
	require.Equal(t, 2, c.Broker.Limits.Blocks())
	require.Zero(t, c.Broker.Limits.Rate)
	require.Equal(t, 4, c.Collector.Stanzas)
	require.Equal(t, 9600, c.GNSS.Baud)
	require.Zero(t, c.GNSS.UBlox, "nothing is sent")
	require.Equal(t, config.DefaultShares(), c.Spool.Shares)
	require.Equal(t, config.Keep, c.Cameras[0].AfterSeal)
	require.Equal(t, config.ExistingAll, c.Cameras[0].Existing)
	require.Equal(t, "/run/roadseal", c.Device.Run)
}

// TestFaults changes one line of a valid file at a time: the error has its
// line, the caret and what was expected.
func TestFaults(t *testing.T) {
	valid := example(t)
	for _, c := range []struct{ old, new, want string }{
		{`certificate = "device.pem"`, ``, `expected certificate = "PATH"`},
		{`ignition = "speed"`, `ignitoin = "speed"`, `unknown key "ignitoin"; [vehicle] takes: number, ignition, holdup`},
		{`holdup = "3s"`, `holdup = 3`, `expected a time span such as "30s"`},
		{`holdup = "3s"`, `holdup = "3 seconds"`, `expected a time span such as "30s"`},
		{`baud = 9600`, `baud = 9601`, "expected one of [4800 9600"},
		{`baud = 9600`, `baud = "9600"`, "expected a whole number without quotes"},
		{`rate = "5Hz"`, `rate = "3Hz"`, `expected fixes a second, "1Hz", "2Hz"`},
		{`rate = "5Hz"`, `rate = 5`, `expected fixes a second, "1Hz", "2Hz"`},
		{`model = "automotive"`, `model = "car"`, `expected "automotive", or "portable"`},
		{`model = "automotive"`, `model = 4`, `expected "automotive", or "portable"`},
		{`messages = ["NAV-PVT", "NAV-STATUS"]`, `messages = ["NAV-PVT", "NAV-SAT"]`, "expected one of NAV-PVT, NAV-STATUS, RMC, GGA"},
		{`messages = ["NAV-PVT", "NAV-STATUS"]`, `messages = "RMC"`, "expected a list"},
		{`messages = ["NAV-PVT", "NAV-STATUS"]`, `messages = ["GGA"]`, `expected "RMC" or "NAV-PVT" among them`},
		{`messages = ["NAV-PVT", "NAV-STATUS"]`, `messages = []`, `expected "RMC" or "NAV-PVT" among them`},
		{`constellations = ["gps", "galileo"]`, `constellations = []`, "expected at least one"},
		{`constellations = ["gps", "galileo"]`, `constellations = ["gps", "sbas"]`, `expected "gps", "galileo", "beidou" or "glonass"`},
		{`constellations = ["gps", "galileo"]`, `constellations = [0]`, `expected "gps", "galileo", "beidou" or "glonass"`},
		{`constellations = ["gps", "galileo"]`, `reset = "cold"`, `unknown key "reset"; [gnss.ublox] takes: rate, model, messages, constellations`},
		{`name = "dash"`, `name = "Dash Cam"`, "expected a camera name"},
		{`preset = "blackvue"`, `preset = "blackview"`, "blackvue"},
		{`preset = "blackvue"`, `preset = "blackvue"` + "\npattern = '^x$'", "expected either preset"},
		{`preset = "blackvue"`, `pattern = '^(?P<time>\d+\.mp4$'` + "\ntime = \"2006\"", "pattern"},
		{`after_seal = "keep"`, `after_seal = "delete"`, `expected "keep" or "remove"`},
		{`existing = "events"`, `existing = "new"`, `expected "all", "events" or "none"`},
		{`preset = "blackvue"`, `preset = "tesler"`, "viofo, 70mai, tesla, openpilot, garmin"},
		{`from = ["gnss"]`, `from = ["gps"]`, `unknown source "gps"`},
		{`class = 2`, `class = 9`, "expected a retention class from 1"},
		{`class = 2`, `class = 2` + "\nupload = \"unmetered\"", `expected "always" or "hold"`},
		{`address = "broker.example:8883"`, `address = "broker.example"`, `expected address = "HOST:PORT"`},
		{`profile = "mosquitto"`, `profile = "azure"`, `expected one of aws, emqx, hivemq, mosquitto, nats; for any other`},
		{`profile = "mosquitto"`, "[broker.limits]\npayload = \"60KiB\"", `expected at least 61486B`},
		{`profile = "mosquitto"`, "[broker.limits]\nbandwidth = \"10kB\"", `expected at least 64KiB a second`},
		{`profile = "mosquitto"`, "[broker.limits]\nrate = -5", `expected 1 to 10000 messages a second`},
		{`profile = "mosquitto"`, "[broker.limits]\nin_flight = -1", `expected at least 1 message`},
		{`profile = "mosquitto"`, "[broker.limits]\nwindow = 8", `[broker.limits] takes: payload, rate, bandwidth, in_flight`},
		{`stanzas = 4`, `stanzas = 40`, "expected 1 to 16"},
		{`max_bytes = "8GiB"`, `max_bytes = "1kB"`, "expected at least 1MiB"},
		{`max_bytes = "8GiB"`, `max_bytes = "lots"`, "8GiB"},
		{`shares = [30, 10, 10, 5]`, `shares = [30, 10, 10]`, "expected 4 percentages"},
		{`shares = [30, 10, 10, 5]`, `shares = [30, 50, 10, 11]`, "at most 100 together"},
		{`shares = [30, 10, 10, 5]`, `shares = [200, -100, 0, 0]`, "expected 4 percentages"},
		{`shares = [30, 10, 10, 5]`, `shares = [2147483647, 2147483647, 2, 0]`, "expected 4 percentages"},
		{`from = ["health"]`, `from = ["health", "camera:lapse"]`, "needs a stream of its own"},
		{`max_age = "1h"`, `max_age = "25h"`, "expected 1s to 24h"},
		{`[gnss]`, `[gnss_]`, `unknown key "gnss_"`},
	} {
		t.Run(c.new+" "+c.want, func(t *testing.T) {
			require.Contains(t, valid, "\n"+c.old+"\n")
			_, err := config.Parse("agent.toml", []byte(strings.Replace(valid, "\n"+c.old+"\n", "\n"+c.new+"\n", 1)))
			require.ErrorContains(t, err, c.want)
			require.Regexp(t, `^agent\.toml:\d+:\d+: `, err.Error())
			require.Contains(t, err.Error(), "^", "a caret")
		})
	}
}

func TestWrongReaderIsExplained(t *testing.T) {
	valid := example(t)
	id, err := open.Generate()
	require.NoError(t, err)
	reader := id.Recipient().String()
	for name, wrong := range map[string]string{
		"classic age key": "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
		"cut off":         reader[:len(reader)-10],
		"a secret key":    id.Secret(),
		"not a key":       "bob",
	} {
		s := strings.Replace(valid, `class = 2`, `class = 2`, 1)
		i := strings.Index(s, "to = [")
		end := i + strings.IndexByte(s[i:], '\n')
		_, err := config.Parse("agent.toml", []byte(s[:i]+`to = ["`+wrong+`"]`+s[end:]))
		require.Error(t, err, name)
		require.Regexp(t, `^agent\.toml:\d+:\d+: `, err.Error(), name)
		if name == "a secret key" {
			require.NotContains(t, err.Error(), wrong[30:], "a secret is never repeated")
		}
	}
}

func TestThePrivateNumberIsNeverShown(t *testing.T) {
	s := strings.Replace(example(t), `number = "WDB9634031L000000"`, `number = 9634031`, 1)
	_, err := config.Parse("agent.toml", []byte(s))
	require.ErrorContains(t, err, "number = [red]")
	require.NotContains(t, err.Error(), "9634031")
}

func TestSourcesAndStreamsAgree(t *testing.T) {
	base := example(t)
	gnss := base[strings.Index(base, "[gnss]"):strings.Index(base, "[[camera]]")]
	cam := base[strings.Index(base, "[[camera]]"):strings.Index(base, "# Streams")]
	track := base[strings.Index(base, "[[stream]]\nname = \"track\""):strings.Index(base, "[[stream]]\nname = \"video\"")]
	for want, s := range map[string]string{
		"takes \"gnss\", but there is no [gnss]": strings.Replace(base, gnss, "", 1),
		"but there is no [[camera]]":             strings.Replace(base, cam, "", 1),
		"no stream takes \"gnss\"":               strings.Replace(base, track, "", 1),
		"another camera reads this folder":       strings.Replace(base, cam, cam+strings.Replace(cam, `"dash"`, `"rear"`, 1), 1),
		"camera \"dash\" is already defined":     strings.Replace(base, cam, cam+strings.Replace(cam, "/mnt/sd/", "/mnt/sd2/", 1), 1),
	} {
		_, err := config.Parse("agent.toml", []byte(s))
		require.ErrorContains(t, err, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(config.Example)
	f.Add("[[camera]]\npattern='('\n[[stream]]\nto=['age1']\n")
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := config.Parse("f.toml", []byte(s)); err != nil {
			_ = err.Error()
		}
	})
}
