package spool

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/hal/durable"
	"roadseal/hal/durable/crashfs"
)

const testHead = "test record 1"

func fileWith(t *testing.T, content []byte) *crashfs.FS {
	fsys := crashfs.New(crashfs.Options{})
	f, err := fsys.Create("x")
	require.NoError(t, err)
	_, err = f.Write(content)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return fsys
}

func readAll(fsys durable.FS) (r *record, lines []string, unread int) {
	r, unread = readRecord(fsys, "x", testHead, func(text string) bool {
		lines = append(lines, text)
		return true
	})
	return r, lines, unread
}

func written(t *testing.T, lines ...string) []byte {
	fsys := fileWith(t, nil)
	r, _, _ := readAll(fsys)
	require.NoError(t, r.replace(slices.Values(lines)))
	b, err := durable.ReadFile(fsys, "x", 1<<20)
	require.NoError(t, err)
	return b
}

// FuzzRecord: whatever the file holds, it is read, and what is added to it is
// read after it.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(testHead + "\n\na 12345678\n"))
	f.Add([]byte(testHead + "\n\na b"))
	f.Add([]byte(strings.Repeat("x", 2000) + "\n\n"))
	f.Add(make([]byte, 700))
	f.Fuzz(func(t *testing.T, b []byte) {
		fsys := fileWith(t, b)
		r, lines, unread := readAll(fsys)
		require.Equal(t, unread > 0, r.stale)
		require.EqualValues(t, len(b), r.size)
		require.NoError(t, r.settle(slices.Values(lines)))
		all := append(slices.Clone(lines), "new")
		require.NoError(t, r.add([]string{"new"}, slices.Values(all), len(all)))
		_, again, unread := readAll(fsys)
		require.Equal(t, all, again)
		require.Zero(t, unread)
	})
}

// TestOneBitCostsOneLine tries every bit of a file, and every length.
func TestOneBitCostsOneLine(t *testing.T) {
	lines := []string{"first", "second line", strings.Repeat("long ", 80), "last"}
	good := written(t, lines...)
	for i := range 8 * len(good) {
		b := slices.Clone(good)
		b[i/8] ^= 1 << (i % 8)
		_, got, unread := readAll(fileWith(t, b))
		require.NotEqual(t, 0, unread+boolInt(i/8 > len(testHead) && slices.Equal(got, lines)), "bit %d is not noticed", i)
		lost := slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return slices.Contains(got, l) })
		require.LessOrEqual(t, len(lost), 1, "bit %d costs %q", i, lost)
		require.Len(t, got, len(lines)-len(lost))
	}
	for n := range good {
		_, got, _ := readAll(fileWith(t, good[:n]))
		require.Equal(t, lines[:len(got)], append([]string{}, got...), "what a power cut leaves of the end")
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestARecordStaysShort(t *testing.T) {
	fsys := crashfs.New(crashfs.Options{})
	r, _, _ := readAll(fsys)
	for i := range 5000 {
		all := []string{fmt.Sprint("line ", i)}
		require.NoError(t, r.add(all, slices.Values(all), 1))
	}
	b, err := durable.ReadFile(fsys, "x", 1<<20)
	require.NoError(t, err)
	require.Less(t, len(b), 40_000)
	_, got, unread := readAll(fsys)
	require.Zero(t, unread)
	require.Equal(t, "line 4999", got[len(got)-1])
}

// FuzzLoss: a line that is taken is the one that is written.
func FuzzLoss(f *testing.F) {
	f.Add("evicted 1.00000002.00000003.event.04000000000000000000000000000000.18aa.0500000000000000000000000000000000000000000000000000000000000000.age")
	f.Add("sum damaged 4 17 123456")
	f.Add("sum evicted 1 -1 0")
	f.Fuzz(func(t *testing.T, text string) {
		l := newLosses()
		if l.use(text) && !strings.HasSuffix(text, " 0 0") { // which says nothing
			require.Equal(t, []string{text}, slices.Collect(l.all()))
		}
	})
}

func TestLossesAreBounded(t *testing.T) {
	l := newLosses()
	for i := range maxLosses + 500 {
		l.note(Loss{Evicted, Entry{Meta: Meta{Class: 3, Sequence: uint32(i), Stream: "video"}, Size: 10}}, 1)
	}
	require.Len(t, l.named, maxLosses)
	require.EqualValues(t, 500, l.named[0].Sequence, "the last ones are named")
	require.Equal(t, Total{maxLosses + 500, 10 * (maxLosses + 500)}, l.totals[Evicted][2])
	again := newLosses()
	for text := range l.all() {
		require.True(t, again.use(text), text)
	}
	require.Equal(t, l, again)
}
