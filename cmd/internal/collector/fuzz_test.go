package collector_test

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/mqttlink"
	"roadseal/agent/wire"
	"roadseal/cmd/internal/collector"
	"roadseal/cmd/internal/objstore"
	"roadseal/cmd/internal/objstore/objstoretest"
	"roadseal/crypto/envelope"
	"roadseal/hal/durable"
)

// FuzzMessages throws what a hostile vehicle might send at a collector. It must
// neither fall over nor answer with anything but a message of its own.
func FuzzMessages(f *testing.F) {
	b, name := objstoretest.Sealed(1, 4, 4096)
	for _, m := range []wire.Message{
		wire.Offer{Object: name, Size: int64(len(b)), Class: 1},
		wire.Data{Object: name, Size: int64(len(b)), Blocks: b},
		wire.Offer{Object: name, Size: int64(len(b)), Class: 4, Tag: new([32]byte)},
		wire.Refused{Object: name, Reason: 1},
	} {
		raw, err := m.MarshalBinary()
		require.NoError(f, err)
		f.Add(deviceA, raw)
	}
	f.Add("x/y", []byte{1, 3})
	disk, err := durable.OpenDisk(f.TempDir())
	require.NoError(f, err)
	folder, err := objstore.NewFolder(disk, objstore.Limits{Count: 100, Bytes: 1 << 30, Age: 1})
	require.NoError(f, err)
	key, err := collector.GenerateKey()
	require.NoError(f, err)
	shards, err := collector.ParseShards([]string{"00-ff"})
	require.NoError(f, err)
	link := newFakeLink()
	c := collector.New(collector.Options{Dial: func(context.Context) (collector.Link, error) { return link, nil }, Store: folder, Key: key,
		Shards: shards, Slots: 4, Quota: collector.DefaultQuota(), Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	f.Cleanup(func() {
		cancel()
		<-done
		require.NoError(f, folder.Close())
	})
	f.Fuzz(func(t *testing.T, device string, payload []byte) {
		link.in <- mqttlink.Message{Topic: wire.UpTopic(device), Payload: payload}
		link.mu.Lock()
		defer link.mu.Unlock()
		for topic, messages := range link.out {
			require.NoError(t, wire.CheckDevice(strings.TrimPrefix(topic, "v1/down/")))
			for _, m := range messages {
				if r, ok := m.(wire.Receipt); ok {
					require.Equal(t, envelope.Name(sha256.Sum256(b)), r.Object, "a receipt for what was never sent whole")
				}
			}
			delete(link.out, topic)
		}
	})
}
