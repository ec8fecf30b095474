package vehicle_test

import (
	"bytes"
	"context"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"roadseal/hal/vehicle"
)

// drive runs a vehicle in virtual time and collects its changes and log lines.
func drive(t *testing.T, ignition string, script func(v *vehicle.Vehicle, changes func() []bool)) (log []string) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var all []bool
		changed := func(on bool) {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, on)
		}
		changes := func() []bool {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(all)
		}
		var out bytes.Buffer
		v, err := vehicle.New(vehicle.Options{Ignition: ignition, Changed: changed, Log: slog.New(slog.NewTextHandler(&out, nil))})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- v.Run(ctx) }()
		synctest.Wait()
		script(v, changes)
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
		log = strings.Split(strings.TrimSpace(out.String()), "\n")
	})
	return log
}

// after lets virtual time pass.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestAlwaysOn(t *testing.T) {
	drive(t, "", func(v *vehicle.Vehicle, changes func() []bool) {
		require.True(t, v.Ignition())
		v.Speed(0)
		after(24 * time.Hour)
		require.True(t, v.Ignition())
		require.Empty(t, changes())
	})
}

func TestSpeed(t *testing.T) {
	drive(t, "speed", func(v *vehicle.Vehicle, changes func() []bool) {
		for _, nothing := range []float64{0, 1.5, -30, math.NaN(), math.Inf(1), math.Inf(-1)} {
			v.Speed(nothing)
			after(2 * time.Second)
			require.False(t, v.Ignition(), "%v m/s", nothing)
		}
		v.Speed(1.6)
		after(time.Second)
		require.True(t, v.Ignition())

		for range 20 { // a red light, a crawl, a red light …
			for range 118 {
				v.Speed(0.4)
				after(time.Second)
				require.True(t, v.Ignition())
			}
			v.Speed(2)
			after(time.Second)
		}
		require.Equal(t, []bool{true}, changes())

		after(118 * time.Second) // 119 in all
		require.True(t, v.Ignition())
		after(2 * time.Second)
		require.False(t, v.Ignition())
		require.Equal(t, []bool{true, false}, changes())

		v.Speed(10)
		after(time.Second)
		require.Equal(t, []bool{true, false, true}, changes())
	})
}

// TestFirstMoment: moving in the very moment of the start counts.
func TestFirstMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, err := vehicle.New(vehicle.Options{Ignition: "speed"})
		require.NoError(t, err)
		v.Speed(20)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- v.Run(ctx) }()
		synctest.Wait()
		require.True(t, v.Ignition())
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ignition")
	write := func(content string) {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		after(time.Second)
	}
	log := drive(t, "file:"+path, func(v *vehicle.Vehicle, changes func() []bool) {
		after(time.Hour)
		require.False(t, v.Ignition(), "missing")
		for _, c := range []struct {
			content string
			on      bool
		}{{"1", true}, {"0\n", false}, {"on\n", true}, {"", true}, {"off", false}, {"", false}, {" ON ", true}, {"maybe", true},
			{"Off\r\n", false}, {"11", false}, {"1\n", true}, {strings.Repeat("0", 1<<20), true}} {
			write(c.content)
			require.Equal(t, c.on, v.Ignition(), "%.10q", c.content)
		}
		require.Equal(t, []bool{true, false, true, false, true, false, true}, changes())

		require.NoError(t, os.Remove(path))
		after(time.Hour)
		require.False(t, v.Ignition(), "gone")
		require.NoError(t, os.Mkdir(path, 0o700))
		after(time.Hour)
		require.False(t, v.Ignition(), "a directory")
	})
	var reasons []string
	for _, line := range log {
		_, reason, _ := strings.Cut(line, "reason=")
		reasons = append(reasons, strings.Trim(reason, `"`))
	}
	const missing, neither = "no such file or directory; the ignition counts as off until it can be read", "content is neither 1 or on nor 0 or off"
	require.Equal(t, []string{missing, "", neither, "", neither, "", neither, missing, "not a regular file; the ignition counts as off until it can be read"}, reasons)
}

// TestFIFO: a pipe without a writer, or with a silent one, stops nothing.
func TestFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ignition")
	require.NoError(t, unix.Mkfifo(path, 0o600))
	w, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer w.Close()
	log := drive(t, "file:"+path, func(v *vehicle.Vehicle, _ func() []bool) {
		after(time.Minute)
		require.False(t, v.Ignition())
	})
	require.Len(t, log, 1)
}

func TestNewErrors(t *testing.T) {
	for spec, want := range map[string]string{
		"file:":        `ignition "file:" names no file: expected "file:PATH"`,
		"gpio:chip0/3": `ignition "gpio:chip0/3" is not known: expected "file:PATH", "speed", or "" for always on`,
		"Speed":        `ignition "Speed" is not known: expected "file:PATH", "speed", or "" for always on`,
		"on":           `ignition "on" is not known: expected "file:PATH", "speed", or "" for always on`,
	} {
		_, err := vehicle.New(vehicle.Options{Ignition: spec})
		require.EqualError(t, err, want)
	}
}
