package wire_test

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/wire"
)

// TestDocument compares every example of PROTOCOL.md with the codec, and its
// receipt with the signature as the text describes it.
func TestDocument(t *testing.T) {
	doc, err := os.ReadFile("PROTOCOL.md")
	require.NoError(t, err)
	blocks := map[string]string{}
	for _, m := range regexp.MustCompile("(?s)```(?:hex )?([A-Za-z-]+)\n(.*?)```").FindAllStringSubmatch(string(doc), -1) {
		blocks[m[1]] = m[2]
	}
	example := func(name string) []byte {
		b, err := hex.DecodeString(strings.Join(strings.Fields(blocks[name]), ""))
		require.NoError(t, err)
		return b
	}
	for name, m := range map[string]wire.Message{
		"OFFER":     wire.Offer{Object: object, Size: 100_000, Class: 2},
		"OFFER-tag": wire.Offer{Object: object, Size: 100_000, Class: 2, Tag: tag},
		"HAVE":      wire.Have{Object: object, Size: 100_000, Blocks: wire.Bitmap{2}},
		"DATA":      wire.Data{Object: object, Size: 5, Blocks: []byte("hello")},
		"REFUSED":   wire.Refused{Object: object, Reason: wire.ReasonStorage},
		"STORED":    receipt(t, tag),
		"ASK":       wire.Ask{Request: request, Wanted: 1, Name: "image/timestamp.json"},
		"ASK-more":  wire.Ask{Request: request, File: object, First: 9, Wanted: 0b1011, Name: "a/b"},
		"PART":      wire.Part{Request: request, File: object, Size: 5, Block: []byte("hello")},
		"ABSENT":    wire.Absent{Request: request, Reason: wire.AbsentNone},
	} {
		require.Equal(t, marshal(t, m), example(name), name)
	}

	key, err := wire.ParsePublicKey(strings.TrimSpace(blocks["key"]))
	require.NoError(t, err)
	stored := example("STORED")
	cut := len(stored) - ed25519.SignatureSize
	signed := append([]byte("roadseal receipt v1\x00"), stored[:cut]...)
	require.True(t, ed25519.Verify(key[:], signed, stored[cut:]))

	for r := wire.ReasonBusy; r <= wire.ReasonClash; r++ {
		require.Regexp(t, fmt.Sprintf(`(?m)^\| %d \| .+ \| .+ \|$`, r), string(doc))
	}
	for _, number := range []int{wire.BlockSize, wire.MaxDown, wire.MaxUp, wire.Blocks(wire.MaxObject)/8 + 1, wire.MaxFile, wire.Blocks(wire.MaxFile)} {
		require.Contains(t, string(doc), commas(number))
	}
}

func commas(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", commas(n/1000), n%1000)
}
