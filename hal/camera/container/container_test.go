package container_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/hal/camera/container"
	"roadseal/testdata/segments"
)

func look(b []byte) container.Container {
	return container.Look(bytes.NewReader(b), int64(len(b)))
}

// box is one box; what it holds may be boxes.
func box(kind string, content ...[]byte) []byte {
	body := bytes.Join(content, nil)
	return append(binary.BigEndian.AppendUint32(nil, uint32(8+len(body))), append([]byte(kind), body...)...)
}

// large is a box whose size takes 64 bits.
func large(kind string, content []byte) []byte {
	b := append([]byte{0, 0, 0, 1}, kind...)
	return append(binary.BigEndian.AppendUint64(b, uint64(16+len(content))), content...)
}

func words(n ...uint32) (b []byte) {
	for _, w := range n {
		b = binary.BigEndian.AppendUint32(b, w)
	}
	return b
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

var (
	ftyp  = box("ftyp", []byte("isom\x00\x00\x02\x00isomavc1"))
	qt    = box("ftyp", []byte("qt  \x00\x00\x02\x00qt  "))
	mdat  = box("mdat", bytes.Repeat([]byte{7}, 5000))
	mvhd  = box("mvhd", words(0, 0, 0, 1000, 60_500))
	moov  = box("moov", mvhd, box("trak"))
	init_ = box("moov", box("mvhd", words(0, 0, 0, 1000, 0)), box("mvex", box("mehd", words(0, 4000)), box("trex")))
	piece = join(box("moof", box("mfhd")), mdat)
	ligo  = append(make([]byte, 40), "LIGO and more"...)
)

func TestBoxes(t *testing.T) {
	const minute = 60_500 * time.Millisecond
	mp4 := func(d time.Duration, incomplete bool) container.Container {
		return container.Container{MediaType: container.MP4, Duration: d, Incomplete: incomplete}
	}
	for what, c := range map[string]struct {
		file []byte
		want container.Container
	}{
		"moov last":               {join(ftyp, mdat, moov), mp4(minute, false)},
		"moov first":              {join(ftyp, moov, mdat), mp4(minute, false)},
		"free boxes":              {join(ftyp, box("free"), moov, box("free", make([]byte, 99)), mdat), mp4(minute, false)},
		"size of 64 bits":         {join(ftyp, large("mdat", make([]byte, 900)), moov), mp4(minute, false)},
		"mdat up to the end":      {join(ftyp, moov, []byte("\x00\x00\x00\x00mdat1234")), mp4(minute, false)},
		"QuickTime":               {join(qt, mdat, moov), container.Container{MediaType: container.QuickTime, Duration: minute}},
		"QuickTime, no brand":     {join(box("wide"), mdat, moov), container.Container{MediaType: container.QuickTime, Duration: minute}},
		"long duration":           {join(ftyp, box("moov", box("mvhd", words(1<<24, 0, 0, 0, 0, 90_000, 0, 90_000*7))), mdat), mp4(7*time.Second, false)},
		"duration not known":      {join(ftyp, box("moov", box("mvhd", words(0, 0, 0, 1000, 1<<32-1))), mdat), mp4(0, false)},
		"scale of zero":           {join(ftyp, box("moov", box("mvhd", words(0, 0, 0, 0, 5))), mdat), mp4(0, false)},
		"absurd duration":         {join(ftyp, box("moov", box("mvhd", words(1<<24, 0, 0, 0, 0, 1, 1<<31, 0))), mdat), mp4(0, false)},
		"mvhd cut":                {join(ftyp, box("moov", box("mvhd", words(0, 0))), mdat), mp4(0, false)},
		"trailer that is no box":  {join(ftyp, mdat, moov, ligo), mp4(minute, false)},
		"trailer like a box":      {join(ftyp, mdat, moov, []byte("GPS data and so on")), mp4(minute, false)},
		"fragments":               {join(ftyp, init_, piece, piece), mp4(4*time.Second, false)},
		"start of fragments":      {join(ftyp, init_), mp4(4*time.Second, false)},
		"fragments alone":         {join(box("styp"), piece), mp4(0, true)},
		"no moov":                 {join(ftyp, mdat), mp4(0, true)},
		"no mdat":                 {join(ftyp, moov), mp4(minute, true)},
		"mdat short":              {join(ftyp, moov, mdat[:4000]), mp4(minute, true)},
		"moov short":              {join(ftyp, mdat, moov[:40]), mp4(0, true)},
		"fragment short":          {join(ftyp, init_, piece, piece[:3000]), mp4(4*time.Second, true)},
		"fragment without mdat":   {join(ftyp, init_, piece, box("moof")), mp4(4*time.Second, true)},
		"zeros behind a fragment": {join(ftyp, init_, piece, make([]byte, 4096)), mp4(4*time.Second, true)},
		"size beyond 63 bits":     {join(ftyp, []byte("\x00\x00\x00\x01mdat\xff\xff\xff\xff\xff\xff\xff\xff1234"), moov), mp4(0, true)},
		"size below the header":   {join(ftyp, []byte("\x00\x00\x00\x05mdat"), moov), mp4(0, true)},
		"ftyp only":               {ftyp, mp4(0, true)},
		"encrypted":               {bytes.Repeat([]byte{0x9e, 0x13}, 4000), container.Container{}},
		"zeros":                   {make([]byte, 9000), container.Container{}},
		"text":                    {[]byte("Great, this is not a film at all."), container.Container{}},
		"empty":                   {nil, container.Container{}},
	} {
		require.Equal(t, c.want, look(c.file), what)
	}
}

// TestRealClips: whole they are whole, and wherever they are cut it is noticed.
func TestRealClips(t *testing.T) {
	for name, length := range map[string]time.Duration{"normal-front.mp4": 5 * time.Second, "event-rear.mp4": 3 * time.Second} {
		b, err := segments.Files.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, container.Container{MediaType: container.MP4, Duration: length}, look(b))
		for n := 8; n < len(b); n += 97 {
			require.True(t, look(b[:n]).Incomplete, "%s cut to %d bytes", name, n)
		}
	}
}

// stream is a transport stream of n packets with a clock reference in each
// tenth, 100 ms apart.
func stream(n int, from uint64) []byte {
	var b []byte
	for i := range n {
		p := bytes.Repeat([]byte{0xff}, 188)
		copy(p, []byte{0x47, 0x01, 0x00, 0x10})
		if i%10 == 0 {
			base := (from + uint64(i)*900) & (1<<33 - 1)
			copy(p[3:], []byte{0x30, 7, 0x10})
			binary.BigEndian.PutUint32(p[6:], uint32(base>>1))
			p[10] = byte(base&1)<<7 | 0x7e
		}
		if i%10 == 5 { // another programme's clock
			copy(p[1:], []byte{0x02, 0x00, 0x30, 7, 0x10, 1, 2, 3, 4, 5})
		}
		b = append(b, p...)
	}
	return b
}

// stamped puts 4 bytes before each packet.
func stamped(b []byte) (m2ts []byte) {
	for ; len(b) > 0; b = b[188:] {
		m2ts = append(append(m2ts, 1, 2, 3, 4), b[:188]...)
	}
	return m2ts
}

func TestTransportStreams(t *testing.T) {
	ts := func(d time.Duration, incomplete bool) container.Container {
		return container.Container{MediaType: container.MPEGTS, Duration: d, Incomplete: incomplete}
	}
	long := stream(6001, 12345)
	hole := bytes.Clone(long)
	clear(hole[3000*188 : 3100*188])
	end := bytes.Clone(long)
	clear(end[5998*188:])
	for what, c := range map[string]struct {
		file []byte
		want container.Container
	}{
		"whole":               {long, ts(time.Minute, false)},
		"short":               {stream(11, 0), ts(100*time.Millisecond, false)},
		"M2TS":                {stamped(long), ts(time.Minute, false)},
		"clock wraps":         {stream(6001, 1<<33-90_000), ts(time.Minute, false)},
		"no second clock":     {stream(9, 0), ts(0, false)},
		"cut":                 {long[:len(long)-100], ts(time.Minute-100*time.Millisecond, true)},
		"hole":                {hole, ts(time.Minute, true)},
		"zeros at the end":    {end, ts(time.Minute-100*time.Millisecond, true)},
		"M2TS cut":            {stamped(long)[:1000*192+7], ts(9900*time.Millisecond, true)},
		"two packets":         {stream(2, 0), container.Container{}},
		"source code":         {[]byte(strings.Repeat("GOTO considered harmful; ", 40)), container.Container{}},
		"only begins like it": {append([]byte{0x47}, make([]byte, 4000)...), container.Container{}},
	} {
		require.Equal(t, c.want, look(c.file), what)
	}
}

// A meter counts what is read.
type meter struct {
	io.ReaderAt
	calls, bytes int64
}

func (m *meter) ReadAt(p []byte, off int64) (int, error) {
	m.calls, m.bytes = m.calls+1, m.bytes+int64(len(p))
	return m.ReaderAt.ReadAt(p, off)
}

// An endless is a file of any size that repeats itself.
type endless struct{ unit []byte }

func (e endless) ReadAt(p []byte, off int64) (int, error) {
	for i := range p {
		p[i] = e.unit[(off+int64(i))%int64(len(e.unit))]
	}
	return len(p), nil
}

// TestCost: a file that is made for it costs no more than any.
func TestCost(t *testing.T) {
	for what, unit := range map[string][]byte{"boxes": box("free"), "stream": stream(10, 0), "M2TS": stamped(stream(10, 0))} {
		m := &meter{ReaderAt: endless{unit}}
		container.Look(m, 1<<40)
		require.LessOrEqual(t, m.calls, int64(50_010), what)
		require.LessOrEqual(t, m.bytes, int64(1<<20), what)
	}
}

func FuzzLook(f *testing.F) {
	for _, b := range [][]byte{join(ftyp, mdat[:100], moov), join(ftyp, init_, box("moof"), box("mdat")), stream(12, 5), stamped(stream(5, 0)), join(qt, ligo)} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &meter{ReaderAt: bytes.NewReader(b)}
		c := container.Look(m, int64(len(b)))
		require.LessOrEqual(t, m.calls, int64(50_010))
		require.True(t, c.Duration >= 0 && c.Duration < 48*time.Hour+time.Second, c.Duration)
		if c.MediaType == "" {
			require.Zero(t, c)
			return
		}
		// Neither depends on where in the file a box lies, and a packet that
		// is cut is missed.
		if c.MediaType == container.MPEGTS {
			require.True(t, c.Incomplete || look(b[:len(b)-1]).Incomplete || len(b) < 4*192)
			return
		}
		moved := look(join(box("free"), b))
		require.Equal(t, [2]any{c.Duration, c.Incomplete}, [2]any{moved.Duration, moved.Incomplete})
	})
}
