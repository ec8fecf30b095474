package judge

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/bench/player"
	"roadseal/cmd/internal/bench/report"
)

// verdict gathers checks.
type verdict struct{ *report.Report }

func (v *verdict) check(name string, ok bool, format string, args ...any) {
	v.Checks = append(v.Checks, report.Check{Name: name, OK: ok, Detail: fmt.Sprintf(format, args...)})
}

func (e Evidence) checkFixes(v *verdict, l loot) {
	found, agree := compareFixes(l.trips, e.Recording.Valid, e.Loops)
	v.Drive.Found = found
	v.check("every fix is back, in order and in place", found == e.fixes() && agree == found,
		"%d fixes for %d valid RMC sentences of status A, %d in place", found, e.fixes(), agree)
}

func (e Evidence) checkStore(ctx context.Context, v *verdict, l loot) {
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

func (e Evidence) checkAge(ctx context.Context, v *verdict, l loot) error {
	if e.Age == "" {
		return nil
	}
	var bad []string
	for _, it := range l.items {
		if err := openWithAge(ctx, e.Age, it); err != nil {
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
func (e Evidence) checkTraffic(v *verdict, l loot) {
	missing := 0
	for _, it := range l.items {
		if _, ok := e.Ledger.Receipt(it.name); !ok {
			missing++
		}
	}
	v.check("every object in the store has a receipt on the wire", missing == 0, "%d receipts, %d missing", e.Ledger.Receipts(), missing)
	strange := 0
	id := e.Device
	for topic := range e.Topics {
		if topic != wire.UpTopic(id) && topic != wire.DownTopic(id) {
			strange++
		}
	}
	v.check("the broker saw the protocol and nothing else", e.Ledger.Unreadable == 0 && strange == 0,
		"%d messages of another form, %d topics of others", e.Ledger.Unreadable, strange)
}

// window is how many blocks may be under way, and so be lost with a process.
const window = wire.Window * wire.MaxBlocks

func (e Evidence) checkKills(v *verdict) {
	kills := e.Ledger.Kills()
	for _, name := range slices.Sorted(maps.Keys(e.Kill)) {
		want, got := e.Kill[name], 0
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
	v.check(fmt.Sprintf("a kill or a cut costs at most one window of %d blocks", window), worst <= window && sum <= window*len(kills),
		"%d blocks came to the broker again after %d kills and cuts, %d at worst", sum, len(kills), worst)
}

// checkCuts looks from the vehicle's side: of what the broker never saw, the
// ledger knows nothing. What the agent says is not taken for less than what was
// seen on the link beyond the sealed objects. It cannot be told apart from what
// kills cost.
func (e Evidence) checkCuts(v *verdict) {
	if e.Cuts == 0 || len(e.Kill) > 0 {
		return
	}
	t := &v.Traffic
	t.Cuts, t.PerCut = e.Cuts, max(t.ResentBytes, t.WireUp-t.Sealed)/int64(e.Cuts)
	v.check(fmt.Sprintf("a cut makes the vehicle send at most %d bytes again", window*wire.BlockSize), t.PerCut <= window*wire.BlockSize,
		"%d bytes on the average of %d cuts", t.PerCut, e.Cuts)
}

// maxMemory is the limit of the agent's resident set in bytes.
const maxMemory = 32 << 20

func (e Evidence) checkEnd(v *verdict) {
	detail := fmt.Sprintf("the agent in %d ms", e.Stopped.Milliseconds())
	if e.StopFault != nil {
		detail = strings.ReplaceAll(e.StopFault.Error(), "\n", "; ")
	}
	v.check(fmt.Sprintf("every process ends within %s of SIGTERM", e.StopLimit), e.StopFault == nil, "%s", detail)
}

// measure fills in times, traffic and the table of objects.
func (e Evidence) measure(r *report.Report, l loot) {
	closed := map[string]player.Clip{}
	for i, seg := range e.Plan {
		closed[seg.Name] = e.Clips[i]
	}
	var waits []time.Duration
	for _, it := range l.items {
		at, ok := e.Ledger.Receipt(it.name)
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
	if at := e.Ledger.FirstReceipt(); !at.IsZero() {
		r.Times.FirstReceipt = at.Sub(e.Started.Round(0)).Seconds()
	}
	r.Times.Stop = e.Stopped.Seconds()
	r.Kills = e.Ledger.Kills()
	r.Traffic.DataMessages, r.Traffic.Resent = e.Ledger.DataMessages, e.Ledger.Resent
}
