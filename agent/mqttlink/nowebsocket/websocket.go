// Package websocket stands in the place of github.com/gorilla/websocket, by the
// one replace line of roadseal's go.mod: MQTT over websockets is not built in.
//
// The MQTT library of the vehicle and the broker of the tests import the real
// one, whether or not anybody connects that way; nobody here does (agent/mqttlink
// dials TLS itself). On the vehicle it is 0.2 MB that never run, among them a
// reader of HTTP and a way through HTTP proxies. Here is what those two importers
// call, and no more, so that a new version of theirs that wants more does not
// build. Nothing makes a Conn, so nothing can be read or written: every call
// that could succeed returns ErrNotBuiltIn.
//
// Side: any.
package websocket

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// ErrNotBuiltIn is returned by everything.
var ErrNotBuiltIn = errors.New("websockets are not built in; expected an address of MQTT over TLS")

// BinaryMessage is the type of message that carries MQTT (RFC 6455, section
// 11.8; OASIS MQTT 3.1.1, section 6.0).
const BinaryMessage = 2

// A Dialer opens no connections. Its fields are those that are set somewhere.
type Dialer struct {
	Proxy                           func(*http.Request) (*url.URL, error)
	HandshakeTimeout                time.Duration
	EnableCompression               bool
	TLSClientConfig                 *tls.Config
	Subprotocols                    []string
	ReadBufferSize, WriteBufferSize int
}

// Dial returns ErrNotBuiltIn, and no response.
func (*Dialer) Dial(string, http.Header) (*Conn, *http.Response, error) {
	return nil, nil, ErrNotBuiltIn
}

// An Upgrader accepts no connections.
type Upgrader struct {
	Subprotocols []string
	CheckOrigin  func(*http.Request) bool
}

// Upgrade answers the request with status 501 and returns ErrNotBuiltIn.
func (*Upgrader) Upgrade(w http.ResponseWriter, _ *http.Request, _ http.Header) (*Conn, error) {
	w.WriteHeader(http.StatusNotImplemented)
	return nil, ErrNotBuiltIn
}

// A Conn is never made. Its methods are there for those who would have one.
type Conn struct{}

// NextReader returns ErrNotBuiltIn.
func (*Conn) NextReader() (int, io.Reader, error) { return 0, nil, ErrNotBuiltIn }

// WriteMessage returns ErrNotBuiltIn.
func (*Conn) WriteMessage(int, []byte) error { return ErrNotBuiltIn }

// SetReadDeadline returns ErrNotBuiltIn.
func (*Conn) SetReadDeadline(time.Time) error { return ErrNotBuiltIn }

// SetWriteDeadline returns ErrNotBuiltIn.
func (*Conn) SetWriteDeadline(time.Time) error { return ErrNotBuiltIn }

// Close returns ErrNotBuiltIn.
func (*Conn) Close() error { return ErrNotBuiltIn }

// LocalAddr returns nil.
func (*Conn) LocalAddr() net.Addr { return nil }

// RemoteAddr returns nil.
func (*Conn) RemoteAddr() net.Addr { return nil }

// UnderlyingConn returns nil.
func (*Conn) UnderlyingConn() net.Conn { return nil }
