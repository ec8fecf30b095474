package record

import (
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"
)

// A value is one value of a record and how it is written; an empty text stands
// for an absent line.
type value interface {
	String() string
	set(text string) error
}

type field struct {
	key string
	value
}

// fields lists the lines of a record in their order. What is most often
// looked for comes first; the file name comes last but one, for it is what
// gives way when space is short.
func (r *Record) fields() []field {
	return []field{
		{"length", (*size)(&r.Length)},
		{"media-type", (*text)(&r.MediaType)},
		{"stream", (*text)(&r.Stream)},
		{"kind", (*text)(&r.Kind)},
		{"source", (*text)(&r.Source)},
		{"channel", (*text)(&r.Channel)},
		{"vehicle", (*text)(&r.Vehicle)},
		{"start", (*instant)(&r.Start)},
		{"end", (*instant)(&r.End)},
		{"clock", (*text)(&r.Clock)},
		{"boot", (*counter)(&r.Boot)},
		{"sequence", (*counter)(&r.Sequence)},
		{"flags", (*words)(&r.Flags)},
		{"file", (*text)(&r.File)},
		{"nonce", (*nonce)(&r.Nonce)},
	}
}

type text string

func (t *text) String() string { return escape(string(*t)) }

func (t *text) set(s string) error {
	plain, err := unescape(s)
	*t = text(plain)
	return err
}

type size int64

func (n *size) String() string { return strconv.FormatInt(int64(*n), 10) }

func (n *size) set(s string) error {
	v, err := strconv.ParseInt(s, 10, 64)
	*n = size(v)
	if err != nil {
		return errors.New("not a number of bytes")
	}
	return nil
}

type counter uint32

func (n *counter) String() string { return strconv.FormatUint(uint64(*n), 10) }

func (n *counter) set(s string) error {
	v, err := strconv.ParseUint(s, 10, 32)
	*n = counter(v)
	if err != nil {
		return errors.New("not a number from 0 to 4294967295")
	}
	return nil
}

// instant is RFC 3339, in UTC and with three digits after the second.
type instant time.Time

const instantLayout = "2006-01-02T15:04:05.000Z"

func (t *instant) String() string {
	// The zero time stands for unknown, also when only the fraction that is
	// not written tells it from zero.
	ms := time.Time(*t).UTC().Truncate(time.Millisecond)
	if ms.IsZero() {
		return ""
	}
	return ms.Format(instantLayout)
}

func (t *instant) set(s string) error {
	v, err := time.Parse(instantLayout, s)
	*t = instant(v)
	if err != nil {
		return errors.New("not a time such as 2026-01-31T23:59:59.000Z")
	}
	return nil
}

type words []string

func (w *words) String() string { return strings.Join(*w, " ") }

func (w *words) set(s string) error {
	*w = strings.Split(s, " ")
	return nil
}

type nonce [16]byte

func (n *nonce) String() string { return hex.EncodeToString(n[:]) }

func (n *nonce) set(s string) error {
	b, err := hex.DecodeString(s)
	if err != nil || copy(n[:], b) != len(n) || len(b) != len(n) {
		return errors.New("not 32 hexadecimal digits")
	}
	return nil
}
