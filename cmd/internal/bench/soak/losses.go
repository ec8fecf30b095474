package soak

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"roadseal/crypto/envelope"
)

// losses are objects that a vehicle says are lost, and why.
type losses map[envelope.Name]string

// lossLine is a line of the loss record (agent/spool/FORMAT.md): a reason, and
// the name that the object's file had.
var lossLine = regexp.MustCompile(`(?m)^(evicted|damaged) \S*\.([0-9a-f]{64})\.age `)

// readLosses reads the loss record of a spool.
func readLosses(spool string) (losses, error) {
	b, err := os.ReadFile(filepath.Join(spool, "losses"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read the loss record: %w", err)
	}
	l := losses{}
	for _, m := range lossLine.FindAllStringSubmatch(string(b), -1) {
		if n, err := envelope.ParseName(m[2]); err == nil {
			l[n] = m[1]
		}
	}
	return l, nil
}
