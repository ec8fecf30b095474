// Package profile holds what the brokers that we know allow one connection, and
// paces a connection so that it stays below. Agent and collector name a profile
// in [broker] and may replace single limits of it in [broker.limits].
//
// Side: black.
package profile

import (
	"maps"
	"slices"
	"strings"

	"roadseal/agent/config/strict"
	"roadseal/agent/wire"
)

// Limits are what a broker allows one connection; zero is no limit that
// matters. The tags are the keys of [broker.limits].
type Limits struct {
	Payload   strict.Bytes `toml:"payload"`   // of the largest message
	Rate      int          `toml:"rate"`      // messages a second
	Bandwidth strict.Bytes `toml:"bandwidth"` // bytes a second
	InFlight  int          `toml:"in_flight"` // messages that the broker has not acknowledged
	Filters   int          `toml:"-"`         // subscriptions; of interest to collectors only
}

// Default is the profile of a configuration that names none.
const Default = "mosquitto"

// known are the limits of each broker as it comes, or as docs/brokers/README.md
// configures it. That document has their sources.
var known = map[string]Limits{
	Default:  {Payload: 132 << 10},
	"emqx":   {Payload: 1 << 20},
	"hivemq": {Payload: 256 << 20, InFlight: 10},
	"aws":    {Payload: 128 << 10, Rate: 100, Bandwidth: 512 << 10, InFlight: 100, Filters: 50},
	"nats":   {Payload: 1 << 20},
}

// Names lists the profiles, sorted.
func Names() []string { return slices.Sorted(maps.Keys(known)) }

// Bounds of limits that somebody sets. Below them a message would be under way
// for longer than the protocol waits for news.
const (
	leastBandwidth = 64 << 10
	mostRate       = 10_000
)

// Choose returns the limits of a profile ("" is Default), with those of over
// that are not zero in their place. Each fault is handed to fail with the path
// of its key in the configuration; the result is good if there was none.
func Choose(name string, over Limits, fail func(key []any, format string, args ...any)) Limits {
	if name == "" {
		name = Default
	}
	l, ok := known[name]
	if !ok {
		fail([]any{"broker", "profile"}, "expected one of %s; for any other broker take %s and set [broker.limits]", strings.Join(Names(), ", "), Default)
	}
	limit := func(key, format string, args ...any) { fail([]any{"broker", "limits", key}, format, args...) }
	if over.Payload != 0 {
		if l.Payload = over.Payload; l.Blocks() == 0 {
			limit("payload", "expected at least %v: a message carries a block of %d bytes", strict.Bytes(data(1)), wire.BlockSize)
		}
	}
	if over.Rate != 0 {
		if l.Rate = over.Rate; l.Rate < 1 || l.Rate > mostRate {
			limit("rate", "expected 1 to %d messages a second", mostRate)
		}
	}
	if over.Bandwidth != 0 {
		if l.Bandwidth = over.Bandwidth; l.Bandwidth < leastBandwidth {
			limit("bandwidth", "expected at least %v a second", strict.Bytes(leastBandwidth))
		}
	}
	if over.InFlight != 0 {
		if l.InFlight = over.InFlight; l.InFlight < 1 {
			limit("in_flight", "expected at least 1 message")
		}
	}
	return l
}

// data is the payload of a DATA message with n blocks (agent/wire/PROTOCOL.md).
func data(n int) int64 { return int64(46 + n*wire.BlockSize) }

// Blocks is how many blocks of an object a message may carry, 0 if not even one
// fits.
func (l Limits) Blocks() (n int) {
	for n = wire.MaxBlocks; n > 0 && l.Payload != 0 && int64(l.Payload) < data(n); {
		n--
	}
	return n
}
