package envelope_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"roadseal/crypto/envelope"
)

// header is a good one: as text, lines may be changed.
func header(t testing.TB, stanzas int) string {
	t.Helper()
	return string(ageFile(t, stanzas, 0)[:envelope.HeaderSize(stanzas)])
}

func TestReadHeaderOfAge(t *testing.T) {
	for _, n := range []int{1, 2, 4, envelope.MaxSlots} {
		file := ageFile(t, n, 5000)
		for _, r := range []io.Reader{bytes.NewReader(file), iotest.OneByteReader(bytes.NewReader(file)), iotest.DataErrReader(bytes.NewReader(file))} {
			h, err := envelope.ReadHeader(r)
			require.NoError(t, err)
			require.Len(t, h.Stanzas, n)
			require.Equal(t, file[:envelope.HeaderSize(n)], h.Marshal())
			end := bytes.Index(file, []byte("\n---")) + 4
			require.Equal(t, file[:end], h.Signed())
			rest, err := io.ReadAll(r)
			require.NoError(t, err)
			require.Equal(t, file[envelope.HeaderSize(n):], rest, "nothing was read ahead")
		}
	}
}

func TestHeaderIsRefused(t *testing.T) {
	good := header(t, 2)
	lines := strings.SplitAfterN(good, "\n", 7) // intro, arg, body, arg, body, MAC, nonce
	replace := func(n int, line string) string {
		l := append([]string{}, lines...)
		l[n] = line
		return strings.Join(l, "")
	}
	pad := strings.Repeat("x", 2000) // so that an end of the file is not what is found
	x25519, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	var foreign bytes.Buffer
	w, err := age.Encrypt(&foreign, x25519.Recipient())
	require.NoError(t, err)
	require.NoError(t, w.Close())

	for name, c := range map[string]struct{ in, want string }{
		"empty":                  {"", "empty"},
		"not age":                {"\x00\x00\x00\x18ftypmp42 and much more of it", "not an age v1 file"},
		"short and not age":      {"hello", "not an age v1 file"},
		"armored":                {"-----BEGIN AGE ENCRYPTED FILE-----\n", "armored"},
		"version 2":              {"age-encryption.org/v2\n", "not an age v1 file"},
		"intro with CR":          {"age-encryption.org/v1\r\n" + pad, "not an age v1 file"},
		"no stanza":              {lines[0] + lines[5] + lines[6], "no stanza"},
		"classic stanza":         {foreign.String(), `stanza 1 is of type "X25519"`},
		"foreign after ours":     {strings.Join(lines[:3], "") + "-> X25519 abc\nabc\n" + pad, `stanza 2 is of type "X25519"`},
		"upper-case type":        {replace(1, strings.Replace(lines[1], "mlkem", "MLKEM", 1)), `"MLKEM768x25519"`},
		"type with an escape":    {replace(1, "-> a\x1bb c\n"+pad), `"a\x1bb"`},
		"type without arguments": {replace(1, "-> mlkem768x25519\n"+pad), "only mlkem768x25519"},
		"extra argument":         {replace(1, strings.TrimSuffix(lines[1], "\n")+" x\n"), "stanza 1 is malformed"},
		"two spaces":             {replace(1, strings.Replace(lines[1], "519 ", "519  ", 1)), "stanza 1 is malformed"},
		"argument with CR":       {replace(1, strings.TrimSuffix(lines[1], "\n")+"\r\n"), "stanza 1 is malformed"},
		"argument with newline":  {replace(1, lines[1][:700]+"\n"+lines[1][701:]), "stanza 1 is malformed"},
		"argument with CR in it": {replace(1, lines[1][:700]+"\r"+lines[1][701:]), "stanza 1 is malformed"},
		"argument too short":     {replace(1, lines[1][:700]+lines[1][701:]), "stanza 1 is malformed"},
		"argument too long":      {replace(1, lines[1][:700]+"A"+lines[1][700:]), "stanza 1 is malformed"},
		"argument with padding":  {replace(1, lines[1][:len(lines[1])-2]+"=\n"), "stanza 1 is malformed"},
		"argument, spare bits":   {replace(1, spareBits(lines[1])), "stanza 1 is malformed"},
		"URL alphabet":           {replace(1, lines[1][:700]+"_"+lines[1][701:]), "stanza 1 is malformed"},
		"body, spare bits":       {replace(4, spareBits(lines[4])), "stanza 2 is malformed"},
		"body with CR":           {replace(4, strings.TrimSuffix(lines[4], "\n")+"\r\n"), "stanza 2 is malformed"},
		// The decoder skips line ends: these have the right length and decode.
		"argument, two newlines": {replace(1, lines[1][:700]+"\n\n"+lines[1][702:len(lines[1])-2]+"A\n"), "stanza 1 is malformed"},
		"body, newline inside":   {replace(4, lines[4][:20]+"\n"+lines[4][21:42]+"A\n"), "stanza 2 is malformed"},
		"body, CR inside":        {replace(4, lines[4][:20]+"\r"+lines[4][21:42]+"A\n"), "stanza 2 is malformed"},
		"MAC, newline inside":    {replace(5, lines[5][:20]+"\n"+lines[5][21:46]+"A\n"), "closing line"},
		"body missing":           {replace(4, ""), "stanza 2 is malformed"},
		"body of two lines":      {replace(4, lines[4][:20]+"\n"+lines[4][20:]), "stanza 2 is malformed"},
		"empty line after body":  {replace(4, lines[4]+"\n"), "stanza 3 is malformed"},
		"text between":           {replace(4, lines[4]+"comment\n"), "stanza 3 is malformed"},
		"MAC without space":      {replace(5, "---"+lines[5][4:]+pad), "stanza 3 is malformed"},
		"MAC, two spaces":        {replace(5, "---  "+lines[5][4:]), "closing line"},
		"MAC too short":          {replace(5, lines[5][:20]+lines[5][21:]), "closing line"},
		"MAC too long":           {replace(5, lines[5][:20]+"A"+lines[5][20:]), "closing line"},
		"MAC, spare bits":        {replace(5, spareBits(lines[5])), "closing line"},
		"MAC with CR":            {replace(5, strings.TrimSuffix(lines[5], "\n")+"\r\n"), "closing line"},
		"MAC empty":              {replace(5, "---\n"+pad), "stanza 3 is malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := envelope.ReadHeader(strings.NewReader(c.in))
			require.ErrorIs(t, err, envelope.ErrHeader)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// spareBits sets a bit that the last character of a line has to spare.
func spareBits(line string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	last := len(line) - 2
	return line[:last] + string(alphabet[strings.IndexByte(alphabet, line[last])|1]) + "\n"
}

func TestEveryTruncationOfTheHeader(t *testing.T) {
	good := header(t, 2)
	for n := range len(good) {
		_, err := envelope.ReadHeader(strings.NewReader(good[:n]))
		require.ErrorIs(t, err, envelope.ErrHeader, n)
	}
}

func TestTooManyStanzas(t *testing.T) {
	good := header(t, 1)
	lines := strings.SplitAfterN(good, "\n", 5) // intro, arg, body, MAC, nonce
	stanza := lines[1] + lines[2]
	in := lines[0] + strings.Repeat(stanza, envelope.MaxSlots)
	_, err := envelope.ReadHeader(strings.NewReader(in + lines[3] + lines[4]))
	require.NoError(t, err)

	endless := &repeat{text: stanza}
	_, err = envelope.ReadHeader(io.MultiReader(strings.NewReader(lines[0]), endless))
	require.ErrorIs(t, err, envelope.ErrHeader)
	require.ErrorContains(t, err, "more than 64 stanzas")
	require.LessOrEqual(t, endless.read, (envelope.MaxSlots+1)*envelope.StanzaSize, "it reads on")
}

// repeat never ends.
type repeat struct {
	text string
	read int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := copy(p, r.text[r.read%len(r.text):])
	r.read += n
	return n, nil
}

// An error of the disk is not the object's fault.
func TestReaderErrorsPass(t *testing.T) {
	good := header(t, 1)
	broken := errors.New("input/output error")
	for _, n := range []int{0, 10, 22, 30, 100, 1600, len(good) - 1} {
		r := io.MultiReader(strings.NewReader(good[:n]), iotest.ErrReader(broken))
		err := envelope.Check(r, envelope.SealedSize(1, 4096), 1)
		require.ErrorIs(t, err, broken)
		require.NotErrorIs(t, err, envelope.ErrHeader)
	}
}

func TestCheck(t *testing.T) {
	file := ageFile(t, 2, 4096)
	size := int64(len(file))
	check := func(size int64, slots int) error { return envelope.Check(bytes.NewReader(file), size, slots) }
	require.NoError(t, check(size, 2))

	for slots, want := range map[int]string{1: "2 stanzas, expected 1", 4: "2 stanzas, expected 4", 0: "expected 0"} {
		err := check(size, slots)
		require.ErrorIs(t, err, envelope.ErrHeader)
		require.ErrorContains(t, err, want)
	}
	for wrong, want := range map[int64]string{
		envelope.SealedSize(2, 4097): "4097 bytes is not on the grid",
		envelope.SealedSize(2, 512):  "512 bytes is not on the grid",
		envelope.HeaderSize(2):       "cut or added to",
		0:                            "cut or added to",
		envelope.SealedSize(2, envelope.ChunkSize) + 8:        "cut or added to",
		envelope.SealedSize(2, envelope.ChunkSize*2*3/2) * -1: "cut or added to",
	} {
		err := check(wrong, 2)
		require.ErrorIs(t, err, envelope.ErrSize, wrong)
		require.ErrorContains(t, err, want)
	}
	err := envelope.Check(strings.NewReader("hello"), size, 2)
	require.ErrorIs(t, err, envelope.ErrHeader)
}

func TestInspect(t *testing.T) {
	file := ageFile(t, 3, 100_000)
	s, err := envelope.Inspect(bytes.NewReader(file), int64(len(file)))
	require.NoError(t, err)
	require.Equal(t, envelope.Summary{Slots: 3, Plain: 100_000}, s, "off the grid, yet in order")

	s, err = envelope.Inspect(bytes.NewReader(file), envelope.HeaderSize(3)+3)
	require.ErrorIs(t, err, envelope.ErrSize)
	require.Equal(t, 3, s.Slots)

	_, err = envelope.Inspect(strings.NewReader(""), 0)
	require.ErrorIs(t, err, envelope.ErrHeader)
}

// FuzzReadHeader looks for bytes that parse and do not come back the same, and
// for what filippo.io/age reads differently.
func FuzzReadHeader(f *testing.F) {
	f.Add([]byte(header(f, 1)))
	f.Add([]byte(header(f, 4)))
	f.Add([]byte("age-encryption.org/v1\n-> X25519 a\nb\n--- c\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		h, err := envelope.ReadHeader(r)
		if err != nil {
			if !errors.Is(err, envelope.ErrHeader) {
				t.Fatal("not the object's fault? ", err)
			}
			return
		}
		read := len(in) - r.Len()
		if out := h.Marshal(); !bytes.Equal(out, in[:read]) || int64(read) != envelope.HeaderSize(len(h.Stanzas)) {
			t.Fatal("what parsed does not come back the same")
		}
		if extracted, err := age.ExtractHeader(bytes.NewReader(in)); err != nil || !bytes.Equal(extracted, in[:read-len(h.Nonce)]) {
			t.Fatal("age reads it differently: ", err)
		}
	})
}
