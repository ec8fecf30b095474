package envelope

import "math/bits"

// Sizes of the parts of a sealed file, in bytes; see FORMAT.md.
const (
	ChunkSize    = 64 << 10 // plaintext of one chunk
	ChunkTag     = 16       // what sealing adds to each chunk
	StanzaSize   = 1557     // one mlkem768x25519 stanza with its line ends
	headerFixed  = 86       // intro line, MAC line and payload nonce
	RecordSize   = 1024     // the text record at the end of the plaintext
	DefaultSlots = 4        // S, the fleet-wide number of stanzas
	MaxSlots     = 64       // more are refused when read
)

// HeaderSize is the number of bytes before the first chunk, the payload nonce
// included, of a file with the given number of stanzas.
func HeaderSize(slots int) int64 { return headerFixed + StanzaSize*int64(slots) }

// SealedSize is the exact size of a sealed file whose plaintext (content,
// padding and record) has the given length.
func SealedSize(slots int, plain int64) int64 {
	chunks := max(1, (plain+ChunkSize-1)/ChunkSize)
	return HeaderSize(slots) + plain + ChunkTag*chunks
}

// PlainSize is the inverse of SealedSize. It reports false for a size that no
// sealed file with this number of stanzas has.
func PlainSize(slots int, sealed int64) (int64, bool) {
	if sealed < HeaderSize(slots)+ChunkTag {
		return 0, false
	}
	body := sealed - HeaderSize(slots)
	chunks := (body-1)/(ChunkSize+ChunkTag) + 1 // no sum here overflows
	plain := body - ChunkTag*chunks
	return plain, plain >= 0 && SealedSize(slots, plain) == sealed
}

// Text streams step through these lengths before they follow Padmé, so that
// one track batch looks like another.
var textGrid = [...]int64{4 << 10, 16 << 10, 64 << 10}

// GridText is the whole plaintext length on the grid of text streams for
// content of n bytes and its record: 4, 16 or 64 KiB, then Padmé.
func GridText(n int64) int64 {
	for _, g := range textGrid {
		if n+RecordSize <= g {
			return g
		}
	}
	return Padme(n + RecordSize)
}

// GridBinary is the whole plaintext length on the grid of all other streams:
// the Padmé length of content and record.
func GridBinary(n int64) int64 { return Padme(n + RecordSize) }

// OnGrid reports whether a whole plaintext length is one that sealing makes.
func OnGrid(plain int64) bool { return plain >= RecordSize && Padme(plain) == plain }

// Padme rounds n up so that of its binary digits only the first and the next
// log2(log2 n) may differ from zero: at most 12 % more, and the length tells
// O(log log n) bits (Nikitin et al., "Reducing Metadata Leakage from Encrypted
// Files and Communication with PURBs", PoPETs 2019, section 4.4).
func Padme(n int64) int64 {
	if n < 2 {
		return n
	}
	e := bits.Len64(uint64(n)) - 1
	s := bits.Len(uint(e))
	if e <= s {
		return n
	}
	mask := int64(1)<<(e-s) - 1
	return (n + mask) &^ mask
}
