package pki

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
)

// ReceiptKey lets the collector's program make its key in a new file and
// returns the public line, as a vehicle's configuration pins it.
func ReceiptKey(collector, path string) (string, error) {
	var stderr bytes.Buffer
	cmd := exec.Command(collector, "keygen", "-o", path)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("cannot make the collector's receipt key: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}
