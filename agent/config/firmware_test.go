package config_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/config"
)

func TestFirmware(t *testing.T) {
	c, err := config.Parse("/etc/x/agent.toml", []byte(example(t)))
	require.NoError(t, err)
	require.Equal(t, "board-3", c.Firmware.Hardware)
	require.Equal(t, "telematics", c.Firmware.ECU)
	require.Equal(t, filepath.Join("/etc/x", "director.root.json"), c.Firmware.DirectorRoot)
	require.Equal(t, filepath.Join("/etc/x", "image.root.json"), c.Firmware.ImageRoot)
	require.Empty(t, c.Firmware.URL, "over the connection with the broker")
	st, ok := c.Streams.For("firmware")
	require.True(t, ok)
	require.Equal(t, "firmware", st.Name)

	bare := regexp.MustCompile(`(?m)^(every|url) = .*\n`).ReplaceAllString(example(t), "")
	c, err = config.Parse("agent.toml", []byte(bare))
	require.NoError(t, err)
	require.Equal(t, time.Hour, c.Firmware.Every.Duration)
	require.Empty(t, c.Firmware.URL)

	one := regexp.MustCompile(`(?s)\n# Optional: what the release desk.*$|\n# Signed reports.*?\n\n`)
	c, err = config.Parse("agent.toml", []byte(one.ReplaceAllString(example(t), "\n")))
	require.NoError(t, err)
	require.Nil(t, c.Firmware, "nothing of it runs")
}

func TestFirmwareFaults(t *testing.T) {
	valid := example(t)
	for _, c := range []struct{ old, new, want string }{
		{`hardware = "board-3"`, ``, "expected 1 to 255 characters of printable ASCII"},
		{`ecu = "telematics"`, `ecu = "télématique"`, "expected 1 to 255 characters of printable ASCII"},
		{`director_root = "director.root.json"`, ``, `expected director_root = "PATH"`},
		{`image_root = "image.root.json"`, `image_root = ""`, `expected image_root = "PATH"`},
		{`every = "1h"`, `every = "59s"`, "expected at least 1m"},
		{`every = "1h"`, `every = 3600`, `expected a time span such as "30s"`},
		{`every = "1h"`, `interval = "1h"`, `unknown key "interval"; [firmware] takes: hardware, ecu, director_root, image_root, every, url`},
		{`url = ""`, `url = "http://updates.example"`, "expected https://HOST[:PORT][/PATH]"},
		{`url = ""`, `url = "https://updates.example/?v=1"`, "expected https://HOST[:PORT][/PATH]"},
		{`from = ["firmware"]`, `from = ["camera:lapse"]`, `no stream takes "firmware": add a [[stream]] with from = ["firmware"]`},
		{`from = ["firmware"]`, `from = ["firmware", "camera:lapse"]`, "needs a stream of its own: its reader is the release desk"},
		{`from = ["firmware"]`, `from = ["firmwear"]`, `expected "gnss", "health", "firmware" or "camera:" with one of`},
	} {
		t.Run(c.new+" "+c.want, func(t *testing.T) {
			require.Contains(t, valid, "\n"+c.old+"\n")
			_, err := config.Parse("agent.toml", []byte(strings.Replace(valid, "\n"+c.old+"\n", "\n"+c.new+"\n", 1)))
			require.ErrorContains(t, err, c.want)
			require.Regexp(t, `^agent\.toml:\d+:\d+: `, err.Error())
		})
	}
	i := strings.Index(valid, "\n[firmware]\n")
	_, err := config.Parse("agent.toml", []byte(valid[:i]))
	require.ErrorContains(t, err, `stream "firmware" takes "firmware", but there is no [firmware]`)
}
