package collector_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/mqttlink"
	"roadseal/agent/wire"
	"roadseal/cmd/internal/collector"
	"roadseal/cmd/internal/mirror"
	"roadseal/crypto/envelope"
)

// A shelf is a repository with some files, in a folder.
func shelf(t *testing.T, files map[string][]byte) string {
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, content, 0o600))
	}
	return dir
}

func random(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

var (
	largeFile = random(20*wire.BlockSize + 1)
	smallFile = random(1000)
	fileNames = map[string][]byte{"image/7.targets.json": largeFile, "image/timestamp.json": smallFile,
		"director/timestamp.json": []byte("fleet"), "director/" + deviceB + "/timestamp.json": []byte("only B's")}
)

func ask(request byte, name string, file []byte, first uint32, wanted uint8) wire.Ask {
	a := wire.Ask{Request: wire.Request{request}, Name: name, First: first, Wanted: wanted}
	if file != nil {
		a.File = sha256.Sum256(file)
	}
	return a
}

func part(request byte, file []byte, index int) wire.Part {
	return wire.Part{Request: wire.Request{request}, File: sha256.Sum256(file), Size: int64(len(file)), Index: uint32(index),
		Block: file[index*wire.BlockSize : min(len(file), (index+1)*wire.BlockSize)]}
}

// serving runs a test with a collector that serves files.
func serving(t *testing.T, test func(t *testing.T, r *rig, dir string)) {
	var dir string
	virtual(t, func(r *rig) {
		dir = shelf(t, fileNames)
		r.options.Repository = mirror.New(dir)
	}, func(t *testing.T, r *rig) { test(t, r, dir) })
}

// asked sends ASK and returns what comes.
func (r *rig) asked(device string, a wire.Ask) []wire.Message {
	r.t.Helper()
	r.send(device, a)
	return r.answers(device)
}

func absent(request byte, why wire.Absence) []wire.Message {
	return []wire.Message{wire.Absent{Request: wire.Request{request}, Reason: why}}
}

func TestAsksAreAnswered(t *testing.T) {
	serving(t, func(t *testing.T, r *rig, dir string) {
		const large = "image/7.targets.json"
		require.Equal(t, []wire.Message{part(1, smallFile, 0)}, r.asked(deviceA, ask(1, "image/timestamp.json", nil, 0, 255)), "blocks that there are not say nothing")
		require.Equal(t, []wire.Message{part(2, largeFile, 0), part(2, largeFile, 2)}, r.asked(deviceA, ask(2, large, nil, 0, 5)))
		require.Equal(t, []wire.Message{part(2, largeFile, 20)}, r.asked(deviceA, ask(2, large, largeFile, 20, 3)))
		require.Empty(t, r.asked(deviceA, ask(2, large, largeFile, 1092, 255)))
		require.Equal(t, absent(3, wire.AbsentNone), r.asked(deviceA, ask(3, "image/8.targets.json", nil, 0, 255)), "once for all eight")
		require.Equal(t, absent(4, wire.AbsentChanged), r.asked(deviceA, ask(4, large, smallFile, 0, 255)))
		require.NoError(t, os.RemoveAll(dir))
		require.Equal(t, absent(5, wire.AbsentLater), r.asked(deviceA, ask(5, large, nil, 0, 1)))
		require.Equal(t, absent(6, wire.AbsentLater), r.asked(deviceA, ask(6, large, nil, 0, 1)))
		require.Equal(t, 1, r.lines("WARN"))
		r.stop()
		s, _ := r.last()
		require.Equal(t, collector.Downloads{Asks: 8, Parts: 4, None: 1, Changed: 1, Later: 2}, s.Downloads)
	})
}

func TestWithoutARepository(t *testing.T) {
	virtual(t, nil, func(t *testing.T, r *rig) {
		require.Equal(t, absent(1, wire.AbsentAll), r.asked(deviceA, ask(1, "image/timestamp.json", nil, 0, 255)), "it is for nobody to wait")
		require.Zero(t, r.lines("WARN"))
	})
}

func TestEachSeesItsOwn(t *testing.T) {
	serving(t, func(t *testing.T, r *rig, _ string) {
		const name = "director/timestamp.json"
		require.Equal(t, []wire.Message{part(1, []byte("fleet"), 0)}, r.asked(deviceA, ask(1, name, nil, 0, 1)))
		require.Equal(t, []wire.Message{part(1, []byte("only B's"), 0)}, r.asked(deviceB, ask(1, name, nil, 0, 1)))
		for _, other := range []string{"director/" + deviceB + "/timestamp.json", "director/" + deviceA + "/timestamp.json"} {
			require.Equal(t, absent(2, wire.AbsentNone), r.asked(deviceA, ask(2, other, nil, 0, 1)))
		}
		b, err := ask(3, name, nil, 0, 1).MarshalBinary()
		require.NoError(t, err)
		r.raw("v1/up/"+wire.Shard(deviceA)+"/"+deviceB, b)
		require.Empty(t, r.answers(deviceB), "in another's shard")
		for _, bad := range []string{"director/../secret/a.b.json", "/etc/passwd\x00abcdefgh"} { // as long as the name
			raw := append([]byte(nil), b...)
			copy(raw[48:], bad)
			r.raw(wire.UpTopic(deviceA), raw)
		}
		require.Empty(t, r.answers(deviceA))
	})
}

// TestAFloodIsAnsweredAtItsPace: whatever a vehicle asks for and how often, it
// gets what its token bucket lets through, and one beside it all that it asks.
func TestAFloodIsAnsweredAtItsPace(t *testing.T) {
	for what, next := range map[string]func(i int) wire.Ask{
		"the same":       func(int) wire.Ask { return ask(1, "image/7.targets.json", nil, 0, 255) },
		"new requests":   func(i int) wire.Ask { return ask(byte(i), "image/7.targets.json", nil, uint32(i%20), 255) },
		"no such file":   func(i int) wire.Ask { return ask(byte(i), "image/none.json", nil, 0, 255) },
		"no such block":  func(i int) wire.Ask { return ask(byte(i), "image/timestamp.json", nil, 900, 255) },
		"another's file": func(i int) wire.Ask { return ask(byte(i), "director/"+deviceB+"/timestamp.json", nil, 0, 255) },
		"changed":        func(i int) wire.Ask { return ask(byte(i), "image/timestamp.json", largeFile, 0, 255) },
	} {
		t.Run(what, func(t *testing.T) {
			serving(t, func(t *testing.T, r *rig, _ string) {
				const seconds = 10
				got := 0
				for i := range seconds * 100 {
					got += len(r.asked(deviceA, next(i)))
					if i%100 == 0 {
						require.Equal(t, []wire.Message{part(byte(i), largeFile, i/100)}, r.asked(deviceB, ask(byte(i), "image/7.targets.json", largeFile, uint32(i/100), 1)))
					}
					sleep(10 * time.Millisecond)
				}
				require.LessOrEqual(t, got, 64+16*seconds)
				if what != "no such block" {
					require.GreaterOrEqual(t, got, 64+16*(seconds-1))
				}
				s, _ := r.last()
				require.LessOrEqual(t, s.Vehicles, 2)
				require.Positive(t, s.Downloads.Asks)
			})
		})
	}
}

// TestUploadsGoFirst: a block waits for what vehicles have sent, but not for
// ever.
func TestUploadsGoFirst(t *testing.T) {
	serving(t, func(t *testing.T, r *rig, _ string) {
		link := r.current()
		link.slow, link.record = time.Millisecond, true
		put := func(device string, m wire.Message) {
			b, err := m.MarshalBinary()
			require.NoError(t, err)
			link.in <- mqttlink.Message{Topic: wire.UpTopic(device), Payload: b}
		}
		put(deviceA, ask(1, "image/7.targets.json", nil, 0, 255))
		const offers = 500
		for range offers { // each is refused at once
			put(deviceB, wire.Offer{Object: sha256.Sum256(nil), Size: 1, Class: 1})
		}
		sleep(time.Minute)
		var at []int
		for i, m := range link.order {
			if _, ok := m.(wire.Part); ok {
				at = append(at, i)
			}
		}
		require.Len(t, at, wire.MaxAsk)
		require.Len(t, link.order, offers+wire.MaxAsk)
		for i, before := -1, 0; i+1 < len(at); i++ {
			require.GreaterOrEqual(t, at[i+1]-before, 16, "%v", at)
			before = at[i+1]
		}
		require.Less(t, at[len(at)-1], offers, "%v: not starved", at)
	})
}

// A slowRepository takes its time.
type slowRepository struct{ collector.Repository }

func (s slowRepository) Block(device, name string, index uint32) (mirror.Block, error) {
	time.Sleep(10 * time.Millisecond)
	return s.Repository.Block(device, name, index)
}

// TestVehiclesTakeTurns, and what one asks for again meanwhile comes once.
func TestVehiclesTakeTurns(t *testing.T) {
	virtual(t, func(r *rig) {
		r.options.Repository = slowRepository{mirror.New(shelf(t, fileNames))}
	}, func(t *testing.T, r *rig) {
		r.current().record = true
		r.send(deviceA, ask(1, "image/7.targets.json", nil, 0, 15))
		r.send(deviceA, ask(1, "image/7.targets.json", nil, 0, 255))
		r.send(deviceB, ask(2, "image/7.targets.json", nil, 0, 255))
		sleep(time.Second)
		var order []byte
		once := map[wire.Request]uint8{}
		for _, m := range r.current().order {
			p := m.(wire.Part)
			order = append(order, p.Request[0])
			once[p.Request] |= 1 << p.Index
		}
		require.Equal(t, map[wire.Request]uint8{{1}: 255, {2}: 255}, once)
		require.Equal(t, bytes.Repeat([]byte{1, 2}, wire.MaxAsk), order)
	})
}

// A stuckRepository is on a disk that hangs until it is let go.
type stuckRepository struct{ gate chan struct{} }

func (s stuckRepository) Block(string, string, uint32) (mirror.Block, error) {
	<-s.gate
	return mirror.Block{}, errors.New("stale handle")
}

func TestARepositoryThatHangsIsInNobodysWay(t *testing.T) {
	gate := make(chan struct{})
	virtual(t, func(r *rig) {
		gate = make(chan struct{}) // of the bubble
		r.options.Repository = stuckRepository{gate}
	}, func(t *testing.T, r *rig) {
		for i := range 200 {
			for v := range 20 {
				r.send(device(v), ask(byte(i), "image/timestamp.json", nil, 0, 255))
			}
		}
		r.honest(deviceB, 1)
		close(gate)
		sleep(time.Minute)
		require.Equal(t, 1, r.lines("WARN"))
		for v := range 20 {
			require.Len(t, r.answers(device(v)), 1, "of 200 asks the first was kept, all of its eight blocks")
		}
	})
}

// TestAnswersOverALostConnection are not kept for the next, but for one.
func TestAnswersOverALostConnection(t *testing.T) {
	serving(t, func(t *testing.T, r *rig, _ string) {
		for i := range 20 {
			r.set(nil)
			r.send(deviceA, ask(byte(i), "image/timestamp.json", nil, 0, 1))
			sleep(time.Minute)
		}
		require.Equal(t, []wire.Message{part(19, smallFile, 0)}, r.answers(deviceA))
	})
}

// TestDownloadsOverABroker: an honest vehicle downloads and uploads while
// hostile ones ask without end, over a real broker.
func TestDownloadsOverABroker(t *testing.T) {
	w := newWorld(t)
	dir := shelf(t, fileNames)
	w.repository = mirror.New(dir)
	stop := w.start()
	for range 3 {
		v := w.vehicle()
		done := make(chan struct{})
		t.Cleanup(func() { <-done })
		go func() {
			defer close(done)
			for i := range 300 {
				for _, name := range []string{"image/7.targets.json", "image/none", "director/" + deviceB + "/timestamp.json"} {
					b, err := ask(byte(i), name, nil, uint32(i%20), 255).MarshalBinary()
					if err != nil || v.link.Publish(wire.UpTopic(v.device), b) != nil {
						return
					}
				}
			}
		}()
	}
	honest := w.vehicle()
	got := honest.download("image/7.targets.json")
	require.True(t, bytes.Equal(largeFile, got))
	b := object(1)
	require.Equal(t, 2, w.vehicle().upload(b, 1))
	require.Equal(t, "fleet", string(honest.download("director/timestamp.json")))
	s := stop()
	require.GreaterOrEqual(t, s.Downloads.Parts, int64(22))
	text, err := json.Marshal(s)
	require.NoError(t, err)
	require.NotContains(t, string(text)+w.logged(), "targets")
	require.NotContains(t, string(text)+w.logged(), honest.device)
}

// download asks for a file as a vehicle does, again whenever nothing comes.
func (v *vehicle) download(name string) []byte {
	v.w.t.Helper()
	var file envelope.Name
	blocks := map[uint32][]byte{}
	first, total := uint32(0), 1
	for request := byte(0); len(blocks) < total; request++ {
		for blocks[first] != nil {
			first++
		}
		v.send(wire.Ask{Request: wire.Request{1}, File: file, First: first, Wanted: 255, Name: name})
		for quiet := false; !quiet && len(blocks) < total; {
			select {
			case m := <-v.link.Messages():
				msg, err := wire.Parse(m.Payload)
				require.NoError(v.w.t, err)
				p := msg.(wire.Part)
				file, total = p.File, wire.Blocks(p.Size)
				blocks[p.Index] = p.Block
			case <-time.After(100 * time.Millisecond):
				quiet = true
			}
		}
	}
	var all []byte
	for i := range total {
		all = append(all, blocks[uint32(i)]...)
	}
	require.Equal(v.w.t, file, envelope.Name(sha256.Sum256(all)))
	return all
}
