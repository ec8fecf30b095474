package fetch

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"roadseal/agent/wire"
)

// Limits of a connection.
const (
	handshake = 30 * time.Second // to connect
	stall     = 20 * time.Second // without a byte, the connection counts as lost
	idle      = 15 * time.Second // after which a connection is not used again: nobody may be there any more
	maxHeader = 16 << 10         // bytes of the header of a response
	maxOther  = 64 << 10         // bytes of the body of a 404, which is thrown away
)

// A line is a connection that reads one response after the other. It takes the
// place of http.Transport, which would cost the vehicle 550 kB.
type line struct {
	*tls.Conn
	in     *bufio.Reader
	header int64     // bytes that may still be read before the header has ended
	since  time.Time // the next block is awaited
	until  time.Time // nothing is read after
	used   time.Time
	last   bool // the server will close it
}

var errHeader = fmt.Errorf("the header of the response has more than %d bytes", maxHeader)

// Read implements io.Reader below the buffer.
func (l *line) Read(p []byte) (int, error) {
	if l.header <= 0 {
		return 0, errHeader
	}
	end := time.Now().Add(stall)
	if l.until.Before(end) {
		end = l.until
	}
	if err := l.SetReadDeadline(end); err != nil {
		return 0, err
	}
	n, err := l.Conn.Read(p[:min(int64(len(p)), l.header)])
	l.header -= int64(n)
	return n, err
}

// await begins the time that the next block may take.
func (l *line) await(d *download) {
	l.since = time.Now()
	l.until = l.since.Add(Patience - d.slow)
}

func (h *HTTPS) connect(ctx context.Context) error {
	if h.line != nil && time.Since(h.line.used) < idle {
		return nil
	}
	h.drop()
	ctx, cancel := context.WithTimeout(ctx, handshake)
	defer cancel()
	raw, err := h.o.Dial(ctx, "tcp", h.address)
	if err != nil {
		return err
	}
	conn := tls.Client(raw, h.o.TLS)
	if err := conn.HandshakeContext(ctx); err != nil {
		return errors.Join(err, raw.Close())
	}
	h.line = &line{Conn: conn}
	h.line.in = bufio.NewReader(h.line)
	return nil
}

// drop closes the connection at once: taking leave could wait for a peer that
// is gone.
func (h *HTTPS) drop() {
	if h.line != nil {
		h.line.NetConn().Close()
		h.line = nil
	}
}

// request asks for the next block. news says that a block came.
func (l *line) request(h *HTTPS, d *download) (news bool, err error) {
	first := int64(len(d.data))
	text := fmt.Sprintf("GET %s%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: roadseal\r\nAccept-Encoding: identity\r\nRange: bytes=%d-%d\r\n",
		h.path, d.path, h.host, first, first+wire.BlockSize-1)
	if first > 0 {
		text += "If-Range: " + d.validator + "\r\n"
	}
	if err := l.SetWriteDeadline(time.Now().Add(stall)); err != nil {
		return false, lost(err)
	}
	if _, err := io.WriteString(l.Conn, text+"\r\n"); err != nil {
		return false, lost(err)
	}
	l.header = maxHeader
	r, err := readResponse(l.in)
	if errors.Is(err, errHeader) {
		return false, fmt.Errorf("cannot fetch %s: %w", d.name, err)
	}
	if err != nil {
		return false, lost(err)
	}
	l.header, l.last = 1<<62, r.last // what follows is bounded by its length
	switch r.status {
	case statusOK, statusPartial:
		if r.length() < 0 {
			return false, fmt.Errorf("cannot fetch %s: the server sends no length, or compresses; expected neither chunks nor an encoding", d.name)
		}
		if r.status == statusOK {
			return l.whole(d, r)
		}
		return l.part(d, r, first)
	case statusNotFound:
		l.skip(r)
		return false, fmt.Errorf("cannot fetch %s: %w", d.name, fs.ErrNotExist)
	case statusNotSatisfiable:
		l.skip(r)
		if first > 0 {
			return false, d.restart() // it is shorter now
		}
		return false, fmt.Errorf("cannot fetch %s: the file is empty", d.name)
	}
	return false, fmt.Errorf("cannot fetch %s: the server answers with status %d; expected 206, 200 or 404, and no redirect", d.name, r.status)
}

// lost marks an error after which another connection may do better.
func lost(err error) error { return fmt.Errorf("%w: %w", errLost, err) }

// skip reads a body that nobody needs, or gives the connection up.
func (l *line) skip(r *response) {
	if r.length() < 0 || r.length() > maxOther {
		l.last = true
	} else if _, err := io.CopyN(io.Discard, l.in, r.length()); err != nil {
		l.last = true
	}
}

// part takes a 206: exactly the block that was asked for.
func (l *line) part(d *download, r *response, first int64) (bool, error) {
	said := r.only("content-range")
	_, total, _ := strings.Cut(said, "/")
	size, err := strconv.ParseInt(total, 10, 64)
	end := min(first+wire.BlockSize, size)
	if err != nil || end <= first || said != fmt.Sprintf("bytes %d-%d/%d", first, end-1, size) || r.length() != end-first {
		return false, fmt.Errorf("cannot fetch %s: the server sends another range than bytes %d-%d, or another length than it says", d.name, first, first+wire.BlockSize-1)
	}
	if changed, err := d.take(size, r.validator()); changed || err != nil {
		l.last = true // the body is not read
		return false, err
	}
	err = l.read(d, end-first)
	return err == nil, err
}

// whole takes a 200: the server knows no ranges, or the file has changed.
func (l *line) whole(d *download, r *response) (bool, error) {
	if len(d.data) > 0 {
		if err := d.restart(); err != nil {
			return false, err
		}
	}
	if r.length() == 0 {
		return false, fmt.Errorf("cannot fetch %s: the file is empty", d.name)
	}
	if r.length() > d.limit {
		return false, TooLong(d.name, d.limit)
	}
	d.size = r.length()
	for left := d.size; left > 0; {
		n := min(left, wire.BlockSize)
		if err := l.read(d, n); err != nil {
			if again := d.restart(); again != nil {
				return false, again
			}
			return false, err
		}
		left -= n
		d.slow = 0
		l.await(d)
	}
	return true, nil
}

// read reads one block of a body.
func (l *line) read(d *download, n int64) error {
	block := make([]byte, n)
	if _, err := io.ReadFull(l.in, block); err != nil {
		return lost(err)
	}
	d.data = append(d.data, block...)
	return nil
}
