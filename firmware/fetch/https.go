package fetch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"strings"
	"time"

	"roadseal/agent/wire"
)

// Options are what HTTPS needs.
type Options struct {
	URL    string      // of the folder that holds both repositories, https://HOST[:PORT][/PATH]
	Device string      // the device id: what is under director/DEVICE/ goes before director/
	TLS    *tls.Config // as mtls.Client makes it; raised to TLS 1.3
	// Dial opens the connection below TLS; default a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Once takes the first connection that fails for the outcome, instead of
	// waiting for a better one.
	Once bool
}

// HTTPS is a Fetcher by range requests (RFC 9110, section 14) on the grid of
// 60 KiB, over one TLS 1.3 connection that all calls share in turns. It follows
// no redirect and takes no compression. What was cut off goes on with the block
// that is missing; a file that changes meanwhile begins anew.
type HTTPS struct {
	o             Options
	host, address string
	path          string        // of the folder, ends with a slash
	turn          chan struct{} // holds an element while a call uses line
	line          *line         // nil = not connected
}

// ParseURL reads the address of the folder that holds both repositories.
func ParseURL(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("expected https://HOST[:PORT][/PATH]")
	}
	return u, nil
}

// NewHTTPS makes a fetcher that is not connected yet. It fails on a URL that is
// not as Options says.
func NewHTTPS(o Options) (*HTTPS, error) {
	u, err := ParseURL(o.URL)
	if err != nil {
		return nil, fmt.Errorf("address of the repositories: %w", err)
	}
	if o.TLS == nil {
		return nil, errors.New("internal error: HTTPS without a TLS configuration")
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	o.TLS = o.TLS.Clone()
	o.TLS.MinVersion, o.TLS.NextProtos = tls.VersionTLS13, []string{"http/1.1"}
	if o.TLS.ServerName == "" {
		o.TLS.ServerName = u.Hostname()
	}
	return &HTTPS{o: o, host: u.Host, address: net.JoinHostPort(u.Hostname(), port),
		path: strings.TrimSuffix(u.EscapedPath(), "/") + "/", turn: make(chan struct{}, 1)}, nil
}

// Close closes the connection, if there is one. The next Fetch opens another.
func (h *HTTPS) Close() {
	h.turn <- struct{}{}
	h.drop()
	<-h.turn
}

// Fetch implements Fetcher. A server that answers anything but the file, a part
// of it or 404 is an error that accuses nobody.
func (h *HTTPS) Fetch(ctx context.Context, name string, limit int64) ([]byte, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	if ctx.Err() == nil {
		select {
		case h.turn <- struct{}{}:
			defer func() { <-h.turn }()
		case <-ctx.Done():
		}
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("cannot fetch %s: %w", name, ctx.Err())
	}
	file, director := strings.CutPrefix(name, "director/")
	if director && h.o.Device != "" && !strings.Contains(file, "/") {
		data, err := h.fetch(ctx, &download{name: name, path: "director/" + h.o.Device + "/" + file, limit: limit})
		if !errors.Is(err, fs.ErrNotExist) {
			return data, err
		}
	}
	return h.fetch(ctx, &download{name: name, path: name, limit: limit})
}

// A download is a file of which a part may be there.
type download struct {
	name, path string
	limit      int64
	data       []byte // whole blocks from the beginning
	size       int64  // of the file; 0 = not known
	validator  string // ETag or Last-Modified of data
	slow       time.Duration
	anew       int // times that data was thrown away
}

// Waits between two attempts to connect, for how long, and how often a file may
// begin anew.
const (
	minWait = time.Second
	maxWait = 30 * time.Second
	maxLost = 5 * time.Minute // without a block
	maxAnew = 8
)

// errLost is wrapped by what ends a connection, after which there is another.
var errLost = errors.New("connection lost")

func (h *HTTPS) fetch(ctx context.Context, d *download) ([]byte, error) {
	wait, since := minWait, time.Now()
	for {
		before, reused := len(d.data), h.line != nil
		err := h.advance(ctx, d)
		switch {
		case err == nil && d.size > 0 && int64(len(d.data)) == d.size:
			return d.data, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("cannot fetch %s: %w; last: %w", d.name, ctx.Err(), err)
		case err == nil:
			wait, since = minWait, time.Now()
			continue
		case !errors.Is(err, errLost):
			return nil, err
		case d.slow >= Patience:
			return nil, TooSlow(d.name)
		case len(d.data) > before:
			wait, since = minWait, time.Now()
		case !reused && h.o.Once || time.Since(since) >= maxLost:
			return nil, fmt.Errorf("cannot fetch %s: %w; last: %w", d.name, NoConnection, err)
		}
		if reused { // a server may close a connection that was idle
			continue
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
		wait = min(2*wait, maxWait)
	}
}

// advance does one request, connecting before if need be.
func (h *HTTPS) advance(ctx context.Context, d *download) error {
	if err := h.connect(ctx); err != nil {
		return fmt.Errorf("%w: %w", errLost, err)
	}
	l := h.line
	l.await(d)
	stop := context.AfterFunc(ctx, func() { l.Close() })
	news, err := l.request(h, d)
	if !stop() || err != nil || l.last {
		h.drop()
	}
	l.used = time.Now()
	if d.slow += time.Since(l.since); news {
		d.slow = 0
	}
	return err
}

// restart throws away what does not belong to the file as it is now.
func (d *download) restart() error {
	d.data, d.size, d.validator = nil, 0, ""
	if d.anew++; d.anew > maxAnew {
		return fmt.Errorf("cannot fetch %s: it changed, or was cut off without ranges, %d times while it was read", d.name, d.anew)
	}
	return nil
}

// take notes what a response says of the whole file. changed reports that the
// blocks that are there are of another one.
func (d *download) take(size int64, validator string) (changed bool, err error) {
	switch {
	case size > d.limit:
		return false, TooLong(d.name, d.limit)
	case len(d.data) > 0 && (size != d.size || validator != d.validator):
		return true, d.restart()
	case validator == "" && size > wire.BlockSize:
		return false, fmt.Errorf("cannot fetch %s: the server sends neither a strong ETag nor Last-Modified, without which parts cannot be told from those of another file", d.name)
	}
	d.size, d.validator = size, validator
	return false, nil
}
