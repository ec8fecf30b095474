// Package player plays a drive to the agent through the doors that a vehicle
// has: a recording of a GNSS receiver into a pseudo terminal, and clips into a
// recorder's folder, in pieces, as a camera writes them.
//
// Side: red.
package player
