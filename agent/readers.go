package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"roadseal/agent/policy"
	"roadseal/hal/durable"
)

// readersFile tells since which start the streams have the readers that they have
// now, as "START.DIGEST": who can open an older object is not known any more.
const readersFile = "readers"

// readersSince returns that start, which is this one if the readers are others
// than before. It is durable before anything is sealed for them.
func readersSince(state durable.FS, streams policy.Set, boot uint32) (since uint32, err error) {
	now := readersDigest(streams)
	text, _, err := readValue(state, readersFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errDamaged) {
		return 0, fmt.Errorf("cannot read since when the streams have their readers: %w", err)
	}
	start, digest, _ := strings.Cut(text, ".")
	if n, err := strconv.ParseUint(start, 10, 32); err == nil && digest == now && n <= uint64(boot) {
		return uint32(n), nil
	}
	if err := writeValue(state, readersFile, fmt.Sprintf("%d.%s", boot, now)); err != nil {
		return 0, fmt.Errorf("cannot write since when the streams have their readers: %w", err)
	}
	return boot, nil
}

// readersDigest changes with the readers of any stream.
func readersDigest(streams policy.Set) string {
	h := sha256.New()
	for _, st := range streams {
		fmt.Fprintln(h, st.Name, st.To)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
