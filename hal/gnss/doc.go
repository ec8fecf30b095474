// Package gnss turns the byte stream of a satellite receiver, NMEA 0183 and UBX
// mixed with anything else, into fixes.
//
// It is tolerant in what costs little and strict in what makes evidence. A
// missing or damaged minor field costs that field only. A position is taken
// from nothing but a sentence or frame whose checksum holds. What cannot be true (time
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
//	GLL  1-4 position  5 time  6 status A|V  7 mode
//	GSA  1 M|A  2 1 none, 2 2D, 3 3D  3-14 satellites used  15 PDOP  16 HDOP
//	     17 VDOP  18 system
//	VTG  1 course true, 2 T  3 course magnetic, 4 M  5 speed, knots, 6 N
//	     7 speed, km/h, 8 K  9 mode
//	GST  1 time  2 range error, rms  3-5 error ellipse  6 error of latitude,
//	     7 of longitude, 8 of altitude, m, one standard deviation
//	GBS  1 time  2 error of latitude, 3 of longitude, 4 of altitude, m
//	     5-8 the satellite most likely at fault (ignored)
//	GSV  1 sentences of the round  2 number  3 satellites in view, then for up
//	     to four: number, elevation, azimuth, signal in dB-Hz; last the signal
//	     id of NMEA 4.11 (ignored)
//	ZDA  1 time  2 day  3 month  4 year, 1980 to 2079  5-6 local zone
//
// A position is ddmm.mmmm, N|S, dddmm.mmmm, E|W: degrees, then minutes with up
// to eight decimals. RMC of NMEA 2.2 and older ends at field 11; some receivers
// put the mode there.
//
// # Binary
//
// Frames of UBX (u-blox) and RTCM 3 may stand between sentences. Both are taken
// whole, and four UBX messages are read, offsets into the payload:
//
//	NAV-PVT     4 year, u16  6 month  7 day  8 hour  9 minute  10 second
//	            11 bit 0 date valid, 1 time valid  16 fraction, ns, i32
//	            20 kind of fix  21 bit 0 position valid, 1 differential, 6-7 RTK
//	            23 satellites used  24 longitude, 28 latitude, 1e-7 degrees, i32
//	            36 altitude above mean sea level, mm, i32
//	            40 horizontal error, mm, u32  60 speed, mm/s  64 course, 1e-5
//	            degrees  78 bit 0 position invalid (since M8)
//	NAV-STATUS  7 bits 3-4 spoofing: 2 and 3 yes
//	ACK-ACK     0 class  1 id of the command that was done; ACK-NAK the same of
//	            one that was refused
//
// # Commands
//
// A Setup tells a u-blox receiver what UBlox holds, in UBX: CFG-MSG, CFG-RATE,
// CFG-NAV5 and CFG-GNSS, or CFG-VALSET with the layer RAM. It is the only thing
// that is ever sent. An answer is waited for before the next command; it comes
// among everything else that the receiver says.
//
// # Epochs
//
// All that a receiver says about one instant is one epoch and at most one fix.
// What has a time belongs to the epoch in hand if its time of day equals the
// epoch's to 10 ms, or if either has none; GSA and VTG, which have no time,
// belong to the epoch in hand. A formatter that the same talker says a second
// time begins a new epoch even when the time is the same: a receiver whose clock
// stands still, or which says whole seconds only, loses no fix; these carry
// MarkTimeRepeat. Two talkers that say RMC for the same time make one fix.
//
// An epoch yields a fix if its RMC has status A or its NAV-PVT is valid, and none
// if it has only such that are not. These two decide where the stream has them:
// an epoch without either yields a fix by GGA (quality above 0), GNS (a mode other
// than N) or GLL (status A) only if none came in the last ten epochs, or none
// ever, or if the last one shared its epoch with such a sentence: it was lost. The position of
// NAV-PVT, of more decimals and under a longer checksum, is preferred.
//
// Side: red.
package gnss
