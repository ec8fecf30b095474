package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"roadseal/hal/durable"
	"roadseal/hal/durable/durabletest"
)

func stateSweep() durabletest.Sweep { return durabletest.Sweep{Born: newLife} }

func TestStateOverPowerCuts(t *testing.T) { stateSweep().States(t, 1_000) }

func TestStateOverFaults(t *testing.T) { stateSweep().Faults(t, 2) }

func TestEverySyncOfTheStateIsNeeded(t *testing.T) {
	stateSweep().Guard(t, 10, durabletest.Quiet{})
}

// A life starts as Agent does, and keeps trusted time.
type life struct {
	rng  *rand.Rand
	boot uint32    // highest that was given out
	key  []byte    // that tags were made with
	time time.Time // floor that was written
}

var buildDate = time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)

func newLife(seed uint64) durabletest.Life {
	return &life{rng: rand.New(rand.NewPCG(seed, 0)), time: buildDate}
}

func (l *life) Work(fsys durable.FS) error {
	err := l.start(fsys)
	for i := 0; i < 3 && err == nil; i++ {
		t := l.time.Add(time.Duration(1+l.rng.IntN(1e6)) * time.Second)
		if err = writeTimeFloor(fsys, t); err == nil {
			l.time = t
		}
	}
	if errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENOSPC) {
		return nil // it ends, and is started again
	}
	return err
}

// start goes as in Agent.open, and remembers what it was given.
func (l *life) start(fsys durable.FS) error {
	floor, err := timeFloor(fsys, buildDate)
	if err == nil && floor.Before(l.time) {
		err = fmt.Errorf("the time went back from %v to %v", l.time, floor)
	}
	if err != nil {
		return err
	}
	boot, damage, err := nextBoot(fsys, func() (uint32, error) { return 0, nil })
	if damage != "" {
		err = errors.New(damage)
	}
	if err == nil && boot <= l.boot {
		err = fmt.Errorf("start %d comes after start %d", boot, l.boot)
	}
	if err != nil {
		return err
	}
	l.boot, l.time = boot, floor // counting has synced its name as well
	key, damage, err := tagKey(fsys)
	if damage != "" {
		err = errors.New(damage)
	}
	if err == nil && l.key != nil && !bytes.Equal(key, l.key) {
		err = errors.New("there is another key of the source tags")
	}
	if err != nil {
		return err
	}
	l.key = key
	return nil
}

// Judge implements durabletest.Life.
func (l *life) Judge(fsys durable.FS) error {
	key, err := ReadTagKey(fsys)
	if l.key == nil && errors.Is(err, fs.ErrNotExist) {
		err = nil
	} else if err == nil && l.key != nil && !bytes.Equal(key, l.key) {
		err = errors.New("the key of the source tags has changed")
	}
	next := *l
	for range 2 {
		if err == nil {
			err = next.start(fsys)
		}
	}
	return err
}
