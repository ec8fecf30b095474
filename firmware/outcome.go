package firmware

import (
	"errors"
	"fmt"
	"strings"

	"roadseal/crypto/signed"
	"roadseal/firmware/report"
)

// maxOffered leaves room in an Image for what its installer adds to it.
const maxOffered = report.MaxImage / 2

// describe returns an image as records and reports hold it.
func describe(i *Image) (*report.Image, error) {
	d := &report.Image{Campaign: i.Campaign, Length: i.Length, Path: i.Path, Counter: i.Counter,
		RXSWIN: append([]string{}, i.RXSWIN...), SHA256: i.Hashes["sha256"]}
	err := d.Check()
	if text, _ := report.Marshal(d); err == nil && len(text) > maxOffered {
		err = fmt.Errorf("expected at most %d bytes as JSON", maxOffered)
	}
	if err != nil {
		return nil, refuse(Images, signed.Malformed, "%w", err)
	}
	return d, nil
}

// outcome says what came of an attempt. Texts of others do not reach it, but
// for names that stand in metadata.
func outcome(v *Verifier, offered *report.Image, err error) (report.Attempt, error) {
	a := report.Attempt{Attempts: 1, Result: report.Current}
	if v != nil && v.Director != nil {
		a.Director = report.Versions(v.Director.Versions())
	}
	if v != nil && v.Images != nil {
		a.Images = report.Versions(v.Images.Versions())
	}
	var refused *signed.Error
	var fetch *errFetch
	switch {
	case errors.As(err, &refused):
		a.Result, a.Attack, a.Error = report.Refused, string(refused.Attack), clean(refused.Err.Error())
		a.Repository, a.Role = refused.Repository, clean(refused.Role)
	case errors.As(err, &fetch):
		a.Result, a.Error = report.Unreachable, fetch.Error()
		a.Repository, a.Role = fetch.repository, clean(fetch.role)
	case err != nil:
		a.Result, a.Error = report.Failed, clean(err.Error())
	case offered != nil:
		a.Result, a.Offered = report.Verified, offered
	}
	return a, err
}

// clean makes a text fit for a report.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), report.MaxText)]
}

// same reports whether two attempts have the same outcome: a new timestamp
// alone is no news.
func same(a, b report.Attempt) bool {
	for _, x := range []*report.Attempt{&a, &b} {
		x.Attempts, x.Director.Timestamp, x.Images.Timestamp = 0, 0, 0
	}
	one, errOne := report.Marshal(a)
	two, errTwo := report.Marshal(b)
	return errOne == nil && errTwo == nil && string(one) == string(two)
}
