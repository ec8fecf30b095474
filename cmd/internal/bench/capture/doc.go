// Package capture holds what passed through the broker of a bench run: every
// message with its topic and time, as an eavesdropper at the broker would keep
// it. Written by the broker's process, read by the bench while it grows.
//
// A capture is a folder with one file for each start of the broker, 000, 001
// and so on. A file is a row of messages, big endian: time (int64, Unix ns),
// topic length (uint16), payload length (uint32), topic, payload. A broker that is
// killed while it writes leaves the last one torn.
//
// Side: black.
package capture
