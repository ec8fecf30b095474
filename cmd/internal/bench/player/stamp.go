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
	if ext == ".ts" {
		return nullPackets(text)
	}
	return freeBox(text)
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
