package mqttlink

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"roadseal/agent/profile"
)

// First bytes of the MQTT packets that matter here (MQTT 3.1.1, section 2.2).
const (
	connack  = 0x20
	publish  = 0x30 // and flags in the low four bits
	puback   = 0x40
	suback   = 0x90
	pingresp = 0xd0
	// goodbye is DISCONNECT, which MQTT 3.1.1 gives to clients only; some
	// brokers say it before they close a connection.
	goodbye = 0xe0
)

var errGoodbye = errors.New("broker sent DISCONNECT")

// maxCode is the largest return code of a CONNACK (MQTT 3.1.1, table 3.1).
const maxCode = 5

// A guard stands between TLS and the library: it follows the framing of what
// is read, and tells the session about errors and about publications that have
// left.
type guard struct {
	net.Conn
	bottom  *patient // the connection below TLS
	frames  frames
	closed  atomic.Bool // on this side
	lost    func(error) // an error of reading or writing while not closed
	written func()      // a PUBLISH has been written or has failed
	acked   func(n int) // so many PUBACK have come; may be nil
	pace    *profile.Pace
	done    <-chan struct{} // ends a wait for pace
}

// Read fails before the last byte of a bad packet's header gets through.
func (g *guard) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	if bad := g.frames.follow(p[:n]); bad != nil {
		n, err = 0, bad
	}
	if g.frames.acks > 0 && g.acked != nil {
		g.acked(g.frames.acks)
	}
	g.frames.acks = 0
	g.note(err)
	return n, err
}

// Write relies on the library writing each packet with one call. What the pace
// holds back here is no longer held back by the time: the deadline that counts
// is set below TLS. It hides an
// error from the library, which learns from its next read that the connection
// is closed: told of it here, it would complete the packet's token while the
// reader may be completing the same one for an acknowledgement, and closing a
// channel twice ends the whole process.
func (g *guard) Write(p []byte) (int, error) {
	message := len(p) > 0 && p[0]&0xf0 == publish
	g.pace.Packet(g.done, len(p), message) // after the end, the connection is closed
	g.note(g.whole(p))
	if message {
		g.written()
	}
	return len(p), nil
}

// whole writes a packet so that the kernel gets all TLS records of it at once.
func (g *guard) whole(p []byte) error {
	cut := (len(p) - 1) / record * record
	if cut > 0 {
		g.bottom.more.Store(true)
		_, err := g.Conn.Write(p[:cut])
		g.bottom.more.Store(false)
		if err != nil {
			return err
		}
	}
	_, err := g.Conn.Write(p[cut:])
	return err
}

// Close keeps what reading and writing say afterwards from being taken for the
// reason. A link that takes nothing any more does not hold it up.
func (g *guard) Close() error {
	g.closed.Store(true)
	g.bottom.leaving.Store(true)
	return g.Conn.Close()
}

func (g *guard) note(err error) {
	if err != nil && !g.closed.Load() {
		g.lost(err)
	}
}

// frames follows a stream of MQTT packets through any cuts of it.
type frames struct {
	max    int  // remaining length of the largest PUBLISH
	first  byte // of the packet
	inside bool // the length is being read
	length int
	shift  int
	body   int // bytes of the packet that are still to come
	acks   int // PUBACK since somebody asked
}

func (f *frames) follow(p []byte) error {
	for len(p) > 0 {
		if f.body > 0 {
			n := min(f.body, len(p))
			if f.body -= n; f.body == 0 && f.first == connack && p[n-1] > maxCode {
				// The library would take it for success.
				return fmt.Errorf("broker refused the connection with return code %d, which MQTT 3.1.1 does not know", p[n-1])
			}
			p = p[n:]
			continue
		}
		if err := f.header(p[0]); err != nil {
			return err
		}
		p = p[1:]
	}
	return nil
}

func (f *frames) header(b byte) error {
	if !f.inside {
		f.first, f.inside, f.length, f.shift = b, true, 0, 0
		return f.check(0)
	}
	f.length |= int(b&0x7f) << f.shift
	f.shift += 7
	if b&0x80 == 0 {
		f.inside, f.body = false, f.length
		if f.first == puback {
			f.acks++
		}
		return f.check(f.length)
	}
	if f.shift == 28 {
		return errors.New("broker sent a packet with a length of more than four bytes")
	}
	return nil
}

// check judges a packet by its first byte and the length known so far. Allowed
// is what answers us: we subscribe with QoS 1, to one filter at a time, and
// publish with QoS 1. More return codes than filters in a SUBACK make the
// library panic, and a PUBLISH with QoS 2 makes it hoard.
func (f *frames) check(length int) error {
	limit := 0
	switch {
	case f.first&0xf0 == publish && f.first&0x06 <= 0x02:
		limit = f.max
	case f.first == connack, f.first == puback:
		limit = 2
	case f.first == suback:
		limit = 3
	case f.first == pingresp:
	case f.first == goodbye:
		return errGoodbye
	default:
		return fmt.Errorf("broker sent a packet that nobody asked for: first byte 0x%02x", f.first)
	}
	if length > limit {
		return fmt.Errorf("broker sent a packet of %d bytes, at most %d are accepted: first byte 0x%02x", length, limit, f.first)
	}
	return nil
}
