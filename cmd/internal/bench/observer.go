package bench

import (
	"context"
	"errors"
	"time"

	"roadseal/agent/mqttlink"
	"roadseal/agent/wire"
	"roadseal/cmd/internal/bench/capture"
	"roadseal/cmd/internal/bench/pki"
	"roadseal/crypto/mtls"
)

// An observer writes a capture of what a broker delivers that cannot write one
// itself: it is a client that the access rules let read everything.
type observer struct {
	link  *mqttlink.Session
	file  *capture.Writer
	end   context.CancelFunc
	ended chan error
}

// observerRules are those of mosquitto for it.
const observerRules = "\nuser " + pki.ObserverName + "\ntopic read v1/#\n"

// observe connects, subscribes and writes from then on. Whoever starts an
// observer stops it.
func observe(ctx context.Context, address string, certs pki.Files, path string) (*observer, error) {
	conf, _, err := mtls.Client(mtls.Options{Bench: true, ServerName: pki.ServerName,
		Files: mtls.Files{CA: certs.CA, Certificate: certs.Observer.Certificate, Key: certs.Observer.Key}})
	if err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx) // it ends after all others
	o := &observer{ended: make(chan error, 1)}
	o.link, err = mqttlink.Dial(ctx, mqttlink.Options{Address: address, ClientID: pki.ObserverName, TLS: conf, MaxPacket: wire.MaxUp, Queue: 10_000})
	if err != nil {
		return nil, err
	}
	if err := o.link.Subscribe(ctx, "v1/#"); err != nil {
		return nil, errors.Join(err, o.link.Close())
	}
	if o.file, err = capture.Create(path); err != nil {
		return nil, errors.Join(err, o.link.Close())
	}
	ctx, o.end = context.WithCancel(ctx)
	go func() { o.ended <- errors.Join(o.write(ctx.Done()), o.link.Close(), o.file.Close()) }()
	return o, nil
}

// quiet is how long nothing has to come after the end of all others.
const quiet = 500 * time.Millisecond

func (o *observer) write(end <-chan struct{}) error {
	var over <-chan time.Time
	for {
		select {
		case m := <-o.link.Messages():
			if err := o.file.Publish(m.Topic, m.Payload); err != nil {
				return err
			}
			if end == nil {
				over = time.After(quiet)
			}
		case <-end:
			end, over = nil, time.After(quiet)
		case <-over:
			return nil
		case <-o.link.Done():
			return o.link.Err()
		}
	}
}

// stop returns when all that was said is written.
func (o *observer) stop() error {
	if o == nil {
		return nil
	}
	o.end()
	err := <-o.ended
	o.ended <- nil // for the next stop
	return err
}
