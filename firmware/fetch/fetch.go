// Package fetch is the port through which the files of the release
// repositories come to the vehicle: over its MQTT connection (agent/downlink)
// or over HTTPS. What comes is bytes that nobody vouches for; crypto/signed
// judges them.
//
// Side: black.
package fetch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"roadseal/agent/wire"
	"roadseal/crypto/signed"
)

// A Fetcher reads files of the release repositories by name.
type Fetcher interface {
	// Fetch returns the file called name (see CheckName), of at most limit
	// bytes. It waits for a connection, some minutes or until ctx ends, whose
	// error it then wraps. The error wraps fs.ErrNotExist if the server says that
	// there is no such file, and is a *signed.Error if the file is longer than
	// limit (EndlessData, see TooLong) or comes below the minimum rate
	// (SlowRetrieval, see TooSlow). It wraps a signed.Unserved where that says why
	// none comes. Any number of calls may be under way.
	Fetch(ctx context.Context, name string, limit int64) ([]byte, error)
}

// Patience is how long a file may bring no new block of the 60 KiB grid, of the
// time in which there was a connection and blocks were asked for. A block in
// that time is 1 KiB/s, the minimum rate.
const Patience = 60 * time.Second

// CheckName reports whether a file can have this name; see wire.CheckName.
func CheckName(name string) error { return wire.CheckName(name) }

// TooLong is the error of a Fetcher for a file of more than limit bytes.
func TooLong(name string, limit int64) error {
	return refusal(signed.EndlessData, name, fmt.Errorf("more than %d bytes", limit))
}

// TooSlow is the error of a Fetcher for a file that brought no new block for
// Patience.
func TooSlow(name string) error {
	return refusal(signed.SlowRetrieval, name, fmt.Errorf("no new block in %v, expected at least 1 KiB/s", Patience))
}

// Why no file comes.
const (
	NoRepository signed.Unserved = "the collector serves no release repositories"
	NoAnswer     signed.Unserved = "nobody answers who serves release repositories"
	NotNow       signed.Unserved = "the server says that it cannot serve the file now"
	NoConnection signed.Unserved = "no connection with the server comes about, or none lasts"
)

func refusal(attack signed.Attack, name string, err error) error {
	repository, file, _ := strings.Cut(name, "/")
	return &signed.Error{Attack: attack, Repository: repository, Role: file, Err: err}
}

// Repository makes a source of one repository's metadata out of a fetcher of
// files. Its files stand under prefix, "director" or "image", as ROLE.json or
// VERSION.ROLE.json.
func Repository(f Fetcher, prefix string) signed.Source { return repository{f, prefix} }

type repository struct {
	fetcher Fetcher
	prefix  string
}

// maxRole is the length of the longest name of a role that a file can have.
const maxRole = 64

// Fetch implements signed.Source.
func (r repository) Fetch(ctx context.Context, role string, version int64, limit int) ([]byte, error) {
	if role == "" || len(role) > maxRole || strings.ContainsFunc(role, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z')
	}) {
		return nil, fmt.Errorf("role %q: no file can be named after it, expected 1 to %d of a-z, 0-9 and -", role, maxRole)
	}
	file := role + ".json"
	if version != 0 {
		file = fmt.Sprintf("%d.%s", version, file)
	}
	data, err := r.fetcher.Fetch(ctx, r.prefix+"/"+file, int64(limit))
	var attack *signed.Error
	if errors.As(err, &attack) {
		return nil, &signed.Error{Attack: attack.Attack, Repository: r.prefix, Role: role, Err: attack.Err}
	}
	return data, err
}
