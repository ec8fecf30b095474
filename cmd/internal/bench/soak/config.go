package soak

import (
	"time"

	"roadseal/cmd/internal/bench/pki"
	"roadseal/cmd/internal/bench/process"
)

type table map[string]any

// maxAge of a fix in an agent's memory, and the time from one health document
// to the next.
const (
	maxAge    = 3 * time.Second
	healthAge = 10 * time.Second
)

// configure writes the agent's configuration of a vehicle.
func (w *world) configure(v *vehicle, broker string) error {
	to := []string{w.reader}
	return process.WriteConfig(v.config(), table{
		"device":  table{"certificate": v.device.Certificate, "key": v.device.Key, "state": v.state(), "run": v.run()},
		"gnss":    table{"port": v.serial(), "baud": 115200},
		"vehicle": table{"number": v.number, "ignition": ""},
		"camera":  []table{{"name": "dash", "path": v.recorder(), "preset": "blackvue", "rescan": "2s"}},
		"stream": []table{
			{"name": "event", "from": []string{"camera:event"}, "to": to, "class": 1, "priority": 1},
			{"name": "track", "from": []string{"gnss"}, "to": to, "class": 2, "priority": 2, "max_age": maxAge.String()},
			{"name": healthStream, "from": []string{"health"}, "to": to, "class": 2, "priority": 2, "max_age": healthAge.String()},
			{"name": "video", "from": []string{"camera:normal", "camera:parking"}, "to": to, "class": 3, "priority": 3},
		},
		"spool":     table{"max_bytes": v.role.maxBytes, "keep_free": v.role.keepFree},
		"broker":    table{"address": broker, "server_name": pki.ServerName, "ca": w.certs.CA},
		"collector": table{"receipt_keys": []string{w.receiptKey}},
		"bench":     table{"enabled": true},
	})
}

// configureCollector writes the collector's configuration.
func (w *world) configureCollector(path, broker string) error {
	c := w.certs.Collector
	return process.WriteConfig(path, table{
		"broker":    table{"address": broker, "server_name": pki.ServerName, "ca": w.certs.CA, "certificate": c.Certificate, "key": c.Key},
		"collector": table{"shards": []string{"00-ff"}, "receipt_key": w.path("work/receipt.key")},
		"store":     table{"path": w.path("store")},
		"bench":     table{"enabled": true},
	})
}
