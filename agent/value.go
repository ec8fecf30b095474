package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"roadseal/hal/durable"
)

// errDamaged says that neither line of a file of values is good.
var errDamaged = errors.New("damaged")

// maxValue bounds what is read of such a file.
const maxValue = 1 << 20

// valueCheck is the first 8 hex digits of the SHA-256 of the file's name, a
// space and the value.
func valueCheck(name, value string) string {
	sum := sha256.Sum256([]byte(name + " " + value))
	return hex.EncodeToString(sum[:4])
}

// twice is the file: the value, which has no space and no newline in it, and its
// check, on two equal lines. The empty one between keeps them apart also where
// one byte between them is damaged.
func twice(name, value string) string {
	line := value + " " + valueCheck(name, value) + "\n"
	return line + "\n" + line
}

// writeValue replaces a file of the state directory durably.
func writeValue(state durable.FS, name, value string) error {
	return durable.WriteFile(state, ".", name, []byte(twice(name, value)))
}

// readValue returns the value of the first good line, and whether the whole
// file is as it was written. Its errors match fs.ErrNotExist and errDamaged.
func readValue(state durable.FS, name string) (value string, whole bool, err error) {
	b, err := durable.ReadFile(state, name, maxValue)
	if errors.Is(err, unix.EIO) {
		b, err = durable.ReadFile(state, name, maxValue) // one failing call proves little
	}
	switch {
	case errors.Is(err, unix.EIO):
		return "", false, errDamaged
	case err != nil:
		return "", false, err
	}
	for line := range strings.Lines(string(b)) {
		v, check, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if check == valueCheck(name, v) {
			return v, string(b) == twice(name, v), nil
		}
	}
	return "", false, errDamaged
}
