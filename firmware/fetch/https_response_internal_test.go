package fetch

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadResponse(t *testing.T) {
	for text, want := range map[string]struct {
		status int
		length int64
		last   bool
	}{
		"HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\n\r\n":                    {206, 5, false},
		"HTTP/1.1 200\r\ncontent-length:  9223372036854775807 \r\n\r\n":                {200, 1<<63 - 1, false},
		"HTTP/1.1 404 Not Found\r\nConnection: keep-alive, Close\r\n\r\n":              {404, -1, true},
		"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n":                                 {200, 0, true},
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n":   {200, -1, false},
		"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n":       {200, -1, false},
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n":            {200, -1, false},
		"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n":               {200, -1, false},
		"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n":                                {200, -1, false},
		"HTTP/1.1 200 OK\r\nContent-Length: -5\r\nConnection: close-not\r\n\r\n":       {200, -1, false},
		"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\nConnection: x\r\nX: close\r\n\r\n": {200, -1, false},
	} {
		got, err := readResponse(bufio.NewReader(strings.NewReader(text + "body")))
		require.NoError(t, err, text)
		require.Equal(t, want.status, got.status, text)
		require.Equal(t, want.length, got.length(), text)
		require.Equal(t, want.last, got.last, text)
	}
	for _, text := range []string{"", "\r\n", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n", "HTTP/1.1 200 OK\r\nA b\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "HTTP/1.1 200 OK\r\nA: \x00\r\n\r\n",
		"HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 -20 OK\r\n\r\n", "HTTP/1.1\r\n\r\n", "200 OK\r\n\r\n"} {
		_, err := readResponse(bufio.NewReader(strings.NewReader(text)))
		require.Error(t, err, "%q", text)
	}
}

// FuzzReadResponse: what is taken, net/http takes as well, and sees the same
// status, length and end of the connection, and the same body after it.
func FuzzReadResponse(f *testing.F) {
	for _, s := range []string{"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-4/5\r\nETag: \"a\"\r\nContent-Length: 5\r\n\r\n12345",
		"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 404 \r\nConnection: a,close\r\n b\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bufio.NewReader(strings.NewReader(string(b)))
		ours, err := readResponse(in)
		if err != nil || ours.length() < 0 || (ours.status != statusOK && ours.status != statusPartial) {
			return
		}
		theirs, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(b))), nil)
		require.NoError(t, err)
		require.Equal(t, theirs.StatusCode, ours.status)
		require.Equal(t, theirs.ContentLength, ours.length())
		require.Empty(t, theirs.TransferEncoding)
		require.True(t, ours.last || !theirs.Close, "the server closes the connection")
		for _, name := range []string{"ETag", "Last-Modified", "Content-Range"} {
			require.Equal(t, theirs.Header.Values(name), ours.header[strings.ToLower(name)])
		}
		want, _ := io.ReadAll(theirs.Body)
		got, _ := io.ReadAll(io.LimitReader(in, ours.length()))
		require.Equal(t, string(want), string(got))
	})
}
