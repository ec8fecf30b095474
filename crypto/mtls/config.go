package mtls

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"time"
)

// Options say who this end is and whom it talks to.
type Options struct {
	Files
	// ServerName is the name (DNS or IP address) that the broker's
	// certificate must carry, whatever address it was reached at. Client only.
	ServerName string
	// Clock judges certificates on the vehicle. Nil, off the vehicle, is the
	// wall clock. Client only.
	Clock *Clock
	// Bench admits certificates that carry BenchMarker, and no others.
	Bench bool
}

// Identity is what this end's certificate says of it.
type Identity struct {
	CommonName string    // on the vehicle: the device id
	NotAfter   time.Time // the first of its certificates expires then
}

// Client returns the configuration of a vehicle or a collector towards the
// broker. Each connection needs a full handshake, so that certificates are
// judged each time. An error names the file, what was expected and a hint.
func Client(o Options) (*tls.Config, Identity, error) {
	if o.ServerName == "" {
		return nil, Identity{}, errors.New("no server name is given: expected the name in the broker's certificate")
	}
	m, err := o.load()
	if err != nil {
		return nil, Identity{}, err
	}
	if err := o.checkMarkers(m); err != nil {
		return nil, Identity{}, err
	}
	if err := checkUse(o.Certificate, m.own[0], x509.ExtKeyUsageClientAuth); err != nil {
		return nil, Identity{}, err
	}
	id := Identity{CommonName: m.own[0].Subject.CommonName, NotAfter: m.own[0].NotAfter}
	if id.CommonName == "" {
		return nil, Identity{}, &problem{
			text: o.Certificate + ": the certificate has no common name",
			hint: "it is the name under which the broker admits this client",
		}
	}
	for _, c := range m.own[1:] {
		if c.NotAfter.Before(id.NotAfter) {
			id.NotAfter = c.NotAfter
		}
	}
	j := judge{o: o, roots: m.roots, use: x509.ExtKeyUsageServerAuth}
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		ServerName: o.ServerName,
		// The certificate is sent whatever issuers the broker says it
		// accepts: its refusal then tells why.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &m.pair, nil },
		// crypto/tls would judge by one time fixed before the handshake, but
		// a lower bound must give way to the chain's latest NotBefore. So the
		// standard verification is switched off and judge.client does all of
		// it: chain, expiry, purpose, name. The tests intercept with every
		// kind of wrong certificate.
		InsecureSkipVerify: true,
		VerifyConnection:   j.client,
	}, id, nil
}

// Server returns the configuration of a broker's listener: every client must
// show a certificate of the CA. ServerName and Clock are not its to have: a
// broker stands where the wall clock is right.
func Server(o Options) (*tls.Config, error) {
	if o.ServerName != "" || o.Clock != nil {
		return nil, errors.New("internal error: a server has neither a server name to expect nor a trusted clock")
	}
	m, err := o.load()
	if err != nil {
		return nil, err
	}
	if err := o.checkMarkers(m); err != nil {
		return nil, err
	}
	if err := checkUse(o.Certificate, m.own[0], x509.ExtKeyUsageServerAuth); err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, c := range m.roots {
		pool.AddCert(c)
	}
	j := judge{o: o, roots: m.roots, use: x509.ExtKeyUsageClientAuth}
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{m.pair},
		ClientCAs:              pool,
		ClientAuth:             tls.RequireAndVerifyClientCert,
		SessionTicketsDisabled: true,
		VerifyConnection:       j.server,
	}, nil
}
