package mtls_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/mtls"
)

// A cert is a certificate with its key and, for a leaf, what it sends along.
type cert struct {
	*x509.Certificate
	key   *ecdsa.PrivateKey
	chain []*cert // sent after it
}

// A change alters a certificate before it is signed.
type change func(*x509.Certificate)

func from(t time.Time) change  { return func(c *x509.Certificate) { c.NotBefore = t } }
func until(t time.Time) change { return func(c *x509.Certificate) { c.NotAfter = t } }
func marked(c *x509.Certificate) {
	c.Subject.OrganizationalUnit = []string{mtls.BenchMarker}
}
func forClients(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }
func forServers(names ...string) change {
	return func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		c.DNSNames = names
	}
}
func asCA(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
}

// issue makes a certificate, signed by issuer or, without one, by itself.
func issue(t testing.TB, issuer *cert, name string, changes ...change) *cert {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return issueKey(t, issuer, name, key, changes...)
}

func issueKey(t testing.TB, issuer *cert, name string, key *ecdsa.PrivateKey, changes ...change) *cert {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(t, err)
	c := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	for _, change := range changes {
		change(c)
	}
	parent, signer := c, key
	if issuer != nil {
		parent, signer = issuer.Certificate, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &cert{Certificate: parsed, key: key}
}

func (c *cert) sending(chain ...*cert) *cert {
	return &cert{Certificate: c.Certificate, key: c.key, chain: chain}
}

// tls is what a peer that is not ours shows.
func (c *cert) tls() tls.Certificate {
	pair := tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: c.key}
	for _, i := range c.chain {
		pair.Certificate = append(pair.Certificate, i.Raw)
	}
	return pair
}

func pool(certs ...*cert) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c.Certificate)
	}
	return p
}

func certPEM(certs ...*cert) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

func keyPEM(t testing.TB, c *cert) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// files writes own (with its chain) and the roots as an integrator would.
func files(t testing.TB, own *cert, roots ...*cert) mtls.Files {
	t.Helper()
	dir := t.TempDir()
	f := mtls.Files{
		Certificate: filepath.Join(dir, "own.pem"),
		Key:         filepath.Join(dir, "own.key"),
		CA:          filepath.Join(dir, "ca.pem"),
	}
	write(t, f.Certificate, certPEM(slices.Concat([]*cert{own}, own.chain)...))
	write(t, f.Key, keyPEM(t, own))
	write(t, f.CA, certPEM(roots...))
	return f
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, data, 0o600))
}
