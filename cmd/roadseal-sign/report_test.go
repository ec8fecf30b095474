package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"roadseal/firmware/report"
)

// cmdReport makes a vehicle's signed report and the CA of its fleet:
// report FILE CA RESULT [ATTACK].
func cmdReport(ts *testscript.TestScript, _ bool, args []string) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fleet"}, NotBefore: at.AddDate(-1, 0, 0), NotAfter: at.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	ts.Check(err)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "Zm9vYmFyZm9vYmFyZm9vYg"}, NotBefore: at.AddDate(-1, 0, 0),
		NotAfter: at.AddDate(0, 1, 0), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	ts.Check(err)
	signer, err := report.NewSigner(key, [][]byte{der})
	ts.Check(err)
	image := report.Image{Length: 9, Path: "tcu/1.img", Counter: 4, RXSWIN: []string{"R79 1.4"}, SHA256: strings.Repeat("ab", 32), Campaign: "autumn"}
	r := &report.Report{Counter: 1, Previous: report.None, Time: at, Confidence: report.Signed,
		Installed: []report.Installed{{ECU: "tcu", Hardware: "tcu-1", Image: image}},
		Changes:   []report.Change{{ECU: "tcu", Result: report.Provisioned, To: image}},
		Attempt:   report.Attempt{Attempts: 1, Result: report.Result(args[2]), Director: report.Versions{Root: 1, Timestamp: 2, Snapshot: 3, Targets: 4}}}
	if len(args) > 3 {
		r.Attempt.Attack, r.Attempt.Repository = args[3], "director"
	}
	data, err := signer.Sign(r)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), 0o600))
}
