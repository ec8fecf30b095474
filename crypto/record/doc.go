// Package record is the text at the end of every sealed plaintext, by which an
// object explains itself to its key holder: 1,024 bytes that a person can read
// with `tail -c 1024`. crypto/envelope/FORMAT.md specifies it.
//
// Side: red.
package record
