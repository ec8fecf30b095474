package wire_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/wire"
)

const device = "AAECAwQFBgcICQoLDA0ODw" // the bytes 0 to 15

func TestTopics(t *testing.T) {
	h := sha256.Sum256([]byte(device))
	shard := hex.EncodeToString(h[:])[:2]
	require.Equal(t, shard, wire.Shard(device))
	require.Equal(t, "v1/up/"+shard+"/"+device, wire.UpTopic(device))
	require.Equal(t, "v1/down/"+device, wire.DownTopic(device))
	require.Equal(t, "v1/up/0f/+", wire.UpFilter("0f"))
	require.LessOrEqual(t, strings.Count(wire.UpTopic(device), "/"), 7)

	s, d, ok := wire.DeviceOf(wire.UpTopic(device))
	require.True(t, ok)
	require.Equal(t, []string{shard, device}, []string{s, d})
	s, _, ok = wire.DeviceOf("v1/up/00/" + device)
	require.True(t, ok, "the caller compares the shard")
	require.Equal(t, "00", s)

	for _, bad := range []string{
		"", "v1/up/", "v1/up/" + shard, "v1/up/" + shard + "/", "v1/down/" + device, "v2/up/" + shard + "/" + device,
		"v1/up/" + shard + "/x/" + device, "v1/up/" + shard + "/" + device + "/", "v1/up//" + device,
		"v1/up/0/" + device, "v1/up/000/" + device, "v1/up/0F/" + device, "v1/up/zz/" + device, "v1/up/+/" + device,
		"v1/up/" + shard + "/+", "/v1/up/" + shard + "/" + device,
	} {
		_, _, ok := wire.DeviceOf(bad)
		require.False(t, ok, "%q", bad)
	}
}

func TestCheckDevice(t *testing.T) {
	require.NoError(t, wire.CheckDevice(device))
	require.NoError(t, wire.CheckDevice("__________________---w"))
	for _, bad := range []string{
		"", device[:21], device + "A", device + "==", "AAECAwQFBgcICQoLDA0ODx" /* spare bits */, "AAECAwQFBgcICQoLDA0O+w",
		"AAECAwQFBgcICQoLDA0O/w", "AAECAwQFBgcICQoLDA0O\nw", "WDB12345678901234", strings.Repeat("é", 11),
	} {
		err := wire.CheckDevice(bad)
		require.ErrorContains(t, err, "not a device id", "%q", bad)
		require.True(t, bad == "" || !strings.Contains(err.Error(), bad), "the error does not repeat it")
	}
}

func FuzzDeviceOf(f *testing.F) {
	f.Add(wire.UpTopic(device))
	f.Add("v1/up/00/+")
	f.Fuzz(func(t *testing.T, topic string) {
		if shard, d, ok := wire.DeviceOf(topic); ok {
			require.Equal(t, "v1/up/"+shard+"/"+d, topic)
			require.NoError(t, wire.CheckDevice(d))
		}
	})
}
