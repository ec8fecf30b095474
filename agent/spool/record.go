package spool

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"iter"
	"strings"
	"syscall"

	"roadseal/hal/durable"
)

// A record is a text file that grows by lines, each with a check of its own, so
// that a damaged one is noticed and costs no other. FORMAT.md specifies it.
type record struct {
	fsys durable.FS
	name string
	head string // first line: what the file is

	size  int64 // in bytes, of what is known to be good
	lines int   // in the file
	// stale says that the file is not what it should be: it is to be written
	// anew, not added to.
	stale bool
}

// maxRecord bounds what is read of a file, and maxLine of a line.
const (
	maxRecord = 16 << 20
	maxLine   = 512
)

// readRecord reads the file and calls use for each good line. What is no good
// line, or of no use, is passed over and counted: a damaged record stops no
// start.
func readRecord(fsys durable.FS, name, head string, use func(text string) bool) (r *record, unread int) {
	r = &record{fsys: fsys, name: name, head: head, stale: true}
	f, err := fsys.Open(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f, err = fsys.Open(name) // one failing call must not cost all lines
	}
	if errors.Is(err, fs.ErrNotExist) {
		return r, 0
	}
	if err != nil {
		// What cannot be read now is not written over: somebody may read it yet.
		_ = fsys.Rename(name, name+".unread")
		return r, 1
	}
	unread, err = r.read(bufio.NewReaderSize(io.LimitReader(f, maxRecord), maxLine), use)
	if errors.Join(err, f.Close()) != nil {
		_ = fsys.Rename(name, name+".unread") // as above: it is written anew with what was read
		unread++
	}
	r.stale = unread > 0
	return r, unread
}

// read takes all lines up to the end or to an error of the medium.
func (r *record) read(b *bufio.Reader, use func(text string) bool) (unread int, err error) {
	first, long := true, false // long: the rest of a line that was too long
	for {
		line, err := b.ReadSlice('\n')
		r.size += int64(len(line))
		text, good := strings.CutSuffix(string(line), "\n")
		switch {
		case first:
			good = good && text == r.head
		case text == "" && (good || err != nil):
			good = true
		default:
			r.lines++
			text, good = unchecked(text, good && !long)
			good = good && use(text)
		}
		if !good && !long {
			unread++
		}
		first, long = false, errors.Is(err, bufio.ErrBufferFull)
		switch {
		case err == io.EOF:
			return unread, nil
		case err != nil && !long:
			return unread, err
		}
	}
}

// checkSize is how many hex digits of the SHA-256 of a line's text end the line.
const checkSize = 8

func check(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:checkSize/2])
}

// checked writes a line. The empty one before it keeps two lines apart also
// where one byte between them is damaged.
func checked(b *bytes.Buffer, text string) {
	b.WriteString("\n" + text + " " + check(text) + "\n")
}

func unchecked(line string, whole bool) (text string, ok bool) {
	i := len(line) - checkSize - 1
	if !whole || i < 0 || line[i] != ' ' || check(line[:i]) != line[i+1:] {
		return "", false
	}
	return line[:i], true
}

// add makes lines durable at the end of the file, or, where that cannot be,
// writes it anew with all, which they are part of. After an error none of them
// counts.
func (r *record) add(texts []string, all iter.Seq[string], count int) error {
	const waste = 1000 // lines that are no longer needed and may stay
	if r.stale || r.lines+len(texts) > 2*count+waste {
		return r.replace(all)
	}
	var b bytes.Buffer
	for _, t := range texts {
		checked(&b, t)
	}
	if err := r.append(b.Bytes()); err != nil {
		return err
	}
	r.size += int64(b.Len())
	r.lines += len(texts)
	return nil
}

// append leaves the file stale where it can no longer be added to: after a Sync
// that failed nothing is known of it.
func (r *record) append(b []byte) error {
	f, err := r.fsys.Update(r.name)
	if err != nil {
		r.stale = true
		return err
	}
	if _, err := f.WriteAt(b, r.size); err != nil {
		r.stale = f.Truncate(r.size) != nil
		return errors.Join(err, f.Close())
	}
	err = errors.Join(f.Sync(), f.Close())
	r.stale = err != nil
	return err
}

// due reports whether the file holds what it should not, so that nothing may
// rely on it before it is written anew.
func (r *record) due() bool { return r.stale && r.lines > 0 }

// settle makes durable what a start has found: a process that was killed may not
// have come to the sync, or the sync failed, and a second one would prove
// nothing. Only where there is no room for a new file the old one is synced.
func (r *record) settle(all iter.Seq[string]) error {
	if r.lines == 0 {
		return nil
	}
	found := *r
	err := r.replace(all)
	if !errors.Is(err, syscall.ENOSPC) || found.stale {
		return err
	}
	*r = found
	f, err := r.fsys.Open(r.name)
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	r.stale = err != nil
	return err
}

// replace writes the file anew.
func (r *record) replace(all iter.Seq[string]) error {
	var b bytes.Buffer
	b.WriteString(r.head + "\n")
	lines := 0
	for t := range all {
		checked(&b, t)
		lines++
	}
	err := durable.WriteFile(r.fsys, ".", r.name, b.Bytes())
	r.size, r.lines, r.stale = int64(b.Len()), lines, err != nil
	return err
}
