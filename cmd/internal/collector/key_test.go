package collector_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/collector"
)

func TestKeyFile(t *testing.T) {
	k, err := collector.GenerateKey()
	require.NoError(t, err)
	text, err := k.MarshalPEM()
	require.NoError(t, err)
	same, err := collector.ParseKey(text)
	require.NoError(t, err)
	require.Equal(t, k, same)
	pinned, err := wire.ParsePublicKey(k.String())
	require.NoError(t, err)
	require.Equal(t, k.Public(), pinned)
	require.NotEqual(t, [16]byte{}, k.StoreID())
	other, err := collector.GenerateKey()
	require.NoError(t, err)
	require.NotEqual(t, k.StoreID(), other.StoreID())
}

func TestKeyPrintsItsPublicHalfOnly(t *testing.T) {
	k, err := collector.GenerateKey()
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		require.Equal(t, k.Public().String(), fmt.Sprintf(verb, k), verb)
	}
}

func TestKeyOfOpenSSL(t *testing.T) {
	text, err := exec.Command("openssl", "genpkey", "-algorithm", "ed25519").Output()
	if err != nil {
		t.Skip("openssl is not here:", err)
	}
	k, err := collector.ParseKey(text)
	require.NoError(t, err)
	again, err := k.MarshalPEM()
	require.NoError(t, err)
	require.Equal(t, string(text), string(again))
}

func TestWrongKeyFiles(t *testing.T) {
	k, err := collector.GenerateKey()
	require.NoError(t, err)
	good, err := k.MarshalPEM()
	require.NoError(t, err)
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(p256)
	require.NoError(t, err)
	for what, c := range map[string]struct{ text, want string }{
		"empty":       {"", "expected one PEM block"},
		"a cert":      {strings.ReplaceAll(string(good), "PRIVATE KEY", "CERTIFICATE"), "expected one PEM block"},
		"two keys":    {string(good) + string(good), "expected one PEM block"},
		"P-256":       {string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "expected an Ed25519 key, found *ecdsa.PrivateKey"},
		"not PKCS #8": {string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der[:9]})), "holds no PKCS #8 private key"},
	} {
		_, err := collector.ParseKey([]byte(c.text))
		require.ErrorContains(t, err, c.want, what)
		require.ErrorContains(t, err, "not a receipt key", what)
	}
}

func TestShards(t *testing.T) {
	for _, c := range []struct {
		list    []string
		text    string
		filters []string
	}{
		{[]string{"00-ff"}, "00-ff", []string{"v1/up/+/+"}},
		{[]string{"3a"}, "3a", []string{"v1/up/3a/+"}},
		{[]string{"3a", "00-02", "3b"}, "00-02, 3a-3b", []string{"v1/up/00/+", "v1/up/01/+", "v1/up/02/+", "v1/up/3a/+", "v1/up/3b/+"}},
		{[]string{"80-ff", "00-7f"}, "00-ff", []string{"v1/up/+/+"}},
		{[]string{"ff", "00"}, "00, ff", []string{"v1/up/00/+", "v1/up/ff/+"}},
	} {
		s, err := collector.ParseShards(c.list)
		require.NoError(t, err)
		require.Equal(t, c.text, s.String())
		require.Equal(t, c.filters, s.Filters())
	}
	for _, list := range [][]string{nil, {""}, {"0"}, {"3A"}, {"00-"}, {"-ff"}, {"7f-00"}, {"00-100"}, {"zz"}, {"00-01-02"}, {"00-10", "10"}} {
		_, err := collector.ParseShards(list)
		require.Error(t, err, "%q", list)
	}
}
