package agent

import (
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/spool"
	"roadseal/crypto/envelope"
)

func TestALossIsToldUntilADocumentWithItHasItsReceipt(t *testing.T) {
	loss := func(n byte) spool.Loss {
		return spool.Loss{Reason: spool.Evicted, Entry: spool.Entry{Name: envelope.Name{n}}}
	}
	var a told
	require.Equal(t, []spool.Loss{loss(1), loss(2)}, a.untold([]spool.Loss{loss(1), loss(2)}))
	first, second := envelope.Name{100}, envelope.Name{200}
	wait := func(document envelope.Name, losses ...spool.Loss) {
		require.NoError(t, a.wait(losses, func() (envelope.Name, error) { return document, nil }))
	}
	wait(first, loss(1), loss(2))
	require.Equal(t, []spool.Loss{loss(3)}, a.untold([]spool.Loss{loss(1), loss(2), loss(3)}), "not twice while a document waits")
	wait(second, loss(3))

	// The first document gives way to others itself: what it told is told again.
	require.Equal(t, []spool.Loss{loss(1), loss(2), loss(100)}, a.untold([]spool.Loss{loss(1), loss(2), loss(3), loss(100)}))
	require.Empty(t, a.delivered(first))
	require.Equal(t, []spool.Loss{loss(3)}, a.delivered(second))
	require.Empty(t, a.delivered(second))
	require.Empty(t, a.delivered(envelope.Name{7}))
}
