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
// Reading a large object back takes longer than a vehicle waits. One that offers
// again meanwhile is answered by HAVE with all bits set, so that it knows that
// somebody is there and sends nothing. A receipt that took longer than 10 s is
// kept for an hour and given once more to the vehicle that offers the same: it
// may have turned to other objects when it came.
//
// # Who gets what
//
// A certificate is no promise of good behaviour. Of each one so many objects
// may be arriving, and as many more may be set aside, which together have so
// many bytes:
//
//   - One object too many: of the vehicle's own, the one that it has left alone
//     for the longest time is set aside. Its staged copy stays; the vehicle's
//     next OFFER of it goes on there. The oldest of too many copies is removed.
//   - Too many bytes: refused, unless nothing has come of another one for
//     Quota.Idle.
//   - All places of the collector, or all room of the store, are taken: the
//     vehicle that occupies most gives way, if that is more than the one that
//     asks would then have. So squatters keep nobody out, whether they send
//     anything or not, and two who have the same do not push each other out.
//   - The medium would be left with less than objstore.Limits.Free once all that
//     is arriving is whole: the same, and otherwise refused.
//
// # What it gives
//
// Vehicles ask for the files of the release repositories, block by block. The
// collector answers from a folder that it only reads, vouches for nothing in it,
// and keeps nothing of what was asked: what is lost is asked for again. A
// vehicle sees the files for the whole fleet and its own, and no other's. Each
// may have so many blocks outstanding, one of a file that it wants twice once,
// and gets so many answers a second; vehicles that want something take turns.
//
// Blocks go after everything else: one worker of its own reads them, one at a
// time, and one is sent when no vehicle's message waits and no worker has news;
// or after so many of those, so that a busy collector serves files as well.
//
// # Order of things
//
// One goroutine owns all state and handles one message at a time. A few workers
// do what takes long: to look for an object, which is quick, and to read or sync
// a whole one, which is not. Of each kind a vehicle can have one under way, and
// the vehicle that has used the workers least is the next. One worker is always
// left for those who only look, and one more for objects that are not large.
// OFFERs of an object whose job is queued or under way are answered by it.
//
// A message is acknowledged to the broker once it is handled, which promises
// nothing to anybody. Replies that a lost connection swallows are not kept: the
// vehicle offers again.
//
// # What it does not say
//
// No log line, counter or file name holds a device together with an object. The
// id of a staged copy is an HMAC over both under a key derived from the receipt
// key, so that a restart finds the copy and a listing tells nothing.
//
// Side: black.
package collector
