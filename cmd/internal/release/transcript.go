package release

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// A Transcript is what was done at a desk, as text to be printed and signed by
// hand. The same doing at the same time gives the same text.
type Transcript struct {
	Program string // and its version
	Verb    string
	At      time.Time
	keys    []string
	in, out []string
	done    []string
}

// Key notes a key that was used.
func (t *Transcript) Key(person, kind, id string) {
	t.keys = append(t.keys, fmt.Sprintf("%s  %s  %s", person, kind, id))
}

// In and Out note a file that was read or written.
func (t *Transcript) In(name string, data []byte)  { t.in = append(t.in, digest(name, data)) }
func (t *Transcript) Out(name string, data []byte) { t.out = append(t.out, digest(name, data)) }

// InFile notes a file that was read, of any size.
func (t *Transcript) InFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", name, reason(err))
	}
	defer f.Close()
	hash := sha256.New()
	n, err := io.Copy(hash, f)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", name, reason(err))
	}
	t.in = append(t.in, fmt.Sprintf("%s  %d bytes\n    sha256 %s", name, n, hex.EncodeToString(hash.Sum(nil))))
	return nil
}

func digest(name string, data []byte) string {
	sum := sha256.Sum256(data)
	return fmt.Sprintf("%s  %d bytes\n    sha256 %s", name, len(data), hex.EncodeToString(sum[:]))
}

// Did notes one thing that was done.
func (t *Transcript) Did(format string, args ...any) {
	t.done = append(t.done, fmt.Sprintf(format, args...))
}

// Text is the transcript.
func (t *Transcript) Text() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "ROADSEAL RELEASE DESK: TRANSCRIPT\n\nprogram  %s\nverb     %s\ntime     %s\n", t.Program, t.Verb, moment(t.At))
	for _, part := range []struct {
		title string
		lines []string
	}{{"done", t.done}, {"keys used", t.keys}, {"files read", t.in}, {"files written", t.out}} {
		if len(part.lines) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n%s:\n", part.title)
		for _, l := range slices.Compact(part.lines) {
			fmt.Fprintf(&b, "  %s\n", l)
		}
	}
	b.WriteString("\nname       ______________________________   place  ______________________________\n\nsignature  ______________________________   date   ______________________________\n")
	return []byte(b.String())
}
