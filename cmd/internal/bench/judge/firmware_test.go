package judge

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/bench/desk"
	"roadseal/cmd/internal/trip"
	"roadseal/crypto/record"
	fw "roadseal/firmware/report"
)

// A shop is a stage with a release desk.
type shop struct {
	*stage
	signer *fw.Signer
	last   *fw.Report
}

// newShop has the vehicle verify the newest release, and nothing else yet.
func newShop(t *testing.T) *shop {
	s := &shop{stage: newStage(t)}
	s.signer = s.unit(s.Device)
	text, _, err := trip.NewKey(s.begin)
	require.NoError(t, err)
	key := filepath.Join(s.dir, "desk.txt")
	require.NoError(t, os.WriteFile(key, []byte(text), 0o600))
	keys, err := trip.ReadKeys([]string{key}, nil, nil)
	require.NoError(t, err)
	i := desk.Made(3)
	s.Desk = &Desk{Keys: keys, KeyFile: key, Path: i.Path, SHA256: sha256.Sum256(i.Bytes), Kept: s.marshal(s.image(3)), Read: s.read}
	s.report(s.attempt(fw.Verified, 3, ""))
	return s
}

// attacked is newShop after an old release was put back.
func attacked(t *testing.T) *shop {
	s := newShop(t)
	s.report(s.attempt(fw.Refused, 0, putBack))
	return s
}

// read is what roadseal-sign does, but for the CA, which its own tests hold.
func (s *shop) read(_ context.Context, file string) (r desk.Reading, err error) {
	b, err := os.ReadFile(file)
	require.NoError(s.t, err)
	got, err := fw.Open(b)
	if err == nil {
		r.Report, r.Text = *got, "device x\nversions\nattempt: "+string(got.Attempt.Result)+"\n"
	}
	return r, err
}

// unit is a vehicle's key and certificate.
func (s *shop) unit(device string) *fw.Signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(s.t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: device}, NotBefore: s.begin, NotAfter: s.begin.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	require.NoError(s.t, err)
	signer, err := fw.NewSigner(key, [][]byte{der})
	require.NoError(s.t, err)
	return signer
}

func (s *shop) image(counter int64) *fw.Image {
	i := desk.Made(counter)
	sum := sha256.Sum256(i.Bytes)
	return &fw.Image{Path: i.Path, Length: int64(len(i.Bytes)), Counter: counter, RXSWIN: []string{}, SHA256: hex.EncodeToString(sum[:])}
}

func (s *shop) marshal(i *fw.Image) []byte {
	b, err := fw.Marshal(i)
	require.NoError(s.t, err)
	return b
}

func (s *shop) attempt(result fw.Result, offered int64, attack string) fw.Attempt {
	a := fw.Attempt{Attempts: 1, Result: result, Attack: attack}
	if offered > 0 {
		a.Offered = s.image(offered)
	}
	return a
}

// report signs and seals what the vehicle says of an attempt.
func (s *shop) report(a fw.Attempt) {
	s.toDesk(s.sign(a), FirmwareStream)
}

func (s *shop) sign(a fw.Attempt) []byte {
	r := &fw.Report{Attempt: a, Counter: 1, Previous: fw.None, Time: s.begin, Confidence: fw.Floor, Installed: []fw.Installed{}, Changes: []fw.Change{}}
	if s.last != nil {
		r.Counter, r.Previous = s.last.Counter+1, s.last.Digest()
	}
	b, err := s.signer.Sign(r)
	require.NoError(s.t, err)
	s.last = r
	return b
}

func (s *shop) toDesk(content []byte, stream string) {
	s.sealTo(s.Desk.Keys, 2, content, record.Record{MediaType: "text/json", Stream: stream, Source: "firmware"})
}

func TestFirmwareHolds(t *testing.T) {
	s := attacked(t)
	r, scenes, err := Judge(t.Context(), s.Evidence)
	require.NoError(t, err)
	require.Empty(t, r.Failed())
	require.Len(t, r.Checks, len(newStage(t).judged().Checks)+3)
	require.Len(t, r.Objects, 9)
	require.Equal(t, []string{"device x", "attempt: verified", "device x", "attempt: refused"}, scenes.Desk.Reports)
	require.Len(t, scenes.Desk.Try, 3)
	require.FileExists(t, filepath.Join(s.Opened, strings.TrimSuffix(strings.TrimPrefix(scenes.Desk.Try[1], "roadseal-sign firmware report reports/"), " --ca ca.pem")))
}

// TestEachCheckOfFirmwareBites breaks one thing at a time.
func TestEachCheckOfFirmwareBites(t *testing.T) {
	const verifies, refused, alone, sealed = "the vehicle verifies", "refused by its name", "for the release desk alone", "every object is sealed"
	for what, c := range map[string]struct {
		make  func(t *testing.T) *shop
		spoil func(s *shop)
		fails []string
	}{
		"the attack is not told of": {newShop, func(*shop) {}, []string{refused}},
		"it has another name":       {newShop, func(s *shop) { s.report(s.attempt(fw.Refused, 0, "freeze")) }, []string{refused + ": reported: freeze"}},
		"there is a second one":     {attacked, func(s *shop) { s.report(s.attempt(fw.Refused, 0, "freeze")) }, []string{refused + ": reported: rollback, freeze"}},
		"the old release is taken":  {newShop, func(s *shop) { s.report(s.attempt(fw.Verified, 2, "")); s.Desk.Kept = s.marshal(s.image(2)) }, []string{refused}},
		"what was verified is gone": {attacked, func(s *shop) { s.Desk.Kept = nil }, []string{"kept: false"}},
		"another image is offered":  {attacked, func(s *shop) { s.Desk.SHA256[0]++ }, []string{verifies, refused}},
		"a report that was changed": {attacked, func(s *shop) { s.toDesk([]byte("{}"), FirmwareStream) }, []string{alone}},
		"a report of another":       {attacked, func(s *shop) { s.signer = s.unit("BBBBBBBBBBBBBBBBBBBBBB"); s.report(s.attempt(fw.Current, 0, "")) }, []string{alone}},
		"a report is missing":       {attacked, func(s *shop) { s.sign(s.attempt(fw.Current, 0, "")); s.report(s.attempt(fw.Verified, 3, "")) }, []string{alone}},
		"a clip is for the desk":    {attacked, func(s *shop) { s.toDesk([]byte("x"), "video") }, []string{alone}},
		"an object is for nobody who is here": {attacked, func(s *shop) {
			text, _, err := trip.NewKey(s.begin)
			require.NoError(s.t, err)
			key := filepath.Join(s.dir, "other.txt")
			require.NoError(s.t, os.WriteFile(key, []byte(text), 0o600))
			keys, err := trip.ReadKeys([]string{key}, nil, nil)
			require.NoError(s.t, err)
			s.sealTo(keys, 2, []byte("x"), record.Record{MediaType: "text/json", Stream: FirmwareStream, Source: "firmware"})
		}, []string{sealed + ", named by its SHA-256 and of a size on the grid: 9 objects, 1 not in order, as 1 objects are sealed to others"}},
		"roadseal-sign believes nothing": {attacked, func(s *shop) {
			s.Desk.Read = func(context.Context, string) (desk.Reading, error) {
				return desk.Reading{}, errors.New("no CA vouches for it")
			}
		}, []string{verifies, refused, alone + ": 0 reports, each names the one before, 2 not in order, as no CA vouches for it"}},
	} {
		t.Run(what, func(t *testing.T) {
			s := c.make(t)
			c.spoil(s)
			only(t, s.judged(), c.fails...)
		})
	}
}

// TestAReportForBoth: one that the key holder can open too is not the desk's alone.
func TestAReportForBoth(t *testing.T) {
	s := attacked(t)
	s.sealTo(append(s.Keys[:1:1], s.Desk.Keys...), 2, s.sign(s.attempt(fw.Current, 0, "")), record.Record{MediaType: "text/json", Stream: FirmwareStream, Source: "firmware"})
	only(t, s.judged(), "for the release desk alone: 3 reports, each names the one before, 1 not in order, as 1 objects open with the key of the key holder too")
}

// TestHolderWaitsForTheDesk is what a run with a release desk waits by.
func TestHolderWaitsForTheDesk(t *testing.T) {
	s := newShop(t)
	h := NewHolder(s.Store, append(s.Keys[:1:1], s.Desk.Keys...))
	require.NoError(t, h.Look(t.Context()))
	require.True(t, h.Updated())
	require.Len(t, h.Segments, 4)
	_, told := h.Attacked()
	require.False(t, told)
	s.report(s.attempt(fw.Refused, 0, putBack))
	require.NoError(t, h.Look(t.Context()))
	attack, told := h.Attacked()
	require.True(t, told)
	require.Equal(t, putBack, attack)

	h = NewHolder(s.Store, s.Keys)
	require.ErrorContains(t, h.Look(t.Context()), "2 objects of the store are sealed to others than who reads them here")
}
