// Package disk tells what a cut of power can leave of the files of a program
// whose run strace has recorded. It reads the recording into a history of
// changes and syncs, and lays out each state that a file system may keep, by
// two models: POSIX, where a name needs a sync of its directory, and ext4,
// where a new file's sync keeps its name too.
//
// A call that it does not know on a file of the program is an error: a state
// must never be missing because nobody has thought of it.
//
// Side: any.
package disk
