package mtls

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
)

// Explain turns an error of dialling, of the handshake or of the first read
// after it into one that says what is wrong and what to do; it wraps err. In
// TLS 1.3 a client learns only with its first read that it was refused. An
// error that it knows nothing better about comes back as it is.
func Explain(err error) error {
	if err == nil {
		return nil
	}
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	for _, explain := range []func(error) *problem{explainAlert, explainTLS, explainDial} {
		if p := explain(err); p != nil {
			p.err = err
			return p
		}
	}
	return err
}

// Alerts that a peer sends about our certificate or version (RFC 8446,
// section 6.2; RFC 5246 for the older ones that brokers still send).
var alerts = map[tls.AlertError]problem{
	42:  {text: "the broker refuses our certificate as bad", hint: "it may not be valid yet by the broker's clock, of another CA, or marked for the bench; see the broker's log"},
	43:  {text: "the broker does not take a certificate of our kind", hint: "check its key type and that it is for clients (extendedKeyUsage = clientAuth)"},
	44:  {text: "the broker says that our certificate is revoked", hint: "this unit must be enrolled again"},
	45:  {text: "the broker says that our certificate expired or is not valid yet", hint: "renew it; the broker judges by its own clock"},
	46:  {text: "the broker refuses our certificate for a reason it does not give", hint: "see the broker's log"},
	48:  {text: "the broker does not know the CA of our certificate", hint: "the broker must trust the CA that issued it; a file with intermediate certificates must hold all of them"},
	49:  {text: "the broker denies us access", hint: "see the broker's log"},
	40:  {text: "the broker found nothing in common with us for a handshake", hint: "it must offer TLS 1.3"},
	51:  {text: "the broker finds that our certificate does not fit our key", hint: "both files must come from the same enrolment"},
	70:  {text: "the broker does not speak TLS 1.3", hint: "switch it on there; nothing older is used"},
	112: {text: "the broker does not serve the name we asked for", hint: "check server_name"},
	116: {text: "the broker requires a certificate and got none", hint: "both ends need one; something in between may have taken ours away"},
}

func explainAlert(err error) *problem {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" {
		return nil
	}
	// The alert's own type is not exported outside QUIC; its text is that of
	// tls.AlertError.
	for code, p := range alerts {
		if op.Err.Error() == code.Error() {
			return &p
		}
	}
	return nil
}

func explainTLS(err error) *problem {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return &problem{
			text: "the other end does not speak TLS",
			hint: "check the port: 8883 is usual for MQTT over TLS, 1883 is without",
		}
	}
	// crypto/tls has no type for this one.
	if strings.Contains(err.Error(), "tls: server selected unsupported protocol version") {
		p := alerts[70]
		return &p
	}
	return nil
}

func explainDial(err error) *problem {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		switch {
		case dns.IsNotFound:
			return &problem{text: "the name " + quote(dns.Name) + " is not known to the name server", hint: "check the broker's address, or give it as a number"}
		default:
			return &problem{text: "the name " + quote(dns.Name) + " cannot be looked up now", hint: "is the link up, and the name server reachable?"}
		}
	}
	where := ""
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Addr != nil {
		where = " at " + op.Addr.String()
	}
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return &problem{text: "nothing listens" + where + " (connection refused)", hint: "is the broker running, and is the port right?"}
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return &problem{text: "no route to the broker" + where, hint: "is the link (modem, tunnel) up?"}
	case errors.Is(err, context.Canceled):
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, syscall.ETIMEDOUT), errors.As(err, &timeout) && timeout.Timeout():
		return &problem{text: "the broker" + where + " does not answer in time", hint: "a dead link, a firewall that drops packets, or a wrong address"}
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &problem{text: "the other end" + where + " closed the connection without saying why", hint: "see the broker's log: it may refuse our certificate (expired, another CA, an unknown name), or have another client of the same name"}
	}
	return nil
}
