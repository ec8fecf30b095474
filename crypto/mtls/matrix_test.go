package mtls_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/mtls"
)

// systemCA is one that this process's system pool trusts.
var systemCA *cert

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "mtls")
	if err != nil {
		panic(err)
	}
	systemCA = issue(setup{}, nil, "system CA", asCA)
	path := filepath.Join(dir, "system.pem")
	write(setup{}, path, certPEM(systemCA))
	// Read once, when the system pool is first used.
	os.Setenv("SSL_CERT_FILE", path)
	os.Setenv("SSL_CERT_DIR", dir)
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// setup lets the helpers run before there is a test.
type setup struct{ testing.TB }

func (setup) Helper()                      {}
func (setup) Errorf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }
func (setup) FailNow()                     { panic("setup failed") }

const broker = "broker.example"

// An end is what one side of a connection lived through.
type end struct {
	app   []byte // application bytes that came
	err   error  // of handshake, write or read; nil after a whole exchange
	state tls.ConnectionState
}

// talk is an application: it says a word and listens until the end.
func talk(conn *tls.Conn, say string) (e end) {
	defer conn.Close()
	if e.err = conn.Handshake(); e.err != nil {
		// Closing with bytes unread would reset the connection and might
		// overtake the alert.
		tcp := conn.NetConn().(*net.TCPConn)
		_ = tcp.CloseWrite()
		_, _ = io.Copy(io.Discard, tcp)
		return e
	}
	e.state = conn.ConnectionState()
	if _, e.err = io.WriteString(conn, say); e.err != nil {
		return e
	}
	if e.err = conn.CloseWrite(); e.err != nil {
		return e
	}
	e.app, e.err = io.ReadAll(conn)
	return e
}

// meet connects two configurations over loopback.
func meet(t *testing.T, client, server *tls.Config) (c, s end) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	done := make(chan end)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			done <- end{err: err}
			return
		}
		done <- talk(tls.Server(conn, server), "from server")
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	// Only a test that is already broken waits for this.
	require.NoError(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
	c = talk(tls.Client(conn, client), "from client")
	return c, <-done
}

// A client that would resume a session, and skip its judgement, cannot.
func TestServerResumesNothing(t *testing.T) {
	w := newWorld(t)
	client := &tls.Config{
		ServerName: broker, RootCAs: pool(w.ca), Certificates: []tls.Certificate{w.device.tls()},
		ClientSessionCache: tls.NewLRUClientSessionCache(1),
	}
	server := w.server(t)
	for range 2 {
		c, s := meet(t, client, server)
		require.NoError(t, c.err)
		require.NoError(t, s.err)
		require.False(t, s.state.DidResume)
	}
}

// A world holds what a well-ordered fleet has.
type world struct {
	ca, inter, broker, device *cert
}

func newWorld(t testing.TB) world {
	var w world
	w.ca = issue(t, nil, "fleet CA", asCA)
	w.inter = issue(t, w.ca, "broker CA", asCA)
	w.broker = issue(t, w.inter, "broker", forServers(broker)).sending(w.inter)
	w.device = issue(t, w.ca, "AAAAAAAAAAAAAAAAAAAAAA", forClients)
	return w
}

// clocks are the two ways to judge: on the vehicle and off it.
func clocks() map[string]*mtls.Clock {
	return map[string]*mtls.Clock{"wall clock": nil, "trusted time": mtls.NewClock(time.Now().Add(-30 * time.Minute))}
}

func (w world) client(t *testing.T, clock *mtls.Clock) *tls.Config {
	t.Helper()
	cfg, id, err := mtls.Client(mtls.Options{Files: files(t, w.device, w.ca), ServerName: broker, Clock: clock})
	require.NoError(t, err)
	require.Equal(t, mtls.Identity{CommonName: w.device.Subject.CommonName, NotAfter: w.device.NotAfter}, id)
	return cfg
}

func (w world) server(t *testing.T) *tls.Config {
	t.Helper()
	cfg, err := mtls.Server(mtls.Options{Files: files(t, w.broker, w.ca)})
	require.NoError(t, err)
	return cfg
}

// stranger is a server that takes anyone and shows c.
func stranger(c *cert) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{c.tls()}, ClientAuth: tls.RequestClientCert}
}

func TestGoodConnection(t *testing.T) {
	w := newWorld(t)
	for name, clock := range clocks() {
		t.Run(name, func(t *testing.T) {
			cfg := w.client(t, clock)
			server := w.server(t)
			for range 2 { // the second time nothing is resumed
				c, s := meet(t, cfg, server)
				require.NoError(t, c.err)
				require.NoError(t, s.err)
				require.Equal(t, "from server", string(c.app))
				require.Equal(t, "from client", string(s.app))
				require.EqualValues(t, tls.VersionTLS13, c.state.Version)
				require.False(t, c.state.DidResume)
				require.Equal(t, w.device.Raw, s.state.PeerCertificates[0].Raw)
				require.NotEmpty(t, s.state.VerifiedChains, "what a broker's hook looks at")
			}
		})
	}
}

func TestClientRefuses(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	now := time.Now()
	good := forServers(broker)
	leaf := func(issuer *cert, changes ...change) *cert {
		return issue(t, issuer, "broker", append([]change{good}, changes...)...)
	}
	noCA := issue(t, w.ca, "not a CA", good)
	constrained := issue(t, w.ca, "constrained CA", asCA, func(c *x509.Certificate) {
		c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"other.example"}, true
	})
	oldCA := issue(t, w.ca, "old CA", asCA, from(now.Add(-year)), until(now.Add(-time.Hour)))
	stolen := w.broker.sending(w.inter)
	stolen.key = other.broker.key
	tls12 := stranger(w.broker)
	tls12.MaxVersion = tls.VersionTLS12
	var long []*cert
	for range 8 {
		long = append(long, w.inter)
	}

	tests := map[string]struct {
		server *tls.Config
		says   string
	}{
		"another CA":                   {stranger(other.broker), "not from the CA in"},
		"another CA, its root sent":    {stranger(other.broker.sending(other.inter, other.ca)), "not from the CA in"},
		"a CA of the system":           {stranger(leaf(systemCA)), "not from the CA in"},
		"a CA with our CA's name":      {stranger(leaf(issue(t, nil, "fleet CA", asCA))), "not from the CA in"},
		"self-signed":                  {stranger(leaf(nil)), "not from the CA in"},
		"truncated chain":              {stranger(w.broker.sending()), "does not send its intermediate certificates"},
		"expired":                      {stranger(leaf(w.ca, from(now.Add(-year)), until(now.Add(-time.Hour)))), "the broker's certificate expired at"},
		"expired CA between":           {stranger(leaf(oldCA).sending(oldCA)), `the CA certificate "old CA" behind the broker's certificate expired`},
		"another name":                 {stranger(issue(t, w.ca, "broker", forServers("mail.example"))), `expected "broker.example", it has "mail.example"`},
		"a deeper name":                {stranger(issue(t, w.ca, "broker", forServers("x."+broker))), "for another name"},
		"the name in CN only":          {stranger(issue(t, w.ca, broker, forServers())), "no name at all"},
		"a vehicle as the broker":      {stranger(issue(t, w.ca, "thief", forClients, func(c *x509.Certificate) { c.DNSNames = []string{broker} })), "not for a broker"},
		"our own certificate":          {stranger(w.device), "not for a broker"},
		"the CA itself":                {stranger(issue(t, w.ca, "sub CA", asCA, good)), "certificate of a CA"},
		"an issuer that is no CA":      {stranger(leaf(noCA).sending(noCA)), "not from the CA in"},
		"an issuer limited to other":   {stranger(leaf(constrained).sending(constrained)), "refused"},
		"the certificate, not its key": {stranger(stolen), "invalid signature"},
		"TLS 1.2":                      {tls12, "does not speak TLS 1.3"},
		"a bench certificate":          {stranger(leaf(w.ca, marked)), "bench certificates are taken only in bench mode"},
		"an endless chain":             {stranger(leaf(w.ca).sending(long...)), "at most 8"},
	}
	for name, tt := range tests {
		for judged, clock := range clocks() {
			t.Run(name+"/"+judged, func(t *testing.T) {
				c, s := meet(t, w.client(t, clock), tt.server)
				require.Error(t, c.err)
				require.ErrorContains(t, mtls.Explain(c.err), tt.says)
				require.Empty(t, s.app, "application bytes reached a stranger")
				require.Empty(t, c.app, "application bytes came from a stranger")
				require.Error(t, s.err, "the stranger must not see a finished handshake")
			})
		}
	}
}

// The system pool of the test trusts systemCA: a client that used it would
// connect.
func TestSystemCAIsOneOfTheSystem(t *testing.T) {
	s := issue(t, systemCA, "broker", forServers(broker))
	c, _ := meet(t, &tls.Config{ServerName: broker}, &tls.Config{Certificates: []tls.Certificate{s.tls()}})
	require.NoError(t, c.err)
}

func TestServerRefuses(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	now := time.Now()
	client := func(certs ...tls.Certificate) *tls.Config {
		return &tls.Config{ServerName: broker, RootCAs: pool(w.ca), GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if len(certs) == 0 {
				return &tls.Certificate{}, nil
			}
			return &certs[0], nil
		}}
	}
	tls12 := client(w.device.tls())
	tls12.MaxVersion = tls.VersionTLS12
	inter := issue(t, w.ca, "device CA", asCA)
	stolen := w.device.sending()
	stolen.key = other.device.key

	tests := map[string]struct {
		client *tls.Config
		says   string // to the client, explained
	}{
		"no certificate":               {client(), "requires a certificate"},
		"another CA":                   {client(other.device.tls()), "does not know the CA"},
		"a CA of the system":           {client(issue(t, systemCA, "x", forClients).tls()), "does not know the CA"},
		"self-signed":                  {client(issue(t, nil, "x", forClients).tls()), "does not know the CA"},
		"truncated chain":              {client(issue(t, inter, "x", forClients).tls()), "does not know the CA"},
		"expired":                      {client(issue(t, w.ca, "x", forClients, from(now.Add(-year)), until(now.Add(-time.Hour))).tls()), "our certificate expired or is not valid yet"},
		"not yet valid":                {client(issue(t, w.ca, "x", forClients, from(now.Add(time.Minute))).tls()), "our certificate expired or is not valid yet"},
		"the broker's certificate":     {client(w.broker.tls()), "refuses our certificate"},
		"a CA":                         {client(issue(t, w.ca, "x", asCA, forClients).tls()), "refuses our certificate"},
		"a bench certificate":          {client(issue(t, w.ca, "x", forClients, marked).tls()), "refuses our certificate"},
		"the certificate, not its key": {client(stolen.tls()), "does not fit our key"},
		"TLS 1.2":                      {tls12, "does not speak TLS 1.3"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, s := meet(t, tt.client, w.server(t))
			require.Error(t, s.err)
			require.Empty(t, s.app, "application bytes came from a stranger")
			require.Empty(t, c.app, "application bytes reached a stranger")
			require.Error(t, c.err)
			require.ErrorContains(t, mtls.Explain(c.err), tt.says)
		})
	}
}
