package mtls_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/mtls"
)

// try shakes hands over a pipe, as sockets do not work in a bubble.
func try(client, server *tls.Config) error {
	c, s := net.Pipe()
	// A pipe has no buffer: where one end gives up, the other would wait.
	c.SetDeadline(time.Now().Add(time.Second))
	s.SetDeadline(time.Now().Add(time.Second))
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn := tls.Server(s, server)
		_ = conn.Handshake()
		s.Close()
	}()
	err := tls.Client(c, client).Handshake()
	c.Close()
	<-done
	return mtls.Explain(err)
}

// Certificates here are valid around 2026, while the wall clock of the bubble
// says 2000: only trusted time counts.
func TestChainJudgedByTrustedTime(t *testing.T) {
	at := func(d time.Duration) time.Time { return built.Add(d) }
	valid := func(a, b time.Duration) []change { return []change{from(at(a)), until(at(b))} }
	tests := map[string]struct {
		ca, inter, leaf [2]time.Duration
		wait            time.Duration
		says            string
	}{
		"all valid":                          {ca: [2]time.Duration{-year, year}, inter: [2]time.Duration{-day, year}, leaf: [2]time.Duration{-day, day}},
		"leaf expired":                       {ca: [2]time.Duration{-year, year}, inter: [2]time.Duration{-day, year}, leaf: [2]time.Duration{-day, -time.Second}, says: "the broker's certificate expired at 2026-02-28T23:59:59Z; it is now at least 2026-03-01"},
		"leaf expires while we run":          {ca: [2]time.Duration{-year, year}, inter: [2]time.Duration{-day, year}, leaf: [2]time.Duration{-day, day}, wait: 2 * day, says: "the broker's certificate expired"},
		"leaf not yet valid":                 {ca: [2]time.Duration{-year, year}, inter: [2]time.Duration{-day, year}, leaf: [2]time.Duration{30 * day, 60 * day}},
		"leaf years after the floor":         {ca: [2]time.Duration{-year, 9 * year}, inter: [2]time.Duration{-day, 9 * year}, leaf: [2]time.Duration{8 * year, 9 * year}},
		"intermediate not yet valid":         {ca: [2]time.Duration{-year, year}, inter: [2]time.Duration{20 * day, year}, leaf: [2]time.Duration{-day, 60 * day}},
		"all not yet valid":                  {ca: [2]time.Duration{10 * day, year}, inter: [2]time.Duration{20 * day, year}, leaf: [2]time.Duration{30 * day, 60 * day}},
		"intermediate over when leaf begins": {ca: [2]time.Duration{-year, year}, inter: [2]time.Duration{-day, 20 * day}, leaf: [2]time.Duration{30 * day, 60 * day}, says: `"broker CA" behind the broker's certificate expired`},
		"leaf over when intermediate begins": {ca: [2]time.Duration{-year, year}, inter: [2]time.Duration{20 * day, year}, leaf: [2]time.Duration{-day, 10 * day}, says: "the broker's certificate expired"},
		"CA expired":                         {ca: [2]time.Duration{-year, -day}, inter: [2]time.Duration{-day, year}, leaf: [2]time.Duration{-day, day}, says: `"fleet CA" behind the broker's certificate expired`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ca := issue(t, nil, "fleet CA", append(valid(tt.ca[0], tt.ca[1]), asCA)...)
			inter := issue(t, ca, "broker CA", append(valid(tt.inter[0], tt.inter[1]), asCA)...)
			leaf := issue(t, inter, "broker", append(valid(tt.leaf[0], tt.leaf[1]), forServers(broker))...).sending(inter)
			f := files(t, issue(t, ca, "device", forClients), ca)
			synctest.Test(t, func(t *testing.T) {
				cfg, _, err := mtls.Client(mtls.Options{Files: f, ServerName: broker, Clock: mtls.NewClock(built)})
				require.NoError(t, err)
				time.Sleep(tt.wait)
				err = try(cfg, stranger(leaf))
				if tt.says == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, tt.says)
				}
			})
		})
	}
}

// A CA that is renewed early with the same key: the old certificate of the CA
// has run out, the new one has not begun by our lower bound.
func TestRenewedCA(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	old := issueKey(t, nil, "fleet CA", key, asCA, from(built.Add(-year)), until(built.Add(-day)))
	renewed := issueKey(t, nil, "fleet CA", key, asCA, from(built.Add(day)), until(built.Add(year)))
	leaf := issue(t, old, "broker", forServers(broker), from(built.Add(-day)), until(built.Add(30*day)))
	for name, roots := range map[string][]*cert{"old first": {old, renewed}, "new first": {renewed, old}} {
		t.Run(name, func(t *testing.T) {
			f := files(t, issue(t, old, "device", forClients), roots...)
			synctest.Test(t, func(t *testing.T) {
				cfg, _, err := mtls.Client(mtls.Options{Files: f, ServerName: broker, Clock: mtls.NewClock(built)})
				require.NoError(t, err)
				require.NoError(t, try(cfg, stranger(leaf)))
			})
		})
	}
}

// Off the vehicle the wall clock judges, both ways; in the bubble it says 2000.
func TestWallClockJudgesOffTheVehicle(t *testing.T) {
	ca := issue(t, nil, "fleet CA", asCA, from(time.Unix(0, 0)), until(built.Add(year)))
	f := files(t, issue(t, ca, "collector", forClients), ca)
	y2000 := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		from, until time.Time
		says        string
	}{
		"valid":         {y2000.Add(-day), y2000.Add(day), ""},
		"expired":       {y2000.Add(-day), y2000.Add(-time.Second), "expired at 1999-12-31T23:59:59Z; this machine's clock says 2000-01-01"},
		"not yet valid": {y2000.Add(time.Second), built, "is not valid before 2000-01-01T00:00:01Z"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			leaf := issue(t, ca, "broker", forServers(broker), from(tt.from), until(tt.until))
			synctest.Test(t, func(t *testing.T) {
				cfg, _, err := mtls.Client(mtls.Options{Files: f, ServerName: broker})
				require.NoError(t, err)
				if err = try(cfg, stranger(leaf)); tt.says == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, tt.says)
				}
			})
		})
	}
}

// The clock is asked at every handshake, not when the configuration is made.
func TestRaisedFloorEndsACertificate(t *testing.T) {
	ca := issue(t, nil, "fleet CA", asCA, from(built.Add(-year)), until(built.Add(9*year)))
	leaf := issue(t, ca, "broker", forServers(broker), from(built.Add(-day)), until(built.Add(year)))
	clock := mtls.NewClock(built)
	cfg, _, err := mtls.Client(mtls.Options{Files: files(t, issue(t, ca, "device", forClients), ca), ServerName: broker, Clock: clock})
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		require.NoError(t, try(cfg, stranger(leaf)))
		clock.Raise(built.Add(2 * year))
		require.ErrorContains(t, try(cfg.Clone(), stranger(leaf)), "the broker's certificate expired")
	})
}

// What is reported is the state at the earliest time the chain could hold, not
// at a later one that some other certificate of the CA file brings in.
func TestReportNamesTheEarliestTime(t *testing.T) {
	far := issue(t, nil, "next CA", asCA, from(built.Add(8*year)), until(built.Add(9*year)))
	ca := issue(t, nil, "fleet CA", asCA, from(built.Add(10*day)), until(built.Add(year)))
	leaf := issue(t, ca, "broker", forServers(broker), from(built.Add(-day)), until(built.Add(5*day)))
	f := files(t, issue(t, ca, "device", forClients), far, ca)
	cfg, _, err := mtls.Client(mtls.Options{Files: f, ServerName: broker, Clock: mtls.NewClock(built)})
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		require.ErrorContains(t, try(cfg, stranger(leaf)), "expired at 2026-03-06T00:00:00Z; it is now at least 2026-03-11")
	})
}
