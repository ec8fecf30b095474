package record_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/envelope"
	"roadseal/crypto/record"
)

// judge prints for each record on its standard input whether the second opener
// takes it.
const judge = `
import sys
sys.path.insert(0, "../../testdata/opener")
import record
while b := sys.stdin.buffer.read(record.SIZE):
    try:
        record.parse(b)
        print("taken")
    except record.Malformed:
        print("refused")
`

// TestSecondParser changes records at random. Our parser and that of the
// second opener, which shares no code with it, agree on each.
func TestSecondParser(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed: the second opener was not run")
	}
	_, err = os.ReadDir("../../testdata/opener") // so that the test cache notices a change
	require.NoError(t, err)
	random := rand.New(rand.NewPCG(4, 5))
	n := 20_000
	if testing.Short() {
		n = 2000
	}
	var all bytes.Buffer
	for range n {
		all.Write(mutated(random))
	}
	cmd := exec.Command(python, "-B", "-c", judge)
	cmd.Stdin = bytes.NewReader(all.Bytes())
	out, err := cmd.Output()
	require.NoError(t, err)
	theirs := strings.Fields(string(out))
	require.Len(t, theirs, n)
	count := map[string]int{}
	for i, word := range theirs {
		b := all.Next(envelope.RecordSize)
		ours := "taken"
		if _, err := record.Parse(b); err != nil {
			ours = "refused"
		}
		require.Equal(t, ours, word, "record %d:\n%q", i, b)
		count[ours]++
	}
	require.Greater(t, count["taken"], n/20)
	require.Greater(t, count["refused"], n/20)
}

// mutated is a record with one to three changes that often leave it in order.
func mutated(random *rand.Rand) []byte {
	lines := strings.SplitAfter(strings.TrimPrefix(sampleText, "roadseal/1\n"), "\n")
	lines = lines[:len(lines)-1]
	pieces := []string{"%", "%0A", "%25", "%C3", "%e9", "é", "\u202e", "\u202f", "\xff", "\xc3", "0", "9", " ", ": ", "-", "a", "Z", ".", "/", "\t", "\r", "\n", "-truncated", "%E2%80%AE"}
	for range 1 + random.IntN(3) {
		i := random.IntN(len(lines))
		switch line := lines[i]; random.IntN(8) {
		case 0: // a line less
			lines = append(append([]string{}, lines[:i]...), lines[i+1:]...)
		case 1: // a line elsewhere
			j := random.IntN(len(lines))
			lines[i], lines[j] = lines[j], line
		case 2: // a digit or letter becomes another
			at := random.IntN(len(line))
			lines[i] = line[:at] + fmt.Sprint(random.IntN(10)) + line[at+1:]
		case 3: // a character less
			at := random.IntN(len(line))
			lines[i] = line[:at] + line[at+1:]
		default: // a piece more
			at := random.IntN(len(line))
			if colon := strings.Index(line, ": "); colon >= 0 && random.IntN(4) > 0 {
				at = colon + 2 + random.IntN(len(line)-colon-2)
			}
			lines[i] = line[:at] + pieces[random.IntN(len(pieces))] + line[at:]
		}
		if len(lines) == 0 {
			break
		}
	}
	return fill("roadseal/1\n" + strings.Join(lines, ""))
}
