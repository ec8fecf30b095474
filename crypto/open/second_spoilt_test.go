package open_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"roadseal/crypto/envelope"
	"roadseal/crypto/open"
	"roadseal/crypto/record"
)

// An object that is spoilt in one way, with what each opener says of it.
type spoilt struct {
	name, ours, theirs string
	file               []byte
}

// TestBothOpenersRefuse spoils objects in every way that FORMAT.md forbids. Both
// openers refuse each of them, and for the same reason.
func TestBothOpenersRefuse(t *testing.T) {
	id, other := newIdentity(t), newIdentity(t)
	all := append(spoiltHeaders(t, id, other), spoiltPayloads(t, id)...)
	all = append(all, spoiltPlaintexts(t, id)...)
	all = append(all, spoiltRecords(t, id)...)
	var objects [][]byte
	for _, s := range all {
		objects = append(objects, s.file)
	}
	keys := keyFile(t, id, other)
	for i, v := range second(t, keys, objects) {
		_, _, err := opened(objects[i], id, other)
		require.ErrorContains(t, err, all[i].ours, all[i].name)
		require.Contains(t, v.Refused, all[i].theirs, all[i].name)
	}
	require.Len(t, all, 147)
	if testing.Short() {
		return
	}
	// The age command words its refusals in its own way, and gives way to the
	// checks of the header that are stricter than its own.
	for i, v := range second(t, keys, objects, "--age", stock(t, "age")) {
		require.NotEmpty(t, v.Refused, all[i].name)
	}
}

// spoiltHeaders has an object whose two stanzas both have a reader.
func spoiltHeaders(t *testing.T, ids ...open.Identity) []spoilt {
	good := sealed(t, []byte("a segment"), video(), 2, ids...)
	edit := func(old, new string) []byte {
		require.Contains(t, string(good), old)
		return []byte(strings.Replace(string(good), old, new, 1))
	}
	parts := bytes.SplitN(good, []byte("\n"), 7) // intro, 2 × (argument, body), MAC, rest
	join := func(order ...int) []byte {
		var picked [][]byte
		for _, i := range order {
			picked = append(picked, parts[i])
		}
		return bytes.Join(picked, []byte("\n"))
	}
	line := func(i int, change func(string) string) []byte {
		return edit(string(parts[i])+"\n", change(string(parts[i])+"\n"))
	}
	h, err := envelope.ReadHeader(bytes.NewReader(good))
	require.NoError(t, err)
	header := func(change func(*envelope.Header)) []byte {
		other := *h
		other.Stanzas = append([]envelope.Stanza{}, h.Stanzas...)
		change(&other)
		return append(other.Marshal(), good[envelope.HeaderSize(2):]...)
	}
	many := []int{0}
	for range envelope.MaxSlots + 1 {
		many = append(many, 1, 2)
	}
	spare := func(s string) string { // sets a bit that the last character has to spare
		b := []byte(s)
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
		b[len(b)-2] = alphabet[strings.IndexByte(alphabet, b[len(b)-2])|1]
		return string(b)
	}
	const none, foreign, mac = "not an age v1 file", "another type", "altered, damaged"
	return []spoilt{
		{"empty file", "the file is empty", none, nil},
		{"half an intro", "ends within", none, good[:10]},
		{"newer age", none, none, edit("org/v1", "org/v2")},
		{"armored", "armored", none, []byte("-----BEGIN AGE ENCRYPTED FILE-----\n" + base64.StdEncoding.EncodeToString(good) + "\n")},
		{"CR in the intro", none, none, edit("v1\n", "v1\r\n")},
		{"classic stanza", "X25519", foreign, classic(t)},
		{"unknown stanza", "mlkem768x25518", foreign, edit("-> mlkem768x25519", "-> mlkem768x25518")},
		{"type in capitals", "MLKEM768X25519", foreign, edit("-> mlkem768x25519", "-> MLKEM768X25519")},
		{"second argument", "stanza 1 is malformed", "a stanza is malformed", line(1, func(s string) string { return s[:len(s)-1] + " x\n" })},
		{"two spaces", "stanza 1 is malformed", "malformed", edit("x25519 ", "x25519  ")},
		{"CR in a stanza", "stanza 1 is malformed", "malformed", line(1, func(s string) string { return s[:len(s)-1] + "\r\n" })},
		{"wrapped enc", "stanza 1 is malformed", "malformed", line(1, func(s string) string { return s[:82] + "\n" + s[82:] })},
		{"short enc", "stanza 1 is malformed", "malformed", line(1, func(s string) string { return s[:len(s)-5] + "\n" })},
		{"padded body", "stanza 1 is malformed", "malformed", line(2, func(s string) string { return s[:len(s)-1] + "=\n" })},
		{"body with URL alphabet", "stanza 1 is malformed", "malformed base64", line(2, func(s string) string { return "-_" + s[2:] })},
		{"spare bits in enc", "stanza 1 is malformed", "malformed base64", line(1, spare)},
		{"spare bits in body", "stanza 1 is malformed", "malformed base64", line(2, spare)},
		{"spare bits in MAC", "closing line is malformed", "malformed base64", line(5, spare)},
		{"space behind MAC", "closing line is malformed", "last line is malformed", line(5, func(s string) string { return s[:len(s)-1] + " \n" })},
		{"no space before MAC", "stanza 3 is malformed", "last line is malformed", edit("--- ", "---")},
		{"no stanza", "no stanza", "no stanza", join(0, 5, 6)},
		{"65 stanzas", "more than 64", "more than 64", join(append(many, 5, 6)...)},
		{"no MAC", "ends within", "malformed", join(0, 1, 2, 3, 4)},
		{"end within nonce", "ends within", "ends within", good[:envelope.HeaderSize(2)-1]},
		{"stanza removed", mac, "MAC", join(0, 3, 4, 5, 6)},
		{"stanzas exchanged", mac, "MAC", join(0, 3, 4, 1, 2, 5, 6)},
		{"stanza repeated", mac, "MAC", join(0, 1, 2, 3, 4, 3, 4, 5, 6)},
		{"another MAC", mac, "MAC", header(func(h *envelope.Header) { h.MAC[0] ^= 1 })},
		{"another nonce", mac, "altered", header(func(h *envelope.Header) { h.Nonce[15] ^= 1 })},
		{"other encapsulations", "none of the given keys", "none of the keys", header(func(h *envelope.Header) { h.Stanzas[0].Enc[0] ^= 1; h.Stanzas[1].Enc[0] ^= 1 })},
		{"other shares", "none of the given keys", "none of the keys", header(func(h *envelope.Header) { h.Stanzas[0].Enc[1100] ^= 1; h.Stanzas[1].Enc[1100] ^= 1 })},
		{"other bodies", "none of the given keys", "none of the keys", header(func(h *envelope.Header) { h.Stanzas[0].Body[31] ^= 1; h.Stanzas[1].Body[31] ^= 1 })},
		{"low order, first", "low-order", "low order", header(func(h *envelope.Header) { clear(h.Stanzas[0].Enc[1088:]) })},
		{"low order, second", "low-order", "low order", header(func(h *envelope.Header) { clear(h.Stanzas[1].Enc[1088:]); h.Stanzas[1].Enc[1088] = 1 })},
	}
}

func classic(t *testing.T) []byte {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	var out bytes.Buffer
	w, err := age.Encrypt(&out, id.Recipient())
	require.NoError(t, err)
	_, err = w.Write(make([]byte, 4096))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func spoiltPayloads(t *testing.T, id open.Identity) []spoilt {
	const step = envelope.ChunkSize + envelope.ChunkTag
	good := sealed(t, content(2*envelope.ChunkSize+1000), video(), 1, id)
	start := int(envelope.HeaderSize(1))
	flip := func(at int) []byte {
		b := bytes.Clone(good)
		b[at] ^= 1
		return b
	}
	cat := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	head, first, second, rest := good[:start], good[start:start+step], good[start+step:start+2*step], good[start+2*step:]
	const ours, theirs, size = "altered", "was altered, or is not the last", "no file has this size"
	return []spoilt{
		{"first chunk altered", ours, "chunk 0 " + theirs, flip(start)},
		{"tag of the second chunk altered", ours, "chunk 1 " + theirs, flip(start + 2*step - 1)},
		{"last chunk altered", ours, "chunk 2 " + theirs, flip(len(good) - 1)},
		{"a byte less", ours, theirs, good[:len(good)-1]},
		{"a byte more", ours, theirs, cat(good, []byte{0})},
		{"last chunk missing", "truncated", "chunk 1 " + theirs, cat(head, first, second)},
		{"chunk missing", ours, theirs, cat(head, first, rest)},
		{"chunks exchanged", ours, "chunk 0 " + theirs, cat(head, second, first, rest)},
		{"chunk repeated", ours, theirs, cat(head, first, second, second, rest)},
		{"no chunk", ours, size, head},
		{"less than a tag", ours, size, cat(head, make([]byte, 15))},
		{"a whole chunk and a little", ours, size, cat(head, first, make([]byte, 7))},
		{"another object's chunks", ours, theirs, cat(head, sealed(t, content(10), video(), 1, id)[start:])},
	}
}

func spoiltPlaintexts(t *testing.T, id open.Identity) []spoilt {
	claim := func(n int64) record.Record { r := video(); r.Length = n; return r }
	make := func(body []byte, n, grid int64, at ...int64) []byte {
		p := plain(t, body, claim(n), grid)
		for _, i := range at {
			p[i] = 1
		}
		return byAge(t, p, id)
	}
	const none, grid, fit, padding = "no record", "not on the grid", "does not fit", "padding is not zero"
	return []spoilt{
		{"no plaintext", none, none, byAge(t, nil, id)},
		{"less than a record", none, none, byAge(t, plain(t, nil, claim(0), 1024)[1:], id)},
		{"no record", none, none, byAge(t, content(4096), id)},
		{"record at the beginning", none, none, byAge(t, append(plain(t, nil, claim(0), 1024), content(3072)...), id)},
		{"record not at the end", none, none, byAge(t, append(plain(t, nil, claim(0), 1024), content(64)...), id)},
		{"off the grid by one", grid, grid, make(nil, 0, 4095)},
		{"off the grid, even", grid, grid, make(nil, 0, 1030)},
		{"off the grid, two chunks", grid, grid, make(nil, 0, 70_000)},
		{"length too long by one", fit, fit, make(nil, 3073, 4096)},
		{"length of everything", fit, fit, make(nil, 4096, 4096)},
		{"length of 2^62", fit, fit, make(nil, 1<<62, 4096)},
		{"length of 2^63-1", fit, fit, make(nil, 1<<63-1, 4096)},
		{"length too short", padding, padding, make([]byte("a segment"), 8, 4096)},
		{"first byte of the padding", padding, padding, make(nil, 0, 4096, 0)},
		{"last byte of the padding", padding, padding, make(nil, 0, 4096, 3071)},
		{"padding of the first of two chunks", padding, padding, make(nil, 10, 96<<10, 11)},
		{"padding of the last of two chunks", padding, padding, make(nil, 10, 96<<10, 70_000)},
	}
}
