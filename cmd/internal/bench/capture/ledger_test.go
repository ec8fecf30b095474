package capture_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/bench/capture"
	"roadseal/crypto/envelope"
)

const size = 5*wire.BlockSize - 7 // five blocks, the last one short

func message(t *testing.T, m wire.Message, at int64) capture.Message {
	t.Helper()
	b, err := m.MarshalBinary()
	require.NoError(t, err)
	return capture.Message{Time: time.Unix(at, 0), Topic: "t", Payload: b}
}

func data(t *testing.T, object byte, index, blocks int) capture.Message {
	end := min(int64(index+blocks)*wire.BlockSize, size)
	return message(t, wire.Data{Object: envelope.Name{object}, Size: size, Index: uint32(index), Blocks: make([]byte, end-int64(index)*wire.BlockSize)}, 0)
}

func TestResentBlocksAreCountedForTheirKill(t *testing.T) {
	l := capture.NewLedger()
	l.Add(data(t, 1, 0, 2))
	l.Add(data(t, 2, 0, 2)) // the same blocks of another object are new
	require.Zero(t, l.Resent)

	l.Kill("agent")
	l.Add(data(t, 1, 1, 2)) // one old, one new
	l.Kill("broker")
	l.Add(data(t, 2, 0, 2)) // sent before the first kill, and lost with it
	l.Kill("collector")
	l.Add(data(t, 1, 0, 2)) // block 0 was lost with the agent, block 1 with the broker
	l.Add(data(t, 1, 2, 2)) // block 2 with the broker, block 3 is new
	l.Add(data(t, 1, 4, 1))

	l.Add(data(t, 1, 4, 1)) // it was under way when the collector was killed

	require.Equal(t, 7, l.Resent)
	require.Equal(t, []capture.Kill{{"agent", 4}, {"broker", 2}, {"collector", 1}}, l.Kills())
	require.Equal(t, 8, l.DataMessages)
	require.Equal(t, int64(14*wire.BlockSize-14), l.DataBytes)
}

func TestResentWithoutAnyKill(t *testing.T) {
	l := capture.NewLedger()
	l.Add(data(t, 1, 0, 1))
	l.Add(data(t, 1, 0, 1))
	require.Equal(t, 1, l.Resent)
	require.Empty(t, l.Kills())
}

func TestMidUpload(t *testing.T) {
	l := capture.NewLedger()
	require.False(t, l.MidUpload())
	l.Add(data(t, 1, 0, 2))
	require.True(t, l.MidUpload())
	l.Add(data(t, 1, 2, 2))
	l.Add(data(t, 1, 4, 1))
	require.True(t, l.MidUpload(), "all blocks are no receipt")
	l.Add(message(t, wire.Receipt{Object: envelope.Name{2}, Size: size, Class: 1, Time: time.Unix(0, 0)}, 1))
	require.True(t, l.MidUpload(), "a receipt for another object")
	l.Add(message(t, wire.Receipt{Object: envelope.Name{1}, Size: size, Class: 1, Time: time.Unix(0, 0)}, 1))
	require.False(t, l.MidUpload())
}

func TestFirstReceiptCounts(t *testing.T) {
	l := capture.NewLedger()
	require.Zero(t, l.FirstReceipt())
	receipt := func(object byte) wire.Message {
		return wire.Receipt{Object: envelope.Name{object}, Size: size, Class: 1, Time: time.Unix(0, 0)}
	}
	l.Add(message(t, receipt(1), 30))
	l.Add(message(t, receipt(2), 20))
	l.Add(message(t, receipt(2), 40))
	at, ok := l.Receipt(envelope.Name{2})
	require.True(t, ok)
	require.Equal(t, time.Unix(20, 0), at)
	_, ok = l.Receipt(envelope.Name{3})
	require.False(t, ok)
	require.Equal(t, time.Unix(20, 0), l.FirstReceipt())
	require.Equal(t, 2, l.Receipts())
}

func TestWhatIsNoneOfTheProtocolIsCounted(t *testing.T) {
	l := capture.NewLedger()
	l.Add(capture.Message{Payload: []byte("hello")})
	l.Add(data(t, 1, 0, 1))
	l.Add(message(t, wire.Data{Object: envelope.Name{1}, Size: 100 * wire.BlockSize, Index: 99, Blocks: make([]byte, wire.BlockSize)}, 0))
	require.Equal(t, 2, l.Unreadable)
}
