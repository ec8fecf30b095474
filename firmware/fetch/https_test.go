package fetch_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/wire"
	"roadseal/crypto/signed"
	"roadseal/firmware/fetch"
	"roadseal/firmware/fetch/fetchtest"
	"roadseal/hal/pipenet"
)

const car = "AAAAAAAAAAAAAAAAAAAAAA"

// serve starts a TLS server that demands certificates, and a fetcher for it.
func serve(t *testing.T, handler http.Handler) *fetch.HTTPS {
	ca := newPKI(t)
	s := httptest.NewUnstartedServer(handler)
	s.TLS, s.Config.ErrorLog = ca.server(), log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return client(t, s.URL+"/releases/", ca.client())
}

func client(t *testing.T, url string, config *tls.Config) *fetch.HTTPS {
	h, err := fetch.NewHTTPS(fetch.Options{URL: url, Device: car, TLS: config})
	require.NoError(t, err)
	t.Cleanup(h.Close)
	return h
}

// content serves files with ranges and validators, by net/http.
func content(files *fetchtest.Files) http.Handler {
	return http.StripPrefix("/releases/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, ok := files.Get(r.URL.Path)
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", fmt.Sprintf(`"%d-%x"`, len(data), data[:min(8, len(data))]))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}))
}

func TestHTTPSIsAFetcher(t *testing.T) {
	fetchtest.Run(t, func(t *testing.T, files *fetchtest.Files) fetch.Fetcher { return serve(t, content(files)) })
}

func TestHTTPSAsksForItsOwnFirst(t *testing.T) {
	files := fetchtest.NewFiles()
	h := serve(t, content(files))
	files.Put("director/timestamp.json", []byte("fleet"))
	for _, want := range []string{"fleet", "own"} {
		got, err := h.Fetch(t.Context(), "director/timestamp.json", 100)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
		files.Put("director/"+car+"/timestamp.json", []byte("own"))
	}
}

func TestHTTPSAddresses(t *testing.T) {
	for _, bad := range []string{"", "http://a/", "https://", "https:///x", "https://u@a/", "https://a/?q", "https://a/#f", "ftp://a", "https://a:b/", "a/b", "https://a b/"} {
		_, err := fetch.NewHTTPS(fetch.Options{URL: bad, TLS: new(tls.Config)})
		require.ErrorContains(t, err, "expected https://HOST", "%q", bad)
	}
}

// TestHTTPSRefuses what a hostile or careless server says.
func TestHTTPSRefuses(t *testing.T) {
	big := strings.Repeat("x", 2*wire.BlockSize)
	partial := func(contentRange string, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Range", contentRange)
			w.Header().Set("ETag", `"a"`)
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			w.WriteHeader(206)
			_, _ = io.WriteString(w, body)
		}
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/releases/elsewhere")
			w.WriteHeader(code)
		}
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string
		attack  signed.Attack
	}{
		"redirect":        {status(302), "status 302", ""},
		"forbidden":       {status(403), "status 403", ""},
		"broken":          {status(500), "status 500", ""},
		"no content":      {status(204), "status 204", ""},
		"not modified":    {status(304), "", ""},
		"another range":   {partial("bytes 1-5/10", "12345"), "another range", ""},
		"too short":       {partial("bytes 0-4/10", "12345"), "another range", ""},
		"range of items":  {partial("items 0-4/5", "12345"), "another range", ""},
		"unknown total":   {partial("bytes 0-4/*", "12345"), "another range", ""},
		"body too long":   {partial("bytes 0-4/5", "123456"), "another range", ""},
		"negative total":  {partial("bytes 0-4/-5", "12345"), "another range", ""},
		"leading zero":    {partial("bytes 00-4/5", "12345"), "another range", ""},
		"range missing":   {partial("", "12345"), "another range", ""},
		"endless, ranges": {partial(fmt.Sprintf("bytes 0-%d/9000000000000000000", wire.BlockSize-1), big[:wire.BlockSize]), "", signed.EndlessData},
		"endless, length": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9000000000000000000")
			_, _ = io.WriteString(w, big)
		}, "", signed.EndlessData},
		"endless, chunks": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, big)
			}
		}, "no length", ""},
		"gzip": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Length", "5")
			_, _ = io.WriteString(w, "12345")
		}, "compresses", ""},
		"giant header": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", big); w.WriteHeader(200) }, "header of the response", ""},
		"empty":        {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "0") }, "empty", ""},
		"no validator": {func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(big))
		}, "ETag", ""},
		"always begins": {changing(big), "it changed", ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := serve(t, c.handler)
			got, err := h.Fetch(t.Context(), "image/timestamp.json", 1<<20)
			require.Nil(t, got)
			require.ErrorContains(t, err, c.want)
			require.NotErrorIs(t, err, fs.ErrNotExist)
			var e *signed.Error
			require.Equal(t, c.attack != "", errors.As(err, &e), "%v", err)
			if e != nil {
				require.Equal(t, c.attack, e.Attack)
			}
		})
	}
}

// changing serves a file that is another one at every request.
func changing(text string) http.HandlerFunc {
	var n atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("If-Range")
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, n.Add(1)))
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(text))
	}
}

// TestHTTPSWithoutRanges: a server may know none.
func TestHTTPSWithoutRanges(t *testing.T) {
	want := fetchtest.Noise(1, 3*wire.BlockSize+5)
	h := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(want)))
		_, _ = w.Write(want)
	}))
	got, err := h.Fetch(t.Context(), "image/timestamp.json", int64(len(want)))
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got))
}

// virtual runs a test with a server behind pipes, under virtual time. cut says
// after how many bytes the server's end of each connection breaks.
func virtual(t *testing.T, handler http.HandlerFunc, cut func(n int) int64, test func(t *testing.T, h *fetch.HTTPS, dials *int)) {
	ca := newPKI(t)
	near, far := ca.client(), ca.server()
	synctest.Test(t, func(t *testing.T) {
		pipes, dials := pipenet.Listen(), 0
		server := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}
		done := make(chan error, 1)
		go func() { done <- server.Serve(tls.NewListener(pipes, far)) }()
		h, err := fetch.NewHTTPS(fetch.Options{URL: "https://localhost/releases", Device: car, TLS: near,
			Dial: func(context.Context, string, string) (net.Conn, error) {
				c, err := pipes.Dial()
				dials++
				if err == nil && cut != nil {
					c = &cutConn{Conn: c, left: cut(dials)}
				}
				return c, err
			}})
		require.NoError(t, err)
		test(t, h, &dials)
		h.Close()
		require.NoError(t, server.Close())
		<-done
		time.Sleep(5 * time.Hour) // for a handler to notice
	})
}

// A cutConn breaks after so many bytes were read.
type cutConn struct {
	net.Conn
	left int64
}

func (c *cutConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errors.Join(io.ErrUnexpectedEOF, c.Close())
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

// TestHTTPSCut: the connection breaks after k bytes, again and again. Whatever
// k is, the file comes whole once there is a connection that lasts.
func TestHTTPSCut(t *testing.T) {
	files := fetchtest.NewFiles()
	want := fetchtest.Noise(1, 5*wire.BlockSize+77)
	files.Put("image/7.targets.json", want)
	step := int64(7919)
	if testing.Short() {
		step *= 8
	}
	k := int64(0)
	for ; k < 6*wire.BlockSize; k += step {
		at := k
		virtual(t, content(files).ServeHTTP, func(n int) int64 {
			if n > 6 {
				return 1 << 40
			}
			return at
		}, func(t *testing.T, h *fetch.HTTPS, dials *int) {
			got, err := h.Fetch(t.Context(), "image/7.targets.json", 1<<20)
			require.NoError(t, err, "cut after %d bytes", at)
			require.True(t, bytes.Equal(want, got))
			require.LessOrEqual(t, *dials, 7)
		})
	}
}

// TestHTTPSSlow: a server that drips is named, however it does it.
func TestHTTPSSlow(t *testing.T) {
	drip := func(after time.Duration) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Range", "bytes 0-61439/100000")
			w.Header().Set("ETag", `"a"`)
			w.Header().Set("Content-Length", "61440")
			w.WriteHeader(206)
			for range 61440 {
				time.Sleep(after)
				_, err := io.WriteString(w, "x")
				if w.(http.Flusher).Flush(); err != nil {
					return
				}
			}
		}
	}
	for name, handler := range map[string]http.HandlerFunc{
		"a byte a second": drip(time.Second),
		"then nothing":    drip(time.Hour),
		"no answer":       func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, handler, nil, func(t *testing.T, h *fetch.HTTPS, _ *int) {
				began := time.Now()
				_, err := h.Fetch(t.Context(), "image/timestamp.json", 1<<20)
				e, ok := errors.AsType[*signed.Error](err)
				require.True(t, ok, "%v", err)
				require.Equal(t, signed.SlowRetrieval, e.Attack)
				require.LessOrEqual(t, time.Since(began), 2*time.Minute)
			})
		})
	}
}

// TestHTTPSWaits for a connection for some minutes, and accuses nobody: an attempt
// that has no end is never reported.
func TestHTTPSWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dials := 0
		h, err := fetch.NewHTTPS(fetch.Options{URL: "https://localhost", TLS: new(tls.Config), Dial: func(context.Context, string, string) (net.Conn, error) {
			dials++
			return nil, errors.New("no route")
		}})
		require.NoError(t, err)
		began := time.Now()
		_, err = h.Fetch(t.Context(), "image/timestamp.json", 100)
		require.ErrorIs(t, err, fetch.NoConnection)
		require.ErrorContains(t, err, "no route")
		require.InDelta(t, 5*time.Minute, time.Since(began), float64(time.Minute))
		require.Less(t, dials, 20)
		require.Greater(t, dials, 10)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = h.Fetch(ctx, "image/timestamp.json", 100)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "no route")
	})
}
