// Package brokertest gives tests a throw-away CA, certificates from it and the
// embedded broker behind them. Only tests import it.
//
// Side: black.
package brokertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"roadseal/cmd/internal/broker"
	"roadseal/crypto/mtls"
)

// A CA is a private CA whose files lie in a temporary directory.
type CA struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewCA makes a CA that lives as long as the test.
func NewCA(t *testing.T) *CA {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	tmpl := template("test CA")
	tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.KeyUsage = true, true, x509.KeyUsageCertSign
	der := must(x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key))(t)
	ca := &CA{t: t, dir: t.TempDir(), cert: must(x509.ParseCertificate(der))(t), key: key}
	ca.write("ca.pem", "CERTIFICATE", der)
	return ca
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func template(name string) *x509.Certificate {
	n, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		panic(err) // the system has no randomness
	}
	return &x509.Certificate{SerialNumber: n, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
}

func (ca *CA) write(name, kind string, der []byte) string {
	path := filepath.Join(ca.dir, url.PathEscape(name))
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		ca.t.Fatal(err)
	}
	return path
}

// Files makes a certificate with the common name; one for "localhost" is a
// server's, every other a client's.
func (ca *CA) Files(name string) mtls.Files {
	ca.t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(ca.t)
	tmpl := template(name)
	tmpl.KeyUsage, tmpl.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if name == "localhost" {
		tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		tmpl.DNSNames, tmpl.IPAddresses = []string{name}, []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	der := must(x509.CreateCertificate(rand.Reader, tmpl, ca.cert, &key.PublicKey, ca.key))(ca.t)
	return mtls.Files{
		Certificate: ca.write(name+".pem", "CERTIFICATE", der),
		Key:         ca.write(name+".key", "PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key))(ca.t)),
		CA:          filepath.Join(ca.dir, "ca.pem"),
	}
}

// Client is the TLS configuration of a client with the common name.
func (ca *CA) Client(name string) *tls.Config {
	ca.t.Helper()
	c, _, err := mtls.Client(mtls.Options{Files: ca.Files(name), ServerName: "localhost"})
	return must(c, err)(ca.t)
}

// Broker starts a broker at an address, "127.0.0.1:0" for any port. The caller
// closes it.
func (ca *CA) Broker(address string, capture func(string, []byte)) *broker.Broker {
	ca.t.Helper()
	return ca.Start(broker.Options{Address: address, Capture: capture})
}

// Start starts a broker with options of which only TLS is set here. The caller
// closes it.
func (ca *CA) Start(o broker.Options) *broker.Broker {
	ca.t.Helper()
	o.TLS = must(mtls.Server(mtls.Options{Files: ca.Files("localhost")}))(ca.t)
	return must(broker.Start(o))(ca.t)
}

// Device is a random device id.
func Device(t *testing.T) string {
	t.Helper()
	id := make([]byte, 16)
	must(rand.Read(id))(t)
	return base64.RawURLEncoding.EncodeToString(id)
}
