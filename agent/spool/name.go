package spool

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"roadseal/crypto/envelope"
)

// A Tag is a source tag: it knows a recorder's file again after a rename. The
// zero Tag stands for objects that come from no file.
type Tag = [16]byte

// Classes is the number of retention classes; they count from 1, which is kept
// longest.
const Classes = 4

// Meta is what the unit must know of an object beside its name and size.
type Meta struct {
	Class    int    // retention class, 1 to Classes
	Boot     uint32 // durable count of agent starts
	Sequence uint32 // of the objects of one start
	Stream   string
	Tag      Tag
}

// An Entry is one object of the spool.
type Entry struct {
	Meta
	Name envelope.Name
	Size int64 // of the sealed file in bytes

	extra string // fields of a later release, with their dots, kept as they are
}

func (m Meta) compare(o Meta) int {
	switch a, b := m.order(), o.order(); {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// order is the place of an object in time; clocks are not asked.
func (m Meta) order() uint64 { return uint64(m.Boot)<<32 | uint64(m.Sequence) }

// A state is where an object is on its way. Where a power cut left two of them,
// the later one counts.
type state byte

const (
	queued  state = iota // undelivered
	damaged              // undelivered, and no longer what was sealed
	stored               // a collector has it
)

// suffixes are the endings of file names.
var suffixes = [...]string{queued: "age", damaged: "damaged", stored: "stored"}

func (e Entry) fileName(st state) string {
	return fmt.Sprintf("%d.%08x.%08x.%s.%x%s.%x.%s.%s",
		e.Class, e.Boot, e.Sequence, e.Stream, e.Tag, e.extra, e.Size, e.Name, suffixes[st])
}

// maxFileName is without the ending: a file system takes 255 bytes.
const maxFileName = 240

// maxSize of an object keeps sums within an int64.
const maxSize = 1 << 40

// parseFileName reads what fileName writes and nothing else.
func parseFileName(s string) (e Entry, st state, ok bool) {
	f := strings.Split(s, ".")
	if len(f) < 8 || len(s)-len(f[len(f)-1]) > maxFileName {
		return Entry{}, 0, false
	}
	head, extra, tail := f[:5], f[5:len(f)-3], f[len(f)-3:]
	i := slices.Index(suffixes[:], tail[2])
	class, err1 := strconv.Atoi(head[0])
	boot, err2 := strconv.ParseUint(head[1], 16, 32)
	sequence, err3 := strconv.ParseUint(head[2], 16, 32)
	tag, err4 := hex.DecodeString(head[4])
	size, err5 := strconv.ParseInt(tail[0], 16, 64)
	name, err6 := envelope.ParseName(tail[1])
	if errors.Join(err1, err2, err3, err4, err5, err6) != nil || i < 0 || class < 1 || class > Classes ||
		size < 1 || size > maxSize || len(tag) != len(Tag{}) || len(head[3]) > 16 {
		return Entry{}, 0, false
	}
	if slices.ContainsFunc(f[3:len(f)-3], isOdd) {
		return Entry{}, 0, false
	}
	e = Entry{Meta: Meta{Class: class, Boot: uint32(boot), Sequence: uint32(sequence), Stream: head[3], Tag: Tag(tag)},
		Name: name, Size: size}
	for _, x := range extra {
		e.extra += "." + x
	}
	return e, state(i), e.fileName(state(i)) == s
}

// isOdd reports whether a field has other characters than a-z, 0-9 and -, or
// none.
func isOdd(field string) bool {
	return field == "" || strings.Trim(field, "abcdefghijklmnopqrstuvwxyz0123456789-") != ""
}
