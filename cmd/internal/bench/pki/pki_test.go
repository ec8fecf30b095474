package pki_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/bench/pki"
	"roadseal/crypto/mtls"
)

func TestFilesServeTheBenchAndNothingElse(t *testing.T) {
	f, err := pki.Make(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, wire.CheckDevice(f.DeviceID))

	client := func(p pki.Pair, bench bool) error {
		files := mtls.Files{Certificate: p.Certificate, Key: p.Key, CA: f.CA}
		_, id, err := mtls.Client(mtls.Options{Files: files, ServerName: pki.ServerName, Bench: bench})
		if err == nil && p == f.Device {
			require.Equal(t, f.DeviceID, id.CommonName)
		}
		return err
	}
	require.NoError(t, client(f.Device, true))
	require.NoError(t, client(f.Collector, true))
	require.NoError(t, client(f.Observer, true))
	require.ErrorContains(t, client(f.Device, false), mtls.BenchMarker)
	require.ErrorContains(t, client(f.Collector, false), mtls.BenchMarker)
	require.ErrorContains(t, client(f.Observer, false), mtls.BenchMarker)
	require.Error(t, client(f.Broker, true), "a server's certificate is no client's")

	server := mtls.Files{Certificate: f.Broker.Certificate, Key: f.Broker.Key, CA: f.CA}
	_, err = mtls.Server(mtls.Options{Files: server, Bench: true})
	require.NoError(t, err)
	_, err = mtls.Server(mtls.Options{Files: server})
	require.ErrorContains(t, err, mtls.BenchMarker)
}

func TestEachRunHasItsOwnDevice(t *testing.T) {
	a, err := pki.Make(t.TempDir())
	require.NoError(t, err)
	b, err := pki.Make(t.TempDir())
	require.NoError(t, err)
	require.NotEqual(t, a.DeviceID, b.DeviceID)
}

func TestEachVehicleOfAFleetHasItsOwn(t *testing.T) {
	f, devices, err := pki.MakeFleet(t.TempDir(), 3)
	require.NoError(t, err)
	require.Len(t, devices, 3)
	seen := map[string]bool{}
	for _, d := range devices {
		_, id, err := mtls.Client(mtls.Options{Files: mtls.Files{Certificate: d.Certificate, Key: d.Key, CA: f.CA}, ServerName: pki.ServerName, Bench: true})
		require.NoError(t, err)
		require.Equal(t, d.ID, id.CommonName)
		seen[d.ID] = true
	}
	require.Len(t, seen, 3)
}

// publicKey is one of an Ed25519 key that nobody has.
const publicKey = "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

func TestReceiptKeyComesFromTheCollector(t *testing.T) {
	program := filepath.Join(t.TempDir(), "collector")
	script := func(text string) { require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\n"+text+"\n"), 0o700)) }
	script("echo " + publicKey)
	line, err := pki.ReceiptKey(program, filepath.Join(t.TempDir(), "receipt.key"))
	require.NoError(t, err)
	require.Equal(t, publicKey, line)
	script("echo no room >&2; exit 1")
	_, err = pki.ReceiptKey(program, "x")
	require.EqualError(t, err, "cannot make the collector's receipt key: exit status 1: no room")
}

func TestKeysAreForTheOwnerAlone(t *testing.T) {
	f, err := pki.Make(t.TempDir())
	require.NoError(t, err)
	for _, p := range []pki.Pair{f.Broker, f.Collector, f.Device, f.Observer} {
		info, err := os.Stat(p.Key)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
}

func TestFolderMustExist(t *testing.T) {
	_, err := pki.Make(t.TempDir() + "/gone")
	require.ErrorIs(t, err, os.ErrNotExist)
}
