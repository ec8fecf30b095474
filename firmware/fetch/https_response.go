package fetch

import (
	"bufio"
	"errors"
	"strconv"
	"strings"
)

// What is answered, as far as it matters here (RFC 9110, section 15).
const (
	statusOK             = 200
	statusPartial        = 206
	statusNotFound       = 404
	statusNotSatisfiable = 416
)

// A response is what stands before the body (RFC 9112). It takes the place of
// http.ReadResponse, which would cost the vehicle 40 kB.
type response struct {
	status int
	last   bool                // the server closes the connection after it
	header map[string][]string // by names in small letters
}

var errResponse = errors.New("what the server sends is no response of HTTP/1")

// readResponse reads up to the body. The connection bounds how much that is.
func readResponse(in *bufio.Reader) (*response, error) {
	first, err := readLine(in)
	if err != nil {
		return nil, err
	}
	version, rest, _ := strings.Cut(first, " ")
	code, _, _ := strings.Cut(rest, " ")
	status, err := strconv.ParseUint(code, 10, 16)
	if err != nil || len(code) != 3 || (version != "HTTP/1.1" && version != "HTTP/1.0") {
		return nil, errResponse
	}
	r := &response{status: int(status), last: version == "HTTP/1.0", header: map[string][]string{}}
	for {
		switch line, err := readLine(in); {
		case err != nil:
			return nil, err
		case line == "":
			return r, nil
		case !r.field(line):
			return nil, errResponse
		}
	}
}

// readLine reads a line without its end.
func readLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	line = strings.TrimSuffix(line, "\n")
	return strings.TrimSuffix(line, "\r"), err
}

// field takes a line of the header and reports whether it is one. Lines that
// are continued are none (RFC 9112, section 5.2).
func (r *response) field(line string) bool {
	name, value, ok := strings.Cut(line, ":")
	if !ok || name == "" || strings.ContainsFunc(name, notToken) || strings.ContainsFunc(value, control) {
		return false
	}
	name, value = strings.ToLower(name), strings.Trim(value, " \t")
	r.header[name] = append(r.header[name], value)
	if name == "connection" {
		for option := range strings.SplitSeq(value, ",") {
			r.last = r.last || strings.EqualFold(strings.Trim(option, " \t"), "close")
		}
	}
	return true
}

// only is the value of a field that is there once; "" if it is not.
func (r *response) only(name string) string {
	if v := r.header[name]; len(v) == 1 {
		return v[0]
	}
	return ""
}

// notToken reports what no name of a field has (RFC 9110, section 5.6.2).
func notToken(c rune) bool {
	return c <= ' ' || c > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
}

// control reports what no value of a field has (RFC 9110, section 5.5).
func control(c rune) bool { return (c < ' ' && c != '\t') || c == 0x7f }

// length is that of the body, or -1 if it comes in another way than as it is
// (RFC 9112, section 6.3).
func (r *response) length() int64 {
	n, err := strconv.ParseUint(r.only("content-length"), 10, 63)
	if err != nil || r.header["transfer-encoding"] != nil || r.header["content-encoding"] != nil {
		return -1
	}
	return int64(n)
}

// validator is what tells a file from another one of its name: a strong ETag, or
// else Last-Modified (RFC 9110, section 13.1.5).
func (r *response) validator() string {
	v := r.only("etag")
	if !strings.HasPrefix(v, `"`) {
		v = r.only("last-modified")
	}
	if len(v) > 256 || strings.ContainsFunc(v, func(c rune) bool { return c < ' ' || c > '~' }) {
		return ""
	}
	return v
}
