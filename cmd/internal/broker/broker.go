// Package broker is an MQTT broker inside the process, for the bench and for
// tests. It is not for production: it keeps everything in memory, so a restart
// loses what it has acknowledged, and it knows no revocation. It does hold every
// client to what is asked of a real broker (docs/brokers): mutual TLS, a client id that is
// the certificate's common name, and topics that are the client's own; and, if
// asked, to the limits of a broker of somebody else.
//
// It is the only importer of mochi-mqtt.
//
// Side: black.
package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"strings"
	"sync"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"roadseal/agent/wire"
)

// CollectorPrefix begins the common name of a collector's certificate. Every
// other client is a vehicle.
const CollectorPrefix = "collector"

// Options say where to listen and who may connect.
type Options struct {
	Address string      // "127.0.0.1:0" for any port
	TLS     *tls.Config // must demand client certificates, as that of mtls.Server does
	// Capture, if set, is called with each message that the broker accepts,
	// from several goroutines at a time: it sees all that the operator of a
	// broker sees. It must neither change nor keep the payload.
	Capture func(topic string, payload []byte)
	// Limits, if set, are enforced. Violation, if set, is called with what each
	// client that was cut off did, and names none.
	Limits    *Limits
	Violation func(what string)
	// Listener, if set, is used instead of one on Address; TLS is put on top.
	Listener net.Listener
}

// A Broker is a running broker.
type Broker struct {
	server   *mochi.Server
	listener listener
}

// listener closes its clients by itself. Mochi's own way (Clients.GetByListener)
// takes a read lock twice, and if a client leaves between the two, Close never
// returns.
type listener struct {
	*listeners.Net
	server *mochi.Server
}

// Close implements listeners.Listener.
func (l listener) Close(listeners.CloseFn) {
	l.Net.Close(func(string) {
		for _, cl := range l.server.Clients.GetAll() {
			if !cl.Closed() {
				_ = l.server.DisconnectClient(cl, packets.ErrServerShuttingDown) // it says only that the client is to go
			}
		}
	})
}

// pending is how many messages may wait for one client before the broker drops
// them: a collector with 2,000 vehicles, each with its window full.
const pending = 2000 * wire.Window

// Start listens and serves until Close.
func Start(o Options) (*Broker, error) {
	caps := mochi.NewDefaultServerCapabilities()
	caps.MaximumPacketSize = wire.MaxUp
	caps.MaximumClientWritesPending = pending
	caps.MaximumInflight = math.MaxUint16
	caps.MaximumSessionExpiryInterval = 3600 // seconds that a collector may be away
	caps.RetainAvailable, caps.SharedSubAvailable = 0, 0
	s := mochi.New(&mochi.Options{Capabilities: caps, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	rules := &hook{capture: o.Capture, aside: map[*mochi.Client]packets.Packet{}}
	if o.Limits != nil {
		rules.drops = o.Limits.Drops
		if err := s.AddHook(newWarden(*o.Limits, o.Violation), nil); err != nil {
			return nil, err
		}
	}
	if err := s.AddHook(rules, nil); err != nil {
		return nil, err
	}
	in, err := o.listen()
	if err != nil {
		return nil, fmt.Errorf("broker cannot listen on %s: %w", o.Address, err)
	}
	l := listener{listeners.NewNet("mtls", in), s}
	if err := s.AddListener(l); err != nil {
		return nil, errors.Join(err, in.Close())
	}
	if err := s.Serve(); err != nil { // returns once the listener runs
		return nil, errors.Join(err, in.Close())
	}
	return &Broker{s, l}, nil
}

// listen opens the layers below MQTT.
func (o Options) listen() (net.Listener, error) {
	l := o.Listener
	if l == nil {
		var err error
		if l, err = net.Listen("tcp", o.Address); err != nil {
			return nil, err
		}
	}
	l = tls.NewListener(l, o.TLS)
	if o.Limits != nil {
		l = distant{l, o.Limits.Lag, o.Limits.Bytes}
	}
	return l, nil
}

// Address is where the broker listens, as host:port.
func (b *Broker) Address() string { return b.listener.Address() }

// Close disconnects all clients and forgets everything.
func (b *Broker) Close() error { return b.server.Close() }

// hook holds each client to its certificate, and works around a fault of mochi:
// it keeps the packet ids that it gave to a client and those that the client
// chose in one table, although they are independent (MQTT 3.1.1, 2.3.1). A
// persistent session that comes back with messages under way would have its
// SUBSCRIBE refused as long as the ids collide, which is for ever.
type hook struct {
	mochi.HookBase
	capture func(topic string, payload []byte)
	drops   bool // see Limits

	mu    sync.Mutex
	aside map[*mochi.Client]packets.Packet // under way with the id of a SUBSCRIBE that is being handled
}

func (*hook) ID() string { return "certificate" }

func (h *hook) Provides(b byte) bool {
	switch b {
	case mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnSubscribe, mochi.OnSubscribed:
		return true
	case mochi.OnPublish:
		return h.capture != nil || h.drops
	}
	return false
}

// commonName is who the client's verified certificate says it is; "" for a
// client without one.
func commonName(cl *mochi.Client) string {
	conn, ok := cl.Net.Conn.(interface{ ConnectionState() tls.ConnectionState })
	if !ok {
		return ""
	}
	state := conn.ConnectionState()
	if len(state.VerifiedChains) == 0 {
		return ""
	}
	return state.PeerCertificates[0].Subject.CommonName
}

// OnConnectAuthenticate demands that the client id is the common name: without
// that, one stolen certificate evicts every other vehicle.
func (*hook) OnConnectAuthenticate(cl *mochi.Client, pk packets.Packet) bool {
	name := commonName(cl)
	return pk.Connect.ClientIdentifier == name && (isCollector(name) || wire.CheckDevice(name) == nil)
}

func isCollector(name string) bool {
	return strings.HasPrefix(name, CollectorPrefix) && !strings.ContainsAny(name, "/+#$")
}

// OnACLCheck asks allowed, and leaves it to OnPublish to drop what is forbidden
// if the broker is one that acknowledges it.
func (h *hook) OnACLCheck(cl *mochi.Client, topic string, write bool) bool {
	return write && h.drops || allowed(cl, topic, write)
}

// allowed lets collectors read what goes up and write what goes down, and a
// vehicle the reverse under its own name. Like the access lists of mosquitto
// it does not know which shard is a vehicle's own.
func allowed(cl *mochi.Client, topic string, write bool) bool {
	name := cl.ID // OnConnectAuthenticate has held it to the certificate
	if isCollector(name) {
		return !write && strings.HasPrefix(topic, "v1/up/") || write && strings.HasPrefix(topic, "v1/down/")
	}
	if write {
		_, device, ok := wire.DeviceOf(topic)
		return ok && device == name
	}
	return topic == wire.DownTopic(name)
}

// OnPublish sees each message before it is passed on.
func (h *hook) OnPublish(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	if !allowed(cl, pk.TopicName, true) {
		return pk, packets.CodeSuccessIgnore
	}
	if h.capture != nil {
		h.capture(pk.TopicName, pk.Payload)
	}
	return pk, nil
}

// OnSubscribe takes the message that has the same id out of the table, and
// OnSubscribed puts it back. In between, no other packet of this client is
// handled.
func (h *hook) OnSubscribe(cl *mochi.Client, pk packets.Packet) packets.Packet {
	if m, ok := cl.State.Inflight.Get(pk.PacketID); ok {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.aside[cl] = m
		cl.State.Inflight.Delete(pk.PacketID)
	}
	return pk
}

// OnSubscribed is the second half of OnSubscribe.
func (h *hook) OnSubscribed(cl *mochi.Client, _ packets.Packet, _ []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m, ok := h.aside[cl]; ok {
		cl.State.Inflight.Set(m)
		delete(h.aside, cl)
	}
}
