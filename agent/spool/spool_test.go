package spool_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/spool"
	"roadseal/crypto/envelope"
	"roadseal/crypto/open"
	"roadseal/crypto/recipient"
	"roadseal/crypto/record"
	"roadseal/crypto/seal"
	"roadseal/hal/durable"
)

const slots = 2

func order(stream string) (int, bool) {
	switch stream {
	case "event":
		return 1, true
	case "video":
		return 3, true
	case "held":
		return 2, false
	}
	return 9, true
}

// A rig is a spool in a folder that can be opened again.
type rig struct {
	t    *testing.T
	disk *durable.Disk
	to   []recipient.Key
	opt  spool.Options
	*spool.Spool
}

func newRig(t *testing.T) *rig {
	t.Helper()
	d, err := durable.OpenDisk(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	id, err := open.Generate()
	require.NoError(t, err)
	r := &rig{t: t, disk: d, to: []recipient.Key{id.Recipient()},
		opt: spool.Options{MaxBytes: 1 << 30, Slots: slots, Order: order}}
	r.reopen()
	return r
}

func (r *rig) reopen() {
	r.t.Helper()
	s, err := spool.Open(r.disk, r.opt)
	require.NoError(r.t, err)
	r.Spool = s
}

func rec(stream string) record.Record {
	return record.Record{MediaType: "text/csv", Stream: stream, Source: "gnss", Clock: "gnss"}
}

func (r *rig) put(m spool.Meta, content string) spool.Entry {
	r.t.Helper()
	d, err := r.Create(3, 10_000)
	require.NoError(r.t, err)
	sealed, err := seal.Object(d, strings.NewReader(content), rec(m.Stream), r.to, slots)
	require.NoError(r.t, err)
	e, err := d.Commit(m, sealed.Name, sealed.Size)
	require.NoError(r.t, err)
	return e
}

func (r *rig) files() (names []string) {
	r.t.Helper()
	all, err := os.ReadDir(r.disk.Path())
	require.NoError(r.t, err)
	for _, e := range all {
		if e.Name() != "reserve" {
			names = append(names, e.Name())
		}
	}
	return names
}

func meta(class int, seq uint32, stream string, tag byte) spool.Meta {
	return spool.Meta{Class: class, Boot: 7, Sequence: seq, Stream: stream, Tag: spool.Tag{tag}}
}

func names(entries []spool.Entry) (all []string) {
	for _, e := range entries {
		all = append(all, fmt.Sprintf("%s/%d", e.Stream, e.Sequence))
	}
	return all
}

func TestUploadOrderSurvivesARestart(t *testing.T) {
	r := newRig(t)
	r.put(meta(3, 5, "video", 5), "a")
	r.put(meta(3, 4, "video", 4), "b")
	r.put(meta(1, 6, "event", 6), "c")
	r.put(meta(3, 3, "held", 3), "d")
	r.put(meta(2, 1, "gone", 1), "e")
	want := []string{"event/6", "video/4", "video/5", "gone/1"}
	require.Equal(t, want, names(slices.Collect(r.Pending())))
	before := slices.Collect(r.Pending())
	r.reopen()
	require.Equal(t, before, slices.Collect(r.Pending()))
	require.Equal(t, 5, r.Usage().QueuedObjects)
	for _, tag := range []byte{1, 3, 4, 5, 6} {
		require.True(t, r.HasTag(spool.Tag{tag}))
	}
	require.False(t, r.HasTag(spool.Tag{}), "no tag is no clip")
}

func TestWhatIsReadBackIsWhatWasSealed(t *testing.T) {
	r := newRig(t)
	e := r.put(meta(3, 1, "video", 1), "hello")
	f, err := r.Open(e)
	require.NoError(t, err)
	b, err := io.ReadAll(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.EqualValues(t, e.Size, len(b))
	require.NoError(t, envelope.Check(bytes.NewReader(b), e.Size, slots))

	path := filepath.Join(r.disk.Path(), r.files()[0])
	require.NoError(t, os.Truncate(path, e.Size-1))
	_, err = r.Open(e)
	require.ErrorContains(t, err, "its name says")
}

// TestOnlySealedObjectsGetIn is the promise that no plaintext reaches the
// spool, held where it matters last.
func TestOnlySealedObjectsGetIn(t *testing.T) {
	r := newRig(t)
	for name, content := range map[string]string{
		"plaintext": strings.Repeat("$GPRMC,", 1000),
		"empty":     "",
		"header":    "age-encryption.org/v1\n-> X25519 abc\n",
	} {
		d, err := r.Create(3, 100)
		require.NoError(t, err)
		_, err = io.WriteString(d, content)
		require.NoError(t, err)
		_, err = d.Commit(meta(1, 1, "video", 1), envelope.Name{1}, int64(len(content)))
		require.Error(t, err, name)
		require.Empty(t, r.files(), name)
	}
	d, err := r.Create(3, 100)
	require.NoError(t, err)
	sealed, err := seal.Object(d, strings.NewReader("x"), rec("video"), r.to, slots+1)
	require.NoError(t, err)
	_, err = d.Commit(meta(1, 1, "video", 1), sealed.Name, sealed.Size)
	require.ErrorContains(t, err, "sealed objects only", "another number of stanzas than the fleet's")
	require.Empty(t, r.files())
}

func TestCommitRefusesBadMeta(t *testing.T) {
	r := newRig(t)
	for _, m := range []spool.Meta{{Class: 0, Stream: "video"}, {Class: 5, Stream: "video"}, {Class: 1}, {Class: 1, Stream: "a.b"}, {Class: 1, Stream: "../x"}} {
		d, err := r.Create(3, 100)
		require.NoError(t, err)
		sealed, err := seal.Object(d, strings.NewReader("x"), rec("s"), r.to, slots)
		require.NoError(t, err)
		_, err = d.Commit(m, sealed.Name, sealed.Size)
		require.Error(t, err)
	}
	require.Empty(t, r.files())
}

func TestDeliveredObjectsStayUntilSpaceIsNeeded(t *testing.T) {
	r := newRig(t)
	a, b := r.put(meta(3, 1, "video", 1), "a"), r.put(meta(3, 2, "video", 2), "b")
	c := r.put(meta(3, 3, "video", 3), "c")
	require.NoError(t, r.MarkStored(b))
	require.NoError(t, r.MarkStored(a))
	require.NoError(t, r.MarkStored(a), "a second receipt changes nothing")
	require.NoError(t, r.MarkStored(spool.Entry{Name: envelope.Name{9}}), "nor does one for something else")
	require.Equal(t, []string{"video/3"}, names(slices.Collect(r.Pending())))
	require.Len(t, r.files(), 3)

	r.opt.MaxBytes = a.Size + b.Size + c.Size
	r.reopen()
	require.Equal(t, 2, r.Usage().StoredObjects)
	d, err := r.Create(3, 1)
	require.NoError(t, err)
	require.NoError(t, d.Discard())
	require.Equal(t, 1, r.Usage().StoredObjects, "the oldest went, and no more than needed")
	require.True(t, r.HasTag(spool.Tag{1}), "its clip is still known")
	r.reopen()
	require.True(t, r.HasTag(spool.Tag{1}), "also after a restart")
	require.True(t, r.HasTag(spool.Tag{2}))

	tags, err := spool.ReadTags(r.disk)
	require.NoError(t, err)
	require.Len(t, tags, 4, "one of them says that the first was delivered")

	present := []spool.Tag{{2}, {3}}
	require.NoError(t, r.KeepTags(present))
	require.True(t, r.HasTag(spool.Tag{1}), "the recorder may have been given another card")
	var long bytes.Buffer
	for i := range 5000 {
		long.WriteString(checked(fmt.Sprintf("%032x", i)))
	}
	ledger, err := os.ReadFile(filepath.Join(r.disk.Path(), "tags"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(r.disk.Path(), "tags"), append(ledger, long.Bytes()...), 0o600))
	r.reopen()
	require.NoError(t, r.KeepTags(present))
	require.False(t, r.HasTag(spool.Tag{1}), "the recorder has dropped the clip")
	r.reopen()
	require.False(t, r.HasTag(spool.Tag{1}))
	require.True(t, r.HasTag(spool.Tag{2}), "a tag that stands in a name needs no ledger")
}

func TestStartAfterACrash(t *testing.T) {
	r := newRig(t)
	e := r.put(meta(3, 1, "video", 1), "a")
	write := func(name, content string) {
		require.NoError(t, os.WriteFile(filepath.Join(r.disk.Path(), name), []byte(content), 0o600))
	}
	queued := r.files()[0]
	stored := strings.TrimSuffix(queued, "age") + "stored"
	write("17.tmp", "half an object")
	write(stored, "the same object under its later name")
	write("9.future-name", "of a newer release")
	write("tags", "roadseal source tags 1\nno tag\n"+checked("no tag")+checked(strings.Repeat("ab", 16)))
	r.reopen()
	require.Equal(t, 2, r.Usage().UnreadLines)
	require.ElementsMatch(t, []string{stored, "9.future-name", "tags"}, r.files())
	require.Empty(t, slices.Collect(r.Pending()))
	require.Equal(t, 1, r.Usage().StoredObjects)
	require.Equal(t, 1, r.Usage().Foreign)
	require.True(t, r.HasTag(e.Tag))
	require.True(t, r.HasTag(spool.Tag(bytes.Repeat([]byte{0xab}, 16))))
}

func TestChangedWakesTheReader(t *testing.T) {
	r := newRig(t)
	e := r.put(meta(3, 1, "video", 1), "a")
	<-r.Changed()
	require.NoError(t, r.MarkStored(e))
	<-r.Changed()
	select {
	case <-r.Changed():
		t.Fatal("nothing has changed")
	default:
	}
}
