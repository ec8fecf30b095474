package mtls

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
)

// Files are the paths of the PEM files of one end of a connection.
type Files struct {
	Certificate string // own certificate, then any intermediate ones
	Key         string // its private key: PKCS #8, SEC 1 or PKCS #1, not encrypted
	CA          string // the private CA's certificates: the only ones the other end is judged by
}

// maxFile bounds what is read of a PEM file; a bundle of many certificates
// takes a few kilobytes.
const maxFile = 1 << 20

// material is what Files hold, read and checked.
type material struct {
	pair  tls.Certificate
	own   []*x509.Certificate // leaf first
	roots []*x509.Certificate
}

func (f Files) load() (material, error) {
	var m material
	own, err := readFile(f.Certificate, "certificate", false)
	if err != nil {
		return m, err
	}
	if m.own, err = certificates(f.Certificate, own); err != nil {
		return m, err
	}
	key, err := readFile(f.Key, "private key", true)
	if err != nil {
		return m, err
	}
	if err := checkKey(f.Key, key); err != nil {
		return m, err
	}
	ca, err := readFile(f.CA, "CA certificate", false)
	if err != nil {
		return m, err
	}
	if m.roots, err = certificates(f.CA, ca); err != nil {
		return m, err
	}
	if err := m.check(f); err != nil {
		return m, err
	}
	if m.pair, err = tls.X509KeyPair(own, key); err != nil {
		return m, &problem{
			text: fmt.Sprintf("%s: cannot be used with the certificate in %s: %v", f.Key, f.Certificate, err),
			hint: "both files must come from the same enrolment",
			err:  err,
		}
	}
	return m, nil
}

// check refuses certificates that stand in the wrong place.
func (m material) check(f Files) error {
	if m.own[0].IsCA {
		return &problem{
			text: f.Certificate + ": the first certificate is that of a CA, expected this end's own",
			hint: "put the own certificate first, intermediate ones after it",
		}
	}
	for i, c := range m.roots {
		if !c.IsCA || !c.BasicConstraintsValid {
			return &problem{
				text: fmt.Sprintf("%s: certificate %d is not that of a CA", f.CA, i+1),
				hint: "expected only the private CA's certificates, with basic constraint CA:TRUE",
			}
		}
	}
	return nil
}

// readFile reads a regular file. A secret one may be readable to its owner
// only. Nothing here waits: a FIFO in its place is an error.
func readFile(path, what string, secret bool) ([]byte, error) {
	if path == "" {
		return nil, &problem{text: "no " + what + " file is given"}
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot read the %s: %w", what, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("cannot read the %s: %w", what, err)
	}
	switch {
	case !st.Mode().IsRegular():
		return nil, &problem{text: fmt.Sprintf("%s: not a regular file, expected a %s in PEM form", path, what)}
	case st.Size() > maxFile:
		return nil, &problem{text: fmt.Sprintf("%s: %d bytes, expected a %s of at most %d", path, st.Size(), what, maxFile)}
	case secret && st.Mode().Perm()&0o077 != 0:
		return nil, &problem{
			text: fmt.Sprintf("%s: mode %#o lets others at the private key", path, st.Mode().Perm()),
			hint: "chmod 600 " + path,
		}
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, fmt.Errorf("cannot read the %s: %w", what, err)
	}
	return b, nil
}

// certificates parses a PEM file that holds certificates and nothing else,
// text between them aside.
func certificates(path string, data []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, &problem{text: fmt.Sprintf("%s: found PEM block %q, expected CERTIFICATE", path, block.Type)}
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, &problem{text: fmt.Sprintf("%s: certificate %d cannot be parsed: %v", path, len(certs)+1, err), err: err}
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return nil, &problem{
			text: path + ": no certificate found",
			hint: "expected PEM form, beginning with -----BEGIN CERTIFICATE-----",
		}
	}
	return certs, nil
}

// keyKinds are the PEM blocks that tls.X509KeyPair reads a key from.
var keyKinds = []string{"PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"}

// checkKey finds out what is wrong with a key file where tls.X509KeyPair would
// only say that it found no key.
func checkKey(path string, data []byte) error {
	var found []string
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
			return &problem{
				text: path + ": the private key is encrypted with a passphrase, which nobody is there to type",
				hint: "openssl pkey -in OLD -out NEW",
			}
		}
		if slices.Contains(keyKinds, block.Type) {
			return nil
		}
		found = append(found, block.Type)
	}
	if len(found) == 0 {
		return &problem{
			text: path + ": no private key found",
			hint: "expected PEM form, beginning with -----BEGIN PRIVATE KEY-----",
		}
	}
	return &problem{text: fmt.Sprintf("%s: found PEM block %q, expected PRIVATE KEY", path, strings.Join(found, ", "))}
}
