package serialport_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/hal/serialport"
)

// A writer is a Handler that writes a text with each call, and counts what the
// line took.
type writer struct {
	events
	port *serialport.Port
	text []byte
	took int
	full int // writes that were not taken whole
	err  error
}

func (w *writer) write() {
	n, err := w.port.Write(w.text)
	w.took += n
	if n < len(w.text) && err == nil {
		w.full++
	}
	if err != nil {
		w.err = err
	}
}

func (w *writer) Up()           { w.write(); w.events.Up() }
func (w *writer) Data(p []byte) { w.write(); w.events.Data(p) }
func (w *writer) Idle()         { w.write(); w.events.Idle() }
func (w *writer) Down(err error) {
	w.write()
	w.events.Down(err)
}

func newWriter(t *testing.T, device, text string) (*writer, func()) {
	w := &writer{events: make(events), text: []byte(text)}
	w.port = serialport.New(serialport.Options{Path: device, Baud: 9600, Log: slog.New(slog.DiscardHandler)}, w)
	fast(w.port)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.port.Run(ctx) }()
	return w, func() {
		cancel()
		for {
			select {
			case <-w.events:
			case err := <-ended:
				require.ErrorIs(t, err, context.Canceled)
				return
			}
		}
	}
}

// TestWrite: what is written arrives as it is, while what comes is read.
func TestWrite(t *testing.T) {
	l := newLine(t)
	text := "\x00\xB5\x62\x06\x01\n\r\x03\x04\x11\x13\x1A\xFF"
	w, stop := newWriter(t, l.device, text)
	w.up(t)
	got := make([]byte, len(text))
	_, err := l.far.Read(got)
	require.NoError(t, err)
	require.Equal(t, text, string(got))
	_, err = l.far.WriteString("$GPRMC,")
	require.NoError(t, err)
	w.data(t, "$GPRMC,")
	stop()
	require.NoError(t, w.err)
}

// TestNobodyReads: a line whose far end never reads fills up, and from then on
// takes nothing. The port reads on, is closed and ends as ever.
func TestNobodyReads(t *testing.T) {
	l := newLine(t)
	w, stop := newWriter(t, l.device, string(make([]byte, 5000)))
	w.up(t)
	for range 200 {
		_, err := l.far.WriteString("$")
		require.NoError(t, err)
		w.data(t, "$")
	}
	stop()
	require.NoError(t, w.err)
	require.Positive(t, w.took)
	require.Greater(t, w.full, 50)
	require.Less(t, w.took, 1<<20)
}

// TestWriteToNoPort: before it is open and after it is lost a port takes nothing.
func TestWriteToNoPort(t *testing.T) {
	l := newLine(t)
	w, stop := newWriter(t, l.device, "x")
	_, err := serialport.New(serialport.Options{}, w).Write([]byte("x"))
	require.ErrorContains(t, err, "lost")
	w.up(t)
	require.NoError(t, l.far.Close())
	require.Contains(t, w.down(t), "lost")
	stop()
	require.ErrorContains(t, w.err, "lost")
}
