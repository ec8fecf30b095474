// Package soak lets a fleet of vehicles drive while everything goes wrong at
// once, for minutes on real sockets and disks: links that are cut and links
// that die without a word, brokers, collectors and agents that are killed, disks
// without room, receivers and clocks that jump by years. Then the faults stop,
// everything may drain, and an audit asks of every clip, fix and sealed object
// where it is: in the store exactly once and intact, or in the record of what
// was lost.
//
// The audit trusts nobody's word: a witness sees each name appear in and vanish
// from each spool, the broker's capture holds the receipts, and the key holder
// opens what is in the store.
//
// Side: red.
package soak
