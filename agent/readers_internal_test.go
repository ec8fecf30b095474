package agent

import (
	"errors"
	"fmt"
	"maps"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/policy"
	"roadseal/crypto/recipient"
	"roadseal/hal/durable"
	"roadseal/hal/durable/crashfs"
	"roadseal/hal/durable/durabletest"
)

func readersSweep() durabletest.Sweep { return durabletest.Sweep{Born: newReadersLife} }

func TestReadersOverPowerCuts(t *testing.T) { readersSweep().States(t, 100) }

func TestReadersOverFaults(t *testing.T) { readersSweep().Faults(t, 2) }

func TestEverySyncOfTheReadersIsNeeded(t *testing.T) {
	readersSweep().Guard(t, 10, durabletest.Quiet{Seldom: map[string]string{
		"sync in agent.writeValue":    "a damaged value counts as one for other readers",
		"syncdir in agent.writeValue": "at the first start there is no earlier value that could come back",
	}})
}

// A readersLife is starts between which somebody may change the readers.
type readersLife struct {
	boot    uint32
	sealing map[uint32]int // readers of the starts that came to sealing
}

func newReadersLife(uint64) durabletest.Life { return &readersLife{sealing: map[uint32]int{}} }

func readers(n int) policy.Set { return policy.Set{{Name: "event", To: make([]recipient.Key, n)}} }

func (l *readersLife) Work(fsys durable.FS) error {
	err := l.start(fsys)
	if errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENOSPC) {
		return nil // nothing is sealed by this start
	}
	return err
}

func (l *readersLife) start(fsys durable.FS) error {
	l.boot++
	n := 1 + int(l.boot%2)
	since, err := readersSince(fsys, readers(n), l.boot)
	if err != nil {
		return err
	}
	l.sealing[l.boot] = n
	for b := since; b < l.boot; b++ {
		if was := l.sealing[b]; was > 0 && was != n {
			return fmt.Errorf("start %d had %d readers, start %d has %d, as it says since %d", b, was, l.boot, n, since)
		}
	}
	return nil
}

// Judge implements durabletest.Life.
func (l *readersLife) Judge(fsys durable.FS) (err error) {
	next := &readersLife{l.boot, maps.Clone(l.sealing)}
	for range 3 {
		err = errors.Join(err, next.start(fsys))
	}
	return err
}

// TestReadersAreKnownSinceTheyChanged, and no longer than they are.
func TestReadersAreKnownSinceTheyChanged(t *testing.T) {
	fsys := crashfs.New(crashfs.Options{})
	since := func(boot uint32, streams policy.Set) uint32 {
		n, err := readersSince(fsys, streams, boot)
		require.NoError(t, err)
		return n
	}
	one, other := policy.Set{{Name: "video", To: make([]recipient.Key, 1)}}, policy.Set{{Name: "video", To: make([]recipient.Key, 2)}}
	require.EqualValues(t, 5, since(5, one))
	require.EqualValues(t, 5, since(6, one))
	require.EqualValues(t, 5, since(7, policy.Set{{Name: "video", To: one[0].To, Class: 1, Upload: policy.Hold}}), "who reads has not changed")
	require.EqualValues(t, 8, since(8, other))
	require.EqualValues(t, 9, since(9, one), "what came between is not theirs")
	require.EqualValues(t, 10, since(10, policy.Set{{Name: "movie", To: one[0].To}}))
	for _, text := range []string{"", "10", twice(readersFile, "x."+readersDigest(one)), twice(readersFile, "99."+readersDigest(one))} {
		require.NoError(t, durable.WriteFile(fsys, ".", readersFile, []byte(text)))
		require.EqualValues(t, 11, since(11, one), "damaged, or of a start that never was")
	}
}
