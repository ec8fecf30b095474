package spool

import (
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/envelope"
)

func FuzzFileName(f *testing.F) {
	e := Entry{Meta: Meta{Class: 1, Boot: 2, Sequence: 3, Stream: "event", Tag: Tag{4}}, Name: envelope.Name{5}, Size: 6314}
	for _, st := range []state{queued, damaged, stored} {
		f.Add(e.fileName(st))
	}
	e.extra = ".page-7.x"
	f.Add(e.fileName(queued))
	f.Add("1.00000002.00000003.event.00.18aa.05.age")
	f.Fuzz(func(t *testing.T, s string) {
		if e, st, ok := parseFileName(s); ok {
			require.Equal(t, s, e.fileName(st), "one object has one name")
			require.Positive(t, e.Size)
			for st := range state(len(suffixes)) {
				again, as, ok := parseFileName(e.fileName(st))
				require.True(t, ok)
				require.Equal(t, e, again)
				require.Equal(t, st, as)
				require.LessOrEqual(t, len(e.fileName(st)), 255)
			}
		}
	})
}

func TestFileNameIsTheDocumentedOne(t *testing.T) {
	e := Entry{Meta: Meta{Class: 3, Boot: 12, Sequence: 255, Stream: "video", Tag: Tag{0xab}}, Name: envelope.Name{0xcd}, Size: 0x18aa}
	require.Equal(t, "3.0000000c.000000ff.video.ab000000000000000000000000000000.18aa."+
		"cd00000000000000000000000000000000000000000000000000000000000000.age", e.fileName(queued))
}
