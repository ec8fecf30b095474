package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"roadseal/hal/durable"
)

// Files of the state directory beside the spool.
const (
	bootFile = "boot"    // decimal count of agent starts
	tagFile  = "tag.key" // 32 random bytes, key of the source tags
	timeFile = "time"    // trusted time, RFC 3339
)

const tagKeySize = 32

// nextBoot counts this start, durably, before anything is named by it.
func nextBoot(state durable.FS) (uint32, error) {
	b, err := durable.ReadFile(state, bootFile, 64)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("cannot read the boot counter: %w", err)
	}
	var last uint64
	if err == nil {
		if last, err = strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32); err != nil {
			return 0, fmt.Errorf("the boot counter is damaged: expected one number in STATE/%s; "+
				"write there a number higher than the second field of any name in STATE/spool", bootFile)
		}
	}
	boot := uint32(last + 1)
	if boot == 0 {
		return 0, errors.New("the boot counter has reached its end")
	}
	if err := durable.WriteFile(state, ".", bootFile, fmt.Appendf(nil, "%d\n", boot)); err != nil {
		return 0, fmt.Errorf("cannot count this start: %w", err)
	}
	return boot, nil
}

// ErrAgain is what Run returns when the disk was full at the start, so that the
// agent uploaded only, and has room now: make a new Agent, which records.
var ErrAgain = errors.New("the disk has room again")

// Room that a start needs, and how often it is looked for.
const (
	startRoom = 256 << 10
	lookEvery = 5 * time.Second
)

// awaitRoom removes delivered objects from a disk that was full at the start,
// until there is room to begin anew.
func (a *Agent) awaitRoom(ctx context.Context) error {
	for a.full != nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookEvery):
		}
		draft, err := a.spool.Create(startRoom)
		if err == nil {
			err = draft.Discard()
		}
		if free, ferr := a.queue.Free(); err == nil && ferr == nil && free >= startRoom {
			return ErrAgain
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

// ReadTagKey returns the key of the source tags from a state directory. Its
// error matches fs.ErrNotExist before the first start.
func ReadTagKey(state durable.FS) ([]byte, error) {
	key, err := durable.ReadFile(state, tagFile, tagKeySize)
	if err == nil && len(key) != tagKeySize {
		err = fmt.Errorf("expected %d bytes in STATE/%s", tagKeySize, tagFile)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the key of the source tags: %w", err)
	}
	return key, nil
}

// tagKey returns the key of the source tags, made at the first start.
func tagKey(state durable.FS) ([]byte, error) {
	key, err := ReadTagKey(state)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key = make([]byte, tagKeySize)
	rand.Read(key)
	if err := durable.WriteFile(state, ".", tagFile, key); err != nil {
		return nil, fmt.Errorf("cannot write the key of the source tags: %w", err)
	}
	return key, nil
}

// timeFloor returns the later of the build date and the durable trusted time.
// A damaged file counts as absent: the next receipt mends it.
func timeFloor(state durable.FS, build time.Time) (time.Time, error) {
	b, err := durable.ReadFile(state, timeFile, 64)
	if errors.Is(err, fs.ErrNotExist) {
		return build, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("cannot read the trusted time: %w", err)
	}
	t, err := time.Parse(time.RFC3339, strings.TrimSpace(string(b)))
	if err != nil || t.Before(build) {
		return build, nil
	}
	return t, nil
}

func writeTimeFloor(state durable.FS, t time.Time) error {
	return durable.WriteFile(state, ".", timeFile, []byte(t.UTC().Format(time.RFC3339)+"\n"))
}
