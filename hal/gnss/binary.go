package gnss

const (
	ubxSync1 = 0xB5
	ubxSync2 = 0x62
	rtcmSync = 0xD3
	// ubxHead is two bytes of sync, class, id, two of length; ubxTail the
	// checksum.
	ubxHead, ubxTail = 6, 2
	// frameOverhead is what the longer kind of frame has around its payload.
	frameOverhead = ubxHead + ubxTail
	// maxPayload bounds a UBX frame that is taken whole. The longest ones (raw
	// measurements of a hundred signals) have about 3 KiB. RTCM allows 1,023.
	maxPayload = 4096
)

// frame returns the length of the frame that begins b, whose first byte is one of
// the two syncs. It is 0 if there is none, or if more bytes are needed to tell.
func frame(b []byte) (n int, more bool) {
	if b[0] == rtcmSync {
		return rtcm(b)
	}
	if len(b) >= 2 && b[1] != ubxSync2 {
		return 0, false
	}
	if len(b) < ubxHead {
		return 0, true
	}
	size := int(b[4]) | int(b[5])<<8
	n = size + frameOverhead
	switch {
	case size > maxPayload:
		return 0, false
	case len(b) < n:
		return 0, true
	}
	if x, y := fletcher(b[2 : n-2]); x != b[n-2] || y != b[n-1] {
		return 0, false
	}
	return n, false
}

// fletcher is the checksum of UBX, over class to payload.
func fletcher(b []byte) (x, y byte) {
	for _, c := range b {
		x += c
		y += x
	}
	return x, y
}

// rtcm is frame for RTCM 3: sync, six bits of 0, ten of payload length (big
// endian), payload, CRC-24Q of all before it.
func rtcm(b []byte) (n int, more bool) {
	const head, tail = 3, 3
	if len(b) >= 2 && b[1] > 3 {
		return 0, false
	}
	if len(b) < head {
		return 0, true
	}
	n = head + int(b[1])<<8 + int(b[2]) + tail
	if len(b) < n {
		return 0, true
	}
	if crc24(b[:n]) != 0 { // with its own remainder behind it
		return 0, false
	}
	return n, false
}

// crc24 is CRC-24Q, bit by bit: corrections are rare on this line.
func crc24(b []byte) uint32 {
	const polynomial = 0x1864CFB
	var crc uint32
	for _, c := range b {
		crc ^= uint32(c) << 16
		for range 8 {
			crc <<= 1
			if crc&(1<<24) != 0 {
				crc ^= polynomial
			}
		}
	}
	return crc
}
