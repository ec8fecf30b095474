package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"roadseal/cmd/internal/bench/pki"
	"roadseal/cmd/internal/bench/process"
	"roadseal/cmd/internal/trip"
)

// A kit is what all lanes share: programs, identities and keys, made once.
type kit struct {
	o          Options
	dir        string
	certs      pki.Files
	keys       trip.Keys // of the key holder
	reader     string    // his public key
	secret     string    // of the collector: path of its receipt key
	receiptKey string    // public
	cast       cast

	berths chan struct{} // bounds the lanes that are in use
	mu     sync.Mutex
	lanes  int
	idle   []*lane
}

func newKit(o Options, dir string) (*kit, error) {
	k := &kit{o: o, dir: dir, cast: newCast(o.Seed), secret: filepath.Join(dir, "receipt.key"), berths: make(chan struct{}, o.lanes)}
	var err error
	if k.certs, err = pki.Make(dir); err != nil {
		return nil, err
	}
	file, reader, err := trip.NewKey(time.Now())
	if err != nil {
		return nil, err
	}
	k.reader = reader.String()
	path := filepath.Join(dir, "key.txt")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		return nil, err
	}
	if k.keys, err = trip.ReadKeys([]string{path}, nil, nil); err != nil {
		return nil, err
	}
	k.receiptKey, err = pki.ReceiptKey(o.Collector, k.secret)
	return k, err
}

// lane takes an idle lane, or makes one. It waits while too many are in use.
func (k *kit) lane(ctx context.Context) (*lane, error) {
	select {
	case k.berths <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := len(k.idle); n > 0 {
		l := k.idle[n-1]
		k.idle = k.idle[:n-1]
		return l, nil
	}
	k.lanes++
	return k.newLane(fmt.Sprintf("lane%d", k.lanes))
}

// back returns a lane.
func (k *kit) back(l *lane) {
	k.mu.Lock()
	k.idle = append(k.idle, l)
	k.mu.Unlock()
	<-k.berths
}

// close ends all lanes; none is in use.
func (k *kit) close() error {
	var errs []error
	for _, l := range k.idle {
		errs = append(errs, l.close())
	}
	return errors.Join(errs...)
}

type table map[string]any

// spoolSize is the smallest that an agent takes; the cast does not fit into it
// as a whole, so that delivered clips have to give way, and one that is not.
const spoolSize = "1MiB"

// heldStream is the least valuable one, and never uploaded. Of the health stream
// the agent seals an object when it ends.
const (
	heldStream   = "parking"
	healthStream = "health"
)

// rescan of the recorders' folders: an agent that found no inotify instance
// free asks for one again after this time.
const rescan = "5s"

// configure writes the configuration of both programs of a lane.
func (k *kit) configure(l *lane) error {
	to := []string{k.reader}
	camera := func(name, after string) table {
		return table{"name": name, "path": l.path("vehicle", name), "preset": "blackvue", "after_seal": after, "rescan": rescan}
	}
	err := process.WriteConfig(l.path("agent.toml"), table{
		"device":  table{"certificate": k.certs.Device.Certificate, "key": k.certs.Device.Key, "state": l.path("vehicle/state"), "run": l.path("run")},
		"gnss":    table{"port": l.path("gnss"), "baud": 115200},
		"vehicle": table{"number": "BENCH-CRASH"},
		"camera":  []table{camera(keptFolder, "keep"), camera(movedFolder, "remove")},
		"stream": []table{
			{"name": "event", "from": []string{"camera:event"}, "to": to, "class": 1},
			{"name": "track", "from": []string{"gnss"}, "to": to, "class": 2, "max_age": "1h"},
			{"name": "video", "from": []string{"camera:normal"}, "to": to, "class": 3},
			{"name": healthStream, "from": []string{"health"}, "to": to, "class": 2},
			{"name": heldStream, "from": []string{"camera:parking"}, "to": to, "class": 4, "upload": "hold"},
		},
		"spool":     table{"max_bytes": spoolSize},
		"broker":    table{"address": l.broker.Address(), "server_name": pki.ServerName, "ca": k.certs.CA},
		"collector": table{"receipt_keys": []string{k.receiptKey}},
		"bench":     table{"enabled": true},
	})
	if err != nil {
		return err
	}
	c := k.certs.Collector
	return process.WriteConfig(l.path("collector.toml"), table{
		"broker":    table{"address": l.broker.Address(), "server_name": pki.ServerName, "ca": k.certs.CA, "certificate": c.Certificate, "key": c.Key},
		"collector": table{"shards": []string{"00-ff"}, "receipt_key": k.secret, "status": l.path("watch/status.json")},
		"store":     table{"path": l.path("cloud/store")},
		"bench":     table{"enabled": true},
	})
}
