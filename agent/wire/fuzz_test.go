package wire_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/wire"
)

// FuzzReceipt: what parses as a receipt has one form, and it verifies if and
// only if it is one that was signed.
func FuzzReceipt(f *testing.F) {
	keys := []wire.PublicKey{public(signer)}
	signed := [][]byte{marshal(f, receipt(f, nil)), marshal(f, receipt(f, tag))}
	for _, b := range signed {
		f.Add(b)
		f.Add(append(b[:len(b)-64:len(b)-64], make([]byte, 64)...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := wire.Parse(b)
		r, ok := m.(wire.Receipt)
		if err != nil || !ok {
			return
		}
		require.Equal(t, b, marshal(t, r))
		genuine := bytes.Equal(b, signed[0]) || bytes.Equal(b, signed[1])
		require.Equal(t, genuine, r.Verify(keys) == nil)
		require.ErrorIs(t, r.Verify(nil), wire.ErrNotPinned)
		require.NoError(t, r.Matches(wire.Offer{Object: r.Object, Size: r.Size, Class: r.Class, Tag: r.Tag}))
	})
}
