package mtls

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// BenchMarker is the subject organizational unit of every certificate, CA and
// leaf, that a bench makes. Outside a bench nothing that carries it is taken,
// in one nothing that does not, so that throw-away keys never meet a vehicle.
const BenchMarker = "roadseal bench, not for production"

// maxChain bounds how many certificates of a peer are looked at.
const maxChain = 8

// A judge decides about the certificate that the other end shows.
type judge struct {
	o     Options
	roots []*x509.Certificate
	use   x509.ExtKeyUsage // what the peer's certificate must be for
}

// client verifies a broker's certificate in full; crypto/tls has only checked
// that the broker holds its key.
func (j judge) client(cs tls.ConnectionState) error {
	if len(cs.PeerCertificates) == 0 {
		return &problem{text: "the broker shows no certificate"}
	}
	if n := len(cs.PeerCertificates); n > maxChain {
		return &problem{text: fmt.Sprintf("the broker shows %d certificates, expected at most %d", n, maxChain)}
	}
	chains, err := j.chains(cs.PeerCertificates)
	if err != nil {
		return err
	}
	leaf := cs.PeerCertificates[0]
	if err := leaf.VerifyHostname(j.o.ServerName); err != nil {
		return nameProblem(j.o.ServerName, leaf, err)
	}
	return j.rules(leaf, chains)
}

// server adds our own rules to what crypto/tls has verified.
func (j judge) server(cs tls.ConnectionState) error {
	if len(cs.PeerCertificates) == 0 || len(cs.VerifiedChains) == 0 {
		return &problem{text: "the client shows no certificate"}
	}
	return j.rules(cs.PeerCertificates[0], cs.VerifiedChains)
}

// chains verifies the peer's certificate at max(now, latest NotBefore in the
// chain). Which chain that is shows only once one is found, so each NotBefore
// after now is tried, earliest first: where a chain holds at one of them, it
// holds at its own latest.
func (j judge) chains(peer []*x509.Certificate) ([][]*x509.Certificate, error) {
	opts := x509.VerifyOptions{
		Roots:         x509.NewCertPool(),
		Intermediates: x509.NewCertPool(),
		KeyUsages:     []x509.ExtKeyUsage{j.use},
	}
	for _, c := range j.roots {
		opts.Roots.AddCert(c)
	}
	for _, c := range peer[1:] {
		opts.Intermediates.AddCert(c)
	}
	var refused error // the first that a later time cannot mend
	var when time.Time
	for _, at := range j.times(peer) {
		opts.CurrentTime = at
		chains, err := peer[0].Verify(opts)
		if err == nil {
			return chains, nil
		}
		if refused == nil || tooEarly(refused, when) {
			refused, when = err, at
		}
	}
	return nil, j.explain(peer[0], when, refused)
}

// times lists when to verify: now, then each later NotBefore.
func (j judge) times(peer []*x509.Certificate) []time.Time {
	if j.o.Clock == nil {
		return []time.Time{time.Now()}
	}
	now := j.o.Clock.Now()
	times := []time.Time{now}
	for _, c := range slices.Concat(peer, j.roots) {
		if c.NotBefore.After(now) {
			times = append(times, c.NotBefore)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	return times
}

func tooEarly(err error, at time.Time) bool {
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	return ok && invalid.Reason == x509.Expired && at.Before(invalid.Cert.NotBefore)
}

// rules are those that x509 does not know.
func (j judge) rules(leaf *x509.Certificate, chains [][]*x509.Certificate) error {
	if leaf.IsCA {
		return &problem{
			text: "the " + j.peer() + " shows the certificate of a CA as its own",
			hint: "a CA's key must not be on a machine that is online; issue a certificate for it",
		}
	}
	for _, chain := range chains {
		for _, c := range chain {
			if err := j.o.checkMarker("the "+j.peer(), c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (j judge) peer() string {
	if j.use == x509.ExtKeyUsageServerAuth {
		return "broker"
	}
	return "client"
}

// checkMarkers applies the rule of BenchMarker to this end's files.
func (o Options) checkMarkers(m material) error {
	for _, c := range m.own {
		if err := o.checkMarker(o.Certificate, c); err != nil {
			return err
		}
	}
	for _, c := range m.roots {
		if err := o.checkMarker(o.CA, c); err != nil {
			return err
		}
	}
	return nil
}

func (o Options) checkMarker(where string, c *x509.Certificate) error {
	marked := slices.Contains(c.Subject.OrganizationalUnit, BenchMarker)
	switch {
	case marked && !o.Bench:
		return &problem{
			text: fmt.Sprintf("%s: a certificate is marked %q", where, BenchMarker),
			hint: "bench certificates are taken only in bench mode; use those of your own CA",
		}
	case !marked && o.Bench:
		return &problem{
			text: fmt.Sprintf("%s: a certificate lacks the mark %q", where, BenchMarker),
			hint: "in bench mode only throw-away certificates are taken; leave bench mode to use real ones",
		}
	}
	return nil
}

// checkUse finds an own certificate that the other end would refuse. As in
// x509.Verify, one that names no purpose serves every purpose.
func checkUse(path string, c *x509.Certificate, use x509.ExtKeyUsage) error {
	named := len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) > 0
	if !named || slices.Contains(c.ExtKeyUsage, use) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return nil
	}
	want := "clientAuth"
	if use == x509.ExtKeyUsageServerAuth {
		want = "serverAuth"
	}
	var have []string
	for _, u := range c.ExtKeyUsage {
		have = append(have, u.String())
	}
	return &problem{
		text: fmt.Sprintf("%s: the certificate is not for this use: expected extended key usage %s, found %s", path, want, strings.Join(have, ", ")),
		hint: "issue it with extendedKeyUsage = " + want,
	}
}
