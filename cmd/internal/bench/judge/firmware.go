package judge

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"roadseal/cmd/internal/bench/desk"
	"roadseal/cmd/internal/bench/report"
	"roadseal/cmd/internal/trip"
	fw "roadseal/firmware/report"
)

// FirmwareStream is the stream of what the vehicle reports to the release desk.
const FirmwareStream = "firmware"

// putBack is how a vehicle calls an old release in the place of a newer one.
const putBack = "rollback"

// A Desk is what is known of the release desk of a run.
type Desk struct {
	Keys    trip.Keys // that open the vehicle's reports, and nothing else
	KeyFile string    // the same for age
	// Read has roadseal-sign verify an opened report.
	Read   func(ctx context.Context, file string) (desk.Reading, error)
	Path   string   // of the newest image that both repositories vouch for
	SHA256 [32]byte // of its content
	Kept   []byte   // the image that the vehicle held to be verified in the end (firmware/FORMAT.md)
}

// newest reports whether an image is the one that the desk released last.
func (d *Desk) newest(i *fw.Image) bool {
	return i != nil && i.Path == d.Path && i.SHA256 == hex.EncodeToString(d.SHA256[:])
}

// checkFirmware reads what the vehicle has reported to the release desk.
// all is what was opened by anybody, l what the desk has opened.
func (e Evidence) checkFirmware(ctx context.Context, v *verdict, all, l loot) (reports []desk.Reading, err error) {
	if e.Desk == nil {
		return nil, nil
	}
	reports, bad, err := e.readReports(ctx, l)
	if err != nil {
		return nil, err
	}
	if n := len(all.items) - len(all.distinct()); n > 0 {
		bad = append(bad, fmt.Sprintf("%d objects open with the key of the key holder too", n))
	}
	took := slices.IndexFunc(reports, func(r desk.Reading) bool {
		return r.Report.Attempt.Result == fw.Verified && e.Desk.newest(r.Report.Attempt.Offered)
	})
	v.check("the vehicle verifies the release of the desk by both repositories", took >= 0, "%s, as one of %d reports says", e.Desk.Path, len(reports))
	attacks := attacksOf(reports[took+1:])
	var kept fw.Image
	held := json.Unmarshal(e.Desk.Kept, &kept) == nil && e.Desk.newest(&kept)
	v.check("an old release that is put back is refused by its name", took >= 0 && slices.Equal(attacks, []string{putBack}) && held,
		"reported: %s; what was verified before is kept: %t", cmp.Or(strings.Join(attacks, ", "), "no attack"), held)
	v.check("what the vehicle reports is signed by it, for the release desk alone", len(bad) == 0 && len(reports) > 0, "%d reports, each names the one before%s", len(reports), first(bad))
	return reports, nil
}

// readReports returns the reports that are to be believed, in their order, and
// what is wrong with others.
func (e Evidence) readReports(ctx context.Context, l loot) (reports []desk.Reading, bad []string, err error) {
	for _, it := range l.items {
		r, err := e.Desk.Read(ctx, filepath.Join(e.Opened, filepath.FromSlash(it.Opened)))
		switch {
		case ctx.Err() != nil:
			return nil, nil, ctx.Err()
		case err != nil:
			bad = append(bad, err.Error())
		case r.Report.Device != e.Device:
			bad = append(bad, "one is of another device")
		default:
			reports = append(reports, r)
		}
		if it.Stream != FirmwareStream {
			bad = append(bad, fmt.Sprintf("one of stream %s is for the release desk", it.Stream))
		}
	}
	slices.SortFunc(reports, func(a, b desk.Reading) int { return cmp.Compare(a.Report.Counter, b.Report.Counter) })
	before := fw.None
	for _, r := range reports {
		if r.Report.Previous != before {
			bad = append(bad, fmt.Sprintf("report %d does not name the one before it", r.Report.Counter))
		}
		before = r.Report.Digest()
	}
	return reports, bad, nil
}

// attacksOf are the attacks that reports tell of.
func attacksOf(reports []desk.Reading) (names []string) {
	for _, r := range reports {
		if r.Report.Attempt.Attack != "" {
			names = append(names, r.Report.Attempt.Attack)
		}
	}
	return names
}

// deskScene is what the desk reads of each report, and how.
func (e Evidence) deskScene(l loot, reports []desk.Reading) (sc report.Desk) {
	for _, r := range reports {
		for line := range strings.Lines(r.Text) {
			for _, begin := range []string{"device ", "attempt: ", "offered: "} {
				if strings.HasPrefix(line, begin) {
					sc.Reports = append(sc.Reports, strings.TrimSpace(line))
				}
			}
		}
	}
	if len(l.items) > 0 {
		last := slices.MaxFunc(l.items, func(a, b item) int { return strings.Compare(a.Opened, b.Opened) }) // names begin with the start
		sc.Try = []string{
			"roadseal-open open store -i desk.txt -o reports",
			"roadseal-sign firmware report reports/" + last.Opened + " --ca ca.pem",
			"roadseal-sign firmware verify releases",
		}
	}
	return sc
}
