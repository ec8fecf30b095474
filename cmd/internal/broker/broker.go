// Package broker is an MQTT broker inside the process, for the bench and for
// tests. It is not for production: it keeps everything in memory, so a restart
// loses what it has acknowledged, and it knows no revocation and no limits of
// rate. It does hold every client to what DESIGN asks of a real broker: mutual
// TLS, a client id that is the certificate's common name, and topics that are
// the client's own.
//
// It is the only importer of mochi-mqtt.
//
// Side: black.
package broker

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"math"
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
	*listeners.TCP
	server *mochi.Server
}

// Close implements listeners.Listener.
func (l listener) Close(listeners.CloseFn) {
	l.TCP.Close(func(string) {
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
	l := listener{listeners.NewTCP(listeners.Config{ID: "mtls", Address: o.Address, TLSConfig: o.TLS}), s}
	if err := s.AddHook(&hook{capture: o.Capture, aside: map[*mochi.Client]packets.Packet{}}, nil); err != nil {
		return nil, err
	}
	if err := s.AddListener(l); err != nil {
		return nil, fmt.Errorf("broker cannot listen on %s: %w", o.Address, err)
	}
	if err := s.Serve(); err != nil { // returns once the listener runs
		return nil, err
	}
	return &Broker{s, l}, nil
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

	mu    sync.Mutex
	aside map[*mochi.Client]packets.Packet // under way with the id of a SUBSCRIBE that is being handled
}

func (*hook) ID() string { return "certificate" }

func (h *hook) Provides(b byte) bool {
	switch b {
	case mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnSubscribe, mochi.OnSubscribed:
		return true
	case mochi.OnPublish:
		return h.capture != nil
	}
	return false
}

// commonName is who the client's verified certificate says it is; "" for a
// client without one.
func commonName(cl *mochi.Client) string {
	conn, ok := cl.Net.Conn.(*tls.Conn)
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

// OnACLCheck lets collectors read what goes up and write what goes down, and a
// vehicle the reverse under its own name. Like the access lists of mosquitto
// it does not know which shard is a vehicle's own.
func (*hook) OnACLCheck(cl *mochi.Client, topic string, write bool) bool {
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

func (h *hook) OnPublish(_ *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	h.capture(pk.TopicName, pk.Payload)
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
