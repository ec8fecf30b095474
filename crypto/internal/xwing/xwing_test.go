package xwing_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/internal/xwing"
)

// lowOrder are the u-coordinates whose points have an order that divides 8
// (RFC 7748, section 6.1; D. J. Bernstein's list), with their forms above p.
var lowOrder = map[string]string{
	"0":         "0000000000000000000000000000000000000000000000000000000000000000",
	"1":         "0100000000000000000000000000000000000000000000000000000000000000",
	"order 8":   "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	"order 8'":  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	"p-1":       "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"p":         "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"p+1":       "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"0, top":    "0000000000000000000000000000000000000000000000000000000000000080",
	"p+1, top":  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"order8top": "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880",
}

func publicKey(t testing.TB) []byte {
	t.Helper()
	seed := make([]byte, xwing.SeedSize)
	rand.Read(seed)
	sk, err := xwing.PrivateKey(seed)
	require.NoError(t, err)
	b, err := sk.Public().MarshalBinary()
	require.NoError(t, err)
	return b
}

func TestLowOrderIsRefused(t *testing.T) {
	for name, text := range lowOrder {
		share, err := hex.DecodeString(text)
		require.NoError(t, err)
		require.ErrorContains(t, xwing.CheckShare(share), "low order", name)

		key := publicKey(t)
		copy(key[len(key)-len(share):], share)
		_, err = xwing.PublicKey(key)
		require.ErrorContains(t, err, "low order", name)
	}
	base := append([]byte{9}, make([]byte, 31)...)
	require.NoError(t, xwing.CheckShare(base))
	require.Error(t, xwing.CheckShare(base[:31]))
}

// The 12-bit coefficients of the ML-KEM half must be less than 3329.
func TestUnreducedIsRefused(t *testing.T) {
	for _, at := range []int{0, 3, 1149} { // first, second and last pair of coefficients
		key := publicKey(t)
		copy(key[at:], []byte{0x01, 0x0d, 0x00}) // 3329, 0
		_, err := xwing.PublicKey(key)
		require.ErrorContains(t, err, "not reduced")
		copy(key[at:], []byte{0x00, 0x0d, 0x00}) // 3328, 0
		_, err = xwing.PublicKey(key)
		require.NoError(t, err)
	}
}

func TestLengths(t *testing.T) {
	key := publicKey(t)
	for _, n := range []int{0, 1, 31, 32, 33, 1184, 1215, 1217, 2432} {
		_, err := xwing.PublicKey(append(bytes.Clone(key), key...)[:n])
		require.ErrorContains(t, err, "expected 1216")
		if n != xwing.SeedSize {
			_, err = xwing.PrivateKey(make([]byte, n))
			require.ErrorContains(t, err, "expected 32")
		}
	}
}

// TestCirclFloor holds circl at 1.6.5 or newer: earlier ones panic on HPKE keys
// of odd length (1.6.4), accept low-order points elsewhere (1.6.0), and leak
// through KyberSlash (1.3.6).
func TestCirclFloor(t *testing.T) {
	mod, err := os.ReadFile("../../../go.mod")
	require.NoError(t, err)
	require.NotRegexp(t, `cloudflare/circl[^\n]*=>`, string(mod), "nothing takes its place; cmd's TestReplaced holds all that is replaced")
	_, rest, ok := strings.Cut(string(mod), "\tgithub.com/cloudflare/circl ")
	require.True(t, ok, "circl is not required in go.mod")
	version, _, _ := strings.Cut(rest, "\n")
	require.True(t, atLeast(version, 1, 6, 5), "circl %q", version)
	for v, want := range map[string]bool{"v1.6.5": true, "v1.6.4": false, "v1.10.0": true, "v2.0.0": true, "v1.7.0": true, "v1.6.5-rc1": false, "": false} {
		require.Equal(t, want, atLeast(v, 1, 6, 5), v)
	}
}

// atLeast compares a release vX.Y.Z; a pre-release is no release.
func atLeast(version string, floor ...int) bool {
	var got []int
	for part := range strings.SplitSeq(strings.TrimPrefix(version, "v"), ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return false
		}
		got = append(got, n)
	}
	return slices.Compare(got, floor) >= 0
}
