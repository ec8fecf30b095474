package pki_test

import (
	"os"
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
	require.ErrorContains(t, client(f.Device, false), mtls.BenchMarker)
	require.ErrorContains(t, client(f.Collector, false), mtls.BenchMarker)
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

func TestKeysAreForTheOwnerAlone(t *testing.T) {
	f, err := pki.Make(t.TempDir())
	require.NoError(t, err)
	for _, p := range []pki.Pair{f.Broker, f.Collector, f.Device} {
		info, err := os.Stat(p.Key)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
}

func TestFolderMustExist(t *testing.T) {
	_, err := pki.Make(t.TempDir() + "/gone")
	require.ErrorIs(t, err, os.ErrNotExist)
}
