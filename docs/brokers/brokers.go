// Package brokers holds the broker configurations that these documents ship, so
// that what the bench and the tests run is what a person reads.
//
// Side: any.
package brokers

import _ "embed"

// MosquittoConf is mosquitto.conf.
//
//go:embed mosquitto.conf
var MosquittoConf string

// MosquittoACL is mosquitto.acl, the access rules that MosquittoConf names.
//
//go:embed mosquitto.acl
var MosquittoACL string
