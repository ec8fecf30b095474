package bench

import (
	"path/filepath"
	"strings"

	"roadseal/cmd/internal/bench/pki"
	"roadseal/cmd/internal/bench/player"
	"roadseal/cmd/internal/bench/process"
)

// benchPattern takes BlackVue's names and the same with .ts, which the preset
// does not have.
const benchPattern = `(?P<time>[0-9]{8}_[0-9]{6})_(?P<kind>[NE])(?P<channel>[FR])\.(?:mp4|ts)`

type table map[string]any

// agentConfig writes the agent's configuration and returns its path.
func agentConfig(o Options, f folder, e enrolment, d *office, broker string) (string, error) {
	to := []string{e.reader.String()}
	cam := table{"name": "dash", "path": f.recorder(), "rescan": "2s"}
	if o.Recorder != "" {
		// "existing": the recorder has a day behind it when the agent comes.
		cam["preset"], cam["existing"] = o.Recorder, "events"
	} else if onlyMP4(o.Clips) {
		cam["preset"] = "blackvue"
	} else {
		cam["pattern"], cam["time"] = benchPattern, "20060102_150405"
		cam["kinds"] = table{"N": player.Normal, "E": player.Event}
		cam["channels"] = table{"F": player.Front, "R": player.Rear}
	}
	conf := table{
		"device":  table{"certificate": e.certs.Device.Certificate, "key": e.certs.Device.Key, "state": f.state(), "run": f.run()},
		"gnss":    table{"port": f.serial(), "baud": 115200},
		"vehicle": table{"number": e.vehicle, "ignition": ""},
		"camera":  []table{cam},
		"stream": []table{
			{"name": "event", "from": []string{"camera:event", "camera:manual"}, "to": to, "class": 1, "upload": "always", "priority": 1},
			{"name": "track", "from": []string{"gnss"}, "to": to, "class": 2, "upload": "always", "priority": 2, "max_age": o.MaxAge.String()},
			{"name": "video", "from": []string{"camera:normal", "camera:parking", "camera:lapse"}, "to": to, "class": 3, "upload": "always", "priority": 3},
		},
		"spool":     table{"max_bytes": "64GiB", "keep_free": "64MiB"},
		"broker":    table{"address": broker, "server_name": pki.ServerName, "ca": e.certs.CA, "profile": o.profile()},
		"collector": table{"receipt_keys": []string{e.receiptKey}},
		"bench":     table{"enabled": true},
	}
	if d != nil {
		d.configure(conf)
	}
	return writeConfig(f.path("work/agent.toml"), conf)
}

// collectorConfig writes the collector's configuration and returns its path.
func collectorConfig(o Options, f folder, e enrolment, d *office, broker string) (string, error) {
	c := e.certs.Collector
	conf := table{
		"broker": table{"address": broker, "server_name": pki.ServerName, "ca": e.certs.CA, "certificate": c.Certificate, "key": c.Key,
			"profile": o.profile()},
		"collector": table{"shards": []string{"00-ff"}, "receipt_key": f.receiptKey()},
		"store":     table{"path": f.store()},
		"bench":     table{"enabled": true},
	}
	if d != nil {
		conf["repository"] = table{"path": f.served()}
	}
	return writeConfig(f.path("work/collector.toml"), conf)
}

func writeConfig(path string, conf table) (string, error) {
	return path, process.WriteConfig(path, conf)
}

func onlyMP4(clips []player.Sample) bool {
	for _, c := range clips {
		if strings.ToLower(filepath.Ext(c.File)) != ".mp4" {
			return false
		}
	}
	return true
}
