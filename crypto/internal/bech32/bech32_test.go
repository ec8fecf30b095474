package bech32_test

import (
	"bytes"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/internal/bech32"
)

// The valid strings of BIP 173, section "Test vectors".
func TestVectors(t *testing.T) {
	for s, wantHRP := range map[string]string{
		"A12UEL5L": "A",
		"a12uel5l": "a",
		"an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs": "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio",
		"abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw":                                              "abcdef",
		"split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w":                               "split",
		"?1ezyfcl": "?",
		"11" + strings.Repeat("q", 82) + "c8247j": "1",
	} {
		hrp, data, err := bech32.Decode(s)
		require.NoError(t, err, s)
		require.Equal(t, wantHRP, hrp)
		require.Equal(t, strings.ToLower(s), bech32.Encode(strings.ToLower(hrp), data))
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"BIP 173: character 0x20 in hrp":         {"\x20" + "1nwldj5", "character 1 is not allowed"},
		"BIP 173: character 0x7f in hrp":         {"\x7f" + "1axkwrx", "character 1 is not allowed"},
		"BIP 173: character 0x80 in hrp":         {"\x80" + "1eym55h", "character 1 is not allowed"},
		"BIP 173: no separator":                  {"pzry9x0s0muk", "separator"},
		"BIP 173: empty hrp":                     {"1pzry9x0s0muk", "separator"},
		"BIP 173: invalid data character":        {"x1b4n0q5v", "character 3 is not allowed"},
		"BIP 173: checksum too short":            {"li1dgmt3", "too short"},
		"BIP 173: invalid in checksum":           {"de1lg7wt" + "\xff", "character 9 is not allowed"},
		"BIP 173: checksum of upper hrp":         {"A1G7SGD8", bech32.ErrChecksum.Error()},
		"BIP 173: empty hrp, checksum":           {"10a06t8", "separator"},
		"BIP 173: hrp empty":                     {"1qzzfhee", "separator"},
		"mixed case":                             {"A12uEL5L", "mixed"},
		"Bech32m of BIP 350":                     {"a1lqfn3a", bech32.ErrChecksum.Error()},
		"empty":                                  {"", "too short"},
		"a letter that only Unicode lowers to k": {strings.ToUpper(bech32.Encode("a", []byte("roadseal"))) + "\u212a", "not allowed"},
	} {
		_, _, err := bech32.Decode(c.in)
		require.ErrorContains(t, err, c.want, name)
	}
}

// Every change of up to four characters is found (BIP 173); one is tried here
// at every place of a string far longer than 90 characters.
func TestOneWrongCharacter(t *testing.T) {
	data := make([]byte, 200)
	rand.Read(data)
	s := bech32.Encode("age1pq", data)
	for i := len("age1pq1"); i < len(s); i++ {
		wrong := []byte(s)
		wrong[i] = 'q'
		if s[i] == 'q' {
			wrong[i] = 'p'
		}
		_, _, err := bech32.Decode(string(wrong))
		require.ErrorIs(t, err, bech32.ErrChecksum, "character %d", i)
	}
}

// Groups of five bits that are no whole bytes have a good checksum all the
// same; each would be a second form of a key.
func TestLeftOverBits(t *testing.T) {
	for groups, good := range map[string]bool{
		"":         true,  // no byte
		"q":        false, // five bits over
		"qq":       true,  // one byte and two zero bits
		"qp":       false, // two bits over, not zero
		"qqq":      false, // one byte, seven bits over
		"qqqqqqqq": true,  // five bytes
		"qqqqqqqp": true,
	} {
		_, _, err := bech32.Decode(withChecksum("a", groups))
		if good {
			require.NoError(t, err, groups)
		} else {
			require.ErrorContains(t, err, "left over", groups)
		}
	}
}

// withChecksum is create_checksum of BIP 173 for an hrp of one character.
func withChecksum(hrp, groups string) string {
	const alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	sum := uint32(1)
	step := func(v uint32) {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ v
		for i, g := range []uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			sum ^= g * (top >> i & 1)
		}
	}
	step(uint32(hrp[0]) >> 5)
	step(0)
	step(uint32(hrp[0]) & 31)
	for _, c := range groups {
		step(uint32(strings.IndexRune(alphabet, c)))
	}
	for range 6 {
		step(0)
	}
	sum ^= 1
	out := hrp + "1" + groups
	for i := 5; i >= 0; i-- {
		out += string(alphabet[sum>>(5*i)&31])
	}
	return out
}

func FuzzDecode(f *testing.F) {
	f.Add("A12UEL5L")
	f.Add(bech32.Encode("age1pq", []byte("some bytes of a key")))
	f.Fuzz(func(t *testing.T, s string) {
		hrp, data, err := bech32.Decode(s)
		if err != nil {
			return
		}
		again := bech32.Encode(strings.ToLower(hrp), data)
		if s != again && s != strings.ToUpper(again) {
			t.Fatalf("%q decodes and encodes to %q", s, again)
		}
	})
}

func FuzzEncode(f *testing.F) {
	f.Add([]byte{0, 255})
	f.Fuzz(func(t *testing.T, in []byte) {
		hrp, out, err := bech32.Decode(bech32.Encode("age1pq", in))
		if err != nil || hrp != "age1pq" || !bytes.Equal(in, out) {
			t.Fatal(hrp, out, err)
		}
	})
}
