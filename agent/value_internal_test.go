package agent

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/hal/durable"
)

// TestNoFlippedBitCostsTheState: every single bit of every file.
func TestNoFlippedBitCostsTheState(t *testing.T) {
	d, err := durable.OpenDisk(t.TempDir())
	require.NoError(t, err)
	defer d.Close()
	lost := func() (uint32, error) { return 0, errors.New("the counter is lost") }
	floor := buildDate.Add(time.Hour)
	boot, _, err := nextBoot(d, func() (uint32, error) { return 0, nil })
	require.NoError(t, err)
	key, _, err := tagKey(d)
	require.NoError(t, err)
	require.NoError(t, writeTimeFloor(d, floor))

	flips := 0
	for _, name := range []string{bootFile, tagFile, timeFile} {
		b, err := durable.ReadFile(d, name, maxValue)
		require.NoError(t, err)
		for bit := range 8 * len(b) {
			b[bit/8] ^= 1 << (bit % 8)
			require.NoError(t, durable.WriteVolatile(d, ".", name, b))
			b[bit/8] ^= 1 << (bit % 8)
			flips++
			got, damage, err := tagKey(d)
			require.NoError(t, err, name)
			require.Empty(t, damage)
			require.Equal(t, key, got)
			at, err := timeFloor(d, buildDate)
			require.NoError(t, err)
			require.True(t, floor.Equal(at))
			next, damage, err := nextBoot(d, lost)
			require.NoError(t, err)
			require.Empty(t, damage)
			require.Equal(t, boot+1, next)
			boot = next
			if name == bootFile {
				b, err = durable.ReadFile(d, name, maxValue)
				require.NoError(t, err)
			}
		}
		if name == tagFile {
			require.NoError(t, durable.WriteVolatile(d, ".", name, b))
		}
	}
	require.Greater(t, flips, 1000)
}

// TestStateDamagedBeyondItsCopy: what is lost is said, and the unit goes on.
func TestStateDamagedBeyondItsCopy(t *testing.T) {
	for _, rubbish := range []string{"", "x", "7 00000000\n7 00000000\n", strings.Repeat("z", 5000), "-1 " + valueCheck(bootFile, "-1") + "\n"} {
		d, err := durable.OpenDisk(t.TempDir())
		require.NoError(t, err)
		for _, name := range []string{bootFile, tagFile, timeFile} {
			require.NoError(t, durable.WriteVolatile(d, ".", name, []byte(rubbish)))
		}
		boot, damage, err := nextBoot(d, func() (uint32, error) { return 41, nil })
		require.NoError(t, err)
		require.EqualValues(t, 42, boot)
		require.Contains(t, damage, "boot counter")
		boot, damage, err = nextBoot(d, nil)
		require.NoError(t, err)
		require.Empty(t, damage)
		require.EqualValues(t, 43, boot)

		key, damage, err := tagKey(d)
		require.NoError(t, err)
		require.Len(t, key, tagKeySize)
		require.Contains(t, damage, "source tags")
		again, damage, err := tagKey(d)
		require.NoError(t, err)
		require.Empty(t, damage)
		require.Equal(t, key, again)

		at, err := timeFloor(d, buildDate)
		require.NoError(t, err)
		require.True(t, buildDate.Equal(at))
		require.NoError(t, d.Close())
	}
}

func FuzzValue(f *testing.F) {
	f.Add([]byte("1 7d1d6f4e\n\n1 7d1d6f4e\n"))
	f.Add([]byte("1 7d1d6f4e"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := durable.OpenDisk(t.TempDir())
		require.NoError(t, err)
		defer d.Close()
		require.NoError(t, durable.WriteVolatile(d, ".", bootFile, b))
		value, whole, err := readValue(d, bootFile)
		if err != nil || !whole {
			return
		}
		require.NoError(t, writeValue(d, bootFile, value))
		again, err := durable.ReadFile(d, bootFile, maxValue)
		require.NoError(t, err)
		require.Equal(t, string(b), string(again), "what is whole has one form")
	})
}

// TestTheStateOfTheFirstReleaseIsRead, frozen: every later release reads it.
func TestTheStateOfTheFirstReleaseIsRead(t *testing.T) {
	d, err := durable.OpenDisk(t.TempDir())
	require.NoError(t, err)
	defer d.Close()
	for _, name := range []string{bootFile, tagFile, timeFile} {
		b, err := os.ReadFile(filepath.Join("../testdata/state/v1", name))
		require.NoError(t, err)
		require.NoError(t, durable.WriteVolatile(d, ".", name, b))
		_, whole, err := readValue(d, name)
		require.NoError(t, err)
		require.True(t, whole)
	}
	boot, damage, err := nextBoot(d, nil)
	require.NoError(t, err)
	require.Empty(t, damage)
	require.EqualValues(t, 8, boot)
	key, err := ReadTagKey(d)
	require.NoError(t, err)
	require.Equal(t, bytes.Repeat([]byte{0x5a, 0xa5}, 16), key)
	at, err := timeFloor(d, buildDate)
	require.NoError(t, err)
	require.Equal(t, time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC), at)
}
