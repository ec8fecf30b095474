package container

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/testdata/segments"
)

// FuzzBoxes walks through any bytes. The boxes lie one behind the other, and
// the head of each, written again in the one of its three forms that it has
// (32 bits, 64 bits, up to the end), is what stands there.
func FuzzBoxes(f *testing.F) {
	for _, name := range []string{"normal-front.mp4", "event-rear.mp4"} {
		b, err := segments.Files.ReadFile(name)
		require.NoError(f, err)
		f.Add(b[:2048])
		f.Add(b[len(b)-4096:])
	}
	f.Add([]byte("\x00\x00\x00\x10ftypisom\x00\x00\x00\x00\x00\x00\x00\x00mdat1234"))
	f.Add([]byte("\x00\x00\x00\x01mdat\x00\x00\x00\x00\x00\x00\x00\x14abcd\x00\x00\x00\x08moof"))
	f.Add([]byte("\x00\x00\x00\x01mdat\xff\xff\xff\xff\xff\xff\xff\xffabcd"))
	f.Fuzz(func(t *testing.T, in []byte) {
		end := int64(len(in))
		w := &walker{r: bytes.NewReader(in), left: maxBoxes}
		off := int64(0)
		for b, ok := w.next(off, end); ok; b, ok = w.next(off, end) {
			require.True(t, off < b.body && b.body <= b.end && b.end <= end || b.short, "%+v at %d of %d", b, off, end)
			require.Equal(t, boxHead(in, b, off), in[off:min(b.body, end)])
			off = b.end
		}
		require.LessOrEqual(t, off, end)
		require.GreaterOrEqual(t, w.left, -1)
	})
}

// boxHead is the head of a box of which the form is known, and the size only if
// it is whole.
func boxHead(in []byte, b box, off int64) []byte {
	size := uint64(b.end - off)
	long := b.body-off == 16
	if b.short && long {
		size = max(size+1, binary.BigEndian.Uint64(in[off+8:]))
	} else if b.short {
		size = max(size+1, uint64(binary.BigEndian.Uint32(in[off:])))
	}
	word := uint32(size)
	switch toEnd := binary.BigEndian.Uint32(in[off:]) == 0; {
	case long:
		word = 1
	case toEnd && b.end == int64(len(in)):
		word = 0
	}
	h := append(binary.BigEndian.AppendUint32(nil, word), b.kind...)
	if long {
		h = binary.BigEndian.AppendUint64(h, size)
	}
	return h
}

// FuzzTS looks at any bytes as a transport stream, and at a stream that it
// makes of them: the clock references that were put in are what comes out.
func FuzzTS(f *testing.F) {
	f.Add([]byte("any"), uint64(0), uint64(90_000), uint16(12), uint16(0x100), false)
	f.Add([]byte{0x47, 0x47}, uint64(1<<33-1), uint64(5), uint16(2500), uint16(0x1fff), true)
	f.Add(bytes.Repeat([]byte{0x47, 1, 0, 0x30, 7, 0x10, 1, 2, 3, 4, 0x80}, 60), uint64(1), uint64(1<<32), uint16(3), uint16(0), false)
	f.Fuzz(func(t *testing.T, in []byte, first, last uint64, packets, stream uint16, stamped bool) {
		if c, ok := lookTS(bytes.NewReader(in), int64(len(in))); ok {
			require.Equal(t, MPEGTS, c.MediaType)
			require.True(t, c.Duration >= 0 && c.Duration < longest+time.Second)
		}
		if c := (reference{}); len(in) >= 188 && c.read(in[:188]) {
			p := bytes.Clone(in[:188])
			c.put(p)
			require.Equal(t, in[:188], p)
		}
		s := stride{188, 0}
		if stamped {
			s = stride{192, 4}
		}
		n := 3 + int64(packets)%3000
		file := bytes.Repeat(append(bytes.Clone(in[:min(len(in), 188)]), make([]byte, 192)...), int(n))[:n*s.size]
		ends := [2]reference{{true, stream & 0x1fff, first & (1<<33 - 1)}, {true, stream & 0x1fff, last & (1<<33 - 1)}}
		for i := range n {
			p := file[i*s.size+s.skip : (i+1)*s.size]
			file[i*s.size] = 0 // no sync byte of the other stride
			copy(p, []byte{syncByte, 0, 0, 0x10})
			if i == 0 || i == n-1 {
				copy(p[3:], []byte{0x30, 7, 0x10})
				ends[min(i, 1)].put(p)
			}
		}
		c, ok := lookTS(bytes.NewReader(file), int64(len(file)))
		require.True(t, ok)
		want := duration((ends[1].base-ends[0].base)&(1<<33-1), clock)
		require.Equal(t, Container{MediaType: MPEGTS, Duration: want}, c)
		file[(n/2)*s.size+s.skip] = 0
		if c, ok = lookTS(bytes.NewReader(file), int64(len(file))); n >= 6 && n <= 2*edge {
			require.True(t, ok && c.Incomplete, "a packet is gone")
		}
	})
}

// put is the other way of read; the bits beside it stay.
func (c reference) put(p []byte) {
	binary.BigEndian.PutUint16(p[1:], binary.BigEndian.Uint16(p[1:])&^0x1fff|c.stream)
	binary.BigEndian.PutUint32(p[6:], uint32(c.base>>1))
	p[10] = p[10]&0x7f | byte(c.base&1)<<7
}
