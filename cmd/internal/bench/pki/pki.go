// Package pki makes the throw-away certificates and receipt keys of a bench
// run. Each certificate carries mtls.BenchMarker, so that no vehicle in
// production takes it.
//
// Side: any.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"roadseal/crypto/mtls"
)

// ServerName is the name in the broker's certificate. It is no host: whoever
// connects is told the name apart from the address.
const ServerName = "broker.bench.invalid"

// Common names of the certificates that are no vehicle's. The observer listens to
// a broker that keeps no capture.
const (
	CollectorName = "collector-bench"
	ObserverName  = "observer-bench"
)

// lifetime is longer than the 90 days by which a vehicle lets GNSS time run
// ahead: a recording of some later year must not let the certificates expire.
const lifetime = 180 * 24 * time.Hour

// Files are the paths of what Make has written.
type Files struct {
	CA        string
	Broker    Pair
	Collector Pair
	Device    Pair
	DeviceID  string // common name of Device
	Observer  Pair
}

// A Pair is a certificate and its private key, PEM.
type Pair struct{ Certificate, Key string }

// A Device is the certificate of one vehicle.
type Device struct {
	Pair
	ID string // its common name
}

// Make writes a CA certificate and four leaves into dir, which exists. The CA's
// key is used for them and never written.
func Make(dir string) (Files, error) {
	f, devices, err := MakeFleet(dir, 1)
	if err != nil {
		return Files{}, err
	}
	f.Device, f.DeviceID = devices[0].Pair, devices[0].ID
	return f, nil
}

// MakeFleet is Make for n vehicles; Device and DeviceID of the files are empty.
func MakeFleet(dir string, n int) (Files, []Device, error) {
	f := Files{CA: filepath.Join(dir, "ca.pem")}
	ca, err := newAuthority()
	if err != nil {
		return Files{}, nil, err
	}
	if err := os.WriteFile(f.CA, encode("CERTIFICATE", ca.cert.Raw), 0o644); err != nil {
		return Files{}, nil, err
	}
	if f.Broker, err = ca.issue(filepath.Join(dir, "broker"), ServerName, x509.ExtKeyUsageServerAuth); err != nil {
		return Files{}, nil, err
	}
	if f.Collector, err = ca.issue(filepath.Join(dir, "collector"), CollectorName, x509.ExtKeyUsageClientAuth); err != nil {
		return Files{}, nil, err
	}
	if f.Observer, err = ca.issue(filepath.Join(dir, "observer"), ObserverName, x509.ExtKeyUsageClientAuth); err != nil {
		return Files{}, nil, err
	}
	devices := make([]Device, n)
	for i := range devices {
		if devices[i], err = ca.device(dir, i); err != nil {
			return Files{}, nil, err
		}
	}
	return f, devices, nil
}

// device issues the certificate of the i-th vehicle.
func (a authority) device(dir string, i int) (d Device, err error) {
	if d.ID, err = newDeviceID(); err != nil {
		return d, err
	}
	name := "device"
	if i > 0 {
		name += strconv.Itoa(i)
	}
	d.Pair, err = a.issue(filepath.Join(dir, name), d.ID, x509.ExtKeyUsageClientAuth)
	return d, err
}

// newDeviceID draws 128 random bits.
func newDeviceID() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority() (authority, error) {
	t, key, err := template("roadseal bench CA")
	if err != nil {
		return authority{}, err
	}
	t.IsCA, t.BasicConstraintsValid, t.MaxPathLenZero, t.KeyUsage = true, true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return authority{}, fmt.Errorf("cannot make the bench CA: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return authority{}, fmt.Errorf("cannot make the bench CA: %w", err)
	}
	return authority{cert, key}, nil
}

// issue writes BASE.pem and BASE.key.
func (a authority) issue(base, name string, use x509.ExtKeyUsage) (Pair, error) {
	t, key, err := template(name)
	if err != nil {
		return Pair{}, err
	}
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{use}
	if use == x509.ExtKeyUsageServerAuth {
		t.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return Pair{}, fmt.Errorf("cannot issue the certificate of %s: %w", filepath.Base(base), err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("cannot write the key of %s: %w", filepath.Base(base), err)
	}
	p := Pair{base + ".pem", base + ".key"}
	if err := os.WriteFile(p.Key, encode("PRIVATE KEY", secret), 0o600); err != nil {
		return Pair{}, err
	}
	return p, os.WriteFile(p.Certificate, encode("CERTIFICATE", der), 0o644)
}

func template(name string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, err
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name, OrganizationalUnit: []string{mtls.BenchMarker}},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(lifetime),
	}, key, nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
