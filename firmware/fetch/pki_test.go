package fetch_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/mtls"
)

// A pki is a private CA. Its certificates hold from 1990 on, so that they do
// under virtual time, too.
type pki struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newPKI(t *testing.T) *pki {
	p := &pki{t: t, dir: t.TempDir()}
	p.cert, p.key = p.issue("ca", func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	})
	return p
}

func (p *pki) issue(name string, edit func(*x509.Certificate)) (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(p.t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2120, 1, 1, 0, 0, 0, 0, time.UTC)}
	edit(c)
	parent, signer := p.cert, p.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	require.NoError(p.t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(p.t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(p.t, err)
	for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "PRIVATE KEY", Bytes: private}} {
		require.NoError(p.t, os.WriteFile(filepath.Join(p.dir, file), pem.EncodeToMemory(block), 0o600))
	}
	return cert, key
}

func (p *pki) files(name string, use x509.ExtKeyUsage) mtls.Files {
	p.issue(name, func(c *x509.Certificate) {
		c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{use}
		c.DNSNames, c.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	})
	in := func(file string) string { return filepath.Join(p.dir, file) }
	return mtls.Files{Certificate: in(name + ".pem"), Key: in(name + ".key"), CA: in("ca.pem")}
}

func (p *pki) client() *tls.Config {
	c, _, err := mtls.Client(mtls.Options{Files: p.files(car, x509.ExtKeyUsageClientAuth), ServerName: "localhost"})
	require.NoError(p.t, err)
	return c
}

func (p *pki) server() *tls.Config {
	c, err := mtls.Server(mtls.Options{Files: p.files("server", x509.ExtKeyUsageServerAuth)})
	require.NoError(p.t, err)
	return c
}
