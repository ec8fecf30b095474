package collector_test

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/collector"
	"roadseal/cmd/internal/objstore/objstoretest"
	"roadseal/crypto/envelope"
)

// bringHalf uploads the first n blocks of b.
func (v *vehicle) bringHalf(b []byte, n int) {
	v.w.t.Helper()
	v.offer(b, 1)
	expect[wire.Have](v)
	for i := range n {
		v.data(b, i, 1)
		if (i+1)%wire.HaveEvery == 0 {
			require.Equal(v.w.t, i+1, expect[wire.Have](v).Blocks.Count())
		}
	}
}

func TestUploadGoesOnAfterARestart(t *testing.T) {
	w := newWorld(t)
	v := w.vehicle()
	b, _ := objstoretest.Sealed(1, 4, envelope.Padme(40*wire.BlockSize))
	n := wire.Blocks(int64(len(b)))
	taken := int64(0)
	for round := range 5 {
		stop := w.start()
		v.offer(b, 1)
		h := expect[wire.Have](v)
		require.Equal(t, 4*round, h.Blocks.Count(), "blocks of earlier rounds were lost")
		for i := range 4 {
			v.data(b, 4*round+i, 1)
		}
		expect[wire.Have](v)
		s := stop()
		// The stop may come before the last message is handled or acknowledged;
		// it then comes again, and is taken without an OFFER.
		taken += s.Blocks
		require.LessOrEqual(t, s.Duplicate+s.Ignored, int64(1), "messages that were handled came again")
	}
	stop := w.start()
	require.Equal(t, n-20, v.upload(b, 1), "only what was missing is sent")
	w.holds("1", b)
	s := stop()
	require.Zero(t, s.Restarted)
	require.EqualValues(t, n, taken+s.Blocks, "each block was taken once")
}

func TestACompleteCopyIsStoredAfterARestart(t *testing.T) {
	w := newWorld(t)
	v := w.vehicle()
	b, name := objstoretest.Sealed(1, 4, envelope.Padme(4*wire.BlockSize))
	n := wire.Blocks(int64(len(b)))
	stop := w.start()
	v.bringHalf(b, n-1)
	stop()
	// The last block reaches the file and the process dies.
	staged := w.staged()[0]
	patch(t, staged, int64(n-1)*wire.BlockSize, b[(n-1)*wire.BlockSize:])
	patch(t, staged, int64(len(b)), []byte{1<<n - 1})
	w.start()
	v.offer(b, 1)
	require.True(t, expect[wire.Have](v).Blocks.Full(int64(len(b))))
	v.expectReceipt(b, 1)
	require.FileExists(t, w.path("1", name))
}

func TestACopyThatAPowerCutDamagedBeginsAnew(t *testing.T) {
	for what, at := range map[string]int64{"header": 100, "body": 2*wire.BlockSize + 5} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			v := w.vehicle()
			b, _ := objstoretest.Sealed(1, 4, envelope.Padme(5*wire.BlockSize))
			n := wire.Blocks(int64(len(b)))
			stop := w.start()
			v.bringHalf(b, 4)
			stop()
			patch(t, w.staged()[0], at, make([]byte, 512)) // its bit was written, the block was not
			stop = w.start()
			v.offer(b, 1)
			h := expect[wire.Have](v)
			if what == "body" { // shows only when all is there
				require.Equal(t, 4, h.Blocks.Count())
				for i := 4; i < n; i++ {
					v.data(b, i, 1)
				}
				require.True(t, expect[wire.Have](v).Blocks.Full(int64(len(b))))
				h = expect[wire.Have](v)
			}
			require.Zero(t, h.Blocks.Count())
			v.upload(b, 1)
			w.holds("1", b)
			s := stop()
			require.EqualValues(t, 1, s.Restarted)
			require.Empty(t, s.Refused, "the vehicle is not to blame")
		})
	}
}

func (w *world) staged() (paths []string) {
	w.t.Helper()
	paths, err := filepath.Glob(filepath.Join(w.dir, "staging", "*"))
	require.NoError(w.t, err)
	require.NotEmpty(w.t, paths)
	return paths
}

func patch(t *testing.T, path string, at int64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = f.WriteAt(b, at)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func TestTheBrokerMayComeAndGo(t *testing.T) {
	w := newWorld(t)
	stop := w.start()
	address := w.broker.Address()
	b, _ := objstoretest.Sealed(1, 4, envelope.Padme(100_000))
	for round := range 3 {
		v := w.vehicle()
		v.bringHalf(b, 1)
		w.mu.Lock()
		up := make(chan struct{})
		w.up = up
		w.mu.Unlock()
		require.NoError(t, w.broker.Close())
		w.broker = w.ca.Broker(address, nil)
		await(t, up)
		require.Equal(t, round+1, strings.Count(w.logged(), "no connection to the broker"))
	}
	v := w.vehicle()
	v.upload(b, 1)
	require.EqualValues(t, 1, stop().Stored)
}

// Nothing that an operator of the collector sees holds a device together with
// an object: neither the log, nor the status, nor a name in the store.
func TestNothingLinksADeviceToAnObject(t *testing.T) {
	w := newWorld(t)
	stop := w.start()
	v := w.vehicle()
	b, name := objstoretest.Sealed(1, 4, envelope.Padme(200_000))
	v.upload(b, 2)
	bad := append([]byte(nil), b...)
	bad[len(bad)-1] ^= 1
	require.NoError(t, os.WriteFile(w.path("2", name), bad, 0o600))
	v.offer(b, 2)
	v.expectRefused(wire.ReasonClash, name)
	c, other := objstoretest.Sealed(2, 4, envelope.Padme(200_000))
	v.bringHalf(c, 2)
	v.sendTo("v1/up/"+map[bool]string{true: "01", false: "00"}[wire.Shard(v.device) == "00"]+"/"+v.device,
		wire.Offer{Object: name, Size: int64(len(b)), Class: 1})
	v.expectRefused(wire.ReasonShard, name)
	v.offer(c, 1)
	expect[wire.Have](v)
	stop()
	require.NotContains(t, w.logged(), v.device)
	require.NoError(t, filepath.WalkDir(w.dir, func(path string, e os.DirEntry, err error) error {
		require.NoError(t, err)
		require.NotContains(t, path, v.device)
		if strings.Contains(path, "staging") {
			require.NotContains(t, path, other.String())
		}
		return nil
	}))
	// The name of the staged copy cannot be computed without the receipt key.
	staged := filepath.Base(w.staged()[0])
	h := sha256.Sum256(append([]byte(v.device), other[:]...))
	require.NotEqual(t, envelope.Name(h).String(), staged)
	key, err := collector.GenerateKey()
	require.NoError(t, err)
	w.key = key
	stop = w.start()
	v.offer(c, 1)
	require.Zero(t, expect[wire.Have](v).Blocks.Count(), "another key finds the copy")
	stop()
}

// TestDataGoesOnAfterARestart: what a vehicle has under way when the collector
// dies is not lost, though the new process has heard no OFFER.
func TestDataGoesOnAfterARestart(t *testing.T) {
	w := newWorld(t)
	v := w.vehicle()
	b, name := objstoretest.Sealed(1, 4, envelope.Padme(10*wire.BlockSize))
	n := wire.Blocks(int64(len(b)))
	stop := w.start()
	v.bringHalf(b, 4)
	stop()
	w.start()
	for i := 4; i < 8; i++ {
		v.data(b, i, 1)
	}
	// The stop may come before the last message is acknowledged; it then comes again.
	require.GreaterOrEqual(t, expect[wire.Have](v).Blocks.Count(), 7, "no OFFER was needed")
	for i := 8; i < n; i++ {
		v.data(b, i, 1)
	}
	// Its class is not known yet: the offer that follows the silence tells it.
	v.offer(b, 1)
	for h := expect[wire.Have](v); !h.Blocks.Full(int64(len(b))); h = expect[wire.Have](v) {
	}
	v.expectReceipt(b, 1)
	require.FileExists(t, w.path("1", name))
}

// TestDataOfNothingIsIgnored: only a staged copy stands for an OFFER.
func TestDataOfNothingIsIgnored(t *testing.T) {
	w := newWorld(t)
	v := w.vehicle()
	b, _ := objstoretest.Sealed(1, 4, envelope.Padme(4*wire.BlockSize))
	stop := w.start()
	v.data(b, 0, 1)
	v.offer(b, 1)
	require.Zero(t, expect[wire.Have](v).Blocks.Count())
	require.EqualValues(t, 1, stop().Ignored)
}

// TestAKillWhileCommittingCostsNothing: the copy without its bitmap has all
// blocks; whether its name in pool is there already or not, nothing comes again.
func TestAKillWhileCommittingCostsNothing(t *testing.T) {
	for _, linked := range []bool{false, true} {
		w := newWorld(t)
		v := w.vehicle()
		b, name := objstoretest.Sealed(1, 4, envelope.Padme(4*wire.BlockSize))
		n := wire.Blocks(int64(len(b)))
		stop := w.start()
		v.bringHalf(b, n-1)
		stop()
		staged := w.staged()[0]
		patch(t, staged, int64(n-1)*wire.BlockSize, b[(n-1)*wire.BlockSize:])
		require.NoError(t, os.Truncate(staged, int64(len(b))))
		if linked {
			require.NoError(t, os.MkdirAll(filepath.Dir(w.path("1", name)), 0o700))
			require.NoError(t, os.Link(staged, w.path("1", name)))
		}
		stop = w.start()
		if linked { // it is stored, and known as such at once
			v.offer(b, 1)
			v.expectReceipt(b, 1)
		} else {
			require.Zero(t, v.upload(b, 1), "nothing comes again")
		}
		w.holds("1", b)
		require.Zero(t, stop().Restarted)
	}
}
