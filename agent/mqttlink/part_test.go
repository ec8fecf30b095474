package mqttlink_test

import (
	"bytes"
	"testing"
	"testing/synctest"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/stretchr/testify/require"

	"roadseal/agent/wire"
)

// TestParts: blocks that come down with QoS 0 pass the guard of a vehicle, as
// many as it ever has outstanding, and take no acknowledgement. More of them than
// anybody reads are dropped.
func TestParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		part, err := wire.Part{Size: wire.MaxFile, Index: 7, Block: make([]byte, wire.BlockSize)}.MarshalBinary()
		require.NoError(t, err)
		packet := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
		packet.TopicName, packet.Payload = wire.DownTopic("AAECAwQFBgcICQoLDA0ODw"), part
		var b bytes.Buffer
		require.NoError(t, packet.Write(&b))
		require.LessOrEqual(t, b.Len(), wire.MaxDown)

		p := new(peer)
		s, done := connect(t, p)
		for range wire.MaxAsk {
			p.out <- b.Bytes()
		}
		for range wire.MaxAsk {
			m := <-s.Messages()
			require.True(t, bytes.Equal(part, m.Payload))
		}
		synctest.Wait()
		require.Zero(t, s.Dropped())
		require.Zero(t, count[*packets.PubackPacket](p))
		for range 1000 {
			p.out <- b.Bytes()
		}
		synctest.Wait()
		require.Equal(t, int64(1000-cap(s.Messages())), s.Dropped())
		require.NoError(t, s.Publish("v1/up/00/x", []byte("still here")))
		require.NoError(t, s.Close())
		closed(t, done)
	})
}
