package player

import (
	"encoding/binary"
	"fmt"
)

// stamp is what the player adds to the end of a clip, so that no two of a run
// are alike: the mark and a number, in a form that players of the clip pass
// over. A run looks for the mark afterwards in every place where it must not be.
func stamp(ext string, mark []byte, number int) []byte {
	text := fmt.Appendf(nil, "%s %d\n", mark, number)
	switch ext {
	case ".ts":
		return nullPackets(text)
	case ".hevc":
		return suffixSEI(text)
	}
	return freeBox(text)
}

// suffixSEI is a NAL unit of H.265 with user data that nobody has registered (ITU-T
// H.265, Annex B and section D.2.7).
func suffixSEI(text []byte) []byte {
	const suffixUnit, userData, idSize = 40, 5, 16
	b := []byte{0, 0, 0, 1, suffixUnit << 1, 1, userData}
	size := idSize + len(text)
	for ; size >= 255; size -= 255 {
		b = append(b, 255)
	}
	b = append(b, byte(size))
	for range idSize {
		b = append(b, 0xff)
	}
	return append(append(b, text...), 0x80)
}

// freeBox is an MP4 box of free space (ISO/IEC 14496-12 section 8.1.2).
func freeBox(text []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(text)))
	return append(append(b, "free"...), text...)
}

const (
	tsPacket  = 188
	tsPayload = tsPacket - 4
)

// nullPackets are MPEG-2 transport stream packets with the null packet
// identifier 0x1FFF (ISO/IEC 13818-1 section 2.4.3.3).
func nullPackets(text []byte) []byte {
	var b []byte
	for len(text) > 0 {
		n := min(len(text), tsPayload)
		b = append(b, 0x47, 0x1f, 0xff, 0x10)
		b = append(b, text[:n]...)
		for range tsPayload - n {
			b = append(b, 0xff)
		}
		text = text[n:]
	}
	return b
}
