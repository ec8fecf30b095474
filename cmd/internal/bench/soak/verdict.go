package soak

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/bench/canary"
	"roadseal/cmd/internal/bench/capture"
	"roadseal/cmd/internal/trip"
	"roadseal/crypto/envelope"
)

// audit fills in the report.
func (w *world) audit(ctx context.Context, r *Report) error {
	e := evidence{store: w.path("store"), keys: w.keys, blind: w.witness.fault}
	for _, v := range w.fleet {
		t, err := w.testify(ctx, v)
		if err != nil {
			return fmt.Errorf("cannot audit %s: %w", v.name, err)
		}
		e.fleet = append(e.fleet, t)
	}
	var err error
	if e.receipts, err = w.listen(); err != nil {
		return err
	}
	a, err := e.run(ctx)
	if err != nil {
		return err
	}
	r.Counts, r.Findings = a.counts, append(r.Findings, a.findings...)
	w.measure(r)
	return w.search(a, r)
}

// What an agent may take: of memory, and on the average of what a broken session
// has to send again, both in bytes.
const (
	maxMemory = 32 << 20
	window    = wire.Window * wire.MaxBlocks * wire.BlockSize
)

// measure holds the agents to their limits.
func (w *world) measure(r *Report) {
	c := &r.Counts
	for _, v := range w.fleet {
		c.Memory = max(c.Memory, v.memory)
		c.Resent += v.resent
	}
	if n := r.Faults.broken(len(w.fleet)); n > 0 {
		c.PerFault = c.Resent / int64(n)
	}
	if c.Memory > maxMemory {
		r.Findings = append(r.Findings, Finding{What: "an agent was too large", Detail: fmt.Sprintf("%d bytes in memory, expected %d at most", c.Memory, maxMemory)})
	}
	if c.PerFault > window {
		r.Findings = append(r.Findings, Finding{What: "a broken session costs too much", Detail: fmt.Sprintf("%d bytes sent again, expected %d at most", c.PerFault, window)})
	}
}

// listen reads the valid receipts among what passed the broker; nil of
// mosquitto, where nobody listens.
func (w *world) listen() (map[envelope.Name]bool, error) {
	if w.o.Broker != Embedded {
		return nil, nil
	}
	key, err := wire.ParsePublicKey(w.receiptKey)
	if err != nil {
		return nil, err
	}
	receipts, tail := map[envelope.Name]bool{}, capture.Follow(w.path("work/capture"))
	for {
		m, ok, err := tail.Next()
		if !ok || err != nil {
			return receipts, cmp.Or(err, tail.Close())
		}
		msg, err := wire.Parse(m.Payload)
		if r, is := msg.(wire.Receipt); err == nil && is && r.Verify([]wire.PublicKey{key}) == nil {
			receipts[r.Object] = true
		}
	}
}

// search looks for secrets in all that an outsider could get hold of, and for
// lines of the collector that join a device with an object.
func (w *world) search(a *audit, r *Report) error {
	s := canary.NewScanner()
	places := []string{"store", "work/logs", "work/capture"}
	for i, v := range w.fleet {
		s.Secret("mark in the video", []byte(v.mark))
		s.Secret("vehicle number", []byte(v.number))
		for _, c := range a.fleet[i].clips {
			s.Secret("file name of the recorder", []byte(strings.TrimSuffix(c.file, filepath.Ext(c.file))))
		}
		for n := range v.said {
			lat, lon := digits(v.index, n)
			s.Position(lat, latitude(n))
			s.Position(lon, longitude(v.index))
		}
		places = append(places, "work/"+v.name+"/state", "work/"+v.name+"/run")
	}
	for _, p := range places {
		hits, _, err := s.ScanTree(os.DirFS(w.path(p)), p)
		if err != nil {
			return err
		}
		for _, h := range hits {
			r.Findings = append(r.Findings, Finding{What: "a secret is readable outside", Detail: h.String()})
		}
		n, err := treeSize(w.path(p))
		if err != nil {
			return err
		}
		r.Counts.Searched += n
	}
	return w.searchJoins(a, r)
}

var hexadecimal = regexp.MustCompile(`[0-9a-f]{12,64}`)

// searchJoins looks for lines of the collector's log that hold a device together
// with an object.
func (w *world) searchJoins(a *audit, r *Report) error {
	b, err := os.ReadFile(w.path("work/logs/" + collectorName + ".log"))
	if err != nil {
		return err
	}
	short := map[string]bool{}
	for name := range a.stock.objects {
		short[trip.Short(name)] = true
	}
	for line := range strings.Lines(string(b)) {
		device := slices.ContainsFunc(w.fleet, func(v *vehicle) bool { return strings.Contains(line, v.device.ID) })
		object := slices.ContainsFunc(hexadecimal.FindAllString(line, -1), func(h string) bool { return short[h[:12]] })
		if device && object {
			r.Findings = append(r.Findings, Finding{What: "the collector's log joins a device with an object", Detail: "in one line"})
			return nil
		}
	}
	return nil
}

func treeSize(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}
