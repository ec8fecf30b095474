package gnss_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/adrianmo/go-nmea"
	"github.com/stretchr/testify/require"

	"roadseal/hal/gnss"
)

// TestNoAllocations: a sentence costs no memory, whatever it is, and neither
// does a fix.
func TestNoAllocations(t *testing.T) {
	streams := map[string][]byte{
		"drive":   drive(50),
		"all":     []byte(sentence(rmcBody) + sentence(ggaBody) + sentence(gnsBody) + sentence(gsaBody) + sentence(vtgBody) + sentence(zdaBody) + sentence(gllBody) + sentence(gstBody) + sentence(gbsBody) + sentence(gsvBody)),
		"binary":  []byte(pvtFrame(nil) + rtcm("$abc") + sentence(rmcBody) + ubx("$abc")),
		"damaged": []byte("$" + sentence(rmcBody) + "$GPRMC,x\r\n$GPRMC,x*00\r\n$\x00" + ubx("$abc") + sentence("GPRMC,x,A,x,x,x,x,x,x,x,x,x,x")),
	}
	for name, stream := range streams {
		fixes := 0
		d := gnss.NewDecoder(gnss.Options{
			Now:   func() time.Duration { return 0 },
			Floor: func() time.Time { return said },
			Fix:   func(gnss.Fix) { fixes++ },
		})
		allocs := testing.AllocsPerRun(100, func() {
			_, _ = d.Write(stream)
			d.Flush()
		})
		require.Zero(t, allocs, name)
		require.Positive(t, fixes, name)
	}
}

// BenchmarkDecoder and BenchmarkGoNMEA read the same sentences; the Decoder also frames, merges
// and judges. One operation is one sentence.

func BenchmarkDecoder(b *testing.B) {
	stream := drive(500) // 1,000 sentences
	d := gnss.NewDecoder(gnss.Options{
		Now: func() time.Duration { return 0 },
		Fix: func(gnss.Fix) {},
	})
	b.ReportAllocs()
	b.SetBytes(int64(len(stream)) / 1000)
	for i := 0; i < b.N; i += 1000 {
		_, _ = d.Write(stream)
	}
}

// BenchmarkDecoderMixed reads what a u-blox receiver says in one epoch when all is
// switched on: one operation is one sentence or frame.
func BenchmarkDecoderMixed(b *testing.B) {
	var stream []byte
	for i := range byte(50) {
		s := string([]byte{'0' + i/10, '0' + i%10}) + ".00"
		for _, body := range []string{rmcBody, vtgBody, ggaBody, gsaBody, gsvBody, gllBody, gstBody, gbsBody, zdaBody} {
			stream = append(stream, sentence(at(s, body))...)
		}
		stream = append(stream, pvtAt(i)...)
	}
	d := gnss.NewDecoder(gnss.Options{
		Now: func() time.Duration { return 0 },
		Fix: func(gnss.Fix) {},
	})
	b.ReportAllocs()
	b.SetBytes(int64(len(stream)) / 500)
	for i := 0; i < b.N; i += 500 {
		_, _ = d.Write(stream)
	}
}

func BenchmarkGoNMEA(b *testing.B) {
	stream := drive(500)
	var lines []string
	for line := range bytes.Lines(stream) {
		lines = append(lines, string(bytes.TrimSpace(line)))
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(stream)) / 1000)
	for i := 0; i < b.N; i++ {
		if _, err := nmea.Parse(lines[i%len(lines)]); err != nil {
			b.Fatal(err)
		}
	}
}
