// Package envelope reads what anyone may know of a sealed object without a
// key: its name, its header and its size. FORMAT.md beside it specifies the
// sealed object byte by byte.
//
// Side: black.
package envelope
