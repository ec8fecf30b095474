package report_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/firmware/report"
)

var today = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

const device = "Zm9vYmFyZm9vYmFyZm9vYg"

// A pki has a CA, an intermediate one and devices.
type pki struct {
	t                testing.TB
	root, middle     *x509.Certificate
	rootKey, signing *ecdsa.PrivateKey
	cas              *x509.CertPool
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func newPKI(t testing.TB) *pki {
	p := &pki{t: t, rootKey: newKey(t), signing: newKey(t), cas: x509.NewCertPool()}
	ca := p.template("CA")
	ca.IsCA, ca.KeyUsage = true, x509.KeyUsageCertSign
	p.root = p.certify(ca, ca, p.rootKey.Public(), p.rootKey)
	ca = p.template("intermediate")
	ca.IsCA, ca.KeyUsage = true, x509.KeyUsageCertSign
	p.middle = p.certify(ca, p.root, p.signing.Public(), p.rootKey)
	p.cas.AddCert(p.root)
	return p
}

func (p *pki) template(name string) *x509.Certificate {
	return &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true,
		NotBefore: today.AddDate(0, -1, 0), NotAfter: today.AddDate(1, 0, 0), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
}

func (p *pki) certify(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	require.NoError(p.t, err)
	c, err := x509.ParseCertificate(der)
	require.NoError(p.t, err)
	return c
}

// signer is that of a device whose certificate the intermediate CA signed.
func (p *pki) signer(key crypto.Signer) *report.Signer {
	leaf := p.certify(p.template(device), p.middle, key.Public(), p.signing)
	s, err := report.NewSigner(key, [][]byte{leaf.Raw, p.middle.Raw})
	require.NoError(p.t, err)
	return s
}

func image(path string, counter int64) report.Image {
	return report.Image{Campaign: "autumn \"26\"", Length: 1 << 40, Path: path, Preconditions: []string{"parked", "battery > 40 %"},
		Counter: counter, RXSWIN: []string{"R79 <1>", "R155"}, SHA256: strings.Repeat("0f", 32)}
}

func full() *report.Report {
	from, offered := image("unit/1.img", 1), image("unit/3.img", 3)
	return &report.Report{Counter: 2, Previous: strings.Repeat("ab", 32), Time: today, Confidence: report.GNSS,
		Attempt: report.Attempt{Attempts: 3, Result: report.Verified, Offered: &offered,
			Director: report.Versions{Root: 1, Snapshot: 2, Targets: 3, Timestamp: 4}, Images: report.Versions{Root: 5}},
		Installed: []report.Installed{{ECU: "telematics", Hardware: "board-3", Image: image("unit/2.img", 2)}},
		Changes:   []report.Change{{ECU: "telematics", From: &from, Result: report.Updated, To: image("unit/2.img", 2)}}}
}

func sign(t testing.TB, s *report.Signer, r *report.Report) []byte {
	data, err := s.Sign(r)
	require.NoError(t, err)
	return data
}

func TestWhatIsSignedIsReadAgain(t *testing.T) {
	p := newPKI(t)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	for _, key := range []crypto.Signer{newKey(t), ed} {
		want := full()
		data := sign(t, p.signer(key), want)
		got, err := report.Verify(data, p.cas, today)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, device, got.Device)
	}
}

// TestTheFormIsCanonical: another writer, which sorts the members itself, comes
// to the same bytes.
func TestTheFormIsCanonical(t *testing.T) {
	data := sign(t, newPKI(t).signer(newKey(t)), full())
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var any map[string]any
	require.NoError(t, d.Decode(&any))
	again, err := report.Marshal(any)
	require.NoError(t, err)
	require.Equal(t, string(again), string(data))
}

// TestEveryChangeIsSeen changes each bit, takes each byte out and doubles it.
func TestEveryChangeIsSeen(t *testing.T) {
	p := newPKI(t)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	data := sign(t, p.signer(ed), full())
	refused := func(changed []byte, at int) {
		if _, err := report.Verify(changed, p.cas, today); err == nil {
			require.Fail(t, "a change is not seen", "byte %d: %q", at, changed[max(0, at-10):min(len(changed), at+10)])
		}
	}
	step := 1
	if testing.Short() {
		step = 7
	}
	for at := 0; at < len(data); at += step {
		for bit := range 8 {
			changed := bytes.Clone(data)
			changed[at] ^= 1 << bit
			refused(changed, at)
		}
		refused(append(bytes.Clone(data[:at]), data[at+1:]...), at)
		refused(append(bytes.Clone(data[:at+1]), data[at:]...), at)
		refused(data[:at], at-1)
	}
	refused(append(bytes.Clone(data), '\n'), len(data))
}

func TestWhoMayReport(t *testing.T) {
	p, others := newPKI(t), newPKI(t)
	key := newKey(t)
	data := sign(t, p.signer(key), full())
	for name, c := range map[string]struct {
		data []byte
		cas  *x509.CertPool
		at   time.Time
		want string
	}{
		"another CA":  {data, others.cas, today, "unknown authority"},
		"no CA":       {data, x509.NewCertPool(), today, "unknown authority"},
		"too late":    {data, p.cas, today.AddDate(2, 0, 0), "expired"},
		"not yet":     {data, p.cas, today.AddDate(-2, 0, 0), "not yet valid"},
		"no report":   {[]byte("{}"), p.cas, today, "canonical"},
		"nothing":     {nil, p.cas, today, "EOF"},
		"a long file": {bytes.Repeat([]byte{' '}, report.MaxSize+1), p.cas, today, "at most"},
	} {
		_, err := report.Verify(c.data, c.cas, c.at)
		require.ErrorContains(t, err, c.want, name)
	}
	_, err := report.Verify(data, p.cas, time.Time{})
	require.NoError(t, err, "judged at the time that it says")

	old := full()
	old.Time = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	_, err = report.Verify(sign(t, p.signer(key), old), p.cas, time.Time{})
	require.NoError(t, err, "a unit's time is a lower bound")

	server := p.template(device)
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leaf := p.certify(server, p.root, key.Public(), p.rootKey)
	s, err := report.NewSigner(key, [][]byte{leaf.Raw})
	require.NoError(t, err)
	_, err = report.Verify(sign(t, s, full()), p.cas, today)
	require.ErrorContains(t, err, "usage")

	leaf = p.certify(p.template(device), p.root, key.Public(), p.rootKey)
	s, err = report.NewSigner(key, [][]byte{leaf.Raw, p.middle.Raw})
	require.NoError(t, err)
	_, err = report.Verify(sign(t, s, full()), p.cas, today)
	require.ErrorContains(t, err, "expected only those that lead to the CA")
}

// TestAReportOfAnotherDevice: a good certificate is good for its own name only.
func TestAReportOfAnotherDevice(t *testing.T) {
	p := newPKI(t)
	data := sign(t, p.signer(newKey(t)), full())
	other := bytes.Replace(data, []byte(device), []byte("YmFyZm9vYmFyZm9vYmFyZg"), 1)
	_, err := report.Open(other)
	require.ErrorContains(t, err, "common name")
}

func TestWhichKeysSign(t *testing.T) {
	p := newPKI(t)
	big, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	old, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	for _, key := range []crypto.Signer{big, old} {
		leaf := p.certify(p.template(device), p.root, key.Public(), p.rootKey)
		_, err = report.NewSigner(key, [][]byte{leaf.Raw})
		require.ErrorContains(t, err, "expected a key on P-256 or an Ed25519 key")
	}
	leaf := p.certify(p.template(device), p.root, newKey(t).Public(), p.rootKey)
	_, err = report.NewSigner(newKey(t), [][]byte{leaf.Raw})
	require.ErrorContains(t, err, "expected the one of its key")
	_, err = report.NewSigner(newKey(t), nil)
	require.ErrorContains(t, err, "expected 1 to 4 certificates")
	_, err = report.NewSigner(newKey(t), [][]byte{[]byte("x")})
	require.ErrorContains(t, err, "expected a certificate")
}

func TestWhatAReportMayHold(t *testing.T) {
	s := newPKI(t).signer(newKey(t))
	for want, spoil := range map[string]func(r *report.Report){
		"attempt.attack":              func(r *report.Report) { r.Attempt.Attack = "freeze" },
		"attempt.attempts":            func(r *report.Report) { r.Attempt.Attempts = 0 },
		"attempt.director":            func(r *report.Report) { r.Attempt.Director.Root = -1 },
		"attempt.error":               func(r *report.Report) { r.Attempt.Error = "a\nb" },
		"attempt.offered:":            func(r *report.Report) { r.Attempt.Offered = nil },
		"attempt.offered.sha256":      func(r *report.Report) { r.Attempt.Offered.SHA256 = strings.Repeat("0F", 32) },
		"attempt.result":              func(r *report.Report) { r.Attempt.Result = "" },
		"attempt.role":                func(r *report.Report) { r.Attempt.Role = strings.Repeat("x", 256) },
		"counter":                     func(r *report.Report) { r.Counter = 0 },
		"installed: ":                 func(r *report.Report) { r.Installed = nil },
		"installed.ecu":               func(r *report.Report) { r.Installed[0].ECU = "" },
		"installed.image.path":        func(r *report.Report) { r.Installed[0].Image.Path = "\x80" },
		"installed.image.length":      func(r *report.Report) { r.Installed[0].Image.Length = -1 },
		"previous: expected 64 zeros": func(r *report.Report) { r.Previous = report.None },
		"previous: expected 64 lower": func(r *report.Report) { r.Previous = "ab" },
		"rxswin: ":                    func(r *report.Report) { r.Changes = nil },
		"rxswin.result":               func(r *report.Report) { r.Changes[0].Result = "done" },
		"rxswin.to.rxswin":            func(r *report.Report) { r.Changes[0].To.RXSWIN = []string{"a", "a"} },
		"rxswin.from.rxswin":          func(r *report.Report) { r.Changes[0].From.RXSWIN = nil },
		"time:":                       func(r *report.Report) { r.Time = today.Add(1) },
		"time: ":                      func(r *report.Report) { r.Time = today.In(time.FixedZone("", 3600)) },
		"timeConfidence":              func(r *report.Report) { r.Confidence = "sure" },
	} {
		r := full()
		spoil(r)
		_, err := s.Sign(r)
		require.ErrorContains(t, err, want)
	}
}

func FuzzOpen(f *testing.F) {
	p := newPKI(f)
	f.Add(sign(f, p.signer(newKey(f)), full()))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := report.Open(data)
		if err != nil {
			return
		}
		require.NoError(t, r.Check())
	})
}

// FuzzStrict: what is read as an image or a report is written as the same
// bytes.
func FuzzStrict(f *testing.F) {
	for _, v := range []any{full(), image("unit/1.img", 1)} {
		data, err := report.Marshal(v)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Add([]byte(`{"length":1e308,"Path":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, v := range []any{&report.Report{}, &report.Image{}} {
			if report.Strict(data, v) != nil {
				continue
			}
			again, err := report.Marshal(v)
			require.NoError(t, err)
			require.Equal(t, string(data), string(again))
			if r, ok := v.(*report.Report); ok && r.Check() == nil {
				require.NotEqual(t, report.None, r.Digest())
			}
		}
	})
}
