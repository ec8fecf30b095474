package spool

import (
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/envelope"
)

func FuzzFileName(f *testing.F) {
	e := Entry{Meta: Meta{Class: 1, Boot: 2, Sequence: 3, Stream: "event", Tag: Tag{4}}, Name: envelope.Name{5}, Size: 6314}
	f.Add(e.fileName())
	e.Stored = true
	f.Add(e.fileName())
	f.Add("1.00000002.00000003.event.00.18aa.05.age")
	f.Fuzz(func(t *testing.T, s string) {
		if e, ok := parseFileName(s); ok {
			require.Equal(t, s, e.fileName(), "one object has one name")
			require.Positive(t, e.Size)
			require.LessOrEqual(t, len(s), 200)
		}
	})
}

func TestFileNameIsTheDocumentedOne(t *testing.T) {
	e := Entry{Meta: Meta{Class: 3, Boot: 12, Sequence: 255, Stream: "video", Tag: Tag{0xab}}, Name: envelope.Name{0xcd}, Size: 0x18aa}
	require.Equal(t, "3.0000000c.000000ff.video.ab000000000000000000000000000000.18aa."+
		"cd00000000000000000000000000000000000000000000000000000000000000.age", e.fileName())
}
