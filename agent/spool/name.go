package spool

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"

	"roadseal/crypto/envelope"
)

// A Tag is a source tag: it knows a recorder's file again after a rename. The
// zero Tag stands for objects that come from no file.
type Tag = [16]byte

// Meta is what the unit must know of an object beside its name and size.
type Meta struct {
	Class    int    // retention class, 1 is kept longest
	Boot     uint32 // durable count of agent starts
	Sequence uint32 // of the objects of one start
	Stream   string
	Tag      Tag
}

// An Entry is one object of the spool.
type Entry struct {
	Meta
	Name   envelope.Name
	Size   int64 // of the sealed file in bytes
	Stored bool  // a collector has it
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

// Endings of file names: an undelivered object and one that a collector has.
const (
	queuedSuffix = "age"
	storedSuffix = "stored"
)

func (e Entry) fileName() string {
	suffix := queuedSuffix
	if e.Stored {
		suffix = storedSuffix
	}
	return fmt.Sprintf("%d.%08x.%08x.%s.%x.%x.%s.%s",
		e.Class, e.Boot, e.Sequence, e.Stream, e.Tag, e.Size, e.Name, suffix)
}

var fileNames = regexp.MustCompile(
	`^([1-4])\.([0-9a-f]{8})\.([0-9a-f]{8})\.([a-z0-9-]{1,16})\.([0-9a-f]{32})\.([1-9a-f][0-9a-f]{0,14})\.([0-9a-f]{64})\.(age|stored)$`)

// parseFileName reads what fileName writes and nothing else.
func parseFileName(s string) (e Entry, ok bool) {
	m := fileNames.FindStringSubmatch(s)
	if m == nil {
		return Entry{}, false
	}
	// The pattern leaves these no way to fail.
	e.Class = int(m[1][0] - '0')
	e.Boot = uint32(hexUint(m[2]))
	e.Sequence = uint32(hexUint(m[3]))
	e.Stream = m[4]
	_, err := hex.Decode(e.Tag[:], []byte(m[5]))
	e.Size = int64(hexUint(m[6]))
	name, nameErr := envelope.ParseName(m[7])
	e.Name = name
	e.Stored = m[8] == storedSuffix
	return e, err == nil && nameErr == nil
}

func hexUint(s string) uint64 {
	v, err := strconv.ParseUint(s, 16, 64)
	if err != nil {
		return 0
	}
	return v
}
