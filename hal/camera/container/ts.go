package container

import (
	"encoding/binary"
	"io"
)

const (
	syncByte = 0x47
	edge     = 1024 // packets looked at whole at either end
	sampled  = 256  // packets between them whose first byte is looked at
	clock    = 90_000
)

// A stride is how transport stream packets of 188 bytes lie in a file: one
// behind the other, or each after a time stamp of 4 bytes (M2TS).
type stride struct{ size, skip int64 }

// lookTS recognises a transport stream by its sync bytes, not by its name:
// three packets in a row.
func lookTS(r io.ReaderAt, size int64) (Container, bool) {
	var head [3 * 192]byte
	p := readAt(r, head[:], 0)
	for _, s := range []stride{{188, 0}, {192, 4}} {
		if int64(len(p)) >= 3*s.size && p[s.skip] == syncByte && p[s.size+s.skip] == syncByte && p[2*s.size+s.skip] == syncByte {
			return s.look(r, size), true
		}
	}
	return Container{}, false
}

func (s stride) look(r io.ReaderAt, size int64) Container {
	packets := size / s.size
	c := Container{MediaType: MPEGTS, Incomplete: size%s.size != 0}
	var first, last reference
	from, until := min(packets, edge), max(packets-edge, 0)
	lost := s.edge(r, 0, from, func(p []byte) {
		if !first.set {
			first.read(p)
		}
	})
	lost = lost || s.edge(r, until, packets, func(p []byte) {
		if now := (reference{}); now.read(p) && now.stream == first.stream {
			last = now
		}
	})
	if first.set && last.set {
		const wrap = 1<<33 - 1
		c.Duration = duration((last.base-first.base)&wrap, clock)
	}
	c.Incomplete = c.Incomplete || lost || s.gap(r, from, until)
	return c
}

// edge passes the packets from one to another to use, and reports whether one
// of them is not there.
func (s stride) edge(r io.ReaderAt, from, to int64, use func(packet []byte)) (lost bool) {
	buf := readAt(r, make([]byte, (to-from)*s.size), from*s.size)
	lost = int64(len(buf)) < (to-from)*s.size
	for ; int64(len(buf)) >= s.size; buf = buf[s.size:] {
		p := buf[s.skip:s.size]
		if p[0] != syncByte {
			lost = true
			continue
		}
		use(p)
	}
	return lost
}

// gap looks at packets here and there, and reports whether one of them is not
// there: reading all would be reading the clip twice.
func (s stride) gap(r io.ReaderAt, from, until int64) bool {
	var b [1]byte
	step := max((until-from)/sampled, 1)
	for n := from; n < until; n += step {
		if p := readAt(r, b[:], n*s.size+s.skip); len(p) == 0 || p[0] != syncByte {
			return true
		}
	}
	return false
}

// A reference is a program clock reference, ISO/IEC 13818-1, section 2.4.3.4.
type reference struct {
	set    bool
	stream uint16 // packet identifier
	base   uint64 // in units of 1/90000 s, 33 bits
}

// read takes the reference of a packet of 188 bytes, if it has one.
func (c *reference) read(p []byte) bool {
	const adaptation, pcr = 0x20, 0x10
	if p[3]&adaptation == 0 || p[4] < 7 || p[5]&pcr == 0 {
		return false
	}
	*c = reference{set: true, stream: binary.BigEndian.Uint16(p[1:]) & 0x1fff,
		base: uint64(binary.BigEndian.Uint32(p[6:]))<<1 | uint64(p[10]>>7)}
	return true
}
