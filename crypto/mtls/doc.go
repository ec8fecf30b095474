// Package mtls decides who may be on the other end of a connection: TLS 1.3
// only, one private CA and never the system's, the broker's name, a client
// certificate from either kind of client, judged by a time that the vehicle
// can trust.
//
// Side: black.
package mtls
