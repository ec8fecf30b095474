package recorder

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"time"

	"roadseal/cmd/internal/bench/player"
)

// A scene is what a sidecar may tell of.
type scene struct {
	recording player.Recording
	from, to  time.Duration // of the recording
	start     time.Time     // by the camera's clock
	saved     time.Time
	mark      string // of this file alone
	seed      uint64
}

// content makes the bytes of a file. No two scenes give the same.
type content func(scene) []byte

func (w *writer) scene(mo moment, s player.Segment) scene {
	from := mo.begin % w.drive.Recording.Length
	return scene{recording: w.drive.Recording, from: from, to: from + w.step, start: w.day.Add(mo.start), saved: w.saved(mo),
		mark: fmt.Sprintf("%s %d", w.drive.Mark, s.Index), seed: uint64(s.Index)}
}

// gps is BlackVue's log of positions: the sentences of the receiver, each with
// milliseconds of Unix time before it.
func gps(s scene) []byte {
	var b []byte
	line := func(at time.Duration, text []byte) {
		b = fmt.Appendf(b, "[%d]%s\r\n", s.start.Add(at).UnixMilli(), text)
	}
	for _, e := range s.recording.Epochs {
		if e.At < s.from || e.At >= s.to {
			continue
		}
		for text := range bytes.Lines(e.Bytes) {
			if text[0] == '$' {
				line(e.At-s.from, bytes.TrimRight(text, "\r\n"))
			}
		}
	}
	body := "GPTXT,01,01,02," + s.mark // NMEA 0183, text transmission
	var sum byte
	for i := range len(body) {
		sum ^= body[i]
	}
	line(s.to-s.from, fmt.Appendf(nil, "$%s*%02X", body, sum))
	return b
}

// acceleration is BlackVue's log of the sensor: records of 10 bytes, big endian,
// milliseconds and three axes of 1/128 g; the last one says FF FF FF FF.
func acceleration(s scene) []byte {
	const rate = 10 // Hz
	rng := rand.New(rand.NewPCG(s.seed, 3))
	var b []byte
	for at := time.Duration(0); at < s.to-s.from; at += time.Second / rate {
		b = binary.BigEndian.AppendUint32(b, uint32(at.Milliseconds()))
		for _, mean := range []int{0, 0, 128} {
			b = binary.BigEndian.AppendUint16(b, uint16(int16(mean+rng.IntN(61)-30)))
		}
	}
	b = binary.BigEndian.AppendUint32(b, 0xffffffff)
	return append(b, make([]byte, 6)...)
}

// event is Tesla's note of why a clip was saved.
func event(s scene) []byte {
	note := map[string]string{"timestamp": s.saved.Format("2006-01-02T15:04:05"), "city": s.mark, "reason": "user_interaction_honk", "camera": "0"}
	for _, p := range s.recording.Valid {
		lat, lon, err := p.Degrees()
		if p.At >= s.from && err == nil {
			note["est_lat"], note["est_lon"] = fmt.Sprintf("%.6f", lat), fmt.Sprintf("%.6f", lon)
			break
		}
	}
	b, _ := json.MarshalIndent(note, "", "\t") // strings can always be written
	return b
}

// small is a picture that differs with the seed.
func small(s scene) image.Image {
	m := image.NewRGBA(image.Rect(0, 0, 64, 36))
	for i := range 64 * 36 {
		x, y := i%64, i/64
		m.Set(x, y, color.RGBA{uint8(4*x + int(s.seed)), uint8(7 * y), uint8(x ^ y), 255})
	}
	return m
}

// thumbnail is a JPEG file with the mark as its comment (ISO/IEC 10918-1,
// marker COM).
func thumbnail(s scene) []byte {
	var b bytes.Buffer
	_ = jpeg.Encode(&b, small(s), nil) // a buffer takes everything
	text := binary.BigEndian.AppendUint16([]byte{0xff, 0xfe}, uint16(2+len(s.mark)))
	return join(b.Bytes()[:2], text, []byte(s.mark), b.Bytes()[2:])
}

// picture is a PNG file with the mark as a comment (W3C PNG, chunk tEXt).
func picture(s scene) []byte {
	var b bytes.Buffer
	_ = png.Encode(&b, small(s)) // a buffer takes everything
	body := []byte("tEXtComment\x00" + s.mark)
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(body)-4))
	chunk = binary.BigEndian.AppendUint32(append(chunk, body...), crc32.ChecksumIEEE(body))
	const head = 8 + 25 // signature and IHDR
	return join(b.Bytes()[:head], chunk, b.Bytes()[head:])
}

// compressed is a log in a Zstandard frame of raw blocks (RFC 8878, section
// 3.1.1).
func compressed(s scene) []byte {
	log := gps(s)
	const most = 1 << 17 // bytes of a block
	// Frame of unknown content size in a window of 128 KiB.
	b := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38}
	for last := uint32(0); last == 0; {
		n := min(len(log), most)
		if n == len(log) {
			last = 1
		}
		head := uint32(n)<<3 | last
		b = append(append(b, byte(head), byte(head>>8), byte(head>>16)), log[:n]...)
		log = log[n:]
	}
	return b
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
