package firmware

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"roadseal/crypto/signed"
	"roadseal/hal/watchdog"
)

// A source fetches for a worker that must go on beating, and puts down to the
// repository what goes wrong.
type source struct {
	signed.Source
	repository string
}

// errFetch is a file that could not be fetched. Its text is ours: what it wraps
// may hold addresses.
type errFetch struct {
	repository, role string
	err              error
}

func (e *errFetch) Error() string {
	if errors.Is(e.err, fs.ErrNotExist) {
		return "the server does not have the file"
	}
	if why, ok := errors.AsType[signed.Unserved](e.err); ok {
		return why.Error()
	}
	return "the file could not be fetched"
}

func (e *errFetch) Unwrap() error { return e.err }

// Fetch implements signed.Source. It returns when nothing of the fetching is
// left.
func (s source) Fetch(ctx context.Context, role string, version int64, limit int) (data []byte, err error) {
	var fetching sync.WaitGroup
	defer fetching.Wait()
	done := make(chan struct{})
	fetching.Go(func() {
		defer close(done)
		data, err = s.Source.Fetch(ctx, role, version, limit)
	})
	if ended := watchdog.Await(ctx, func(turn context.Context) error {
		select {
		case <-turn.Done():
			return turn.Err()
		case <-done:
			return nil
		}
	}); ended != nil {
		<-done
		return nil, ended
	}
	var refused *signed.Error
	switch {
	case err == nil, ctx.Err() != nil:
		return data, err
	case errors.As(err, &refused) && refused.Err != nil:
		return nil, &signed.Error{Attack: refused.Attack, Repository: s.repository, Role: role, Err: refused.Err}
	case role == signed.Root && errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("no newer root: %w", fs.ErrNotExist)
	}
	return nil, &errFetch{s.repository, role, err}
}
