package crash

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"

	"roadseal/cmd/internal/bench/crash/disk"
	"roadseal/crypto/envelope"
)

// Folders of the two recorders: one keeps its ring, of the other the agent
// removes what is sealed.
const (
	keptFolder  = "kept"
	movedFolder = "moved"
)

// A clip is one file of a recorder.
type clip struct {
	folder, name string
	renamed      string // its name once a driver has pressed the button: in the second trip, or after the cut
	held         bool   // it is of a stream that is never uploaded
	data         []byte
	sum          [sha256.Size]byte
	sealed       int64 // bytes of its object
}

// path of the clip below the vehicle's directory.
func (c clip) path(cut bool) string {
	if cut && c.renamed != "" {
		return c.folder + "/" + c.renamed
	}
	return c.folder + "/" + c.name
}

// A cast are the clips of a run, in the order of their time.
type cast struct {
	first []clip // there from the start
	later clip   // written once the first are delivered: there is no room for it but that of all others
	after clip   // written after the cut only, to be sealed behind all others
}

// Sizes in bytes: together more than the spool may hold.
const (
	smallClip = 100_000
	heldClip  = 200_000
	eventClip = 160_000
	movedClip = 120_000
	largeClip = 850_000
	lastClip  = 8_000
)

func newCast(seed uint64) cast {
	rng := rand.New(rand.NewPCG(seed, 1))
	make := func(folder, name, renamed string, size int) clip {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		return clip{folder: folder, name: name, renamed: renamed, data: data, sum: sha256.Sum256(data),
			sealed: envelope.SealedSize(envelope.DefaultSlots, envelope.GridBinary(int64(size)))}
	}
	name := func(minute int, kind string) string { return fmt.Sprintf("20260101_10%02d00_%s.mp4", minute, kind) }
	parked := make(keptFolder, name(3, "PF"), "", heldClip)
	parked.held = true
	return cast{
		first: []clip{
			make(keptFolder, name(0, "NF"), name(0, "EF"), smallClip),
			make(keptFolder, name(1, "EF"), "", eventClip),
			make(movedFolder, name(2, "NF"), "", movedClip),
			parked,
		},
		later: make(keptFolder, name(4, "NF"), "", largeClip),
		after: make(keptFolder, name(5, "NF"), "", lastClip),
	}
}

// all are the clips that must be in the store at the end, or in the spool if
// they are held.
func (c cast) all() []clip { return append(append([]clip{}, c.first...), c.later, c.after) }

// locked is the clip that the driver locks.
func (c cast) locked() clip { return c.first[0] }

// recorders is the vehicle before its first start. The later clip, and the copy
// by which one is locked, are there only if asked for.
func (c cast) recorders(later bool) disk.Tree {
	t := disk.Tree{keptFolder: nil, movedFolder: nil}
	for _, x := range c.first {
		t[x.path(false)] = disk.Given(x.data)
	}
	if later {
		t[c.later.path(false)] = disk.Given(c.later.data)
		t[c.locked().path(true)] = disk.Given(c.locked().data)
	}
	return t
}

// sentences are n epochs of a receiver, one a second.
func sentences(n int) []byte {
	var b []byte
	for i := range n {
		body := fmt.Sprintf("GNRMC,1000%02d.00,A,4807.03%d,N,01131.00%d,E,010.0,084.4,010126,,,A", i%60, i%10, i%10)
		var sum byte
		for j := range len(body) {
			sum ^= body[j]
		}
		b = fmt.Appendf(b, "$%s*%02X\r\n", body, sum)
	}
	return b
}
