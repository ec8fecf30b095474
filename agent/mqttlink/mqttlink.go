package mqttlink

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"roadseal/agent/profile"
)

// Options say whom to connect to and as who.
type Options struct {
	Address   string        // of the broker, host:port
	ClientID  string        // for a vehicle the common name of its certificate
	TLS       *tls.Config   // may be nil only if Dial is given: then the connection is plain
	MaxPacket int           // remaining length of the largest packet accepted; default 65,536
	KeepAlive time.Duration // whole seconds between pings; default 30 s
	// Persistent asks the broker to keep the session's subscriptions and
	// undelivered messages while the client is away.
	Persistent bool
	// ManualAck leaves it to the reader of Messages to acknowledge each one
	// with Ack. Otherwise a message is acknowledged as soon as it is queued.
	ManualAck bool
	// Queue is the room of the Messages channel; default 64. With ManualAck it
	// should not be below the broker's limit of unacknowledged messages: one
	// that finds no room comes again only in the next session.
	Queue int
	// Pace delays what the session sends. One client has one for all its
	// sessions; nil delays nothing.
	Pace *profile.Pace
	// InFlight is how many publications may wait for the broker's
	// acknowledgement; default 1,024.
	InFlight int
	// Dial opens the connection below TLS; default a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

const (
	// The library looks at its timers every 5 s: it pings in the 5 s after the
	// keep-alive and gives up 10 s later, 1.5 times the default keep-alive after
	// the last word.
	pingTimeout = 8 * time.Second
	leave       = 250 * time.Millisecond // for DISCONNECT to get out, and for TLS to take leave
	endTimeout  = 15 * time.Second       // for the library to end once its connection is closed
	answerTime  = 10 * time.Second       // for the broker to answer SUBSCRIBE
	maxTopic    = 256                    // bytes; the smallest limit among the brokers we know
	maxUnacked  = 1024                   // publications; the library remembers the number of each
)

// A Message is what the broker delivered.
type Message struct {
	Topic   string
	Payload []byte // the receiver's own
	ack     func()
}

// Ack acknowledges the message to the broker, which then forgets it. Without
// ManualAck, and on a Message made elsewhere, it does nothing.
func (m Message) Ack() {
	if m.ack != nil {
		m.ack()
	}
}

// A Session is one connection to a broker, from Dial until it is lost, closed
// or its context ends. Its methods may be called from any goroutine.
type Session struct {
	client   mqtt.Client
	messages chan Message
	dropped  atomic.Int64
	unacked  atomic.Int64  // publications that the broker has not acknowledged
	room     chan struct{} // receives when some have been
	turn     chan struct{} // holds an element while a publication is on its way to the socket
	inFlight int64         // the limit of unacked

	mu   sync.Mutex
	conn *guard
	err  error
	done chan struct{} // the session is of no more use; err says why

	ended     chan struct{} // the library has stopped
	endedOnce sync.Once
	unwatch   func() bool
}

var errClosed = errors.New("session is closed")

// Dial connects. The session ends with ctx, whose error it then reports. An
// error of the network or of TLS is wrapped, so that callers can explain it.
func Dial(ctx context.Context, o Options) (*Session, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	if !o.Pace.Connect(ctx.Done()) {
		return nil, ctx.Err()
	}
	s := &Session{
		messages: make(chan Message, o.Queue), room: make(chan struct{}, 1), turn: make(chan struct{}, 1), inFlight: int64(o.InFlight),
		done: make(chan struct{}), ended: make(chan struct{}),
	}
	s.unwatch = context.AfterFunc(ctx, func() { s.end(ctx.Err()) })
	s.client = mqtt.NewClient(s.library(ctx, o))
	token := s.client.Connect().(*mqtt.ConnectToken)
	<-token.Done() // each step below it has a deadline and ends with ctx
	if err := token.Error(); err != nil {
		if code := token.ReturnCode(); code > 0 && code <= maxCode {
			err = refusal(code)
		}
		s.end(err) // unless the network or ctx gave a reason before
		s.unwatch()
		<-s.ended
		return nil, s.Err()
	}
	return s, nil
}

func (o *Options) complete() error {
	if o.TLS == nil && o.Dial == nil {
		return errors.New("mqttlink: a connection without TLS needs a Dial function")
	}
	if o.ClientID == "" {
		return errors.New("mqttlink: no client id")
	}
	if o.KeepAlive < 0 || o.KeepAlive%time.Second != 0 {
		return errors.New("mqttlink: keep-alive is not a number of whole seconds")
	}
	if o.MaxPacket == 0 {
		o.MaxPacket = 65536
	}
	if o.KeepAlive == 0 {
		o.KeepAlive = 30 * time.Second
	}
	if o.Queue == 0 {
		o.Queue = 64
	}
	if o.InFlight == 0 {
		o.InFlight = maxUnacked
	}
	return nil
}

// library sets every option that has a say in lost, late or invented
// acknowledgements; see the package comment.
func (s *Session) library(ctx context.Context, o Options) *mqtt.ClientOptions {
	c := mqtt.NewClientOptions().
		AddBroker("tcp://broker"). // not used: the function below knows the address
		SetClientID(o.ClientID).
		SetProtocolVersion(4). // 0 would try MQTT 3.1 after a refusal
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetResumeSubs(false).
		SetCleanSession(!o.Persistent).
		SetStore(&store{Store: mqtt.NewMemoryStore(), closed: s.stopped}).
		SetOrderMatters(true).
		SetAutoAckDisabled(o.ManualAck).
		SetKeepAlive(o.KeepAlive).
		SetPingTimeout(pingTimeout).
		SetWriteTimeout(writeTimeout).
		SetConnectTimeout(connectTimeout).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { s.take(m, o.ManualAck) }).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) {
			s.lost(err)
			s.stopped()
		})
	return c.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) {
		conn, bottom, err := o.dial(ctx)
		if err != nil {
			s.end(err)
			return nil, err
		}
		g := &guard{Conn: conn, bottom: bottom, frames: frames{max: o.MaxPacket}, lost: s.lost, written: s.next, acked: s.acked, pace: o.Pace, done: s.done}
		bottom.rest = func() int { return g.frames.body }
		s.mu.Lock()
		s.conn = g
		s.mu.Unlock()
		select {
		case <-s.done: // ctx ended before there was a connection to close
			g.Close()
		default:
		}
		return g, nil
	})
}

// store keeps nothing: what the library would put there is for a reconnection
// that it never makes, and a broker that acknowledges nothing could fill the
// memory with it. It tells when the library closes it, the last thing it does
// after a failed connection attempt and after Disconnect.
type store struct {
	mqtt.Store
	closed func()
}

func (*store) Put(string, packets.ControlPacket) {}

func (s *store) Close() {
	s.Store.Close()
	s.closed()
}

func (s *Session) stopped() { s.endedOnce.Do(func() { close(s.ended) }) }

// take must not block: a blocked handler stops the library's pings.
func (s *Session) take(m mqtt.Message, manual bool) {
	msg := Message{Topic: m.Topic(), Payload: m.Payload()}
	if manual {
		msg.ack = m.Ack
	}
	select {
	case s.messages <- msg:
	default:
		s.dropped.Add(1)
	}
}

// acked counts what the broker acknowledges. More than was sent would let it
// run up a debt that it never pays.
func (s *Session) acked(n int) {
	if s.unacked.Add(int64(-n)) < 0 {
		s.end(errors.New("broker acknowledges what was not sent"))
	}
	select {
	case s.room <- struct{}{}:
	default:
	}
}

// awaitRoom waits until the broker may be sent one more publication.
func (s *Session) awaitRoom() error {
	if s.unacked.Load() < s.inFlight {
		return nil
	}
	late := time.NewTimer(answerTime)
	defer late.Stop()
	for s.unacked.Load() >= s.inFlight {
		select {
		case <-s.room:
		case <-s.done:
			return s.Err()
		case <-late.C:
			s.end(fmt.Errorf("broker acknowledges nothing: %d publications wait for it", s.inFlight))
			return s.Err()
		}
	}
	return nil
}

// next lets the next publication through.
func (s *Session) next() {
	select {
	case <-s.turn:
	default:
	}
}

func (s *Session) lost(err error) { s.end(explain(err)) }

// end notes why the session is over, unless that is known already, and closes
// the connection, which makes the library stop.
func (s *Session) end(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
		close(s.done)
	}
	conn := s.conn
	s.mu.Unlock()
	if conn != nil {
		conn.Close()
	}
}

// Publish hands a message with QoS 1 to the connection and returns when the
// one before it has been written to the socket, which Pace may delay, and while
// fewer than InFlight wait for the broker. That and a later PUBACK say nothing
// about what becomes of the message. The payload must not be changed until the
// next Publish has returned. A broker that acknowledges nothing for long ends
// the session.
//
// It fails on a topic that is empty, longer than 256 bytes, not UTF-8 or with a
// wildcard, and with the reason once the session is over.
func (s *Session) Publish(topic string, payload []byte) error { return s.publish(topic, 1, payload) }

// Send is Publish with QoS 0: the message arrives at most once, and no broker
// keeps it for somebody who is away.
func (s *Session) Send(topic string, payload []byte) error { return s.publish(topic, 0, payload) }

func (s *Session) publish(topic string, qos byte, payload []byte) error {
	if topic == "" || len(topic) > maxTopic || strings.ContainsAny(topic, "+#\x00") || !utf8.ValidString(topic) {
		return errors.New("cannot publish: topic is empty, too long, not UTF-8 or has a wildcard")
	}
	if err := s.Err(); err != nil {
		return err
	}
	select {
	case s.turn <- struct{}{}:
	case <-s.done:
		return s.Err()
	}
	if qos > 0 {
		if err := s.awaitRoom(); err != nil {
			return err
		}
		s.unacked.Add(1)
	}
	token := s.client.Publish(topic, qos, false, payload)
	select {
	case <-token.Done():
		if err := token.Error(); err != nil { // not handed over: the library is stuck or stopping
			s.end(fmt.Errorf("cannot publish: %w", err))
			return s.Err()
		}
	default:
	}
	return nil
}

// Subscribe asks for the messages of a topic filter with QoS 1. It fails if the
// broker refuses, grants less or does not answer in 10 s.
func (s *Session) Subscribe(ctx context.Context, filter string) error {
	if err := s.Err(); err != nil {
		return err
	}
	late := time.NewTimer(answerTime)
	defer late.Stop()
	token := s.client.Subscribe(filter, 1, nil).(*mqtt.SubscribeToken)
	select {
	case <-token.Done():
	case <-ctx.Done():
		return ctx.Err()
	case <-s.done:
		return s.Err()
	case <-late.C:
		return fmt.Errorf("broker did not answer the subscription to %s in %v", filter, answerTime)
	}
	if err := token.Error(); err != nil {
		return cmp.Or(s.Err(), fmt.Errorf("cannot subscribe to %s: %w", filter, err))
	}
	if code, ok := token.Result()[filter]; !ok || code != 1 {
		return fmt.Errorf("broker refused the subscription to %s (return code 0x%02x): do its rules allow this client to read that topic?", filter, code)
	}
	return nil
}

// Messages delivers what the broker sends. The channel is never closed; see
// Done.
func (s *Session) Messages() <-chan Message { return s.messages }

// Dropped counts messages that found no room in Messages.
func (s *Session) Dropped() int64 { return s.dropped.Load() }

// Done is closed when the session is over.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err is why the session is over, nil before.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Close takes leave of the broker, ends the session and returns when the
// library's goroutines have ended; it must be called for each session, also for
// one that is over. It fails only if the library does not end.
func (s *Session) Close() error {
	s.unwatch()
	s.client.Disconnect(uint(leave.Milliseconds())) // returns early; what follows does not rely on it
	s.end(errClosed)
	late := time.NewTimer(endTimeout)
	defer late.Stop()
	select {
	case <-s.ended:
		return nil
	case <-late.C:
		return errors.New("internal error: the MQTT library did not end with its connection")
	}
}
