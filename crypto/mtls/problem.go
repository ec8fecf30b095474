package mtls

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A problem is an error in words that help whoever reads them: what is wrong
// and what to do about it.
type problem struct {
	text string
	hint string // may be empty
	err  error  // what was found, may be nil
}

func (p *problem) Error() string {
	if p.hint == "" {
		return p.text
	}
	return p.text + "; hint: " + p.hint
}

func (p *problem) Unwrap() error { return p.err }

// explain says why x509.Verify refused the peer's certificate at a time.
func (j judge) explain(leaf *x509.Certificate, at time.Time, err error) error {
	peer := j.peer()
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if invalid.Reason == x509.Expired {
			return j.expired(leaf, invalid, at)
		}
		if invalid.Reason == x509.IncompatibleUsage {
			return &problem{
				text: "the " + peer + " shows a certificate that is not for a " + peer,
				hint: "it may be that of a client; a broker's needs extendedKeyUsage = serverAuth",
				err:  err,
			}
		}
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return &problem{
			text: fmt.Sprintf("the %s's certificate is not from the CA in %s: it names the issuer %s", peer, j.o.CA, quote(leaf.Issuer.CommonName)),
			hint: "wrong CA file, wrong address, a broker that does not send its intermediate certificates, or someone in between",
			err:  err,
		}
	}
	return &problem{text: fmt.Sprintf("the %s's certificate is refused: %v", peer, err), err: err}
}

// expired tells expired from not yet valid, and a certificate of the CA from
// the peer's own.
func (j judge) expired(leaf *x509.Certificate, invalid x509.CertificateInvalidError, at time.Time) error {
	p := &problem{err: invalid}
	what := "the " + j.peer() + "'s certificate"
	if !invalid.Cert.Equal(leaf) {
		what = "the CA certificate " + quote(invalid.Cert.Subject.CommonName) + " behind " + what
	}
	clock := "this machine's clock says"
	p.hint = "compare this machine's clock with the true time"
	if j.o.Clock != nil {
		clock = "it is now at least"
		p.hint = "that time comes from signed receipts and GNSS, not from the wall clock"
	}
	// The day alone: the text must not change from one try to the next, or
	// the same fault would be told again with each.
	now := at.UTC().Format(time.DateOnly)
	if at.Before(invalid.Cert.NotBefore) {
		p.text = fmt.Sprintf("%s is not valid before %s; %s %s", what, stamp(invalid.Cert.NotBefore), clock, now)
		return p
	}
	p.text = fmt.Sprintf("%s expired at %s; %s %s", what, stamp(invalid.Cert.NotAfter), clock, now)
	p.hint = "it must be renewed at the " + j.peer() + "; " + p.hint
	return p
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// nameProblem says which names the certificate has instead.
func nameProblem(want string, leaf *x509.Certificate, err error) error {
	names := leaf.DNSNames
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	var shown []string
	for i, n := range names {
		if i == 4 {
			shown = append(shown, fmt.Sprintf("and %d more", len(names)-i))
			break
		}
		shown = append(shown, quote(n))
	}
	have := "no name at all"
	if len(shown) > 0 {
		have = strings.Join(shown, ", ")
	}
	return &problem{
		text: fmt.Sprintf("the broker's certificate is for another name: expected %s, it has %s", quote(want), have),
		hint: "server_name must be a subject alternative name of that certificate (the common name does not count); or this is another machine",
		err:  err,
	}
}

// quote makes a name that the other end chose harmless and short.
func quote(s string) string {
	if len(s) > 80 {
		s = s[:80] + "…"
	}
	return fmt.Sprintf("%q", s)
}
