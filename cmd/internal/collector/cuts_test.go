package collector_test

import (
	"crypto/ed25519"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/wire"
)

// A tally sums up drives.
type tally struct {
	cuts, objects int
	resent, most  int64
}

func (s *tally) String() string {
	return fmt.Sprintf("%d cuts, %d objects; re-sent: %d kB a cut, at most %d kB after one", s.cuts, s.objects, s.resent/int64(max(1, s.cuts))/1000, s.most/1000)
}

// drive runs one in a bubble of its own. It returns how many of its cuts came.
func (s *tally) drive(t *testing.T, seed uint64, plan []cut, change func(*drive)) (cuts int) {
	synctest.Test(t, func(t *testing.T) {
		d := newDrive(t, seed, plan)
		if change != nil {
			change(d)
		}
		d.run()
		cuts = d.cuts
		s.cuts += d.cuts
		s.objects += len(d.fed)
		s.resent += d.uplink.Status().Resent
		s.most = max(s.most, d.most)
	})
	return cuts
}

// TestCutAfterEveryMessage: one upload of three objects, cut after its k-th
// message up or down, for every k until the upload has no more messages.
func TestCutAfterEveryMessage(t *testing.T) {
	var s tally
	for _, up := range []bool{true, false} {
		for k, past := 1, 0; past < 2; k += some(1, 5) {
			past++
			if s.drive(t, uint64(k), []cut{{up, true, k}}, func(d *drive) {
				d.blocks, d.sizes = 2, []int64{20 * wire.BlockSize, 2000, 4 * wire.BlockSize}
			}) > 0 {
				past = 0
			}
		}
	}
	t.Log(&s)
	require.Greater(t, s.cuts, some(50, 8))
}

// TestCutAtByteOffsets: the first 400 bytes of a session one by one, then in
// growing steps up, into the third message of data.
func TestCutAtByteOffsets(t *testing.T) {
	var plan []cut
	for i, at := 0, 1; i < 600; i++ {
		plan = append(plan, cut{true, false, at}, cut{false, false, i + 1})
		at += 1 + max(0, i-400)*max(0, i-400)/20
	}
	var s tally
	for i, part := range slices.Collect(slices.Chunk(plan, 100)) {
		if i%some(1, 6) == 0 {
			require.Equal(t, len(part), s.drive(t, uint64(i), part, nil), "cuts that came")
		}
	}
	t.Logf("%v; up to byte %d up and %d down", &s, plan[len(plan)-2].at, plan[len(plan)-1].at)
}

// TestRandomCuts: the rest of 10,000.
func TestRandomCuts(t *testing.T) {
	seed := rand.Uint64N(1 << 32)
	defer func() { t.Logf("seed %d", seed) }()
	rng := rand.New(rand.NewPCG(seed, 4))
	var s tally
	for s.cuts < some(8000, 300) {
		s.drive(t, rng.Uint64(), randomCuts(rng, 100), func(d *drive) { d.blocks = 1 + rng.IntN(2) })
	}
	t.Log(&s)
}

// TestCutsOfALongLink: with a delay, a whole window is under way when the cut
// comes, and is lost.
func TestCutsOfALongLink(t *testing.T) {
	seed := rand.Uint64N(1 << 32)
	defer func() { t.Logf("seed %d", seed) }()
	rng := rand.New(rand.NewPCG(seed, 6))
	var s tally
	for s.cuts < some(1000, 100) {
		s.drive(t, rng.Uint64(), append([]cut{{true, false, 950_000}}, randomCuts(rng, 100)...), func(d *drive) {
			d.blocks, d.delay, d.sizes = 2, time.Duration(1+rng.IntN(300))*time.Millisecond, []int64{1_500_000, 50_000}
		})
	}
	t.Log(&s)
	require.Greater(t, s.most, int64(7*2*wire.BlockSize), "the first cut costs what was under way")
}

func randomCuts(rng *rand.Rand, n int) (plan []cut) {
	for range n {
		c := cut{up: rng.IntN(2) > 0, messages: rng.IntN(3) == 0}
		far := 500.0 // bytes down
		if c.up {
			far = 400_000
		}
		if c.at = int(math.Pow(far, rng.Float64())); c.messages {
			c.at = 1 + rng.IntN(20)
		}
		plan = append(plan, c)
	}
	return plan
}

// TestDamagedObjects: what the card has damaged is found by the collector, read
// again by the vehicle and set aside; all others arrive, once.
func TestDamagedObjects(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	var s tally
	for range some(20, 5) {
		s.drive(t, rng.Uint64(), randomCuts(rng, 10), func(d *drive) {
			d.damage = func(n int) bool { return n%3 == 1 }
		})
	}
	t.Log(&s)
}

// TestCutsUnderTLS: the bytes are those of TLS records, handshake and all.
func TestCutsUnderTLS(t *testing.T) {
	seed := rand.Uint64N(1 << 32)
	defer func() { t.Logf("seed %d", seed) }()
	rng := rand.New(rand.NewPCG(seed, 5))
	var s tally
	for s.cuts < some(300, 50) {
		plan := randomCuts(rng, 50)
		for i := range plan {
			plan[i].messages = false
			plan[i].at = 1 + int(math.Pow(map[bool]float64{true: 400_000, false: 5000}[plan[i].up], rng.Float64()))
		}
		s.drive(t, rng.Uint64(), plan, func(d *drive) { d.server, d.client = identity(t) })
	}
	t.Log(&s)
}

// identity makes both ends of a TLS connection from one throw-away certificate.
func identity(t *testing.T) (server, client *tls.Config) {
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"broker"},
		NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(crand.Reader, template, template, public, private)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}}},
		&tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool, ServerName: "broker"}
}

// some is a number for an ordinary run, or for a short one; under the race
// detector, which is twenty times slower, every run is short.
func some(all, few int) int {
	info, _ := debug.ReadBuildInfo()
	if testing.Short() || info != nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		return few
	}
	return all
}
