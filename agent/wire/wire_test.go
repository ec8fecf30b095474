package wire_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/wire"
	"roadseal/crypto/envelope"
)

var (
	object = func() (n envelope.Name) {
		for i := range n {
			n[i] = byte(i)
		}
		return n
	}()
	tag     = (*[32]byte)(bytes.Repeat([]byte{0xaa}, 32))
	request = wire.Request([]byte("\xb0\xb1\xb2\xb3\xb4\xb5\xb6\xb7"))
)

func marshal(t testing.TB, m wire.Message) []byte {
	t.Helper()
	b, err := m.MarshalBinary()
	require.NoError(t, err)
	return b
}

// valid is one message of each shape that matters.
func valid(t testing.TB) map[string]wire.Message {
	full := wire.NewBitmap(wire.MaxObject)
	for i := range wire.Blocks(wire.MaxObject) {
		full.Set(i)
	}
	const three = 2*wire.BlockSize + 1
	return map[string]wire.Message{
		"offer":             wire.Offer{Object: object, Size: 1, Class: 1},
		"offer, tag, limit": wire.Offer{Object: object, Size: wire.MaxObject, Class: 4, Tag: tag},
		"have nothing":      wire.Have{Object: object, Size: wire.BlockSize, Blocks: wire.Bitmap{0}},
		"have all, limit":   wire.Have{Object: object, Size: wire.MaxObject, Blocks: full},
		"data, one":         wire.Data{Object: object, Size: three, Index: 0, Blocks: make([]byte, wire.BlockSize)},
		"data, two":         wire.Data{Object: object, Size: three, Index: 0, Blocks: make([]byte, 2*wire.BlockSize)},
		"data, two, last":   wire.Data{Object: object, Size: three, Index: 1, Blocks: make([]byte, wire.BlockSize+1)},
		"data, last":        wire.Data{Object: object, Size: three, Index: 2, Blocks: []byte{7}},
		"refused":           wire.Refused{Object: object, Reason: wire.ReasonBusy},
		"refused, new":      wire.Refused{Object: object, Reason: 255},
		"stored":            receipt(t, nil),
		"stored, tag":       receipt(t, tag),
		"ask":               wire.Ask{Request: request, Wanted: 1, Name: "image/timestamp.json"},
		"ask, limit":        wire.Ask{Request: request, File: object, First: 1092, Wanted: 255, Name: "a/b/" + strings.Repeat("x", 251)},
		"part":              wire.Part{Request: request, File: object, Size: three, Index: 1, Block: make([]byte, wire.BlockSize)},
		"part, last":        wire.Part{Request: request, File: object, Size: three, Index: 2, Block: []byte{7}},
		"part, limit":       wire.Part{Request: request, File: object, Size: wire.MaxFile, Index: 1092, Block: make([]byte, 16384)},
		"absent":            wire.Absent{Request: request, Reason: wire.AbsentNone},
		"absent, new":       wire.Absent{Request: request, Reason: 255},
	}
}

// subject is what a message of valid is about.
func subject(m wire.Message) envelope.Name {
	switch m := m.(type) {
	case wire.Ask:
		return m.File
	case wire.Absent:
		return envelope.Name{}
	}
	return object
}

func TestRoundTrip(t *testing.T) {
	for name, m := range valid(t) {
		t.Run(name, func(t *testing.T) {
			b := marshal(t, m)
			got, err := wire.Parse(b)
			require.NoError(t, err)
			require.Equal(t, m, got)
			require.Equal(t, subject(m), got.Subject())
			require.Equal(t, b, marshal(t, got))
			require.LessOrEqual(t, len(b)+100, wire.MaxUp)
			if _, data := m.(wire.Data); !data {
				require.Less(t, len(b)+100, wire.MaxDown, "fits the vehicle's guard")
			}
		})
	}
}

// TestEveryLengthIsExact cuts and extends each message at every length.
func TestEveryLengthIsExact(t *testing.T) {
	for name, m := range valid(t) {
		b := marshal(t, m)
		for n := range len(b) {
			if n > 300 && n < len(b)-300 || name == "data, two, last" && n == len(b)-1 {
				continue // inside the blocks: all alike; the first of two blocks alone is right
			}
			_, err := wire.Parse(b[:n])
			require.Error(t, err, "%s cut to %d bytes", name, n)
		}
		_, err := wire.Parse(append(b, 0))
		require.Error(t, err, "%s with a byte after its end", name)
	}
}

func TestParseRefuses(t *testing.T) {
	edit := func(m wire.Message, at int, to ...byte) []byte {
		b := marshal(t, m)
		copy(b[at:], to)
		return b
	}
	size := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	offer := wire.Offer{Object: object, Size: 9, Class: 2}
	have := wire.Have{Object: object, Size: 9 * wire.BlockSize, Blocks: wire.Bitmap{0xff, 1}}
	data := wire.Data{Object: object, Size: 9 * wire.BlockSize, Index: 8, Blocks: make([]byte, wire.BlockSize)}
	stored := receipt(t, nil)
	ask := wire.Ask{Request: request, Wanted: 1, Name: "image/timestamp.json"}
	part := wire.Part{Request: request, File: object, Size: 9 * wire.BlockSize, Index: 8, Block: make([]byte, wire.BlockSize)}
	for name, test := range map[string]struct {
		b    []byte
		want string
	}{
		"nothing":            {nil, "version"},
		"version 0":          {edit(offer, 0, 0), "protocol version 0, expected 1"},
		"version 2":          {edit(offer, 0, 2), "protocol version 2, expected 1"},
		"type 0":             {edit(offer, 1, 0), "unknown type 0"},
		"type 9":             {edit(offer, 1, 9), "unknown type 9"},
		"offer of 0 bytes":   {edit(offer, 34, size(0)...), "OFFER: object size"},
		"offer too large":    {edit(offer, 34, size(wire.MaxObject+1)...), "OFFER: object size"},
		"offer of 2^63":      {edit(offer, 34, size(1<<63)...), "OFFER: object size"},
		"offer class 0":      {edit(offer, 42, 0), "retention class 0, expected 1 to 4"},
		"offer class 5":      {edit(offer, 42, 5), "retention class 5, expected 1 to 4"},
		"offer tag flag 2":   {edit(offer, 43, 2), "page tag"},
		"offer signed":       {append(edit(offer, 44, 0, 1), 7), "signature"},
		"have spare bit":     {edit(have, 43, 3), "bits set for blocks"},
		"have other size":    {edit(have, 34, size(8*wire.BlockSize)...), "bitmap of 2 bytes, expected 1"},
		"have too large":     {edit(have, 34, size(1<<50)...), "HAVE: object size"},
		"data index outside": {edit(data, 42, 0, 0, 0, 9), "block 9 of an object with 9"},
		"data index 2^32-1":  {edit(data, 42, 255, 255, 255, 255), "block 4294967295"},
		"data short block":   {edit(data, 34, size(9*wire.BlockSize-1)...), "DATA: 61440 bytes at block 8"},
		"data 2 for 1":       {edit(data, 34, size(8*wire.BlockSize+5)...), "DATA: 61440 bytes at block 8"},
		"refused for 0":      {edit(wire.Refused{Object: object, Reason: 1}, 34, 0), "no reason"},
		"stored algorithm 2": {edit(stored, 2, 2), "algorithm 2, expected 1"},
		"stored class 0":     {edit(stored, 67, 0), "STORED: retention class"},
		"stored of 0 bytes":  {edit(stored, 59, size(0)...), "STORED: object size"},
		"stored tag flag 9":  {edit(stored, 68, 9), "page tag"},
		"stored before 1970": {edit(stored, 69, size(1<<63)...), "STORED: time"},
		"stored after 9999":  {edit(stored, 69, size(253402300800)...), "STORED: time"},
		"ask for no block":   {edit(ask, 46, 0), "ASK: wants no block"},
		"ask beyond 64 MiB":  {edit(ask, 42, 0, 0, 4, 69), "ASK: block 1093 of a file"},
		"ask at 2^32-1":      {edit(ask, 42, 255, 255, 255, 255), "ASK: block 4294967295"},
		"ask for a bad name": {edit(ask, 48, '/'), "ASK: name of a file"},
		"ask, short name":    {edit(ask, 47, 19), "1 bytes after the end"},
		"ask, long name":     {edit(ask, 47, 21), "too short"},
		"ask without a name": {edit(ask, 47, 0)[:48], "ASK: name of a file"},
		"part of 0 bytes":    {edit(part, 42, size(0)...), "PART: file size"},
		"part too large":     {edit(part, 42, size(wire.MaxFile+1)...), "PART: file size"},
		"part of 2^63":       {edit(part, 42, size(1<<63)...), "PART: file size"},
		"part outside":       {edit(part, 50, 0, 0, 0, 9), "block 9 of a file with 9"},
		"part at 2^32-1":     {edit(part, 50, 255, 255, 255, 255), "block 4294967295"},
		"part, short block":  {edit(part, 42, size(9*wire.BlockSize-1)...), "PART: 61440 bytes at block 8, expected 61439"},
		"part, two blocks":   {append(edit(part, 50, 0, 0, 0, 0), make([]byte, wire.BlockSize)...), "PART: 122880 bytes at block 0, expected 61440"},
		"absent for 0":       {edit(wire.Absent{Request: request, Reason: 1}, 10, 0), "ABSENT: no reason"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := wire.Parse(test.b)
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestDataIsWholeBlocks(t *testing.T) {
	const five = 4*wire.BlockSize + 10
	for n, ok := range map[int]bool{
		0: false, 1: false, wire.BlockSize - 1: false, wire.BlockSize: true, wire.BlockSize + 10: false,
		2 * wire.BlockSize: true, 2*wire.BlockSize + 10: false, 3 * wire.BlockSize: false,
	} {
		_, err := wire.Data{Object: object, Size: five, Index: 0, Blocks: make([]byte, n)}.MarshalBinary()
		require.Equal(t, ok, err == nil, "%d bytes at block 0", n)
	}
}

// TestMarshalRefusesWhatParseRefuses holds the sender to the same rules.
func TestMarshalRefusesWhatParseRefuses(t *testing.T) {
	late := receipt(t, nil)
	late.Time = late.Time.AddDate(9000, 0, 0)
	for _, m := range []wire.Message{
		wire.Offer{Size: 1}, wire.Offer{Class: 1}, wire.Have{Size: 9}, wire.Have{Size: 9, Blocks: wire.Bitmap{2}},
		wire.Data{Size: 9, Blocks: make([]byte, 8)}, wire.Refused{}, wire.Receipt{}, late,
		wire.Ask{Name: "a"}, wire.Ask{Wanted: 1}, wire.Ask{Wanted: 1, Name: strings.Repeat("a", 256)}, wire.Ask{Wanted: 1, Name: "a", First: 1093},
		wire.Part{Size: 9, Block: make([]byte, 8)}, wire.Part{}, wire.Absent{},
	} {
		_, err := m.MarshalBinary()
		require.Error(t, err, "%T", m)
	}
}

func TestBitmap(t *testing.T) {
	for size, blocks := range map[int64]int{
		1: 1, wire.BlockSize: 1, wire.BlockSize + 1: 2, 300_000_000: 4883, wire.MaxObject: 69906,
	} {
		require.Equal(t, blocks, wire.Blocks(size))
		b := wire.NewBitmap(size)
		require.Len(t, b, (blocks+7)/8)
		for i := range blocks {
			require.False(t, b.Has(i))
			if i == blocks-1 {
				require.False(t, b.Full(size))
			}
			b.Set(i)
			require.True(t, b.Has(i))
		}
		require.Equal(t, blocks, b.Count())
		require.True(t, b.Full(size))
		require.False(t, b.Has(-1))
		require.False(t, b.Has(8*len(b)))
	}
}

func TestReasonsSayWhatTheyAre(t *testing.T) {
	seen := map[string]bool{}
	for r := wire.ReasonBusy; r <= wire.ReasonClash; r++ {
		require.NotContains(t, r.String(), "reason ")
		require.False(t, seen[r.String()])
		seen[r.String()] = true
	}
	require.Equal(t, "reason 200", wire.Reason(200).String())
}

func TestCheckName(t *testing.T) {
	for _, good := range []string{"a", "image/timestamp.json", "director/" + device + "/1.root.json", "A_b-9", "a/b/c", "a.", "a..b", strings.Repeat("x", 255)} {
		require.NoError(t, wire.CheckName(good), "%q", good)
	}
	for _, bad := range []string{
		"", "/", "/a", "a/", "a//b", "a/b/c/d", ".", "..", "../a", "a/../b", "a/.b", ".a", "a b", "a\\b", "a\x00", "ä", "a\xff", "a%2f", "a\n", "a?b", "a:b",
		strings.Repeat("x", 256),
	} {
		err := wire.CheckName(bad)
		require.ErrorContains(t, err, "name of a file", "%q", bad)
		require.True(t, len(bad) < 3 || !strings.Contains(err.Error(), bad), "the error does not repeat it")
	}
}

// FuzzParse: what parses has one form only, and nothing makes Parse panic.
func FuzzParse(f *testing.F) {
	for _, m := range valid(f) {
		if b := marshal(f, m); len(b) < 20_000 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := wire.Parse(b)
		if err != nil {
			require.Nil(t, m)
			return
		}
		require.Equal(t, b, marshal(t, m))
	})
}
