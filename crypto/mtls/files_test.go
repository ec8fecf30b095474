package mtls_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/mtls"
)

func TestLoadErrors(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	put := func(path func(mtls.Files) string, data []byte) func(*testing.T, *mtls.Options) {
		return func(t *testing.T, o *mtls.Options) { write(t, path(o.Files), data) }
	}
	certificate := func(f mtls.Files) string { return f.Certificate }
	key := func(f mtls.Files) string { return f.Key }
	ca := func(f mtls.Files) string { return f.CA }
	garbled := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("nonsense")})
	encrypted := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})
	legacy := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES"}, Bytes: []byte("x")})

	tests := map[string]struct {
		spoil func(*testing.T, *mtls.Options)
		says  []string
	}{
		"no server name":       {func(_ *testing.T, o *mtls.Options) { o.ServerName = "" }, []string{"no server name"}},
		"no certificate given": {func(_ *testing.T, o *mtls.Options) { o.Certificate = "" }, []string{"no certificate file is given"}},
		"certificate missing":  {func(t *testing.T, o *mtls.Options) { require.NoError(t, os.Remove(o.Certificate)) }, []string{"own.pem", "no such file", "certificate"}},
		"key missing":          {func(t *testing.T, o *mtls.Options) { require.NoError(t, os.Remove(o.Key)) }, []string{"own.key", "no such file", "private key"}},
		"certificate empty":    {put(certificate, nil), []string{"own.pem: no certificate found", "-----BEGIN CERTIFICATE-----"}},
		"certificate in DER":   {put(certificate, w.device.Raw), []string{"own.pem: no certificate found", "PEM"}},
		"key as certificate":   {put(certificate, keyPEM(t, w.device)), []string{`own.pem: found PEM block "PRIVATE KEY", expected CERTIFICATE`}},
		"certificate garbled":  {put(certificate, garbled), []string{"own.pem: certificate 1 cannot be parsed"}},
		"CA first":             {put(certificate, certPEM(w.inter, w.device)), []string{"own.pem: the first certificate is that of a CA"}},
		"no common name":       {put(certificate, certPEM(issueKey(t, w.ca, "", w.device.key, forClients))), []string{"own.pem: the certificate has no common name"}},
		"not for clients":      {put(certificate, certPEM(issueKey(t, w.ca, "x", w.device.key, forServers(broker)))), []string{"own.pem", "expected extended key usage clientAuth, found serverAuth"}},
		"another key":          {put(key, keyPEM(t, other.device)), []string{"own.key: cannot be used with the certificate in", "own.pem", "enrolment"}},
		"certificate as key":   {put(key, certPEM(w.device)), []string{`own.key: found PEM block "CERTIFICATE", expected PRIVATE KEY`}},
		"key empty":            {put(key, nil), []string{"own.key: no private key found"}},
		"key encrypted":        {put(key, encrypted), []string{"own.key: the private key is encrypted", "openssl pkey"}},
		"key encrypted, old":   {put(key, legacy), []string{"own.key: the private key is encrypted"}},
		"key for the group":    {func(t *testing.T, o *mtls.Options) { require.NoError(t, os.Chmod(o.Key, 0o640)) }, []string{"own.key: mode 0640", "chmod 600"}},
		"key for the world":    {func(t *testing.T, o *mtls.Options) { require.NoError(t, os.Chmod(o.Key, 0o604)) }, []string{"own.key: mode 0604"}},
		"key is a directory":   {func(_ *testing.T, o *mtls.Options) { o.Key = filepath.Dir(o.Key) }, []string{"not a regular file"}},
		"CA empty":             {put(ca, []byte("nothing here\n")), []string{"ca.pem: no certificate found"}},
		"CA is a leaf":         {put(ca, certPEM(w.ca, w.device)), []string{"ca.pem: certificate 2 is not that of a CA"}},
		"CA too large":         {put(ca, []byte(strings.Repeat("x", 1<<20+1))), []string{"ca.pem: 1048577 bytes"}},
		"CA is a FIFO": {func(t *testing.T, o *mtls.Options) {
			require.NoError(t, os.Remove(o.CA))
			require.NoError(t, syscall.Mkfifo(o.CA, 0o600))
		}, []string{"ca.pem: not a regular file"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := mtls.Options{Files: files(t, w.device, w.ca), ServerName: broker}
			_, _, err := mtls.Client(o)
			require.NoError(t, err)
			tt.spoil(t, &o)
			_, _, err = mtls.Client(o)
			for _, s := range tt.says {
				require.ErrorContains(t, err, s)
			}
		})
	}
}

func TestKeyFileModes(t *testing.T) {
	w := newWorld(t)
	for _, mode := range []os.FileMode{0o600, 0o400} {
		o := mtls.Options{Files: files(t, w.device, w.ca), ServerName: broker}
		require.NoError(t, os.Chmod(o.Key, mode))
		_, _, err := mtls.Client(o)
		require.NoError(t, err)
	}
}

func TestKeyForms(t *testing.T) {
	w := newWorld(t)
	o := mtls.Options{Files: files(t, w.device, w.ca), ServerName: broker}
	der, err := x509.MarshalECPrivateKey(w.device.key)
	require.NoError(t, err)
	// What openssl ecparam -genkey writes, with openssl x509 -text before.
	write(t, o.Key, append(pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 0}}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})...))
	write(t, o.Certificate, append([]byte("Certificate:\n    Data:\n"), certPEM(w.device)...))
	_, _, err = mtls.Client(o)
	require.NoError(t, err)
}

func TestIdentityExpiresWithTheFirstCertificate(t *testing.T) {
	w := newWorld(t)
	soon := time.Now().Add(time.Minute).Truncate(time.Second).UTC()
	inter := issue(t, w.ca, "device CA", asCA, until(soon))
	own := issue(t, inter, "device", forClients).sending(inter)
	_, id, err := mtls.Client(mtls.Options{Files: files(t, own, w.ca), ServerName: broker})
	require.NoError(t, err)
	require.Equal(t, mtls.Identity{CommonName: "device", NotAfter: soon}, id)
}

func TestServerLoadErrors(t *testing.T) {
	w := newWorld(t)
	_, err := mtls.Server(mtls.Options{Files: files(t, w.device, w.ca)})
	require.ErrorContains(t, err, "expected extended key usage serverAuth, found clientAuth")
	_, err = mtls.Server(mtls.Options{Files: files(t, w.broker, w.ca), ServerName: broker})
	require.ErrorContains(t, err, "internal error")
	_, err = mtls.Server(mtls.Options{Files: files(t, w.broker, w.ca), Clock: mtls.NewClock(built)})
	require.ErrorContains(t, err, "internal error")
	_, err = mtls.Server(mtls.Options{})
	require.ErrorContains(t, err, "no certificate file")
}

func TestBenchMarker(t *testing.T) {
	real := newWorld(t)
	ca := issue(t, nil, "bench CA", asCA, marked)
	device := issue(t, ca, "device", forClients, marked)
	server := issue(t, ca, "broker", forServers(broker), marked)
	unmarkedDevice := issue(t, ca, "device", forClients)
	const marks, lacks = "is marked", "lacks the mark"

	tests := map[string]struct {
		own, ca *cert
		bench   bool
		says    string
	}{
		"real outside":              {real.device, real.ca, false, ""},
		"bench inside":              {device, ca, true, ""},
		"bench certificate outside": {issue(t, real.ca, "x", forClients, marked), real.ca, false, marks},
		"bench CA outside":          {unmarkedDevice, ca, false, marks},
		"real certificate inside":   {unmarkedDevice, ca, true, lacks},
		"real CA inside":            {device, real.ca, true, lacks},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, _, err := mtls.Client(mtls.Options{Files: files(t, tt.own, tt.ca), ServerName: broker, Bench: tt.bench})
			if tt.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.says)
			require.ErrorContains(t, err, ".pem: ")
			require.ErrorContains(t, err, "hint: ")
		})
	}

	cfg, _, err := mtls.Client(mtls.Options{Files: files(t, device, ca), ServerName: broker, Bench: true})
	require.NoError(t, err)
	srv, err := mtls.Server(mtls.Options{Files: files(t, server, ca), Bench: true})
	require.NoError(t, err)

	c, s := meet(t, cfg, srv)
	require.NoError(t, c.err)
	require.NoError(t, s.err)

	c, s = meet(t, cfg, stranger(issue(t, ca, "broker", forServers(broker))))
	require.ErrorContains(t, c.err, "the broker: a certificate lacks the mark")
	require.Empty(t, s.app)

	c, s = meet(t, &tls.Config{ServerName: broker, RootCAs: pool(ca), Certificates: []tls.Certificate{unmarkedDevice.tls()}}, srv)
	require.ErrorContains(t, s.err, "the client: a certificate lacks the mark")
	require.Empty(t, c.app)
}
