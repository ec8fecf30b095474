// Package bench plays a drive from end to end and judges it: throw-away keys,
// an embedded broker, the real collector and the real agent as processes of
// their own, a receiver and a camera in front, the key holder behind.
//
// The parts: drivegen makes up a drive, recorder knows how makes of recorders
// fill their folders, player plays both, hostile is what may lie in a folder
// besides, pki issues the certificates, process runs the programs, shaper is the
// radio link, capture what the broker saw, judge holds the checks, canary the
// search for secrets, report what is left for machines and people. This package
// puts them together.
// crash, soak and speed are runs of their own; wallclock gives programs false
// clocks, unsynced takes their syncs away.
//
// Side: red.
package bench
