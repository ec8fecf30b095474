package bench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/bench/capture"
	"roadseal/crypto/envelope"
)

// sendData adds one more DATA message of a long upload to a ledger.
func sendData(t *testing.T, l *capture.Ledger) {
	t.Helper()
	b, err := wire.Data{Object: envelope.Name{1}, Size: 1000 * wire.BlockSize, Index: uint32(l.DataMessages), Blocks: make([]byte, wire.BlockSize)}.MarshalBinary()
	require.NoError(t, err)
	l.Add(capture.Message{Payload: b})
}

// victims kills all that may be killed in one long upload.
func victims(t *testing.T, c *chaos, agent bool) (all []string, at []int) {
	t.Helper()
	l := capture.NewLedger()
	c.plan(0)
	for range 400 {
		sendData(t, l)
		if name := c.victim(l, agent); name != "" {
			all, at = append(all, name), append(at, l.DataMessages)
			c.plan(l.DataMessages)
		}
	}
	return all, at
}

func TestEachIsKilledAsOftenAsAsked(t *testing.T) {
	all, at := victims(t, newChaos(Kills{agentName: 3, brokerName: 2, collectorName: 1}, 1), true)
	count := map[string]int{}
	for i, name := range all {
		count[name]++
		if i > 0 {
			require.GreaterOrEqual(t, at[i]-at[i-1], apart)
		}
	}
	require.Equal(t, map[string]int{agentName: 3, brokerName: 2, collectorName: 1}, count)
	again, _ := victims(t, newChaos(Kills{agentName: 3, brokerName: 2, collectorName: 1}, 1), true)
	require.Equal(t, all, again, "the same seed kills in the same order")
}

func TestAgentWaitsForItsFixes(t *testing.T) {
	c := newChaos(Kills{agentName: 2, brokerName: 2}, 1)
	all, _ := victims(t, c, false)
	require.Equal(t, []string{brokerName, brokerName}, all)
	all, _ = victims(t, c, true)
	require.Equal(t, []string{agentName, agentName}, all)
}

func TestNobodyIsKilledBetweenUploads(t *testing.T) {
	l := capture.NewLedger()
	for range 100 {
		sendData(t, l)
	}
	require.NotEmpty(t, newChaos(Kills{brokerName: 1}, 1).victim(l, true))
	require.Empty(t, newChaos(nil, 1).victim(l, true))
	b, err := wire.Receipt{Object: envelope.Name{1}, Size: 1, Class: 1, Time: time.Unix(0, 0)}.MarshalBinary()
	require.NoError(t, err)
	l.Add(capture.Message{Payload: b})
	require.Empty(t, newChaos(Kills{brokerName: 1}, 1).victim(l, true))
}
