package mqttlink_test

import (
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/stretchr/testify/require"
)

// TestABrokerThatAcknowledgesNothing costs a session, not memory: nothing that
// was sent is kept.
func TestABrokerThatAcknowledgesNothing(t *testing.T) { synctest.Test(t, acknowledgesNothing) }

func acknowledgesNothing(t *testing.T) {
	s, done := connect(t, &peer{on: func(in packets.ControlPacket) ([]byte, bool) {
		p, pub := in.(*packets.PublishPacket)
		if pub {
			p.Payload = nil
		}
		return nil, pub
	}})
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, most := heap(), uint64(0)
	var err error
	n := 0
	for ; n < 3000 && err == nil; n++ {
		err = s.Publish("v1/up/00/x", make([]byte, 120<<10))
		if n%500 == 499 {
			most = max(most, heap())
		}
	}
	require.ErrorContains(t, err, "acknowledges nothing")
	require.Less(t, int64(most-before), int64(8<<20))
	require.GreaterOrEqual(t, n, 1000, "far more than any honest broker lets wait")
	require.NoError(t, s.Close())
	<-done
}
