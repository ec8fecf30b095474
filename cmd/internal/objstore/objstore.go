// Package objstore is the collector's door to the storage behind it: sealed
// objects by retention class and name, written once and never overwritten.
//
// The port is shaped for S3 (conditional put, copy, list by prefix). Folder is
// the store in a directory of a file system; package objstoretest holds what
// every store must pass. Nothing here names a vehicle, and times have the
// granularity of a day, so that a listing that leaks tells no drive.
//
// Side: black.
package objstore

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"roadseal/agent/wire"
	"roadseal/crypto/envelope"
)

// A Store keeps sealed objects. It may be used by several goroutines.
type Store interface {
	// Stage opens the working copy of an object of size bytes that is
	// arriving, and says which of its blocks are there already: the same id
	// finds it again after a restart. An id stands for one size. It fails with
	// ErrFull if that would exceed a bound, with ErrSpace if the medium could
	// not take it whole. A copy is open once at a time. One that cannot be
	// read any more is begun anew.
	Stage(ctx context.Context, id string, size int64) (Staged, wire.Bitmap, error)
	// Resume is Stage for a copy that must be there: fs.ErrNotExist if it is
	// not.
	Resume(ctx context.Context, id string, size int64) (Staged, wire.Bitmap, error)
	// Get opens a stored object; fs.ErrNotExist if it is not there.
	Get(ctx context.Context, key Key) (Object, error)
	// Add stores the object that is under from also under to, durably. It
	// fails with fs.ErrNotExist if there is none, with fs.ErrExist if to is
	// taken, and takes nothing away.
	Add(ctx context.Context, from, to Key) error
	// List calls f for each stored object, in no order. It ends early with
	// the error of f.
	List(ctx context.Context, f func(Entry) error) error
}

// ErrFull is the error of Stage when no more can be staged at the moment.
var ErrFull = errors.New("as much is arriving as the store has room for")

// ErrSpace is the error of Stage when the medium has not enough space left.
var ErrSpace = errors.New("too little space is left for the store")

// A Staged is the working copy of an object that is arriving. One goroutine
// uses it at a time. Commit, Close and Discard end it.
type Staged interface {
	// ReadAt reads what was written.
	io.ReaderAt
	// WriteBlock writes block i of the grid. Once it has returned, the block
	// is found again after a crash of the process; after a power cut it may
	// be gone or damaged, which only the hash of the whole shows.
	WriteBlock(i int, block []byte) error
	// Commit stores the object under key and returns when bytes and name are
	// durable. It fails with fs.ErrExist if key is taken. The caller has
	// verified that the bytes hash to the name. The copy is gone afterwards,
	// also after an error.
	Commit(ctx context.Context, key Key) error
	// Close releases the copy and keeps it for later.
	Close() error
	// Discard removes it.
	Discard() error
}

// An Object is a stored object, open for reading.
type Object interface {
	io.ReaderAt
	io.Closer
	// Size is its length in bytes.
	Size() int64
	// Settle returns when bytes and name are durable; what is read after it
	// comes from the medium, not from a cache of this machine.
	Settle(ctx context.Context) error
}

// A Key is where a store keeps an object.
type Key struct {
	Class int // retention class, 1 (kept longest) to wire.MaxClass
	Name  envelope.Name
}

// String returns "pool/CLASS/NAME", the path in a folder and the key in S3.
func (k Key) String() string { return classDir(k.Class) + "/" + k.Name.String() }

func classDir(class int) string { return poolDir + "/" + strconv.Itoa(class) }

const poolDir = "pool"

// An Entry is one line of a listing.
type Entry struct {
	Key
	Size int64
	Day  time.Time // of storing, UTC, 00:00
}

// ErrHash says that bytes are not those of the object that they are named
// after.
var ErrHash = errors.New("bytes do not match the name")

// Check reads an object of size bytes whole: is its SHA-256 its name, and is it
// sealed, with exactly slots stanzas and a size on the padding grid? What is
// wrong with it matches ErrHash, and only if its bytes are the right ones
// envelope.ErrHeader or envelope.ErrSize. Other errors are those of reading.
func Check(ctx context.Context, r io.ReaderAt, size int64, name envelope.Name, slots int) error {
	h := sha256.New()
	src := io.NewSectionReader(r, 0, size)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, err := io.CopyN(h, src, checkStep)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if sum := envelope.Name(h.Sum(nil)); sum != name {
		return fmt.Errorf("%w: their SHA-256 is %v", ErrHash, sum)
	}
	return CheckHeader(r, size, slots)
}

// checkStep is how much is hashed between two looks at the context.
const checkStep = 4 << 20

// CheckHeader is the part of Check that needs no more than the size and the
// first envelope.HeaderSize(slots) bytes.
func CheckHeader(r io.ReaderAt, size int64, slots int) error {
	return envelope.Check(bufio.NewReader(io.NewSectionReader(r, 0, size)), size, slots)
}
