// Package collector takes sealed objects from vehicles over an MQTT broker,
// puts them into an object store and signs receipts for what is there, durable.
// It holds ciphertext, a receipt key, and no state that cannot be lost: losing
// it costs the restart of the objects that were arriving.
//
// # What it checks
//
// The device is taken from the topic, which the broker binds to the
// certificate, never from the payload. Before a byte is taken: the topic's
// shard is the device's, the size is one that sealing makes and under the cap
// of its class, the certificate's quota has room. With the first blocks: the
// header is an age header with exactly the agreed number of stanzas. At the
// end: the SHA-256 of all is the object's name. An object that fails any of
// these is refused with a reason; a receipt is signed only after the bytes and
// the name are on durable storage.
//
// # Objects that are there already
//
// An OFFER of an object that the store has is answered by a receipt, and before
// each one the object is read back from the medium, hashed and made durable. If
// what is there does not hash to its name, that is an alarm: nothing is
// overwritten and nothing is signed. The store may hold an object under several
// retention classes, each under pool/<class>/. The classes are added to and
// never taken away:
//
//   - Asked for a class that keeps it longer than any it is under, the
//     collector adds it under that class and names that class in the receipt.
//   - Asked for a shorter class, the collector adds nothing. The receipt names
//     the class asked for, because the vehicle compares each field with its own
//     offer; what it promises is kept, since the object stays even longer.
//
// A page tag is refused with ReasonClass: this store files no pages, and a
// receipt that names a tag would promise it.
//
// # Order of things
//
// One goroutine owns all state and handles one message at a time; what reads or
// syncs a whole object is done by a few workers, of which no vehicle can have
// more than two, so that none waits for another's. A message is acknowledged to
// the broker once it is handled, which promises nothing to anybody. Replies
// that a lost connection swallows are not kept: the vehicle offers again.
//
// # What it does not say
//
// No log line, counter or file name holds a device together with an object. The
// id of a staged copy is an HMAC over both under a key derived from the receipt
// key, so that a restart finds the copy and a listing tells nothing.
//
// Side: black.
package collector
