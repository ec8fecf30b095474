// Package signed reads and judges threshold-signed metadata in the shape of
// The Update Framework (TUF 1.0.34): a chain of roots, a timestamp, a snapshot
// and targets with delegated roles. Firmware, policy and receipt keys stand on
// it, each under a root of its own, so that no desk can speak for another.
//
// A Trusted holds what was found good so far and takes the next file of a
// repository only if every rule of TUF's client workflow (section 5) holds. It
// does no input or output and knows no clock: the caller gives it bytes and a
// time. A Client fetches and stores around it.
//
// Beyond TUF, as FORMAT.md in this folder specifies: a role can demand a number
// of signatures of each kind, so that neither a broken classical scheme nor a
// broken post-quantum one is enough to forge; metadata can be addressed to one
// vehicle; and keys count by what they are, not by how they are called.
//
// Side: black.
package signed

import "fmt"

// An Attack is what a refused file would have done (TUF section 1.5.2, Uptane
// section "threat analysis").
type Attack string

// Attacks, as reports name them.
const (
	Arbitrary     Attack = "arbitrary software" // not signed by whom it should be
	Rollback      Attack = "rollback"           // older than what was seen before
	Freeze        Attack = "freeze"             // expired: perhaps newer files are withheld
	MixAndMatch   Attack = "mix and match"      // not the files that belong together
	EndlessData   Attack = "endless data"       // longer than it can be
	SlowRetrieval Attack = "slow retrieval"     // it comes too slowly to be of use
	WrongVehicle  Attack = "wrong vehicle"      // addressed to another
	Malformed     Attack = "malformed metadata" // not to be read at all
)

// An Error says why a file was refused. What was trusted before still is.
type Error struct {
	Attack     Attack
	Repository string // Options.Name
	Role       string
	Err        error
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s: %s: %v", e.Repository, e.Role, e.Attack, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Names of the four roles that a root assigns.
const (
	Root      = "root"
	Timestamp = "timestamp"
	Snapshot  = "snapshot"
	Targets   = "targets"
)

// Largest sizes of the files of each role, in bytes, and the largest number of
// delegated roles that one search visits and of roots that one update follows.
// They bound what a hostile repository can cost.
const (
	MaxRoot        = 256 << 10
	MaxTimestamp   = 32 << 10
	MaxSnapshot    = 1 << 20
	MaxTargets     = 2 << 20
	MaxDelegations = 32
	MaxRotations   = 256
)

// limitOf returns how large a role's file may be. Hybrid signatures take 7 kB
// of hex each.
func limitOf(role string) int {
	switch role {
	case Root:
		return MaxRoot
	case Timestamp:
		return MaxTimestamp
	case Snapshot:
		return MaxSnapshot
	}
	return MaxTargets
}
