package collector

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"roadseal/agent/mqttlink"
	"roadseal/agent/wire"
	"roadseal/cmd/internal/objstore"
	"roadseal/crypto/envelope"
	"roadseal/crypto/mtls"
)

// A Link is a session with the broker, as mqttlink makes it.
type Link interface {
	// Publish hands a message over; it promises nothing about delivery.
	Publish(topic string, payload []byte) error
	// Send is the same for a message that nobody need keep (QoS 0).
	Send(topic string, payload []byte) error
	Messages() <-chan mqttlink.Message
	// Done is closed when the session has ended; Err then says why.
	Done() <-chan struct{}
	Err() error
	Close() error
}

// Options are what a Collector needs. All fields but Repository and Status are
// required.
type Options struct {
	Dial    func(ctx context.Context) (Link, error) // connected, and subscribed to Shards.Filters
	Store   objstore.Store
	Key     Key
	StoreID [16]byte // names the store in receipts
	Shards  Shards
	Slots   int // stanzas in every object
	Quota   Quota
	// Repository answers what vehicles ask for. Without one they are told to ask
	// again.
	Repository Repository
	// Status, if set, is called from Run's goroutine about every ten seconds
	// and at once at an alarm or a change of connection.
	Status func(Status)
	Log    *slog.Logger
}

// Quota bounds what vehicles can make the collector keep.
type Quota struct {
	Objects int                  // arriving at once for each certificate; as many may be set aside
	Bytes   int64                // sizes of both together, for each certificate
	Total   int                  // objects arriving at once for all certificates
	Idle    time.Duration        // an object of which nothing came for so long gives way to another
	Age     time.Duration        // … and is dropped after this time in any case
	Largest [wire.MaxClass]int64 // bytes of the largest object of each class, 1 to MaxClass
}

// DefaultQuota suits a fleet of a few thousand vehicles for each collector.
func DefaultQuota() Quota {
	return Quota{Objects: 8, Bytes: 2 * wire.MaxObject, Total: 1024, Idle: 10 * time.Minute, Age: 24 * time.Hour,
		Largest: [wire.MaxClass]int64{wire.MaxObject, wire.MaxObject, wire.MaxObject, wire.MaxObject}}
}

// A Collector is described in the package comment. Run is its only goroutine
// but for the workers; the fields belong to it.
type Collector struct {
	o        Options
	link     Link // of the current session; nil between two
	vehicles map[string]*vehicle
	open     int    // assemblies of all vehicles
	queue    []*job // waiting for a worker, in the order they came
	running  int    // jobs that workers have
	heavy    int    // of them
	large    int    // of these
	jobs     chan *job
	results  chan *job
	down     downloads
	status   Status
	ill      time.Time              // the last trouble with the store; zero once all is well again
	alarmed  map[envelope.Name]bool // objects whose alarm is in the log
}

// New makes a collector that does nothing before Run.
func New(o Options) *Collector {
	return &Collector{o: o, vehicles: map[string]*vehicle{}, status: newStatus(), down: newDownloads(), alarmed: map[envelope.Name]bool{},
		// With room for each worker nobody ever waits on these two.
		jobs: make(chan *job, workers), results: make(chan *job, workers)}
}

// Run serves until ctx is done and returns its error. It reconnects for ever.
// Objects that were arriving stay staged for the next start.
func (c *Collector) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() { c.work(ctx) })
	}
	wg.Go(func() { c.read(ctx) })
	for wait := minWait; ctx.Err() == nil; {
		began := time.Now()
		err := c.session(ctx)
		if ctx.Err() != nil {
			break
		}
		c.disconnected(err)
		if time.Since(began) > maxWait {
			wait = minWait
		}
		sleep(ctx, wait/2+rand.N(wait))
		wait = min(2*wait, maxWait)
	}
	wg.Wait()
	c.closeAll()
	c.report()
	return ctx.Err()
}

// Waits between two attempts to connect.
const (
	minWait = 200 * time.Millisecond
	maxWait = 10 * time.Second
)

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// session connects and serves until the connection or ctx ends.
func (c *Collector) session(ctx context.Context) error {
	link, err := c.o.Dial(ctx)
	if err != nil {
		return err
	}
	c.connected(link)
	defer func() {
		c.link = nil
		if err := link.Close(); err != nil {
			c.o.Log.Debug("closing the session", "err", err)
		}
	}()
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		c.dispatch()
		wake := c.nextRead()
		select {
		case m := <-link.Messages():
			c.receive(ctx, m)
			m.Ack()
		case j := <-c.results:
			c.finish(ctx, j)
		case r := <-c.ready():
			c.answered(r)
		case <-wake:
		case <-tick.C:
			c.tidy(ctx)
			c.report()
		case <-link.Done():
			return link.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *Collector) connected(link Link) {
	c.link = link
	c.status.Connected, c.status.LastError = true, ""
	c.o.Log.Info("connected to the broker", "shards", c.o.Shards.String())
	c.report()
}

func (c *Collector) disconnected(err error) {
	err = mtls.Explain(err)
	if c.status.Connected || c.status.LastError == "" {
		c.o.Log.Warn("no connection to the broker; trying again until there is", "err", err)
	}
	c.status.Connected, c.status.LastError = false, err.Error()
	c.report()
}

// reply sends a message to a device. A message that cannot be sent is not kept:
// the session is ending, and the vehicle will offer again.
func (c *Collector) reply(device string, m wire.Message) { c.hand(c.link.Publish, device, m) }

// send is reply for an answer to ASK: one that is lost is asked for again.
func (c *Collector) send(device string, m wire.Message) { c.hand(c.link.Send, device, m) }

func (c *Collector) hand(publish func(string, []byte) error, device string, m wire.Message) {
	b, err := m.MarshalBinary()
	if err != nil {
		c.o.Log.Error("internal error: cannot encode a reply", "err", err)
		return
	}
	if err := publish(wire.DownTopic(device), b); err != nil {
		c.o.Log.Debug("reply not sent", "err", err)
	}
}

func (c *Collector) refuse(device string, m wire.Message, why wire.Reason) {
	c.status.Refused[why.String()]++
	c.reply(device, wire.Refused{Object: m.Subject(), Reason: why})
}
