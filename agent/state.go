package agent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"roadseal/hal/durable"
	"roadseal/hal/watchdog"
)

// Files of the state directory beside the spool; FORMAT.md specifies them.
const (
	bootFile = "boot"    // count of agent starts
	tagFile  = "tag.key" // key of the source tags
	timeFile = "time"    // trusted time
	metFile  = "met."    // and the name of a camera whose folder was met
)

const tagKeySize = 32

// nextBoot counts this start, durably, before anything is named by it. Where the
// counter is damaged it goes on from the highest start that lastBoot finds in
// the spool; damage says so.
func nextBoot(state durable.FS, lastBoot func() (uint32, error)) (boot uint32, damage string, err error) {
	text, _, err := readValue(state, bootFile)
	var last uint64
	if err == nil {
		last, err = strconv.ParseUint(text, 10, 32)
	}
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errDamaged), errors.Is(err, strconv.ErrSyntax), errors.Is(err, strconv.ErrRange):
		found, ferr := lastBoot()
		if ferr != nil {
			return 0, "", ferr
		}
		if last = uint64(found); last > 0 || !errors.Is(err, fs.ErrNotExist) {
			damage = "the boot counter was damaged and goes on from the names in the spool"
		}
	default:
		return 0, "", fmt.Errorf("cannot read the boot counter: %w", err)
	}
	if boot = uint32(last + 1); boot == 0 {
		return 0, "", errors.New("the boot counter has reached its end")
	}
	if err := writeValue(state, bootFile, strconv.FormatUint(uint64(boot), 10)); err != nil {
		return 0, "", fmt.Errorf("cannot count this start: %w", err)
	}
	return boot, damage, nil
}

// ErrAgain is what Run returns when this start could not be counted, so that the
// agent uploaded only, and the disk has room now: make a new Agent, which records.
var ErrAgain = errors.New("the disk has room again")

// Room that a start needs, and how often it is looked for.
const (
	startRoom = 256 << 10
	lookEvery = 5 * time.Second
)

// awaitRoom has what can give way leave a disk that was full at the start, until
// there is room to begin anew. A disk that cannot be written is only uploaded
// from.
func (a *Agent) awaitRoom(ctx context.Context) error {
	for a.full != nil {
		if err := watchdog.Sleep(ctx, lookEvery); err != nil {
			return err
		}
		err := a.spool.Clear(startRoom)
		if free, ferr := a.queue.Free(); err == nil && ferr == nil && free >= startRoom && !errors.Is(a.full, unix.EROFS) {
			return ErrAgain
		}
	}
	return watchdog.Park(ctx)
}

// ReadTagKey returns the key of the source tags from a state directory. Its
// error matches fs.ErrNotExist before the first start.
func ReadTagKey(state durable.FS) ([]byte, error) {
	key, _, err := readTagKey(state)
	return key, err
}

func readTagKey(state durable.FS) (key []byte, whole bool, err error) {
	text, whole, err := readValue(state, tagFile)
	if err == nil {
		if key, err = hex.DecodeString(text); err != nil || len(key) != tagKeySize {
			err = errDamaged
		}
	}
	if err != nil {
		return nil, false, fmt.Errorf("cannot read the key of the source tags: %w", err)
	}
	return key, whole, nil
}

// tagKey returns the key of the source tags, made at the first start, and made
// anew where it is damaged beyond its second copy: clips that the recorders
// still have are then sealed once more, and damage says so.
func tagKey(state durable.FS) (key []byte, damage string, err error) {
	key, whole, err := readTagKey(state)
	switch {
	case err == nil && whole:
		return key, "", nil
	case err == nil:
		_ = writeTagKey(state, key) // there is another start
		return key, "", nil
	case errors.Is(err, errDamaged):
		damage = "the key of the source tags was damaged: clips that the recorders still have are sealed once more"
	case !errors.Is(err, fs.ErrNotExist):
		return nil, "", err
	}
	key = make([]byte, tagKeySize)
	rand.Read(key)
	if err := writeTagKey(state, key); err != nil {
		return nil, "", fmt.Errorf("cannot write the key of the source tags: %w", err)
	}
	return key, damage, nil
}

func writeTagKey(state durable.FS, key []byte) error {
	return writeValue(state, tagFile, hex.EncodeToString(key))
}

// hasMet tells whether a camera's folder was met before. A value that is damaged
// counts: rather seal a clip too many.
func hasMet(state durable.FS, camera string) (bool, error) {
	_, _, err := readValue(state, metFile+camera)
	switch {
	case err == nil, errors.Is(err, errDamaged):
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	}
	return false, fmt.Errorf("cannot read whether camera %s was met: %w", camera, err)
}

func writeMet(state durable.FS, camera string) error {
	return writeValue(state, metFile+camera, "yes")
}

// timeFloor returns the later of the build date and the durable trusted time.
// What cannot be read counts as absent: the next receipt mends it.
func timeFloor(state durable.FS, build time.Time) (time.Time, error) {
	text, _, err := readValue(state, timeFile)
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errDamaged):
		return build, nil
	default:
		return time.Time{}, fmt.Errorf("cannot read the trusted time: %w", err)
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.Before(build) {
		return build, nil
	}
	return t, nil
}

func writeTimeFloor(state durable.FS, t time.Time) error {
	return writeValue(state, timeFile, t.UTC().Format(time.RFC3339))
}
