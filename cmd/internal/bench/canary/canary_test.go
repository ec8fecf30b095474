package canary_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/bench/canary"
)

const mark = "CANARY-3f1c9a-in-the-video"

func scanner() *canary.Scanner {
	s := canary.NewScanner()
	s.Secret("video mark", []byte(mark))
	s.Secret("vehicle number", []byte("WDB-4711-X"))
	s.Secret("file name", []byte("20260102_030405_NF"))
	s.Position("3743.25986", 37.720997667)
	s.Position("12228.33832", -122.472305333)
	s.Position("00506.00000", 5.1)
	return s
}

// noise is ciphertext as far as a scanner can tell.
func noise(n int) []byte {
	r := rand.NewChaCha8([32]byte{1})
	b := make([]byte, n)
	_, _ = r.Read(b)
	return b
}

// TestFindsWhatWasPlanted puts each form of each secret into noise, at the
// seams of the buffer too.
func TestFindsWhatWasPlanted(t *testing.T) {
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for what, planted := range map[string]string{
		"video mark":                   "xx" + mark + "xx",
		"video mark (hexadecimal)":     hex.EncodeToString([]byte("a" + mark + "z")),
		"video mark (base64)":          b64("a" + mark + "z"),
		"vehicle number (base64)":      strings.TrimRight(base64.URLEncoding.EncodeToString([]byte("??WDB-4711-X")), "="),
		"vehicle number (hexadecimal)": strings.ToUpper(hex.EncodeToString([]byte("WDB-4711-X"))),
		"file name":                    "/mnt/20260102_030405_NF.mp4",
		"file name (base64)":           b64("20260102_030405_NF.mp4"),
		"position, as in the sentence": ",A,3743.25986,N,",
		"position, in degrees":         `"lon":-122.4723053`,
		"head of an MP4 file":          "\x00\x00\x00\x20ftypisom",
		"head of a JPEG file":          "\xff\xd8\xff\xe0\x00\x10JFIF",
		"sentence of a receiver":       "$GNRMC,161448.29,A",
	} {
		for _, at := range []int{0, 1, 999, 1<<20 - 5, 1 << 20, 1<<20 + 60, 2<<20 - 3, 2<<20 + 3900} {
			hay := noise(2<<20 + 4000)
			copy(hay[at:], planted)
			hits, err := scanner().Scan(bytes.NewReader(hay), "hay")
			require.NoError(t, err)
			require.NotEmpty(t, hits, "%s at %d", what, at)
			require.Equal(t, what, hits[0].What)
			require.GreaterOrEqual(t, hits[0].Offset, int64(at))
			require.Less(t, hits[0].Offset, int64(at+len(planted)))
			if what != "position, in degrees" {
				require.Len(t, hits, 1, "%s at %d: %v", what, at, hits)
			}
		}
	}
}

func TestEveryAlignmentOfBase64(t *testing.T) {
	for before := range 6 {
		for after := range 6 {
			text := strings.Repeat("b", before) + mark + strings.Repeat("a", after)
			for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding} {
				hits, err := scanner().Scan(strings.NewReader(enc.EncodeToString([]byte(text))), "x")
				require.NoError(t, err)
				require.Len(t, hits, 1, "%d before, %d after", before, after)
			}
		}
	}
}

func TestEveryPrecision(t *testing.T) {
	for digits := 4; digits <= 9; digits++ {
		for _, deg := range []float64{37.720997667, -122.472305333} {
			hits, err := scanner().Scan(strings.NewReader(fmt.Sprintf("lat=%.*f ", digits, deg)), "log")
			require.NoError(t, err)
			require.NotEmpty(t, hits, "%d decimals", digits)
		}
	}
	hits, err := scanner().Scan(strings.NewReader("lon=5.10000"), "log")
	require.NoError(t, err)
	require.NotEmpty(t, hits, "few digits before the point take more behind it")
}

func TestNothingInNoise(t *testing.T) {
	hits, err := scanner().Scan(bytes.NewReader(noise(16<<20)), "noise")
	require.NoError(t, err)
	require.Empty(t, hits)
}

// TestNotEveryNumberIsAPosition: logs hold times and larger numbers.
func TestNotEveryNumberIsAPosition(t *testing.T) {
	for _, line := range []string{
		"time=2026-01-02T05:29:37.720997Z", `{"updated":"05:29:37.7209"}`, "bytes=137.7209", "x=9937.7209", "at 913743.25986",
	} {
		hits, err := scanner().Scan(strings.NewReader(line), "log")
		require.NoError(t, err)
		require.Empty(t, hits, line)
	}
	for _, line := range []string{"37.7209", "lat:37.7209", "a1:37.7209", "(37.7209", "-37.7209"} {
		hits, err := scanner().Scan(strings.NewReader(line), "log")
		require.NoError(t, err)
		require.Len(t, hits, 1, line)
	}
}

func TestTree(t *testing.T) {
	tree := fstest.MapFS{
		"pool/3/ab":                {Data: []byte("age-encryption.org/v1")},
		"pool/3/cd":                {Data: []byte("…" + mark)},
		"tmp/20260102_030405_NF/x": {Data: nil},
		"tmp/" + hex.EncodeToString([]byte(mark)): {Data: nil},
	}
	hits, files, err := scanner().ScanTree(tree, "store")
	require.NoError(t, err)
	require.Equal(t, 4, files)
	var lines []string
	for _, h := range hits {
		lines = append(lines, h.String())
	}
	require.ElementsMatch(t, []string{
		"video mark in store/pool/3/cd at byte 3",
		"file name in the name of store/tmp/20260102_030405_NF",
		"file name in the name of store/tmp/20260102_030405_NF/x",
		"video mark (hexadecimal) in the name of store/tmp/" + hex.EncodeToString([]byte(mark)),
	}, lines)
}

func TestReadErrorIsNoClearance(t *testing.T) {
	_, err := scanner().Scan(iotest.ErrReader(fmt.Errorf("broken")), "disk")
	require.EqualError(t, err, "cannot scan disk: broken")
}
