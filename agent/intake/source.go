package intake

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"roadseal/hal/camera"
	"roadseal/hal/watchdog"
)

// A source is content to be sealed that can tell, after it was read, whether
// it is still what it was when reading began.
type source interface {
	io.Reader
	Unchanged() error
}

type memory struct{ *bytes.Reader }

func (memory) Unchanged() error { return nil }

func bytesReader(b []byte) source { return memory{bytes.NewReader(b)} }

// A cancelReader ends a long read as soon as its context ends, and marks the
// errors of the source, so that they can be told from those of the spool.
type cancelReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancelReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, &sourceError{err}
	}
	watchdog.Beat(c.ctx)
	n, err := c.r.Read(p)
	if err != nil && err != io.EOF {
		err = &sourceError{err}
	}
	return n, err
}

// A sourceError concerns one segment; every other error would meet the next
// segment too.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

// refused says that this one segment cannot be sealed, now or later.
func refused(why error) error { return &sourceError{fmt.Errorf("%w: %w", camera.ErrRefused, why)} }
