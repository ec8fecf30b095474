package wire

import "fmt"

// A Reason is why the collector refuses an object. Values that this version
// does not know are valid: they are reasons of a newer collector.
type Reason uint8

// The reasons for REFUSED.
const (
	ReasonBusy    Reason = 1 // too many objects arriving at once
	ReasonSize    Reason = 2 // above the cap of its class, or not on the padding grid
	ReasonClass   Reason = 3 // a retention class that this store does not keep
	ReasonHeader  Reason = 4 // not an age file with exactly the agreed stanzas
	ReasonHash    Reason = 5 // the bytes do not hash to the object's name
	ReasonQuota   Reason = 6 // the certificate's quota is used up
	ReasonShard   Reason = 7 // the topic's shard is not the device's, or not this collector's
	ReasonStorage Reason = 8 // the store cannot write at the moment
	ReasonClash   Reason = 9 // the store holds other bytes under this name; an alarm at the collector
)

// String describes the reason for a status line.
func (r Reason) String() string {
	switch r {
	case ReasonBusy:
		return "collector is busy"
	case ReasonSize:
		return "size not accepted"
	case ReasonClass:
		return "retention class not accepted"
	case ReasonHeader:
		return "header not accepted"
	case ReasonHash:
		return "bytes do not match the name"
	case ReasonQuota:
		return "quota used up"
	case ReasonShard:
		return "wrong shard"
	case ReasonStorage:
		return "store cannot write"
	case ReasonClash:
		return "store holds other bytes under this name"
	}
	return fmt.Sprintf("reason %d", uint8(r))
}
