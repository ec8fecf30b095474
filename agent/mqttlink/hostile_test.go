package mqttlink_test

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/stretchr/testify/require"

	"roadseal/agent/mqttlink"
)

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// floods are what a broker sends without end. The session either takes it, or
// is over with the reason.
var floods = map[string]struct {
	packet []byte
	count  int
	want   string // "" = nothing happens
}{
	"wanted messages":       {message(1, "v1/down/"+client, make([]byte, 40_000)), 2000, ""},
	"unwanted messages":     {message(1, "v1/up/00/x", make([]byte, 65_000)), 2000, ""},
	"small messages":        {message(9, "x", nil), 100_000, ""},
	"PINGRESP":              {[]byte{0xd0, 0}, 100_000, ""},
	"SUBACK":                {[]byte{0x90, 3, 0, 1, 1}, 100_000, ""},
	"SUBACK without a code": {[]byte{0x90, 2, 0, 1}, 100_000, ""},
	"PUBACK":                {[]byte{0x40, 2, 0, 1}, 100_000, "acknowledges what was not sent"},
	"CONNACK":               {[]byte{0x20, 2, 0, 0}, 100_000, ""},
	"CONNACK refusing":      {[]byte{0x20, 2, 0, 5}, 100_000, ""},
	"256 MiB":               {[]byte{0x30, 0xff, 0xff, 0xff, 0x7f}, 1, "at most 65536"},
	"QoS 2":                 {[]byte{0x34, 5, 0, 1, 'a', 0, 1}, 1, "nobody asked for"},
	"nothing of a message":  {[]byte{0x32, 0}, 1, "connection lost"},
	"topic beyond the end":  {[]byte{0x32, 4, 0xff, 0xff, 0, 1}, 1, "connection lost"},
	"TLS":                   {[]byte{0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5}, 1, "nobody asked for"},
}

// TestFloods: no flood costs memory, and a session that takes it is still of
// use.
func TestFloods(t *testing.T) {
	for name, flood := range floods {
		t.Run(name, func(t *testing.T) {
			if testing.Short() {
				flood.count = min(flood.count, 5000)
			}
			synctest.Test(t, func(t *testing.T) {
				p := new(peer)
				s, done := connect(t, p)
				require.NoError(t, s.Subscribe(t.Context(), "v1/down/"+client))
				before, most := heap(), int64(0)
				many := bytes.Repeat(flood.packet, max(1, min(flood.count, 40_000/len(flood.packet))))
				for sent := 0; sent < flood.count*len(flood.packet) && s.Err() == nil; sent += len(many) {
					if sent%(50*len(many)) == 0 {
						most = max(most, heap()-before)
					}
					select {
					case p.out <- many:
					case <-s.Done():
					}
					synctest.Wait()
					p.got = nil // acknowledgements
				}
				require.Less(t, most, int64(16<<20))
				if flood.want == "" {
					require.NoError(t, s.Publish("v1/up/00/x", []byte("still here")))
					synctest.Wait()
					require.NoError(t, s.Err())
					require.Equal(t, 1, count[*packets.PublishPacket](p))
				} else {
					time.Sleep(time.Minute)
					require.ErrorContains(t, s.Err(), flood.want)
				}
				require.NoError(t, s.Close())
				<-done
			})
		})
	}
}

// TestHostileSessions: whatever bytes come, a session ends without a panic and
// leaves nothing behind.
func TestHostileSessions(t *testing.T) {
	seed := rand.Uint64N(1 << 32)
	r := rand.New(rand.NewPCG(seed, 1))
	defer func() { t.Logf("seed %d", seed) }()
	before := heap()
	for range map[bool]int{false: 3000, true: 100}[testing.Short()] {
		synctest.Test(t, func(t *testing.T) {
			p := new(peer)
			p.on = func(packets.ControlPacket) ([]byte, bool) {
				if r.IntN(4) > 0 {
					return nil, false
				}
				b := make([]byte, r.IntN(40))
				for i := range b {
					b[i] = byte(r.Uint32())
				}
				return append([]byte{[]byte{0x20, 0x30, 0x32, 0x3b, 0x40, 0x50, 0x62, 0x90, 0xb0, 0xd0, 0xe0}[r.IntN(11)], byte(r.IntN(8))}, b...), true
			}
			o, done := pipe(p)
			s, err := mqttlink.Dial(t.Context(), o)
			if err == nil {
				_ = s.Subscribe(t.Context(), "a") // may fail
				for i := 0; i < 20 && s.Publish("b", []byte("x")) == nil; i++ {
				}
				time.Sleep(time.Minute)
				require.NoError(t, s.Close())
			}
			p.Conn.Close()
			<-done
		})
	}
	require.Less(t, heap()-before, int64(4<<20))
}

// TestOneByteASecond: a broker that reads or writes so slowly is a dead one.
func TestOneByteASecond(t *testing.T) {
	t.Run("reading", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			var p *peer
			p = &peer{on: func(in packets.ControlPacket) ([]byte, bool) {
				if _, pub := in.(*packets.PublishPacket); pub {
					for b := make([]byte, 1); ; time.Sleep(time.Second) {
						if _, err := p.Read(b); err != nil {
							<-release
							break
						}
					}
				}
				return nil, false
			}}
			s, done := connect(t, p)
			require.NoError(t, s.Publish("v1/up/00/x", []byte("x")))
			start := time.Now()
			require.NoError(t, s.Publish("v1/up/00/x", make([]byte, 10_000)))
			<-s.Done()
			require.ErrorContains(t, s.Err(), "nothing moves")
			require.LessOrEqual(t, time.Since(start), 5*time.Second)
			close(release)
			require.NoError(t, s.Close())
			<-done
		})
	})
	t.Run("writing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := new(peer)
			s, done := connect(t, p)
			start := time.Now()
			for _, b := range message(1, "v1/down/x", make([]byte, 60_000)) {
				if _, err := p.Write([]byte{b}); err != nil { // the answers to pings go by as bytes of it, too
					break
				}
				time.Sleep(time.Second)
			}
			<-s.Done()
			require.ErrorContains(t, s.Err(), "pingresp not received")
			require.LessOrEqual(t, time.Since(start), 45*time.Second)
			require.NoError(t, s.Close())
			<-done
		})
	})
}
