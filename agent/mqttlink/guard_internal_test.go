package mqttlink

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/stretchr/testify/require"
)

var streams = map[string]struct {
	b    []byte
	want string // "" = accepted
}{
	"what brokers send": {bytes.Join([][]byte{
		{0x20, 2, 0, 0}, {0x90, 3, 0, 1, 1}, {0xd0, 0}, {0x40, 2, 0, 9}, {0x3b, 4, 0, 1, 'a', 'b'}, {0x30, 0},
		append([]byte{0x32, 0x80, 0x02}, make([]byte, 256)...), {0xd0, 0},
	}, nil), ""},
	"length with leading zeros": {[]byte{0x30, 0x81, 0x00, 0xff, 0xd0, 0}, ""},
	"256 MiB":                   {[]byte{0xd0, 0, 0x30, 0xff, 0xff, 0xff, 0x7f}, "268435455 bytes, at most 256"},
	"one byte too many":         {[]byte{0x32, 0x81, 0x02}, "257 bytes, at most 256"},
	"length of five bytes":      {[]byte{0x30, 0xff, 0xff, 0xff, 0xff, 0x7f}, "more than four bytes"},
	"length of five zeros":      {[]byte{0x30, 0x80, 0x80, 0x80, 0x80, 0x00}, "more than four bytes"},
	"SUBACK with two codes":     {[]byte{0x90, 4, 0, 1, 1, 1}, "4 bytes, at most 3"},
	"long CONNACK":              {[]byte{0x20, 3, 0, 0, 0}, "3 bytes, at most 2"},
	"CONNACK with code 6":       {[]byte{0x20, 2, 0, 6, 0}, "return code 6"},
	"long PINGRESP":             {[]byte{0xd0, 1, 0}, "1 bytes, at most 0"},
	"QoS 2":                     {[]byte{0x34, 9}, "0x34"},
	"QoS 3":                     {[]byte{0x36, 9}, "0x36"},
	"CONNECT":                   {[]byte{0x10, 0}, "0x10"},
	"PUBREL":                    {[]byte{0x62, 2, 0, 1}, "0x62"},
	"PUBACK with flags":         {[]byte{0x42, 2, 0, 1}, "0x42"},
	"DISCONNECT":                {[]byte{0xe0, 0}, "DISCONNECT"},
	"type 0":                    {[]byte{0x00, 0}, "0x00"},
	"HTTP":                      {[]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), "0x48"},
}

// TestGuard sends each stream in pieces of several sizes and reads it in others.
func TestGuard(t *testing.T) {
	for name, test := range streams {
		for _, step := range []int{1, 2, 7, 4096} {
			near, far := net.Pipe()
			go func() {
				for b := test.b; len(b) > 0; {
					n := min(step, len(b))
					if _, err := far.Write(b[:n]); err != nil {
						return
					}
					b = b[n:]
				}
				far.Close()
			}()
			var reason error
			g := &guard{Conn: near, bottom: new(patient), frames: frames{max: 256}}
			g.lost = func(err error) { reason = errors.Join(reason, err); g.Close() }
			var got []byte
			buf := make([]byte, step)
			for {
				n, err := g.Read(buf)
				got = append(got, buf[:n]...)
				if err != nil {
					break
				}
			}
			if test.want == "" {
				require.Equal(t, test.b, got, name)
				require.EqualError(t, reason, "EOF")
			} else {
				require.ErrorContains(t, reason, test.want, name)
				require.Less(t, len(got), len(test.b), "%s: the last byte of the header got through", name)
			}
		}
	}
}

// TestGuardBoundsMemory lets the library read a stream that announces 256 MiB.
func TestGuardBoundsMemory(t *testing.T) {
	near, far := net.Pipe()
	go far.Write([]byte{0x30, 0xff, 0xff, 0xff, 0x7f})
	g := &guard{Conn: near, bottom: new(patient), frames: frames{max: 65536}, lost: func(error) { near.Close() }}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := packets.ReadPacket(g)
	runtime.ReadMemStats(&after)
	require.ErrorContains(t, err, "at most 65536")
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

// FuzzGuard: where a stream is cut makes no difference, and whatever the guard
// lets through, the library reads without a panic and within the limit.
func FuzzGuard(f *testing.F) {
	for _, s := range streams {
		f.Add(s.b, uint8(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		const limit = 4096
		good := 0
		single := frames{max: limit}
		for good < len(b) && single.follow(b[good:good+1]) == nil {
			require.LessOrEqual(t, single.body, limit)
			good++
		}
		cut := frames{max: limit}
		var err error
		for rest := b; len(rest) > 0 && err == nil; {
			n := min(int(step)+1, len(rest))
			err = cut.follow(rest[:n])
			rest = rest[n:]
		}
		require.Equal(t, good == len(b), err == nil)
		for r := bytes.NewReader(b[:good]); ; {
			if _, err := packets.ReadPacket(r); err != nil {
				return
			}
		}
	})
}

// TestTheLibraryLearnsOfLossByReading: an error of writing goes to the session
// alone. The library would complete a token with it, which the reader may be
// completing for an early acknowledgement: the double close of a channel.
func TestTheLibraryLearnsOfLossByReading(t *testing.T) {
	near, far := net.Pipe()
	far.Close()
	var reason error
	written := 0
	g := &guard{Conn: near, bottom: new(patient), written: func() { written++ }}
	g.lost = func(err error) { reason = err; g.Close() }
	n, err := g.Write([]byte{0x32, 5, 0, 1, 'a', 0, 1})
	require.NoError(t, err)
	require.Equal(t, 7, n)
	require.ErrorIs(t, reason, io.ErrClosedPipe)
	require.Equal(t, 1, written, "the next publication is not kept waiting")
	_, err = g.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.ErrClosedPipe)
}

// TestAMillionHostilePackets through guard and library: no growth, and nothing
// beyond the limit is ever allocated at once.
func TestAMillionHostilePackets(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	firsts := []byte{0x20, 0x30, 0x32, 0x33, 0x3a, 0x40, 0x90, 0xd0, 0x34, 0x62, 0xe0, 0x00, 0xff}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	passed := 0
	var most uint64
	for n := range map[bool]int{false: 1_000_000, true: 20_000}[testing.Short()] {
		b := []byte{firsts[r.IntN(len(firsts))]}
		for length := r.IntN(1 << (1 + r.IntN(28))); ; length >>= 7 {
			b = append(b, byte(length&0x7f)|map[bool]byte{true: 0x80}[length > 0x7f])
			if length <= 0x7f {
				break
			}
		}
		for range r.IntN(8) {
			b = append(b, byte(r.IntN(4)))
		}
		f := frames{max: 65536}
		if f.follow(b) != nil {
			continue
		}
		passed++
		_, _ = packets.ReadPacket(bytes.NewReader(b)) // an error mostly; a panic never
		if n%10_000 == 0 {
			runtime.ReadMemStats(&after)
			most = max(most, after.HeapAlloc)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	t.Logf("%d packets passed the guard; heap at most %d kB", passed, most/1000)
	require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(1<<20))
	require.Less(t, most, uint64(32<<20))
}
