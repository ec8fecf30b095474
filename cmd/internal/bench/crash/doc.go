// Package crash cuts the power of the real programs at every moment that
// matters, lets them recover, and judges what is left: nothing lost, nothing
// twice, nothing half.
//
// The programs are those that ship, under Debian's strace: it kills them at a
// chosen system call, makes one fail, or records a whole run. A recorded run is
// replayed into each state that a power cut could have left, by two models of a
// file system, and the programs start on that. No program has a switch for any
// of this.
//
// In the run some clips are delivered, one of them is locked after that, one is
// held and gives way to another. Each must be in the store or in the spool at the
// end, whole and once, the locked one in the class that is kept longest, or the
// record of losses must name it.
//
// One vehicle, one broker and one collector form a lane; every point of a sweep
// has a lane of its own for a moment:
//
//	kill     SIGKILL at each durable system call
//	replay   each state of what was not synced
//	faults   ENOSPC and EIO at each operation
//	double   a second fault during the recovery from a first
//	guard    one sync taken out of the recording: the replay must see it
//
// Side: red.
package crash
