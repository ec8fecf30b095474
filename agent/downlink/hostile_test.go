package downlink_test

import (
	"encoding/binary"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/downlink"
	"roadseal/agent/wire"
	"roadseal/crypto/envelope"
	"roadseal/firmware/fetch/fetchtest"
)

// stray are messages that answer nothing, made of one that does.
var stray = map[string]func(p wire.Part) wire.Message{
	"another request": func(p wire.Part) wire.Message { p.Request[7]++; p.Block = zeros(p); return p },
	"another file":    func(p wire.Part) wire.Message { p.File[0]++; p.Block = zeros(p); return p },
	"no file":         func(p wire.Part) wire.Message { p.File, p.Block = envelope.Name{}, zeros(p); return p },
	"one byte":        func(p wire.Part) wire.Message { p.Size, p.Index, p.Block = 1, 0, []byte{7}; return p },
	"larger":          func(p wire.Part) wire.Message { p.Size += block; p.Block = make([]byte, block); return p },
	"giant":           func(p wire.Part) wire.Message { p.Size, p.Block = wire.MaxFile, make([]byte, block); return p },
	"far behind": func(p wire.Part) wire.Message {
		p.Size, p.Index, p.Block = wire.MaxFile, 1000, make([]byte, block)
		return p
	},
	"absent, stale":    func(p wire.Part) wire.Message { return wire.Absent{Reason: wire.AbsentNone} },
	"changed, stale":   func(p wire.Part) wire.Message { return wire.Absent{Reason: wire.AbsentChanged} },
	"not now, stale":   func(p wire.Part) wire.Message { return wire.Absent{Reason: wire.AbsentLater} },
	"a question":       func(p wire.Part) wire.Message { return wire.Ask{Request: p.Request, Wanted: 1, Name: name} },
	"about an upload":  func(p wire.Part) wire.Message { return wire.Have{Object: p.File, Size: 1, Blocks: wire.Bitmap{1}} },
	"refusing a block": func(p wire.Part) wire.Message { return wire.Refused{Object: p.File, Reason: wire.ReasonBusy} },
}

func zeros(p wire.Part) []byte { return make([]byte, len(p.Block)) }

// TestStrayMessages: twenty before each block that was asked for, and after it,
// cost nothing: no question, no time, no byte of the file.
func TestStrayMessages(t *testing.T) {
	file := fetchtest.Noise(3, 20*block+9)
	run := func(flood func(wire.Part) wire.Message) (asks int, took time.Duration) {
		bubble(t, func(r *rig) {
			r.files.Put(name, file)
			r.answer = func(a wire.Ask) (out []wire.Message) {
				for i, m := range r.files.Answer(a) {
					for range 20 * min(i+len(r.asks)-1, 1) { // the very first one says what the file is
						out = append(out, flood(m.(wire.Part)))
					}
					out = append(out, m, flood(m.(wire.Part)))
				}
				return out
			}
		}, func(t *testing.T, r *rig) {
			took = r.get(file)
			asks = len(r.asks)
			require.Equal(t, 21, r.news)
		})
		return asks, took
	}
	asks, took := run(func(wire.Part) wire.Message { return wire.Refused{Reason: 1} })
	for what, flood := range stray {
		t.Run(what, func(t *testing.T) {
			a, d := run(flood)
			require.Equal(t, asks, a)
			require.Equal(t, took, d)
		})
	}
}

// TestMemory: what a file may have is all that a hostile peer can make the
// vehicle keep, in any number of messages.
func TestMemory(t *testing.T) {
	const limit = 2 << 20
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	bubble(t, func(r *rig) {
		r.answer = func(a wire.Ask) []wire.Message { return nil }
	}, func(t *testing.T, r *rig) {
		go func() { _, _ = r.d.Fetch(t.Context(), name, limit) }()
		time.Sleep(time.Second)
		synctest.Wait()
		request := r.asks[0].Request
		before, most := heap(), int64(0)
		bytes := make([]byte, block)
		for i := range 20_000 {
			r.d.Take(wire.Part{Request: request, File: envelope.Name{byte(i), byte(i >> 8)}, Size: limit, Index: uint32(i % 34), Block: bytes})
			if i%5000 == 0 {
				most = max(most, heap()-before)
			}
		}
		require.Less(t, most, int64(2*limit))
	})
}

// FuzzPeer: a peer that says anything, in any order, with any pauses, makes
// nothing panic, and never more than a window be asked for at a time; what
// comes as the file hashes to what its messages said.
func FuzzPeer(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0, 2, 0, 3, 0, 4, 0})
	f.Add([]byte{0, 0, 0x41, 1, 0x82, 0, 0xc0, 9, 1, 1, 2, 2, 7, 7, 5, 3})
	f.Add([]byte{6, 0, 6, 0, 6, 1, 6, 0, 6, 0, 0, 0, 1, 1})
	file := fetchtest.Noise(5, 6*block+1)
	f.Fuzz(func(t *testing.T, script []byte) {
		files := fetchtest.NewFiles()
		files.Put(name, file)
		d := downlink.New()
		got := make(chan []byte, 1)
		go func() {
			b, _ := d.Fetch(t.Context(), name, 1<<20)
			got <- b
		}()
		<-d.Wake()
		d.Begin()
		var last wire.Ask
		next := func(busy bool) {
			payload, _ := d.Next(busy)
			if payload == nil {
				return
			}
			m, err := wire.Parse(payload)
			require.NoError(t, err)
			last = m.(wire.Ask)
			require.NotZero(t, last.Wanted)
		}
		next(false)
		for ; len(script) >= 2; script = script[2:] {
			play(d, files, last, script[0], script[1])
			next(script[0]&0x80 != 0)
		}
		for range 20 { // from now on the peer is honest
			d.Begin()
			next(false)
			for _, m := range files.Answer(last) {
				d.Take(m)
			}
		}
		b := <-got
		require.True(t, b == nil || string(b) == string(file), "the file, or an error")
	})
}

// play is one act of the peer.
func play(d *downlink.Downlink, files *fetchtest.Files, last wire.Ask, act, arg byte) {
	answer := files.Answer(last)
	switch act & 7 {
	case 0, 1: // an answer, or one of them
		if len(answer) > 0 {
			d.Take(answer[int(arg)%len(answer)])
		}
	case 2: // what nobody asked for
		d.Take(wire.Part{Request: last.Request, File: last.File, Size: 6*block + 1, Index: uint32(arg % 6), Block: make([]byte, block)})
	case 3:
		d.Take(wire.Part{Request: last.Request, File: envelope.Name{arg}, Size: int64(arg) + 1, Block: make([]byte, int(arg)+1)})
	case 4:
		d.Begin()
	case 5: // bytes, of which few are a message
		b := binary.BigEndian.AppendUint64([]byte{wire.Version, act >> 3}, uint64(arg))
		if m, err := wire.Parse(append(b, last.Request[:]...)); err == nil {
			d.Take(m)
		}
	case 6:
		d.Take(wire.Absent{Request: last.Request, Reason: wire.AbsentChanged})
	case 7:
		d.Next(arg&1 != 0)
	}
}
