// Package bech32 is the encoding of age keys: BIP 173 Bech32 (not Bech32m)
// without its limit of 90 characters.
//
// Side: any.
package bech32

import (
	"errors"
	"fmt"
	"strings"
)

const (
	alphabet     = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	checksumSize = 6
)

// ErrChecksum says that a string has the right form but was mistyped or cut.
var ErrChecksum = errors.New("wrong checksum: a character is mistyped, missing or added")

// Encode writes data in lower case under the human-readable part hrp, which
// the caller keeps to lower-case printable ASCII.
func Encode(hrp string, data []byte) string {
	groups, _ := regroup(data, 8, 5, true)
	sum := polymod(hrp, append(groups[:len(groups):len(groups)], make([]byte, checksumSize)...)) ^ 1
	for i := checksumSize - 1; i >= 0; i-- {
		groups = append(groups, byte(sum>>(5*i))&31)
	}
	var s strings.Builder
	s.Grow(len(hrp) + 1 + len(groups))
	s.WriteString(hrp)
	s.WriteByte('1')
	for _, g := range groups {
		s.WriteByte(alphabet[g])
	}
	return s.String()
}

// Decode reads what Encode writes, or the same all in upper case; hrp comes
// back in the case it had. No error repeats any part of s, which may be
// secret. An error about the checksum alone is ErrChecksum.
func Decode(s string) (hrp string, data []byte, err error) {
	for i := range len(s) {
		// Before any change of case: in Unicode two letters may share one.
		if s[i] < 33 || s[i] > 126 {
			return "", nil, notAllowed(i)
		}
	}
	lower := strings.ToLower(s)
	if lower != s && strings.ToUpper(s) != s {
		return "", nil, errors.New("upper and lower case are mixed")
	}
	end := strings.LastIndexByte(s, '1')
	if end < 1 || len(s)-end-1 < checksumSize {
		return "", nil, errors.New("too short, or without the separator 1")
	}
	groups := make([]byte, 0, len(s)-end-1)
	for i := end + 1; i < len(lower); i++ {
		g := strings.IndexByte(alphabet, lower[i])
		if g < 0 {
			return "", nil, notAllowed(i)
		}
		groups = append(groups, byte(g))
	}
	if polymod(lower[:end], groups) != 1 {
		return "", nil, ErrChecksum
	}
	data, ok := regroup(groups[:len(groups)-checksumSize], 5, 8, false)
	if !ok {
		return "", nil, errors.New("bits are left over")
	}
	return s[:end], data, nil
}

func notAllowed(index int) error { return fmt.Errorf("character %d is not allowed", index+1) }

// polymod is the checksum of BIP 173 over the expanded hrp and the groups.
func polymod(hrp string, groups []byte) uint32 {
	generator := [5]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3}
	sum := uint32(1)
	step := func(v byte) {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ uint32(v)
		for i, g := range generator {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	for i := range len(hrp) {
		step(hrp[i] >> 5)
	}
	step(0)
	for i := range len(hrp) {
		step(hrp[i] & 31)
	}
	for _, v := range groups {
		step(v)
	}
	return sum
}

// regroup turns groups of from bits into groups of to bits. With pad, zero
// bits fill the last group; without, what is left over must be less than a
// group and zero, so that one string stands for one value.
func regroup(in []byte, from, to uint, pad bool) ([]byte, bool) {
	out := make([]byte, 0, (uint(len(in))*from+to-1)/to)
	var acc uint32 // never more than the 11 bits that are not yet out
	var bits uint
	for _, v := range in {
		acc = acc<<from&0xfff | uint32(v)
		for bits += from; bits >= to; {
			bits -= to
			out = append(out, byte(acc>>bits)&byte(1<<to-1))
		}
	}
	rest := acc & (1<<bits - 1)
	if pad && bits > 0 {
		out = append(out, byte(rest<<(to-bits)))
	}
	return out, pad || bits < from && rest == 0
}
