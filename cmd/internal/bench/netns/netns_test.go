package netns_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/bench/netns"
)

// TestDeadLink: what is sent over a dead link vanishes, and the link comes back
// with its connections.
func TestDeadLink(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	n, err := netns.New()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	require.NoError(t, n.Join(7))
	l, err := n.Listen(7, 0)
	require.NoError(t, err)
	defer l.Close()
	c, err := n.Dial(7, l.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	far, err := l.Accept()
	require.NoError(t, err)
	defer far.Close()

	require.NoError(t, n.Deaden(7))
	_, err = c.Write([]byte("x"))
	require.NoError(t, err, "nobody is told")
	require.NoError(t, far.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	_, err = far.Read(make([]byte, 1))
	require.True(t, errors.Is(err, os.ErrDeadlineExceeded), "%v", err)

	require.NoError(t, n.Revive(7))
	require.NoError(t, far.SetReadDeadline(time.Now().Add(30*time.Second)))
	_, err = far.Read(make([]byte, 1))
	require.NoError(t, err, "TCP sends it again")
}
