package health_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/health"
	"roadseal/agent/spool"
	"roadseal/agent/uplink"
	"roadseal/crypto/envelope"
)

func losses(n int) (all []spool.Loss) {
	for i := range n {
		all = append(all, spool.Loss{Reason: spool.Evicted, Entry: spool.Entry{Name: envelope.Name{byte(i), byte(i >> 8)}, Size: 1 << 32,
			Meta: spool.Meta{Class: 4, Boot: 1 << 31, Sequence: uint32(i), Stream: "a-long-stream-nm"}}})
	}
	return all
}

func TestDocument(t *testing.T) {
	d, told := health.NewDocument(status(), 9, losses(2))
	require.Len(t, told, 2)
	b, err := d.Marshal()
	require.NoError(t, err)
	var got health.Document
	require.NoError(t, json.Unmarshal(b, &got))
	require.Equal(t, d, got)
	require.Equal(t, status(), got.Status)
	require.Equal(t, health.Loss{Reason: "evicted", Object: "01" + strings.Repeat("00", 31), Stream: "a-long-stream-nm", Class: 4,
		Boot: 1 << 31, Sequence: 1, Size: 1 << 32}, got.Losses[1])
	require.True(t, strings.HasPrefix(string(b), "{\n \"roadseal_health\": 1,"))
}

// TestAFullDocumentIsOnTheTextGrid: with all the losses and all the words that
// it can hold.
func TestAFullDocumentIsOnTheTextGrid(t *testing.T) {
	s := status()
	for range 20 {
		s.Uplink.Deferred = append(s.Uplink.Deferred, uplink.Deferred{Object: "0123456789ab", Reason: strings.Repeat("r", 200), Until: now})
		s.Problems = append(s.Problems, strings.Repeat("p", 300))
		s.Cameras = append(s.Cameras, s.Cameras[0])
	}
	d, told := health.NewDocument(s, 1, losses(1000))
	require.Len(t, told, health.MaxLosses)
	require.Equal(t, 1000-health.MaxLosses, d.More)
	b, err := d.Marshal()
	require.NoError(t, err)
	require.LessOrEqual(t, len(b)+envelope.RecordSize, 64<<10, "the largest step of the grid")
}
