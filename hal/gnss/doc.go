// Package gnss turns the byte stream of a satellite receiver, NMEA 0183 mixed
// with anything else, into fixes.
//
// It is tolerant in what costs little and strict in what makes evidence. A
// missing or damaged minor field costs that field only. A position is taken
// from nothing but a sentence whose checksum holds. What cannot be true (time
// that runs backwards, a car that teleports) is passed on with a mark and never
// becomes the measure for what follows.
//
// # Sentences
//
// A sentence is `$`, an address of two letters of talker and three of
// formatter, comma-separated fields, `*`, and the exclusive or of all bytes
// between `$` and `*` as two hexadecimal digits. Talkers read: GP, GN, GL, GA,
// GB, BD, GQ, QZ, GI. Fields are counted from the address, which is field 0:
//
//	RMC  1 time hhmmss.sss  2 status A|V  3-6 position  7 speed, knots
//	     8 course, degrees true  9 date ddmmyy  10 variation  11 E|W
//	     12 mode  13 navigational status (ignored)
//	GGA  1 time  2-5 position  6 quality 0-8  7 satellites used  8 HDOP
//	     9 altitude above the geoid, 10 M  11 geoid separation, 12 M
//	     13 age of corrections, s  14 station
//	GNS  1 time  2-5 position  6 mode, a letter for each constellation
//	     7 satellites used  8 HDOP  9 altitude, m  10 separation  11 age
//	     12 station  13 navigational status
//	GSA  1 M|A  2 1 none, 2 2D, 3 3D  3-14 satellites used  15 PDOP  16 HDOP
//	     17 VDOP  18 system
//	VTG  1 course true, 2 T  3 course magnetic, 4 M  5 speed, knots, 6 N
//	     7 speed, km/h, 8 K  9 mode
//	ZDA  1 time  2 day  3 month  4 year, 1980 to 2079  5-6 local zone
//
// A position is ddmm.mmmm, N|S, dddmm.mmmm, E|W: degrees, then minutes with up
// to eight decimals. RMC of NMEA 2.2 and older ends at field 11; some receivers
// put the mode there.
//
// # Epochs
//
// All that a receiver says about one instant is one epoch and at most one fix.
// RMC, GGA and GNS belong to the epoch in hand if their time of day equals its
// own, or if either has none; GSA and VTG, which have no time, belong to the
// epoch in hand. A formatter that the same talker says a second time begins a
// new epoch even when the time is the same: a receiver whose clock stands still,
// or which says whole seconds only, loses no fix; these carry MarkTimeRepeat.
// Two talkers that say RMC for the same time make one fix.
//
// An epoch yields a fix if its RMC has status A, and none if it has status V.
// RMC decides as long as the stream has it: an epoch without one yields a fix by
// GGA (quality above 0) or GNS (a mode other than N) only if no RMC came in the
// last ten epochs, or none ever.
//
// Side: red.
package gnss
