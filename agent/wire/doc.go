// Package wire is the language that vehicle and collector speak over MQTT: the
// messages, the receipt and the topics. PROTOCOL.md beside it is the
// document; a test reads the examples there.
//
// Parsing is strict and canonical: what Parse accepts, MarshalBinary writes
// again byte for byte, so one message has one form only.
//
// Side: black.
package wire
