package mqttlink

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
)

// A loss is an error of an open connection in words that do not change with
// port numbers, so that the same loss can be told once. The error itself stays
// within reach.
type loss struct {
	text  string
	cause error
}

func (l *loss) Error() string { return "connection lost: " + l.text }
func (l *loss) Unwrap() error { return l.cause }

func explain(err error) error {
	var op *net.OpError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, errGoodbye):
		return &loss{"closed by the broker (a second client with this id? a topic that its rules forbid?)", err}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &loss{"nothing moves", err}
	case errors.As(err, &op):
		return &loss{op.Err.Error(), err}
	}
	return &loss{err.Error(), err}
}

// refusal puts the return code of a CONNACK into words (MQTT 3.1.1, table 3.1).
func refusal(code byte) error {
	text := [...]string{
		1: "it does not speak MQTT 3.1.1",
		2: "it does not accept the client id: is that the certificate's common name?",
		3: "it is not available at the moment",
		4: "it wants a user name and password: does it take the certificate's common name for the user?",
		5: "not authorised: does it know the certificate's common name?",
	}[code]
	return fmt.Errorf("broker refused the connection (return code %d): %s", code, text)
}
