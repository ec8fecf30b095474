package speed

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"sync"
	"time"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/bench/pki"
	"roadseal/cmd/internal/broker/mosquitto"
	"roadseal/crypto/mtls"
)

// raw sends n bytes through mutual TLS 1.3 in writes of 128 KiB and takes the
// time from the first write to the last byte read. It closes the listener.
func (s *stand) raw(ctx context.Context, l net.Listener, dial func() (net.Conn, error), n int64) (m moved, err error) {
	defer l.Close()
	server, err := mtls.Server(mtls.Options{Files: s.files(s.certs.Broker), Bench: true})
	if err != nil {
		return m, err
	}
	client, _, err := mtls.Client(mtls.Options{Files: s.files(s.certs.Device), ServerName: pki.ServerName, Bench: true})
	if err != nil {
		return m, err
	}
	type end struct {
		at  time.Time
		err error
	}
	ended := make(chan end, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			ended <- end{err: err}
			return
		}
		defer c.Close()
		got, err := io.Copy(io.Discard, io.LimitReader(tls.Server(c, server), n))
		if err == nil && got < n {
			err = io.ErrUnexpectedEOF
		}
		ended <- end{time.Now(), err}
	}()
	c, err := dial()
	if err != nil {
		return m, err
	}
	defer c.Close()
	secure := tls.Client(c, client)
	if err := secure.HandshakeContext(ctx); err != nil {
		return m, err
	}
	begin, buf := time.Now(), make([]byte, 128<<10)
	for left := n; left > 0; left -= int64(len(buf)) {
		if _, err := secure.Write(buf[:min(int64(len(buf)), left)]); err != nil {
			return m, err
		}
	}
	e := <-ended
	return moved{bytes: n, took: e.at.Sub(begin)}, e.err
}

func (s *stand) files(p pki.Pair) mtls.Files {
	return mtls.Files{Certificate: p.Certificate, Key: p.Key, CA: s.certs.CA}
}

// line is what mosquitto_pub -l makes a message of.
const line = 120 << 10 // bytes, with its end

// lines returns base64 text of about n bytes, in whole lines.
func lines(n int64) []byte {
	noise := make([]byte, line)
	_, _ = rand.NewChaCha8([32]byte{9}).Read(noise) // it never fails
	one := append([]byte(base64.StdEncoding.EncodeToString(noise))[:line-1], '\n')
	return bytes.Repeat(one, int(max(1, n/line)))
}

// command is a client of mosquitto with the certificate of a pair.
func (s *stand) command(ctx context.Context, name, address string, p pki.Pair, args ...string) (*exec.Cmd, error) {
	program, err := mosquitto.Find(name)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	// The broker's certificate has no address in it.
	all := append([]string{"-h", host, "-p", port, "--cafile", s.certs.CA, "--cert", p.Certificate, "--key", p.Key,
		"--tls-version", "tlsv1.3", "--insecure", "-q", "1"}, args...)
	return exec.CommandContext(ctx, program, all...), nil
}

// publish sends about n bytes from mosquitto_pub to mosquitto_sub and takes
// the time from the first byte that arrives to the last.
func (s *stand) publish(ctx context.Context, address string, n int64) (m moved, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	sub, err := s.command(ctx, "mosquitto_sub", address, s.certs.Collector, "-t", "v1/up/#")
	if err != nil {
		return m, err
	}
	var got counter
	sub.Stdout = &got
	if err := sub.Start(); err != nil {
		return m, err
	}
	defer func() {
		_ = sub.Process.Kill() // it runs until then
		_ = sub.Wait()
	}()
	if err := s.awaitSubscriber(ctx, address, &got); err != nil {
		return m, err
	}
	text := lines(n)
	spent, err := s.publisher(ctx, address, text)
	if err != nil {
		return m, err
	}
	for {
		if n, took := got.read(); n >= int64(len(text)) {
			return moved{n, took, spent}, nil
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			n, _ := got.read()
			return m, fmt.Errorf("mosquitto_sub has %d of %d bytes: %w", n, len(text), ctx.Err())
		}
	}
}

// publisher lets mosquitto_pub send lines and returns its processor time.
func (s *stand) publisher(ctx context.Context, address string, text []byte) (time.Duration, error) {
	pub, err := s.command(ctx, "mosquitto_pub", address, s.certs.Device, "-t", wire.UpTopic(s.certs.DeviceID), "-l")
	if err != nil {
		return 0, err
	}
	pub.Stdin = bytes.NewReader(text)
	if out, err := pub.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("mosquitto_pub: %w: %s", err, out)
	}
	return pub.ProcessState.UserTime() + pub.ProcessState.SystemTime(), nil
}

// awaitSubscriber sends short messages until one arrives.
func (s *stand) awaitSubscriber(ctx context.Context, address string, got *counter) error {
	for {
		if _, err := s.publisher(ctx, address, []byte("are you there?\n")); err != nil {
			return err
		}
		time.Sleep(200 * time.Millisecond)
		if n, _ := got.read(); n > 0 {
			got.reset()
			return nil
		}
		if ctx.Err() != nil {
			return errors.Join(errors.New("mosquitto_sub receives nothing"), ctx.Err())
		}
	}
}

// A counter counts what arrives, and when.
type counter struct {
	mu          sync.Mutex
	n           int64
	first, last time.Time
}

func (c *counter) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = time.Now()
	if c.n == 0 {
		c.first = c.last
	}
	c.n += int64(len(p))
	return len(p), nil
}

func (c *counter) read() (int64, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n, c.last.Sub(c.first)
}

func (c *counter) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n = 0
}
