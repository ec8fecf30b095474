package collector_test

import (
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

func TestObjectsAreStoredAndReceipted(t *testing.T) {
	w := newWorld(t)
	stop := w.start()
	v := w.vehicle()
	for i, plain := range []int64{1024, 4096, 61440 - 8000, 65536, 1 << 20} {
		plain = envelope.Padme(plain)
		b, _ := objstoretest.Sealed(uint64(i), 4, plain)
		class := uint8(1 + i%4)
		require.Equal(t, wire.Blocks(int64(len(b))), v.upload(b, class))
		w.holds(string('0'+rune(class)), b)
	}
	s := stop()
	require.EqualValues(t, 5, s.Stored)
	require.EqualValues(t, 5, s.Receipts)
	require.Zero(t, s.Arriving)
	require.Zero(t, s.Alarms)
	left, err := os.ReadDir(filepath.Join(w.dir, "staging"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestHaveComesOnTheOfferEveryFourMessagesAndAtTheEnd(t *testing.T) {
	w := newWorld(t)
	stop := w.start()
	v := w.vehicle()
	b, name := objstoretest.Sealed(1, 4, envelope.Padme(13*wire.BlockSize))
	n := wire.Blocks(int64(len(b)))
	have := func(blocks ...int) {
		t.Helper()
		want := wire.NewBitmap(int64(len(b)))
		for _, i := range blocks {
			want.Set(i)
		}
		require.Equal(t, wire.Have{Object: name, Size: int64(len(b)), Blocks: want}, expect[wire.Have](v))
	}
	v.offer(b, 2)
	have()
	v.data(b, 0, 2)
	v.data(b, 2, 1)
	again := wire.Data{Object: name, Size: int64(len(b)), Index: 2, Blocks: make([]byte, wire.BlockSize)}
	v.send(again) // a message like any other, but the first bytes stay
	v.data(b, 7, 2)
	have(0, 1, 2, 7, 8)
	v.offer(b, 2)
	have(0, 1, 2, 7, 8)
	all := []int{0, 1, 2, 7, 8}
	for i := range n {
		if i < 3 || i == 7 || i == 8 {
			continue
		}
		v.data(b, i, 1)
		if all = append(all, i); (len(all)-5)%4 == 0 || len(all) == n {
			have(all...)
		}
	}
	v.expectReceipt(b, 2)
	require.EqualValues(t, 1, stop().Duplicate)
}

func TestKnownObjectIsReadBackBeforeEachReceipt(t *testing.T) {
	w := newWorld(t)
	stop := w.start()
	b, name := objstoretest.Sealed(1, 4, envelope.Padme(200_000))
	w.vehicle().upload(b, 3)
	v := w.vehicle() // another one, same object: the receipt is true for it too
	v.offer(b, 3)
	v.expectReceipt(b, 3)

	other, _ := objstoretest.Sealed(2, 4, envelope.Padme(300_000))
	v.send(wire.Offer{Object: name, Size: int64(len(other)), Class: 3})
	v.expectRefused(wire.ReasonSize, name)

	path := w.path("3", name)
	bad := append([]byte(nil), b...)
	bad[len(bad)/2] ^= 1
	require.NoError(t, os.WriteFile(path, bad, 0o600))
	v = w.vehicle() // a slow machine may have kept the receipt for the other one
	v.offer(b, 3)
	v.expectRefused(wire.ReasonClash, name)
	v.offer(b, 1) // nor is it added under another class
	v.expectRefused(wire.ReasonClash, name)
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, bad, got, "what was there was overwritten")
	require.NoFileExists(t, w.path("1", name))

	require.NoError(t, os.WriteFile(path, b[:len(b)-1], 0o600)) // cut short
	v.offer(b, 3)
	v.expectRefused(wire.ReasonClash, name)

	require.NoError(t, os.WriteFile(path, b, 0o600))
	v.offer(b, 3)
	v.expectReceipt(b, 3)
	s := stop()
	require.EqualValues(t, 3, s.Alarms)
	require.EqualValues(t, 2, s.Known)
	require.Equal(t, 1, strings.Count(w.logged(), "ALARM"), "the log has each alarm once")
}

func TestClassesAreAddedNeverTakenAway(t *testing.T) {
	w := newWorld(t)
	stop := w.start()
	v := w.vehicle()
	b, name := objstoretest.Sealed(1, 4, envelope.Padme(100_000))
	v.upload(b, 3)
	v.offer(b, 1) // kept longer: added
	v.expectReceipt(b, 1)
	w.holds("1", b)
	w.holds("3", b)
	for class := uint8(2); class <= 4; class++ { // kept shorter: true already
		v.offer(b, class)
		v.expectReceipt(b, class)
	}
	require.NoFileExists(t, w.path("2", name))
	require.NoFileExists(t, w.path("4", name))
	w.holds("3", b)
	require.Zero(t, stop().Alarms)
}

func TestALongerClassWhileTheObjectArrives(t *testing.T) {
	w := newWorld(t)
	w.start()
	v := w.vehicle()
	b, name := objstoretest.Sealed(1, 4, envelope.Padme(100_000))
	v.offer(b, 3)
	expect[wire.Have](v)
	v.data(b, 0, 1)
	v.offer(b, 1)
	expect[wire.Have](v)
	v.offer(b, 4) // the vehicle's last word; what it said before still holds
	expect[wire.Have](v)
	v.data(b, 1, 1)
	expect[wire.Have](v)
	v.expectReceipt(b, 4)
	w.holds("1", b)
	require.NoFileExists(t, w.path("4", name))
}

func TestHostileOffers(t *testing.T) {
	w := newWorld(t)
	w.quota.Largest[1] = 100_000
	stop := w.start()
	v := w.vehicle()
	b, name := objstoretest.Sealed(1, 4, envelope.Padme(100_000))
	good := wire.Offer{Object: name, Size: int64(len(b)), Class: 1}
	other := "00"
	if wire.Shard(v.device) == other {
		other = "01"
	}
	for what, c := range map[string]struct {
		topic  string
		change func(*wire.Offer)
		why    wire.Reason
	}{
		"another shard":       {"v1/up/" + other + "/" + v.device, func(*wire.Offer) {}, wire.ReasonShard},
		"no sealed size":      {"", func(o *wire.Offer) { o.Size = envelope.HeaderSize(4) - 1 }, wire.ReasonSize},
		"off the grid":        {"", func(o *wire.Offer) { o.Size++ }, wire.ReasonSize},
		"above the class cap": {"", func(o *wire.Offer) { o.Class = 2 }, wire.ReasonSize},
		"a page tag":          {"", func(o *wire.Offer) { o.Tag = new([32]byte) }, wire.ReasonClass},
	} {
		o := good
		c.change(&o)
		if c.topic == "" {
			c.topic = wire.UpTopic(v.device)
		}
		v.sendTo(c.topic, o)
		require.Equal(t, wire.Refused{Object: name, Reason: c.why}, expect[wire.Refused](v), what)
	}
	s := stop()
	require.EqualValues(t, 3, s.Refused[wire.ReasonSize.String()])
	requireNothingStored(t, w)
}

func requireNothingStored(t *testing.T, w *world) {
	t.Helper()
	for _, dir := range []string{"pool/1", "pool/2", "pool/3", "pool/4", "staging"} {
		left, err := os.ReadDir(filepath.Join(w.dir, dir))
		require.NoError(t, err)
		require.Empty(t, left, dir)
	}
}

func TestHostileObjects(t *testing.T) {
	good, goodName := objstoretest.Sealed(1, 4, envelope.Padme(200_000))
	size := len(good)
	change := func(at int, to string) []byte {
		b := append([]byte(nil), good...)
		copy(b[at:], to)
		return b
	}
	// Five stanzas, cut to the size that the grid has for four.
	five, _ := objstoretest.Sealed(2, 5, envelope.Padme(200_000))
	three, _ := objstoretest.Sealed(3, 3, envelope.Padme(300_000))
	for what, c := range map[string]struct {
		b   []byte
		why wire.Reason
	}{
		"plaintext":           {[]byte(strings.Repeat("$GPRMC,123519,A,4807.038,N,01131.000,E\n", size))[:size], wire.ReasonHeader},
		"age with X25519":     {change(0, "age-encryption.org/v1\n-> X25519 "), wire.ReasonHeader},
		"another version":     {change(0, "age-encryption.org/v2\n"), wire.ReasonHeader},
		"an extra stanza":     {five[:size], wire.ReasonHeader},
		"a stanza less":       {three[:size], wire.ReasonHeader},
		"a header that trips": {change(3000, "\n\n\n"), wire.ReasonHeader},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			stop := w.start()
			v := w.vehicle()
			v.offer(c.b, 1)
			expect[wire.Have](v)
			v.data(c.b, 0, 2) // refused with the first blocks, not after all of them
			m := expect[wire.Refused](v)
			require.Equal(t, c.why, m.Reason)
			v.data(c.b, 2, 2) // falls on deaf ears
			v.offer(good, 1)
			require.Equal(t, goodName, expect[wire.Have](v).Object)
			stop()
			left, err := os.ReadDir(filepath.Join(w.dir, "staging"))
			require.NoError(t, err)
			require.Len(t, left, 1, "only the good one is staged")
		})
	}
}

func TestBlocksThatDoNotHashToTheName(t *testing.T) {
	w := newWorld(t)
	stop := w.start()
	v := w.vehicle()
	b, name := objstoretest.Sealed(1, 4, envelope.Padme(200_000))
	v.offer(b, 1)
	expect[wire.Have](v)
	for i := range wire.Blocks(int64(len(b))) {
		d := wire.Data{Object: name, Size: int64(len(b)), Index: uint32(i), Blocks: append([]byte(nil), b[i*wire.BlockSize:min(len(b), (i+1)*wire.BlockSize)]...)}
		if i == 2 {
			d.Blocks[5] ^= 1
		}
		v.send(d)
	}
	for {
		h, ok := v.receive().(wire.Have)
		if !ok {
			break
		}
		require.Equal(t, name, h.Object)
	}
	v.upload(b, 1) // from the beginning
	s := stop()
	require.EqualValues(t, 1, s.Refused[wire.ReasonHash.String()])
	require.Zero(t, s.Alarms, "the store never held it")
}

func TestOneVehicleCannotSpoilAnothers(t *testing.T) {
	w := newWorld(t)
	w.start()
	good, evil := w.vehicle(), w.vehicle()
	b, name := objstoretest.Sealed(1, 4, envelope.Padme(100_000)) // two blocks
	good.offer(b, 1)
	require.Zero(t, expect[wire.Have](good).Blocks.Count())
	evil.offer(b, 1)
	expect[wire.Have](evil)
	bad := append([]byte(nil), b[wire.BlockSize:]...)
	bad[0] ^= 1
	evil.send(wire.Data{Object: name, Size: int64(len(b)), Index: 1, Blocks: bad})
	evil.data(b, 0, 1)
	require.True(t, expect[wire.Have](evil).Blocks.Full(int64(len(b))))
	evil.expectRefused(wire.ReasonHash, name)
	good.offer(b, 1)
	require.Zero(t, expect[wire.Have](good).Blocks.Count(), "it has what another one sent")
	good.data(b, 0, 2)
	expect[wire.Have](good)
	good.expectReceipt(b, 1)
}

func TestDataAboutNothing(t *testing.T) {
	w := newWorld(t)
	stop := w.start()
	v := w.vehicle()
	a, _ := objstoretest.Sealed(1, 4, envelope.Padme(200_000))
	b, name := objstoretest.Sealed(2, 4, envelope.Padme(300_000))
	v.data(a, 0, 1) // never offered
	v.offer(b, 1)
	expect[wire.Have](v)
	v.send(wire.Data{Object: name, Size: int64(len(a)), Blocks: b[:wire.BlockSize]}) // another size
	v.offer(append(b, 0)[:len(b)], 1)
	require.Zero(t, expect[wire.Have](v).Blocks.Count())
	o := wire.Offer{Object: name, Size: int64(len(a)), Class: 1}
	v.send(o) // another size, of which nothing has come either
	require.EqualValues(t, len(a), expect[wire.Have](v).Size)
	v.offer(b, 1)
	require.EqualValues(t, len(b), expect[wire.Have](v).Size)
	v.data(b, 1, 1)
	v.send(o) // another size for what is arriving
	v.expectRefused(wire.ReasonSize, name)
	v.send(wire.Refused{Object: name, Reason: 1}) // a message of the other direction
	require.NoError(t, v.link.Publish(wire.UpTopic(v.device), []byte("hello")))
	v.upload(b, 1)
	require.EqualValues(t, 4, stop().Ignored)
}

func TestEndlessAssembliesMeetTheQuota(t *testing.T) {
	w := newWorld(t)
	w.quota.Objects, w.quota.Bytes, w.quota.Total = 3, 10<<20, 5
	stop := w.start()
	hostile, good := w.vehicle(), w.vehicle()
	for i := range uint64(20) { // each pushes out the oldest
		b, _ := objstoretest.Sealed(100+i, 4, 4096)
		hostile.offer(b, 1)
		expect[wire.Have](hostile)
	}
	b, _ := objstoretest.Sealed(1, 4, envelope.Padme(100_000))
	good.upload(b, 1)
	b, name := objstoretest.Sealed(2, 4, envelope.Padme(11<<20))
	good.offer(b, 1)
	good.expectRefused(wire.ReasonQuota, name)
	for i := range uint64(2) {
		b, _ := objstoretest.Sealed(200+i, 4, 4096)
		good.offer(b, 1)
		expect[wire.Have](good)
		for k := range uint64(3 * (1 - i)) { // what is stored counts no longer
			b, _ := objstoretest.Sealed(300+k, 4, envelope.Padme(4<<20))
			good.upload(b, 1)
		}
	}
	b, name = objstoretest.Sealed(3, 4, 4096) // within the quota, but the collector has its hands full
	good.offer(b, 1)
	good.expectRefused(wire.ReasonBusy, name)
	require.Equal(t, 5, openAtTheEnd(t, w, stop))
}

// openAtTheEnd stops a collector and counts what it has left staged.
func openAtTheEnd(t *testing.T, w *world, stop func() collector.Status) int {
	t.Helper()
	stop()
	left, err := os.ReadDir(filepath.Join(w.dir, "staging"))
	require.NoError(t, err)
	return len(left)
}
