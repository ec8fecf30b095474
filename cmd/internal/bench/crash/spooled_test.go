package crash

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// line is one of the record of losses.
func line(text string) string {
	sum := sha256.Sum256([]byte(text))
	return text + " " + hex.EncodeToString(sum[:])[:checkDigits]
}

const lossFile = "3.00000001.0000000a.video.00112233445566778899aabbccddeeff.1f4." +
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.age"

// TestWhatIsOnRecord: only whole lines with the right check name a loss.
func TestWhatIsOnRecord(t *testing.T) {
	good := line("evicted " + lossFile)
	want := []loss{{evicted, spooled{class: "3", stream: "video", name: strings.Repeat("0123456789abcdef", 4), state: queued, size: 500}}}
	require.Equal(t, want, parseLosses("roadseal losses 1\n\n"+good+"\n").losses)
	require.True(t, clip{sealed: 500}.gaveWay(want))
	require.False(t, clip{sealed: 501}.gaveWay(want))
	require.False(t, clip{sealed: 500}.gaveWay(parseLosses(line("damaged "+lossFile)).losses))
	for _, bad := range []string{"", "roadseal losses 1", line("sum evicted 3 1 500"), line("evicted"), line("evicted 1.2.3"), good[1:], good[:len(good)-1], good + "0"} {
		require.Empty(t, parseLosses(bad).losses, bad)
	}
	for i := range good {
		for bit := range 8 {
			b := []byte(good)
			b[i] ^= 1 << bit
			require.Zero(t, parseLosses(string(b)), "bit %d of byte %d", bit, i)
		}
	}
}

func FuzzLosses(f *testing.F) {
	f.Add("roadseal losses 1\n\n" + line("evicted "+lossFile) + "\n")
	f.Add(line("damaged "+lossFile) + "\n\n" + line("sum evicted 1 2 3"))
	f.Fuzz(func(t *testing.T, text string) {
		for _, x := range parseLosses(text).losses {
			require.Contains(t, text, "."+x.name+"."+x.state+" ")
			require.Contains(t, text, x.reason+" ")
		}
	})
}
