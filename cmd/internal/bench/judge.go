package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/bench/player"
	"roadseal/cmd/internal/bench/report"
)

// judge opens what is in the store, checks all that has to hold and returns the
// report. Only what keeps it from judging is an error.
func (s *session) judge(ctx context.Context) (report.Report, loot, error) {
	r := report.Report{Title: s.o.Title, Made: s.o.Now.UTC(), Kills: s.ledger.Kills(),
		Options: report.Options{Speed: s.o.Speed, Loops: s.o.Loops, Rate: s.o.Rate, Seed: s.o.Seed, MaxAge: s.o.MaxAge.Seconds()}}
	l, err := openAll(ctx, s.f, s.rig.enrolled.keys)
	if err != nil {
		return r, l, err
	}
	scanner, err := secrets(s.rig.enrolled.mark, s.rig.enrolled.vehicle, s.plan, s.rec.Valid)
	if err != nil {
		return r, l, err
	}
	if r.Search, err = search(s.f, scanner); err != nil {
		return r, l, err
	}
	v := &verdict{Report: &r}
	s.checkArrival(v)
	s.checkSegments(v, l)
	s.checkFixes(v, l)
	s.checkStore(ctx, v, l)
	if err := s.checkAge(ctx, v, l); err != nil {
		return r, l, err
	}
	s.checkTraffic(v, l)
	s.checkKills(v)
	s.checkEnd(v)
	v.check("nothing secret is readable outside", len(r.Search.Hits) == 0, "%d found in %d files, %s: %s",
		len(r.Search.Hits), r.Search.Files, report.Bytes(r.Search.Bytes), strings.Join(r.Search.Places, ", "))
	s.measure(&r, l)
	r.Passed = len(r.Failed()) == 0
	return r, l, nil
}

// verdict gathers checks.
type verdict struct{ *report.Report }

func (v *verdict) check(name string, ok bool, format string, args ...any) {
	v.Checks = append(v.Checks, report.Check{Name: name, OK: ok, Detail: fmt.Sprintf(format, args...)})
}

func (s *session) checkArrival(v *verdict) {
	detail := "the agent's spool owes nothing"
	if s.gaveUp != "" {
		detail = s.gaveUp
	}
	v.check("everything arrived and has its receipt", s.gaveUp == "", "%s", detail)
}

// checkSegments compares what was opened with what the camera wrote, byte for
// byte by SHA-256.
func (s *session) checkSegments(v *verdict, l loot) {
	found := map[string]int{}
	sums := map[[32]byte]int{}
	for _, it := range l.items {
		if it.file != "" {
			found[it.file]++
			sums[it.sum]++
		}
	}
	equal, twice, bytes := 0, 0, int64(0)
	for i, seg := range s.plan {
		clip := s.clips[i]
		bytes += clip.Size
		if found[seg.Name] > 0 && sums[clip.SHA256] > 0 {
			equal++
		}
		twice += max(found[seg.Name]-1, sums[clip.SHA256]-1, 0)
	}
	strangers := max(len(found)-len(s.plan), 0)
	v.Drive = report.Drive{Recording: s.o.Name, Length: (time.Duration(s.o.Loops) * s.rec.Length).Seconds(),
		Segments: len(s.plan), Opened: equal, Bytes: bytes, Fixes: s.fixes()}
	v.check("every segment opens again, byte for byte", equal == len(s.plan), "%d of %d segments, %s", equal, len(s.plan), report.Bytes(bytes))
	v.check("nothing is stored twice", twice+l.twice+strangers == 0, "%d segments twice, %d objects twice, %d that nobody recorded", twice, l.twice, strangers)
}

func (s *session) checkFixes(v *verdict, l loot) {
	found, agree := compareFixes(l.trips, s.rec.Valid, s.o.Loops)
	v.Drive.Found = found
	v.check("every fix is back, in order and in place", found == s.fixes() && agree == found,
		"%d fixes for %d valid RMC sentences of status A, %d in place", found, s.fixes(), agree)
}

func (s *session) checkStore(ctx context.Context, v *verdict, l loot) {
	bad := slices.Clone(l.faults)
	for _, it := range l.items {
		if err := checkForm(ctx, it); err != nil {
			bad = append(bad, fmt.Sprintf("%.12s: %v", it.Name, err))
		}
	}
	v.check("every object is sealed, named by its SHA-256 and of a size on the grid", len(bad) == 0 && len(l.items) > 0, "%d objects%s", len(l.items), first(bad))
}

// first is the beginning of a list of faults for a detail.
func first(bad []string) string {
	if len(bad) == 0 {
		return ""
	}
	return fmt.Sprintf(", %d not in order, as %s", len(bad), bad[0])
}

func (s *session) checkAge(ctx context.Context, v *verdict, l loot) error {
	if s.o.Programs.Age == "" {
		return nil
	}
	var bad []string
	for _, it := range l.items {
		if err := openWithAge(ctx, s.o.Programs.Age, s.f.key(), it); err != nil {
			bad = append(bad, err.Error())
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	v.check("the stock age command opens every object to the same bytes", len(bad) == 0, "%d of %d objects%s", len(l.items)-len(bad), len(l.items), first(bad))
	return nil
}

// checkTraffic looks at what passed the broker.
func (s *session) checkTraffic(v *verdict, l loot) {
	missing := 0
	for _, it := range l.items {
		if _, ok := s.ledger.Receipt(it.name); !ok {
			missing++
		}
	}
	v.check("every object in the store has a receipt on the wire", missing == 0, "%d receipts, %d missing", s.ledger.Receipts(), missing)
	strange := 0
	id := s.rig.enrolled.certs.DeviceID
	for topic := range s.topics {
		if topic != wire.UpTopic(id) && topic != wire.DownTopic(id) {
			strange++
		}
	}
	v.check("the broker saw the protocol and nothing else", s.ledger.Unreadable == 0 && strange == 0,
		"%d messages of another form, %d topics of others", s.ledger.Unreadable, strange)
}

// window is how many blocks may be under way, and so be lost with a process.
const window = wire.Window * wire.MaxBlocks

func (s *session) checkKills(v *verdict) {
	kills := s.ledger.Kills()
	for _, name := range []string{agentName, collectorName, brokerName} {
		want, got := s.o.Kill[name], 0
		for _, k := range kills {
			if k.Victim == name {
				got++
			}
		}
		if want > 0 {
			detail := fmt.Sprintf("%d of %d times", got, want)
			if got < want {
				detail += "; the upload was over: more with --loop, or slower with --rate"
			}
			v.check("the "+name+" was killed in mid-upload", got == want, "%s", detail)
		}
	}
	if len(kills) == 0 {
		return
	}
	worst, sum := 0, 0
	for _, k := range kills {
		worst, sum = max(worst, k.Resent), sum+k.Resent
	}
	v.check(fmt.Sprintf("a kill costs at most one window of %d blocks", window), worst <= window && sum <= window*len(kills),
		"%d blocks sent again after %d kills, %d at worst", sum, len(kills), worst)
}

func (s *session) checkEnd(v *verdict) {
	detail := fmt.Sprintf("the agent in %d ms", s.stopped.Milliseconds())
	if s.stopFault != nil {
		detail = strings.ReplaceAll(s.stopFault.Error(), "\n", "; ")
	}
	v.check(fmt.Sprintf("every process ends within %s of SIGTERM", stopLimit), s.stopFault == nil, "%s", detail)
}

// measure fills in times, traffic and the table of objects.
func (s *session) measure(r *report.Report, l loot) {
	closed := map[string]player.Clip{}
	for i, seg := range s.plan {
		closed[seg.Name] = s.clips[i]
	}
	var waits []time.Duration
	for _, it := range l.items {
		at, ok := s.ledger.Receipt(it.name)
		if clip, known := closed[it.file]; ok && known {
			wait := at.Sub(clip.Closed.Round(0))
			waits = append(waits, wait)
			it.Receipt = wait.Seconds()
		}
		r.Objects = append(r.Objects, it.Object)
		r.Traffic.Sealed += it.Size
	}
	r.Times.P50 = report.Percentile(waits, 0.5).Seconds()
	r.Times.P95 = report.Percentile(waits, 0.95).Seconds()
	if at := s.ledger.FirstReceipt(); !at.IsZero() {
		r.Times.FirstReceipt = at.Sub(s.rig.first.Round(0)).Seconds()
	}
	r.Times.Stop = s.stopped.Seconds()
	r.Traffic.WireUp, r.Traffic.WireDown = s.rig.link.Counts()
	r.Traffic.DataMessages, r.Traffic.Resent = s.ledger.DataMessages, s.ledger.Resent
	r.Traffic.PeakMemory = s.rig.memory
}
